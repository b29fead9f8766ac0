"""Validation of the options that an app returns for an external select."""

from __future__ import annotations

from slack_emulator.blocks import block_errors
from slack_emulator.model import Json, Refused


def options_in(response: Json) -> list[Json]:
    """Return the options of a response, without their groups. Raises Refused (`invalid_options`).

    Slack: `options` or `option_groups`, at most a hundred of each.
    """
    if "options" in response and not response["options"]:
        return []
    element: Json = {"type": "static_select", "action_id": "a"}
    element |= {key: response[key] for key in ("options", "option_groups") if key in response}
    errors = block_errors([{"type": "actions", "block_id": "b", "elements": [element]}], "message")
    if errors:
        raise Refused("invalid_options", *errors)
    grouped = [o for group in response.get("option_groups", []) for o in group["options"]]
    return [*response.get("options", []), *grouped]
