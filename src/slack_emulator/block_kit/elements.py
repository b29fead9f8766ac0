"""Schemas of block elements (buttons, menus, inputs), and the blocks that each works in."""

from collections.abc import Mapping
from datetime import date

from slack_emulator.block_kit.objects import (
    ACTION_ID,
    CONFIRM,
    CONVERSATION_FILTER,
    DISPATCH_CONFIG,
    OPTION_GROUP,
    OPTION_RULES,
    OVERFLOW_OPTION,
    PLAIN_OPTION,
    RICH_OPTION,
    RICH_TEXT_VALUE,
    SLACK_FILE,
    WORKFLOW,
    plain,
)
from slack_emulator.limits import LEAST, MOST
from slack_emulator.schema import (
    Array,
    Boolean,
    DecimalString,
    Enum,
    Errors,
    Integer,
    Object,
    Rule,
    Schema,
    String,
    Union,
    Url,
    ascending,
    error_line,
    exactly_one,
)

_USER = String(pattern=r"[UW][A-Z0-9]+", message="invalid user id")
_CHANNEL = String(pattern=r"[CG][A-Z0-9]+", message="invalid channel id")
_CONVERSATION = String(pattern=r"[CGD][A-Z0-9]+", message="invalid conversation id")
_TIME = String(pattern=r"([01]\d|2[0-3]):[0-5]\d", message="must be a time in the format HH:mm")
_FOCUS: dict[str, Schema] = {"focus_on_load": Boolean()}
_ACTING: dict[str, Schema] = {"action_id": ACTION_ID, "confirm": CONFIRM}


class _Day:
    """Schema of an existing date written as YYYY-MM-DD."""

    def errors(self, value: object, at: str) -> Errors:
        try:
            if not isinstance(value, str) or date.fromisoformat(value).isoformat() != value:
                raise ValueError
        except ValueError:
            yield error_line("must be a date in the format YYYY-MM-DD", at)


def _menu(most: int, least: int, option: Schema, *, several: bool) -> Object:
    options = Array(option, most, least)
    chosen: dict[str, Schema] = (
        {"initial_options": Array(option, most)} if several else {"initial_option": option}
    )
    return Object({"options": options}, {**_ACTING, **_FOCUS, **chosen}, OPTION_RULES)


_PLACEHOLDER = plain(MOST["select.placeholder"])
_SELECT: dict[str, Schema] = {**_ACTING, **_FOCUS, "placeholder": _PLACEHOLDER}
_SEVERAL: dict[str, Schema] = {
    **_SELECT,
    "max_selected_items": Integer(LEAST["multi_select.max_selected_items"]),
}
_LISTED: dict[str, Schema] = {
    "options": Array(PLAIN_OPTION, MOST["select.options"], LEAST["select.options"]),
    "option_groups": Array(OPTION_GROUP, MOST["select.option_groups"], LEAST["select.option_groups"]),
}
_QUERY: dict[str, Schema] = {"min_query_length": Integer(LEAST["select.min_query_length"])}
_CURRENT: dict[str, Schema] = {"default_to_current_conversation": Boolean(), "filter": CONVERSATION_FILTER}
_ANSWER: dict[str, Schema] = {"response_url_enabled": Boolean()}


def _initial_within(element: Mapping[str, object], at: str) -> Errors:
    chosen = next((item for name, item in element.items() if name.startswith("initial_")), None)
    most = element.get("max_selected_items")
    if isinstance(chosen, list) and isinstance(most, int) and len(chosen) > most:
        yield error_line(f"no more than {most} initial items allowed (max_selected_items)", at)


_LISTED_RULES: tuple[Rule, ...] = (exactly_one("options", "option_groups"), *OPTION_RULES, _initial_within)

SELECTS: dict[str, Schema] = {
    "static_select": Object({}, {**_SELECT, **_LISTED, "initial_option": PLAIN_OPTION}, _LISTED_RULES),
    "external_select": Object({}, {**_SELECT, **_QUERY, "initial_option": PLAIN_OPTION}),
    "users_select": Object({}, {**_SELECT, "initial_user": _USER}),
    "conversations_select": Object(
        {}, {**_SELECT, **_CURRENT, **_ANSWER, "initial_conversation": _CONVERSATION}
    ),
    "channels_select": Object({}, {**_SELECT, **_ANSWER, "initial_channel": _CHANNEL}),
}
MULTI_SELECTS: dict[str, Schema] = {
    "multi_static_select": Object(
        {},
        {**_SEVERAL, **_LISTED, "initial_options": Array(PLAIN_OPTION, MOST["select.options"])},
        _LISTED_RULES,
    ),
    "multi_external_select": Object(
        {},
        {**_SEVERAL, **_QUERY, "initial_options": Array(PLAIN_OPTION, MOST["select.options"])},
        (_initial_within,),
    ),
    "multi_users_select": Object({}, {**_SEVERAL, "initial_users": Array(_USER)}, (_initial_within,)),
    "multi_conversations_select": Object(
        {}, {**_SEVERAL, **_CURRENT, "initial_conversations": Array(_CONVERSATION)}, (_initial_within,)
    ),
    "multi_channels_select": Object(
        {}, {**_SEVERAL, "initial_channels": Array(_CHANNEL)}, (_initial_within,)
    ),
}

PICKERS: dict[str, Schema] = {
    "datepicker": Object(
        {},
        {**_ACTING, **_FOCUS, "placeholder": plain(MOST["date_picker.placeholder"]), "initial_date": _Day()},
    ),
    "timepicker": Object(
        {},
        {
            **_ACTING,
            **_FOCUS,
            "placeholder": plain(MOST["time_picker.placeholder"]),
            "initial_time": _TIME,
            "timezone": String(pattern=r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)*", message="invalid timezone"),
        },
    ),
}
# Slack, datetime picker: a UNIX timestamp of ten digits.
DATETIME_PICKER = Object(
    {}, {**_ACTING, **_FOCUS, "initial_date_time": Integer(1_000_000_000, 9_999_999_999)}
)

CHOICES: dict[str, Schema] = {
    "checkboxes": _menu(MOST["checkboxes.options"], LEAST["checkboxes.options"], RICH_OPTION, several=True),
    "radio_buttons": _menu(
        MOST["radio_buttons.options"], LEAST["radio_buttons.options"], RICH_OPTION, several=False
    ),
}


def _display_needs_prompt(element: Mapping[str, object], at: str) -> Errors:
    if "agent_prompt_display" in element and "agent_prompt" not in element:
        yield error_line("missing required field: agent_prompt", at)


_VISIBLE_TO = Array(_USER, MOST["icon_button.visible_to_user_ids"])
BUTTON = Object(
    {"text": plain(MOST["button.text"])},
    {
        **_ACTING,
        "url": Url(MOST["button.url"], web=False),
        "value": String(MOST["button.value"]),
        "style": Enum("primary", "danger"),
        "accessibility_label": String(MOST["button.accessibility_label"]),
        "agent_prompt": String(MOST["button.agent_prompt"]),
        "agent_prompt_display": String(),
        "visible_to_user_ids": _VISIBLE_TO,
    },
    (_display_needs_prompt,),
)
_FEEDBACK = Object(
    {"text": plain(MOST["feedback_button.text"]), "value": String(MOST["feedback_button.value"])},
    {"accessibility_label": String(MOST["feedback_button.accessibility_label"])},
)
IMAGE = Object(
    {"alt_text": String(MOST["image_element.alt_text"])},
    {"image_url": Url(MOST["image_element.image_url"]), "slack_file": SLACK_FILE},
    (exactly_one("image_url", "slack_file"),),
)
PRESSED: dict[str, Schema] = {
    "button": BUTTON,
    "overflow": Object(
        {"options": Array(OVERFLOW_OPTION, MOST["overflow.options"], LEAST["overflow.options"])},
        _ACTING,
        OPTION_RULES,
    ),
    "workflow_button": Object(
        {"text": plain(MOST["workflow_button.text"]), "workflow": WORKFLOW},
        {
            "action_id": ACTION_ID,
            "style": Enum("primary", "danger"),
            "accessibility_label": String(MOST["workflow_button.accessibility_label"]),
        },
    ),
}
CONTEXT_ACTIONS: dict[str, Schema] = {
    "feedback_buttons": Object(
        {"positive_button": _FEEDBACK, "negative_button": _FEEDBACK}, {"action_id": ACTION_ID}
    ),
    "icon_button": Object(
        {"icon": Enum("trash"), "text": plain(MOST["text"])},
        {
            **_ACTING,
            "value": String(MOST["icon_button.value"]),
            "accessibility_label": String(MOST["icon_button.accessibility_label"]),
            "visible_to_user_ids": _VISIBLE_TO,
        },
    ),
}

_TYPED: dict[str, Schema] = {"action_id": ACTION_ID, **_FOCUS, "dispatch_action_config": DISPATCH_CONFIG}


def _initial_number_fits(element: Mapping[str, object], at: str) -> Errors:
    numbers = [name for name in ("initial_value", "min_value", "max_value") if name in element]
    if not element["is_decimal_allowed"]:
        for name in numbers:
            if "." in str(element[name]):
                yield error_line("must be a whole number as is_decimal_allowed is false", f"{at}/{name}")


TYPED: dict[str, Schema] = {
    "plain_text_input": Object(
        {},
        {
            **_TYPED,
            "placeholder": plain(MOST["plain_text_input.placeholder"]),
            "initial_value": String(MOST["plain_text_input.max_length"], min_length=0),
            "multiline": Boolean(),
            "min_length": Integer(LEAST["plain_text_input.min_length"], MOST["plain_text_input.min_length"]),
            "max_length": Integer(LEAST["plain_text_input.max_length"], MOST["plain_text_input.max_length"]),
        },
        (ascending("min_length", "max_length"),),
    ),
    "email_text_input": Object(
        {},
        {
            **_TYPED,
            "placeholder": plain(MOST["email_input.placeholder"]),
            "initial_value": String(min_length=0),
        },
    ),
    "url_text_input": Object(
        {},
        {
            **_TYPED,
            "placeholder": plain(MOST["url_input.placeholder"]),
            "initial_value": String(min_length=0),
        },
    ),
    "number_input": Object(
        {"is_decimal_allowed": Boolean()},
        {
            **_TYPED,
            "placeholder": plain(MOST["number_input.placeholder"]),
            "initial_value": DecimalString(),
            "min_value": DecimalString(),
            "max_value": DecimalString(),
        },
        (
            ascending("min_value", "max_value"),
            ascending("min_value", "initial_value"),
            ascending("initial_value", "max_value"),
            _initial_number_fits,
        ),
    ),
    "rich_text_input": Object(
        {},
        {
            **_TYPED,
            "placeholder": plain(MOST["rich_text_input.placeholder"]),
            "initial_value": RICH_TEXT_VALUE,
            "min_lines": Integer(LEAST["rich_text_input.min_lines"], MOST["rich_text_input.min_lines"]),
            "max_lines": Integer(LEAST["rich_text_input.max_lines"], MOST["rich_text_input.max_lines"]),
        },
        (ascending("min_lines", "max_lines"),),
    ),
    "file_input": Object(
        {},
        {
            "action_id": ACTION_ID,
            "filetypes": Array(String()),
            "max_files": Integer(LEAST["file_input.max_files"], MOST["file_input.max_files"]),
        },
    ),
}

# Slack, Block Kit elements reference: "works with block types".
IN_ACTIONS = Union({**PRESSED, **SELECTS, **PICKERS, **CHOICES, "datetimepicker": DATETIME_PICKER})
IN_SECTION = Union({**PRESSED, **SELECTS, **MULTI_SELECTS, **PICKERS, **CHOICES, "image": IMAGE})
IN_INPUT = Union(
    {**TYPED, **SELECTS, **MULTI_SELECTS, **PICKERS, **CHOICES, "datetimepicker": DATETIME_PICKER}
)
IN_CONTEXT_ACTIONS = Union(CONTEXT_ACTIONS)
