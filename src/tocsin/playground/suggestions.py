"""The options an app returns for an external select, judged as Slack judges them."""

from __future__ import annotations

from tocsin.playground.blocks import block_errors
from tocsin.playground.model import Json, Refused


def options_in(response: Json) -> list[Json]:
    """Flat, groups opened up; Slack, block_suggestion: options or option_groups, at most a hundred each."""
    if "options" in response and not response["options"]:
        return []
    given = {key: response[key] for key in ("options", "option_groups") if key in response}
    element = {"type": "static_select", "action_id": "a", **given}
    errors = block_errors([{"type": "actions", "block_id": "b", "elements": [element]}], "message")
    if errors:
        raise Refused("invalid_options", *errors)
    grouped = [o for group in response.get("option_groups", []) for o in group["options"]]
    return [*response.get("options", []), *grouped]
