"""Slack's Web API: a table from each method's name to its arguments and its implementation."""

from __future__ import annotations

from typing import Any

from slack_emulator.web_api import (
    assistant,
    chat,
    chat_schedule,
    chat_streams,
    conversations,
    files,
    links,
    marks,
    steps,
    team,
    users,
    views,
)
from slack_emulator.web_api.calls import Method

METHODS: dict[str, Method[Any]] = {
    **team.METHODS,
    **users.METHODS,
    **conversations.METHODS,
    **chat.METHODS,
    **chat_schedule.METHODS,
    **chat_streams.METHODS,
    **assistant.METHODS,
    **views.METHODS,
    **marks.METHODS,
    **links.METHODS,
    **steps.METHODS,
    **files.METHODS,
}
