"""Interactive elements of blocks, and their values in `view.state.values`."""

from __future__ import annotations

from collections.abc import Iterator

from slack_emulator.model import Json, Refused, StateValues

STATE_FIELDS: dict[str, tuple[str, str]] = {
    "plain_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "users_select": ("selected_user", "initial_user"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "file_input": ("files", ""),
}
"""By element type: the field of its state in `view.state.values`, and the property with its initial value."""

MANY = {"selected_options", "selected_users", "selected_conversations", "selected_channels", "files"}
FIXED_OPTIONS = {"static_select", "multi_static_select", "radio_buttons", "checkboxes"}


def elements_of(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Yield each interactive element with its block."""
    for block in blocks:
        match block.get("type"):
            case "input":
                yield block, block["element"]
            case "actions" | "context_actions":
                for element in block.get("elements", []):
                    yield block, element
            case "section" if isinstance(block.get("accessory"), dict):
                if block["accessory"].get("type") != "image":
                    yield block, block["accessory"]


def find_element(blocks: list[Json], block_id: str, action_id: str) -> tuple[Json, Json] | None:
    for block, element in elements_of(blocks):
        if block.get("block_id") == block_id and element.get("action_id") == action_id:
            return block, element
    return None


def initial_state(element: Json) -> Json | None:
    """Return the element's state before any input. Returns None for one without state, such as a button."""
    kind = str(element.get("type"))
    if kind not in STATE_FIELDS:
        return None
    field, initial = STATE_FIELDS[kind]
    empty: object = [] if field in MANY else None
    return {"type": kind, field: element.get(initial, empty)}


def initial_values(payload: Json, channel: str | None = None) -> StateValues:
    """Return the initial values of a view or message.

    `channel` is where the user was: `default_to_current_conversation` selects it.
    """
    values: StateValues = {}
    for block, element in elements_of(payload["blocks"]):
        state = initial_state(element)
        if state is not None:
            if channel and element.get("default_to_current_conversation"):
                _select_current(state, channel)
            values.setdefault(block["block_id"], {})[element["action_id"]] = state
    return values


def _select_current(state: Json, channel: str) -> None:
    """Select the current channel (Slack, conversations_select: in place of an initial conversation)."""
    field = STATE_FIELDS[state["type"]][0]
    state[field] = [channel] if field in MANY else channel


def carried_over(old: StateValues, payload: Json) -> StateValues:
    """Return the values of an updated view.

    Slack, Modals: input is kept where block_id and action_id stay the same.
    """
    values = initial_values(payload)
    for block, element in elements_of(payload["blocks"]):
        kept = old.get(block["block_id"], {}).get(element["action_id"])
        if kept is not None and kept.get("type") == element["type"] and _still_offered(element, kept):
            values[block["block_id"]][element["action_id"]] = kept
    return values


def _still_offered(element: Json, state: Json) -> bool:
    if element["type"] not in FIXED_OPTIONS:
        return True
    field = STATE_FIELDS[element["type"]][0]
    chosen = state.get(field) or []
    offered = {o["value"] for o in options_of(element)}
    return all(o["value"] in offered for o in (chosen if isinstance(chosen, list) else [chosen]))


def options_of(element: Json) -> list[Json]:
    grouped = [o for group in element.get("option_groups") or [] for o in group["options"]]
    return [*(element.get("options") or []), *grouped]


def completed_state(element: Json, given: Json) -> Json:
    """Return the user's choice as Slack would send it: with whole options, found by their `value`.

    Raises Refused (`invalid_value`) if the element has no such state or does not offer the option.
    """
    kind = str(element.get("type"))
    if kind not in STATE_FIELDS or given.get("type", kind) != kind:
        raise Refused("invalid_value")
    field = STATE_FIELDS[kind][0]
    if field not in given:
        raise Refused("invalid_value")
    value = given[field]
    if kind in FIXED_OPTIONS and value:
        value = [_offered(element, o) for o in value] if isinstance(value, list) else _offered(element, value)
    if field in MANY:
        value = list(value or [])
    elif value == "":
        value = None
    return {"type": kind, field: value}


def _offered(element: Json, option: object) -> Json:
    for candidate in options_of(element):
        if isinstance(option, dict) and candidate["value"] == option.get("value"):
            return candidate
    raise Refused("invalid_value")


def action_of(block: Json, element: Json, given: Json, at: str) -> Json:
    """Return the entry in `actions` of a block_actions payload."""
    action: Json = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "action_ts": at,
    }
    if element["type"] in ("button", "workflow_button", "icon_button"):
        copied = {k: element[k] for k in ("text", "value", "style") if k in element}
        return action | copied
    if element["type"] == "overflow":
        return action | {"selected_option": _offered(element, given.get("selected_option") or {})}
    state = completed_state(element, given)
    placeholder = {"placeholder": element["placeholder"]} if "placeholder" in element else {}
    return action | placeholder | state
