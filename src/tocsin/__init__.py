"""Tocsin: the Slack bot that opens and manages incidents."""
