"""Conversions between typed text, mrkdwn, rich text and plain text."""
