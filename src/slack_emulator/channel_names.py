"""Validation of channel names, which Slack refuses rather than corrects."""

from __future__ import annotations

import re

from slack_emulator.model import Refused

NAME_LIMIT = 80


def require_name(name: str) -> None:
    """Raise Refused for a bad name (Slack, conversations.create: a-z, 0-9, `-` and `_`, at most 80)."""
    if not name:
        raise Refused("invalid_name_required")
    if len(name) > NAME_LIMIT:
        raise Refused("invalid_name_maxlength")
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise Refused("invalid_name_specials")
    if not re.search(r"[a-z0-9]", name):
        raise Refused("invalid_name_punctuation")
