"""View model of an interactive element: its HTML ids, label, value, choices and error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from slack_emulator.elements import options_of
from slack_emulator.page.forms import Values, field_name, held

Json = dict[str, Any]
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


class Rooms(Protocol):
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
    rooms: Rooms
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
