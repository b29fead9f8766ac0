"""Forms: modals rendered for the page, and their fields read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData

from slack_emulator.composer import rich_text_of
from slack_emulator.views import elements_of, options_of

# Conversion of submitted HTML forms to Slack's state values, one form field for each element.

Json = dict[str, Any]
Values = dict[str, dict[str, Json]]


def field_name(block_id: str, action_id: str) -> str:
    return f"{block_id}/{action_id}"


def _chosen_options(element: Json, form: FormData, name: str) -> list[Json]:
    wanted = [str(value) for value in form.getlist(name)]
    return [option for option in options_of(element) if option["value"] in wanted]


def _offered_options(_element: Json, form: FormData, name: str) -> list[Json]:
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


def _one(key: str, pick: Callable[[Json, FormData, str], list[Json]]) -> Callable[..., Json]:
    def read(element: Json, form: FormData, name: str, _tz: ZoneInfo) -> Json:
        return {key: next(iter(pick(element, form, name)), None)}

    return read


def _several(pick: Callable[[Json, FormData, str], list[Json]]) -> Callable[..., Json]:
    def read(element: Json, form: FormData, name: str, _tz: ZoneInfo) -> Json:
        return {"selected_options": pick(element, form, name)}

    return read


def _text(key: str) -> Callable[..., Json]:
    def read(_element: Json, form: FormData, name: str, _tz: ZoneInfo) -> Json:
        # Browsers send a textarea's line ends as CRLF; Slack's client sends LF.
        return {key: str(form.get(name) or "").replace("\r\n", "\n") or None}

    return read


def _ids(key: str) -> Callable[..., Json]:
    def read(_element: Json, form: FormData, name: str, _tz: ZoneInfo) -> Json:
        return {key: [str(value) for value in form.getlist(name) if value]}

    return read


def _moment(_element: Json, form: FormData, name: str, tz: ZoneInfo) -> Json:
    try:
        local = datetime.fromisoformat(str(form.get(name) or ""))
    except ValueError:
        return {"selected_date_time": None}
    return {"selected_date_time": int(local.replace(tzinfo=tz).timestamp())}


def _rich_text(_element: Json, form: FormData, name: str, _tz: ZoneInfo) -> Json:
    typed = str(form.get(name) or "").replace("\r\n", "\n")
    return {"rich_text_value": rich_text_of(typed)[0] if typed.strip() else None}


_READERS: Mapping[str, Callable[[Json, FormData, str, ZoneInfo], Json]] = {
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


def value_in(element: Json, block_id: str, form: FormData, tz: ZoneInfo) -> Json | None:
    """Return the element's state value (Slack, view state). Returns None for a button or an overflow menu."""
    kind = str(element.get("type"))
    read = _READERS.get(kind)
    if read is None:
        return None
    return {"type": kind} | read(element, form, field_name(block_id, str(element["action_id"])), tz)


def values_in(blocks: list[Json], form: FormData, tz: ZoneInfo) -> Values:
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


# View model of an interactive element: its HTML ids, label, value, choices and error.

Choice = tuple[str, str, str]
"""Value, label, description."""
Choices = list[tuple[str, list[Choice]]]
"""Groups of choices; the title of a single group may be empty."""

_LABELLED_BY_FOR = frozenset(
    {
        "plain_text_input",
        "rich_text_input",
        "number_input",
        "url_text_input",
        "email_text_input",
        "static_select",
        "external_select",
        "multi_external_select",
        "users_select",
        "conversations_select",
        "channels_select",
        "datepicker",
        "timepicker",
        "datetimepicker",
    }
)
_TYPED = frozenset(
    {"plain_text_input", "number_input", "url_text_input", "email_text_input", "rich_text_input"}
)
_NAMES = {
    "overflow": "More options",
    "datepicker": "Date",
    "timepicker": "Time",
    "datetimepicker": "Date and time",
}
# Slack, dispatch_action_config: enter is the default. The page's script turns keys into these htmx events.
_DISPATCHED = {"on_enter_pressed": "entered", "on_character_entered": "input delay:300ms"}


class ChoiceSource(Protocol):
    """Source of the users and conversations that a select lists for the viewer."""

    tz: ZoneInfo

    def people_choices(self) -> list[Choice]: ...

    def conversation_choices(self, filter: Mapping[str, Any]) -> list[Choice]: ...

    def channel_choices(self) -> list[Choice]: ...


@dataclass(frozen=True)
class Field:
    element: Json
    block_id: str
    surface: Surface
    labelled: bool
    described_by: str
    required: bool
    error: str
    autofocus: bool
    dispatches: str
    """The htmx events that send the value to the app at once; "" if only a submission sends it."""

    @property
    def action_id(self) -> str:
        return str(self.element.get("action_id", ""))

    @property
    def id(self) -> str:
        return f"{self.surface.prefix}{self.block_id}-{self.action_id}".replace(" ", "_")

    @property
    def field(self) -> str:
        return field_name(self.block_id, self.action_id)

    @property
    def takes_label(self) -> bool:
        return self.element.get("type") in _LABELLED_BY_FOR

    @property
    def placeholder(self) -> str:
        placeholder = self.element.get("placeholder")
        return str(placeholder["text"]) if isinstance(placeholder, dict) else ""

    @property
    def name(self) -> str:
        kind = str(self.element.get("type"))
        return self.placeholder or _NAMES.get(kind) or "Choose an option"

    @property
    def held(self) -> list[Any]:
        values = held(self.element, self.surface.values.get(self.block_id, {}).get(self.action_id))
        if self.element.get("type") == "datetimepicker":
            return [f"{datetime.fromtimestamp(int(v), self.surface.rooms.tz):%Y-%m-%dT%H:%M}" for v in values]
        return values

    @property
    def chosen(self) -> list[str]:
        return [str(value["value"] if isinstance(value, dict) else value) for value in self.held]

    @property
    def choices(self) -> Choices:
        kind, rooms = str(self.element.get("type")), self.surface.rooms
        if kind.endswith("users_select"):
            return [("", rooms.people_choices())]
        if kind.endswith("conversations_select"):
            return [("", rooms.conversation_choices(self.element.get("filter") or {}))]
        if kind.endswith("channels_select"):
            return [("", rooms.channel_choices())]
        groups = self.element.get("option_groups")
        if groups:
            return [(str(g["label"]["text"]), [_choice(o) for o in g.get("options", [])]) for g in groups]
        return [("", [_choice(option) for option in options_of(self.element)])]


def _choice(option: Json) -> Choice:
    description = option.get("description")
    return option["value"], option["text"]["text"], description["text"] if description else ""


@dataclass(frozen=True)
class Surface:
    """A modal, Home tab or message that holds elements; `prefix` keeps their HTML ids unique on the page."""

    prefix: str
    press_url: str
    rooms: ChoiceSource
    suggest_url: str = ""
    values: Values = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    focus: str = ""
    """The name of the field that gets the focus when a modal opens."""

    def place(self, block: Json, element: Json) -> Field:
        block_id, is_input = str(block.get("block_id", "")), block.get("type") == "input"
        error = self.errors.get(block_id, "") if is_input else ""
        base = f"{self.prefix}{block_id}-{element.get('action_id', '')}".replace(" ", "_")
        described = [f"{base}-error"] * bool(error) + [f"{base}-hint"] * bool(is_input and block.get("hint"))
        return Field(
            element=element,
            block_id=block_id,
            surface=self,
            labelled=is_input,
            described_by=" ".join(described),
            required=is_input and not block.get("optional"),
            error=error,
            autofocus=field_name(block_id, str(element.get("action_id", ""))) == self.focus,
            dispatches=_dispatches(block, element, is_input),
        )


def _dispatches(block: Json, element: Json, is_input: bool) -> str:
    """Return the events that send the value at once (Slack, input block: only with `dispatch_action`)."""
    if is_input and not block.get("dispatch_action"):
        return ""
    if element.get("type") not in _TYPED:
        return "change"
    config = element.get("dispatch_action_config") or {}
    return ", ".join(_DISPATCHED[on] for on in config.get("trigger_actions_on", ["on_enter_pressed"]))
