"""Crash points that no scenario passes, each with the reason."""

UNREACHED: dict[str, str] = {}
