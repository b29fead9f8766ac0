"""The one limit of every wait in a test: whatever must happen happens long before it, or never."""

LIMIT = 120.0
"""Seconds; a machine that is busy with four other things does not reach it."""
