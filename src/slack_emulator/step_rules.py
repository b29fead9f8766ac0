"""Validation of custom workflow steps in a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_emulator.grammar import Complaints, Flag, OneOf, Shape, Words, complaint

Parameters = Mapping[str, Mapping[str, Any]]

# Slack, custom steps: the types that a user can fill in in Workflow Builder.
TYPES = (
    "string",
    "boolean",
    "integer",
    "number",
    "slack#/types/user_id",
    "slack#/types/channel_id",
    "slack#/types/usergroup_id",
    "slack#/types/timestamp",
    "slack#/types/date",
    "slack#/types/rich_text",
    "slack#/types/message_ts",
)

PARAMETER = Shape(
    {"type": OneOf(*TYPES), "title": Words(255), "description": Words()},
    {"is_required": Flag(), "hint": Words(), "name": Words(100)},
)


def fitting_errors(
    functions: Mapping[str, Any], settings: Mapping[str, Any], bot_events: list[str]
) -> Complaints:
    """Yield an error for each setting or event that steps require and the app lacks (Slack, custom steps)."""
    if not functions:
        return
    if settings.get("org_deploy_enabled") is not True:
        yield complaint("functions require org_deploy_enabled", "/settings/org_deploy_enabled")
    if settings.get("function_runtime") != "remote":
        yield complaint("functions require the function_runtime remote", "/settings/function_runtime")
    if "function_executed" not in bot_events:
        yield complaint(
            "functions require the event function_executed", "/settings/event_subscriptions/bot_events"
        )
