"""How long a test waits for what must happen: until it does, or until only a broken program is still silent."""

LIMIT = 120.0
"""Seconds; a machine that is busy with four other things does not reach it."""
