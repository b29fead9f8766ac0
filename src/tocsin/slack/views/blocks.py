"""Block Kit builders, escaping, and views rendered to JSON beforehand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

from slack_sdk.models.blocks import (
    AlertBlock,
    Block,
    CheckboxesElement,
    ContextBlock,
    DateTimePickerElement,
    ExternalDataMultiSelectElement,
    ExternalDataSelectElement,
    InputBlock,
    InputInteractiveElement,
    MarkdownTextObject,
    NumberInputElement,
    Option,
    PlainTextInputElement,
    PlainTextObject,
    RadioButtonsElement,
    SectionBlock,
    StaticMultiSelectElement,
    StaticSelectElement,
    UrlInputElement,
    UserSelectElement,
)
from slack_sdk.models.views import View

from tocsin.incidents.model import Form, Incident
from tocsin.incidents.validation import EARLIEST, LATEST, decimal_text

# Escaping, block builders, and readers of the submitted state.

OPTION_LIMIT = 75
"""Characters of an option's text and of its description (Slack, option object)."""

HINT_LIMIT = 200
"""Characters of a hint. Slack allows 2000, but 250 KB for a whole view; at 3 a.m. few people read more."""

OPTIONS_LIMIT = 100
"""Options of one static select; with more it must be an external select (Slack, select menu element)."""

SECTION_LIMIT = 3000
"""Characters of a section's text (Slack, section block)."""

ADDRESS_LIMIT = 2600
"""Characters of an escaped address. Beside a longer one, a section has no room for a label and the text."""

FIELD_LIMIT = 2000
"""Characters of one of a section's fields (Slack, section block)."""

BLOCKS_LIMIT = 100
"""Blocks of a modal (Slack, views)."""

Choice = tuple[str, str, str]
"""Value, text and description of an option."""


def escape(text: str) -> str:
    """Escape the three characters that Slack could read as a mention or a link (Slack, escaping text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters, the last one an ellipsis if something was cut off."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def link(url: str | None, text: str) -> str:
    """Return `text` as a mrkdwn link, or as escaped text if there is no URL that fits into a section."""
    address = escape(url or "").replace("|", "%7C")
    return f"<{address}|{escape(text)}>" if 0 < len(address) <= ADDRESS_LIMIT else escape(text)


def date_token(at: datetime) -> str:
    """Return a date token, which Slack shows in each reader's own time zone (Slack, date formatting)."""
    stamp = int(at.timestamp())
    return f"<!date^{stamp}^{{date_short_pretty}} at {{time}}|{at:%Y-%m-%d %H:%M} UTC>"


def plain(text: str) -> PlainTextObject:
    return PlainTextObject(text=text, emoji=True)


def paragraph(text: str) -> SectionBlock:
    """Build a section of mrkdwn. What people wrote in it must be escaped already."""
    return SectionBlock(text=mrkdwn(text), expand=True)


def context(*texts: str) -> ContextBlock:
    """Build a context block of mrkdwn. What people wrote in it must be escaped already."""
    return ContextBlock(elements=[mrkdwn(text) for text in texts])


_UNFINISHED = re.compile(r"(?:<[^>]*|&[a-z]*)\Z")
"""Link, mention or escaped character at the end of a text that was cut off within it."""


def mrkdwn(text: str, limit: int = SECTION_LIMIT) -> MarkdownTextObject:
    """Build a text of mrkdwn, cut to its limit."""
    return MarkdownTextObject(text=cut(text, limit), verbatim=True)


def cut(text: str, limit: int) -> str:
    """Return mrkdwn of at most `limit` characters, never cut off within a link or an escaped character."""
    return text if len(text) <= limit else _UNFINISHED.sub("", text[: limit - 1]).rstrip() + "…"


Json = dict[str, Any]

ALERT_LIMIT = 200
"""Characters of an alert block's text (Slack, Block Kit)."""

Level = Literal["info", "warning", "error"]
_SIGNS: dict[str, str] = {
    "info": ":information_source:",
    "warning": ":warning:",
    "error": ":warning:",
}


def alert(text: str, level: Level) -> Block:
    """Build an alert block, for modals alone; a section with a sign if the text is too long for one.

    What people wrote in it must be escaped already.
    """
    if len(text) > ALERT_LIMIT:
        return paragraph(f"{_SIGNS[level]} {text}")
    return AlertBlock(text=mrkdwn(text), level=level)


def in_section(alert: Mapping[str, Any]) -> Json:
    """Return an alert block, as JSON, as a section with a sign."""
    json: Json = paragraph(f"{_SIGNS[alert['level']]} {alert['text']['text']}").to_dict()
    return {**json, "block_id": alert["block_id"]} if alert.get("block_id") else json


def option(value: str, text: str, description: str = "") -> Option:
    """Build an option; without a text, which Slack refuses, it is shown by its value."""
    return Option(
        value=value,
        text=plain(shorten(text.strip() or value, OPTION_LIMIT)),
        description=plain(shorten(description, OPTION_LIMIT)) if description else None,
    )


def _block(
    field: str, label: str, element: InputInteractiveElement, *, optional: bool, hint: str = ""
) -> InputBlock:
    return InputBlock(
        block_id=field,
        # Slack refuses a form with an input that has no label.
        label=plain(shorten(label.strip() or field, 2000)),
        element=element,
        optional=optional,
        hint=plain(shorten(hint, HINT_LIMIT)) if hint else None,
    )


def text_input(
    field: str,
    label: str,
    *,
    value: str = "",
    placeholder: str = "",
    hint: str = "",
    lines: bool = False,
    optional: bool = True,
    focus: bool = False,
) -> Block:
    element = PlainTextInputElement(
        action_id=field,
        initial_value=value[:3000] or None,
        placeholder=plain(shorten(placeholder, 150)) if placeholder else None,
        multiline=lines,
        focus_on_load=focus or None,
    )
    return _block(field, label, element, optional=optional, hint=hint)


def number_input(field: str, label: str, *, value: str = "", hint: str = "", optional: bool = True) -> Block:
    # Slack refuses a form with an initial value such as `1e6`.
    shown = decimal_text(value) or None
    element = NumberInputElement(action_id=field, is_decimal_allowed=True, initial_value=shown)
    return _block(field, label, element, optional=optional, hint=hint)


def link_input(field: str, label: str, *, value: str = "", hint: str = "", optional: bool = True) -> Block:
    element = UrlInputElement(action_id=field, initial_value=value or None, placeholder=plain("https://"))
    return _block(field, label, element, optional=optional, hint=hint)


def person_input(field: str, label: str, *, value: str = "", hint: str = "") -> Block:
    element = UserSelectElement(
        action_id=field, initial_user=value or None, placeholder=plain("Choose a person")
    )
    return _block(field, label, element, optional=True, hint=hint)


def checkbox(field: str, label: str, *choices: Choice, checked: str | bool = False) -> Block:
    """Build checkboxes; `checked` is the value that is ticked at first, or True for the only one."""
    options = [option(*choice) for choice in choices]
    ticked = [one for one in options if checked in (True, one.value)]
    element = CheckboxesElement(action_id=field, options=options, initial_options=ticked or None)
    return _block(field, label, element, optional=True)


def seconds_shown(value: datetime | None) -> int | None:
    """Return the seconds since 1970 that a datetimepicker can show: ten digits (Slack); None for others."""
    return None if value is None or not EARLIEST <= value < LATEST else int(value.timestamp())


def time_input(field: str, label: str, *, value: datetime | None = None, hint: str = "") -> Block:
    """Build a datetimepicker, which shows each person their own zone (Slack, datetimepicker element)."""
    element = DateTimePickerElement(action_id=field, initial_date_time=seconds_shown(value))
    return _block(field, label, element, optional=True, hint=hint)


def radio_input(
    field: str, label: str, choices: Sequence[Choice], *, chosen: str = "", hint: str = ""
) -> Block:
    initial = next((option(*choice) for choice in choices if choice[0] == chosen), None)
    options = [option(*choice) for choice in choices]
    element = RadioButtonsElement(action_id=field, options=options, initial_option=initial)
    return _block(field, label, element, optional=True, hint=hint)


def select_input(
    field: str,
    label: str,
    choices: Sequence[Choice],
    *,
    chosen: Iterable[str] = (),
    several: bool = False,
    searched: bool = False,
    optional: bool = True,
    hint: str = "",
    placeholder: str = "Choose one",
) -> Block:
    """Build a select menu. With more than 100 choices, or with `searched`, it is an external select.

    Slack asks the bot for the options of an external select as people type, so `choices` need only contain
    those that are chosen.
    """
    wanted = set(chosen)
    picked = [option(*choice) for choice in choices if choice[0] in wanted]
    asked: dict[str, Any] = {"action_id": field, "placeholder": plain(placeholder)}
    element: InputInteractiveElement
    if searched or len(choices) > OPTIONS_LIMIT:
        asked["min_query_length"] = 0
        if several:
            element = ExternalDataMultiSelectElement(**asked, initial_options=picked or None)
        else:
            element = ExternalDataSelectElement(**asked, initial_option=picked[0] if picked else None)
    else:
        asked["options"] = [option(*choice) for choice in choices]
        if several:
            element = StaticMultiSelectElement(**asked, initial_options=picked or None)
        else:
            element = StaticSelectElement(**asked, initial_option=picked[0] if picked else None)
    return _block(field, label, element, optional=optional, hint=hint)


def matching_options(choices: Iterable[Choice], query: str) -> list[Option]:
    """Return the first 100 choices whose text contains every word of the query (Slack, block suggestions)."""
    words = query.casefold().split()
    matching = (choice for choice in choices if all(word in choice[1].casefold() for word in words))
    return [option(*choice) for choice, _ in zip(matching, range(OPTIONS_LIMIT), strict=False)]


_SINGLE = (
    "value",
    "selected_user",
    "selected_conversation",
    "selected_channel",
    "selected_date",
    "selected_date_time",
)
"""Names under which an input of one value has it in the state (Slack, block elements)."""

State = Mapping[str, Mapping[str, Mapping[str, Any]]]


def values_of(state: State, field: str) -> tuple[str, ...]:
    """Return the values entered or chosen in a field's input of any type; () if it is empty."""
    entered = state.get(field, {}).get(field) or {}
    for name in _SINGLE:
        if entered.get(name):
            return (str(entered[name]),)
    if people := _listed(entered.get("selected_users")):
        return tuple(map(str, people))
    options = _listed(entered.get("selected_options")) or [entered.get("selected_option")]
    return tuple(str(o["value"]) for o in options if isinstance(o, dict) and o.get("value"))


def labels_of(state: State) -> dict[str, str]:
    """Return the labels of choices in external selects, by value; Slack sends each choice with its text."""
    found = {}
    for field, elements in state.items():
        entered = elements.get(field) or {}
        if str(entered.get("type") or "").endswith("external_select"):
            for picked in _listed(entered.get("selected_options")) or [entered.get("selected_option")]:
                text = picked.get("text") if isinstance(picked, dict) else None
                if isinstance(text, dict) and picked and picked.get("value") and text.get("text"):
                    found[str(picked["value"])] = str(text["text"])
    return found


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def first_value(state: State, field: str) -> str:
    """Return the first value entered in a field; an empty string if there is none."""
    return next(iter(values_of(state, field)), "")


def sections_of(lines: Iterable[str], between: str = "\n") -> Iterator[str]:
    """Join the lines into as few texts as possible, each short enough for one section block."""
    text = ""
    for line in lines:
        if text and len(text) + len(between) + len(line) > SECTION_LIMIT:
            yield text
            text = ""
        text = f"{text}{between}{line}" if text else line
    yield text


def in_one_view(blocks: Sequence[Block], room: int) -> list[Block]:
    """Return at most `room` blocks; if there are more, the first, and a sentence on how many more."""
    if len(blocks) <= room:
        return list(blocks)
    shown = blocks[: room - 1]
    return [*shown, no_room_for(len(blocks) - len(shown))]


def no_room_for(count: int) -> Block:
    """Build the sentence on how many more inputs of a form there are than it shows."""
    return paragraph(f"{count} more do not fit here.")


# Caches of rendered Block Kit JSON.
#
# slack_sdk validates every attribute of every object (`JsonObject.validate_json`), which takes milliseconds
# for each view. A form rarely changes, and the same card is posted to many places.

T = TypeVar("T", Form, Incident)
FORMS_CACHED = 8
CARDS_CACHED = 64
"""Cards in the cache: more than are declared or changed at the same time."""


class RawView(View):
    """View that is given as rendered JSON."""

    def __init__(self, json: Json) -> None:
        # The SDK's constructor would parse and validate every block, so it is not called.
        self._json = json

    def to_dict(self, *_: Any) -> Json:
        return self._json


class RawBlock(Block):
    """Block that is given as rendered JSON."""

    def __init__(self, json: Json) -> None:
        super().__init__(type=json["type"], block_id=json.get("block_id"))
        self._json = json

    def to_dict(self, *_: Any) -> Json:
        return self._json


class IdentityKey(Generic[T]):
    """Cache key that compares a form or an incident by identity; neither is ever changed in place."""

    def __init__(self, thing: T, render: Callable[..., Any]) -> None:
        self.thing: T = thing
        self.render = render

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdentityKey) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


@lru_cache(maxsize=FORMS_CACHED)
def render_form(form: IdentityKey[Form], expanded: bool) -> Json:
    """Return the JSON of an empty form, rendered once for each form object that the backend returns."""
    json: Json = form.render(form.thing, expanded).to_dict()
    return json


@lru_cache(maxsize=CARDS_CACHED)
def render_card(incident: IdentityKey[Incident]) -> tuple[Block, ...]:
    """Return the blocks of a card, rendered once however many places show the incident."""
    return tuple(RawBlock(block.to_dict()) for block in incident.render(incident.thing))


def filled_in(
    form: Json,
    texts: Mapping[str, str],
    metadata: str,
    *,
    above: Sequence[Block],
    below_name: Sequence[Block],
) -> View:
    """Return a blank form with texts in its inputs, and with blocks at the top and below the name."""
    blocks: list[Json] = [block.to_dict() for block in above]
    for block in form["blocks"]:
        text = texts.get(block.get("block_id", ""))
        blocks.append({**block, "element": {**block["element"], "initial_value": text}} if text else block)
        if block.get("block_id") == "name":
            blocks += [block.to_dict() for block in below_name]
    return RawView({**form, "blocks": blocks, "private_metadata": metadata})
