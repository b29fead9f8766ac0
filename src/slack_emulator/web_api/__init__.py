"""Slack's Web API: a table from each method's name to its arguments and its implementation."""

from __future__ import annotations

from typing import Any

from slack_emulator.web_api import (
    assistant,
    bookmarks_pins_reactions,
    chat,
    chat_schedule,
    chat_streams,
    conversations,
    files,
    team,
    users,
    views,
)
from slack_emulator.web_api.arguments import Method

METHODS: dict[str, Method[Any]] = {
    **team.METHODS,
    **users.METHODS,
    **conversations.METHODS,
    **chat.METHODS,
    **chat_schedule.METHODS,
    **chat_streams.METHODS,
    **assistant.METHODS,
    **views.METHODS,
    **bookmarks_pins_reactions.METHODS,
    **chat.LINK_METHODS,
    **team.STEP_METHODS,
    **files.METHODS,
}
