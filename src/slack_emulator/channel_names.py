"""Names of channels: refused, never corrected."""

from __future__ import annotations

import re

from slack_emulator.model import Refused

NAME_LIMIT = 80


def require_name(name: str) -> None:
    """Slack, conversations.create: lowercase letters, digits, hyphens and underscores, at most 80."""
    if not name:
        raise Refused("invalid_name_required")
    if len(name) > NAME_LIMIT:
        raise Refused("invalid_name_maxlength")
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise Refused("invalid_name_specials")
    if not re.search(r"[a-z0-9]", name):
        raise Refused("invalid_name_punctuation")
