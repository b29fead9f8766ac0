"""Crash points that no declaration passes on the local backend, each with the reason."""

from __future__ import annotations

# By the beginning of their names.
UNREACHED: dict[str, str] = {}


def why_unreached(name: str) -> str | None:
    """The reason why no scenario passes this point; None when it should be passed."""
    return next((reason for stem, reason in UNREACHED.items() if name.startswith(stem)), None)
