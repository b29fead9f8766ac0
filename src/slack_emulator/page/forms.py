"""Conversion of submitted HTML forms to Slack's state values, one form field for each element."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from slack_emulator.elements import elements_of, options_of
from slack_emulator.text import rich_text_of

Json = dict[str, Any]
Values = dict[str, dict[str, Json]]


class Form(Protocol):
    """Submitted form; a field may occur several times."""

    def get(self, name: str) -> object: ...

    def getlist(self, name: str) -> Sequence[object]: ...


def field_name(block_id: str, action_id: str) -> str:
    return f"{block_id}/{action_id}"


def _chosen_options(element: Json, form: Form, name: str) -> list[Json]:
    wanted = [str(value) for value in form.getlist(name)]
    return [option for option in options_of(element) if option["value"] in wanted]


def _offered_options(_element: Json, form: Form, name: str) -> list[Json]:
    """Return options of an external select, which the form sends as JSON because only the app knows them."""
    chosen: list[Json] = []
    for raw in form.getlist(name):
        try:
            option = json.loads(str(raw))
        except ValueError:
            continue
        if isinstance(option, dict) and "value" in option and "text" in option:
            chosen.append(option)
    return chosen


def _one(key: str, pick: Callable[[Json, Form, str], list[Json]]) -> Callable[..., Json]:
    def read(element: Json, form: Form, name: str, _tz: ZoneInfo) -> Json:
        return {key: next(iter(pick(element, form, name)), None)}

    return read


def _several(pick: Callable[[Json, Form, str], list[Json]]) -> Callable[..., Json]:
    def read(element: Json, form: Form, name: str, _tz: ZoneInfo) -> Json:
        return {"selected_options": pick(element, form, name)}

    return read


def _text(key: str) -> Callable[..., Json]:
    def read(_element: Json, form: Form, name: str, _tz: ZoneInfo) -> Json:
        # Browsers send a textarea's line ends as CRLF; Slack's client sends LF.
        return {key: str(form.get(name) or "").replace("\r\n", "\n") or None}

    return read


def _ids(key: str) -> Callable[..., Json]:
    def read(_element: Json, form: Form, name: str, _tz: ZoneInfo) -> Json:
        return {key: [str(value) for value in form.getlist(name) if value]}

    return read


def _moment(_element: Json, form: Form, name: str, tz: ZoneInfo) -> Json:
    try:
        local = datetime.fromisoformat(str(form.get(name) or ""))
    except ValueError:
        return {"selected_date_time": None}
    return {"selected_date_time": int(local.replace(tzinfo=tz).timestamp())}


def _rich_text(_element: Json, form: Form, name: str, _tz: ZoneInfo) -> Json:
    typed = str(form.get(name) or "").replace("\r\n", "\n")
    return {"rich_text_value": rich_text_of(typed)[0] if typed.strip() else None}


_READERS: Mapping[str, Callable[[Json, Form, str, ZoneInfo], Json]] = {
    "plain_text_input": _text("value"),
    "email_text_input": _text("value"),
    "url_text_input": _text("value"),
    "number_input": _text("value"),
    "rich_text_input": _rich_text,
    "static_select": _one("selected_option", _chosen_options),
    "radio_buttons": _one("selected_option", _chosen_options),
    "external_select": _one("selected_option", _offered_options),
    "multi_static_select": _several(_chosen_options),
    "checkboxes": _several(_chosen_options),
    "multi_external_select": _several(_offered_options),
    "users_select": _text("selected_user"),
    "conversations_select": _text("selected_conversation"),
    "channels_select": _text("selected_channel"),
    "multi_users_select": _ids("selected_users"),
    "multi_conversations_select": _ids("selected_conversations"),
    "multi_channels_select": _ids("selected_channels"),
    "datepicker": _text("selected_date"),
    "timepicker": _text("selected_time"),
    "datetimepicker": _moment,
}


def value_in(element: Json, block_id: str, form: Form, tz: ZoneInfo) -> Json | None:
    """Return the element's state value (Slack, view state). Returns None for a button or an overflow menu."""
    kind = str(element.get("type"))
    read = _READERS.get(kind)
    if read is None:
        return None
    return {"type": kind} | read(element, form, field_name(block_id, str(element["action_id"])), tz)


def values_in(blocks: list[Json], form: Form, tz: ZoneInfo) -> Values:
    """Return the form's values as Slack's `state.values`, without fields of blocks that are gone."""
    values: Values = {}
    for block, element in elements_of(blocks):
        block_id = str(block["block_id"])
        value = value_in(element, block_id, form, tz)
        if value is not None:
            values.setdefault(block_id, {})[str(element["action_id"])] = value
    return values


_INITIAL = {
    "value": "initial_value",
    "rich_text_value": "initial_value",
    "selected_option": "initial_option",
    "selected_options": "initial_options",
    "selected_user": "initial_user",
    "selected_conversation": "initial_conversation",
    "selected_channel": "initial_channel",
    "selected_users": "initial_users",
    "selected_conversations": "initial_conversations",
    "selected_channels": "initial_channels",
    "selected_date": "initial_date",
    "selected_time": "initial_time",
    "selected_date_time": "initial_date_time",
}


def held(element: Json, state: Json | None) -> list[Any]:
    """Return the element's current value as a list: from its state, or its initial value if it has none."""
    for key, initial in _INITIAL.items():
        value = state.get(key) if state is not None else element.get(initial)
        if value is not None and value != "":
            return list(value) if isinstance(value, list) else [value]
    return []
