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
    Address,
    Complaints,
    Decimal,
    Flag,
    Kinds,
    Many,
    OneOf,
    Rule,
    Shape,
    Spec,
    Whole,
    Words,
    ascending,
    complaint,
    exactly_one,
)

_USER = Words(form=r"[UW][A-Z0-9]+", wanted="invalid user id")
_CHANNEL = Words(form=r"[CG][A-Z0-9]+", wanted="invalid channel id")
_CONVERSATION = Words(form=r"[CGD][A-Z0-9]+", wanted="invalid conversation id")
_TIME = Words(form=r"([01]\d|2[0-3]):[0-5]\d", wanted="must be a time in the format HH:mm")
_FOCUS: dict[str, Spec] = {"focus_on_load": Flag()}
_ACTING: dict[str, Spec] = {"action_id": ACTION_ID, "confirm": CONFIRM}


class _Day:
    """Schema of an existing date written as YYYY-MM-DD."""

    def errors(self, value: object, at: str) -> Complaints:
        try:
            if not isinstance(value, str) or date.fromisoformat(value).isoformat() != value:
                raise ValueError
        except ValueError:
            yield complaint("must be a date in the format YYYY-MM-DD", at)


def _menu(most: int, least: int, option: Spec, *, several: bool) -> Shape:
    options = Many(option, most, least)
    chosen: dict[str, Spec] = (
        {"initial_options": Many(option, most)} if several else {"initial_option": option}
    )
    return Shape({"options": options}, {**_ACTING, **_FOCUS, **chosen}, OPTION_RULES)


_PLACEHOLDER = plain(MOST["select.placeholder"])
_SELECT: dict[str, Spec] = {**_ACTING, **_FOCUS, "placeholder": _PLACEHOLDER}
_SEVERAL: dict[str, Spec] = {
    **_SELECT,
    "max_selected_items": Whole(LEAST["multi_select.max_selected_items"]),
}
_LISTED: dict[str, Spec] = {
    "options": Many(PLAIN_OPTION, MOST["select.options"], LEAST["select.options"]),
    "option_groups": Many(OPTION_GROUP, MOST["select.option_groups"], LEAST["select.option_groups"]),
}
_QUERY: dict[str, Spec] = {"min_query_length": Whole(LEAST["select.min_query_length"])}
_CURRENT: dict[str, Spec] = {"default_to_current_conversation": Flag(), "filter": CONVERSATION_FILTER}
_ANSWER: dict[str, Spec] = {"response_url_enabled": Flag()}


def _initial_within(element: Mapping[str, object], at: str) -> Complaints:
    chosen = next((item for name, item in element.items() if name.startswith("initial_")), None)
    most = element.get("max_selected_items")
    if isinstance(chosen, list) and isinstance(most, int) and len(chosen) > most:
        yield complaint(f"no more than {most} initial items allowed (max_selected_items)", at)


_LISTED_RULES: tuple[Rule, ...] = (exactly_one("options", "option_groups"), *OPTION_RULES, _initial_within)

SELECTS: dict[str, Spec] = {
    "static_select": Shape({}, {**_SELECT, **_LISTED, "initial_option": PLAIN_OPTION}, _LISTED_RULES),
    "external_select": Shape({}, {**_SELECT, **_QUERY, "initial_option": PLAIN_OPTION}),
    "users_select": Shape({}, {**_SELECT, "initial_user": _USER}),
    "conversations_select": Shape(
        {}, {**_SELECT, **_CURRENT, **_ANSWER, "initial_conversation": _CONVERSATION}
    ),
    "channels_select": Shape({}, {**_SELECT, **_ANSWER, "initial_channel": _CHANNEL}),
}
MULTI_SELECTS: dict[str, Spec] = {
    "multi_static_select": Shape(
        {},
        {**_SEVERAL, **_LISTED, "initial_options": Many(PLAIN_OPTION, MOST["select.options"])},
        _LISTED_RULES,
    ),
    "multi_external_select": Shape(
        {},
        {**_SEVERAL, **_QUERY, "initial_options": Many(PLAIN_OPTION, MOST["select.options"])},
        (_initial_within,),
    ),
    "multi_users_select": Shape({}, {**_SEVERAL, "initial_users": Many(_USER)}, (_initial_within,)),
    "multi_conversations_select": Shape(
        {}, {**_SEVERAL, **_CURRENT, "initial_conversations": Many(_CONVERSATION)}, (_initial_within,)
    ),
    "multi_channels_select": Shape({}, {**_SEVERAL, "initial_channels": Many(_CHANNEL)}, (_initial_within,)),
}

PICKERS: dict[str, Spec] = {
    "datepicker": Shape(
        {},
        {**_ACTING, **_FOCUS, "placeholder": plain(MOST["date_picker.placeholder"]), "initial_date": _Day()},
    ),
    "timepicker": Shape(
        {},
        {
            **_ACTING,
            **_FOCUS,
            "placeholder": plain(MOST["time_picker.placeholder"]),
            "initial_time": _TIME,
            "timezone": Words(form=r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)*", wanted="invalid timezone"),
        },
    ),
}
# Slack, datetime picker: a UNIX timestamp of ten digits.
DATETIME_PICKER = Shape({}, {**_ACTING, **_FOCUS, "initial_date_time": Whole(1_000_000_000, 9_999_999_999)})

CHOICES: dict[str, Spec] = {
    "checkboxes": _menu(MOST["checkboxes.options"], LEAST["checkboxes.options"], RICH_OPTION, several=True),
    "radio_buttons": _menu(
        MOST["radio_buttons.options"], LEAST["radio_buttons.options"], RICH_OPTION, several=False
    ),
}


def _display_needs_prompt(element: Mapping[str, object], at: str) -> Complaints:
    if "agent_prompt_display" in element and "agent_prompt" not in element:
        yield complaint("missing required field: agent_prompt", at)


_VISIBLE_TO = Many(_USER, MOST["icon_button.visible_to_user_ids"])
BUTTON = Shape(
    {"text": plain(MOST["button.text"])},
    {
        **_ACTING,
        "url": Address(MOST["button.url"], web=False),
        "value": Words(MOST["button.value"]),
        "style": OneOf("primary", "danger"),
        "accessibility_label": Words(MOST["button.accessibility_label"]),
        "agent_prompt": Words(MOST["button.agent_prompt"]),
        "agent_prompt_display": Words(),
        "visible_to_user_ids": _VISIBLE_TO,
    },
    (_display_needs_prompt,),
)
_FEEDBACK = Shape(
    {"text": plain(MOST["feedback_button.text"]), "value": Words(MOST["feedback_button.value"])},
    {"accessibility_label": Words(MOST["feedback_button.accessibility_label"])},
)
IMAGE = Shape(
    {"alt_text": Words(MOST["image_element.alt_text"])},
    {"image_url": Address(MOST["image_element.image_url"]), "slack_file": SLACK_FILE},
    (exactly_one("image_url", "slack_file"),),
)
PRESSED: dict[str, Spec] = {
    "button": BUTTON,
    "overflow": Shape(
        {"options": Many(OVERFLOW_OPTION, MOST["overflow.options"], LEAST["overflow.options"])},
        _ACTING,
        OPTION_RULES,
    ),
    "workflow_button": Shape(
        {"text": plain(MOST["workflow_button.text"]), "workflow": WORKFLOW},
        {
            "action_id": ACTION_ID,
            "style": OneOf("primary", "danger"),
            "accessibility_label": Words(MOST["workflow_button.accessibility_label"]),
        },
    ),
}
CONTEXT_ACTIONS: dict[str, Spec] = {
    "feedback_buttons": Shape(
        {"positive_button": _FEEDBACK, "negative_button": _FEEDBACK}, {"action_id": ACTION_ID}
    ),
    "icon_button": Shape(
        {"icon": OneOf("trash"), "text": plain(MOST["text"])},
        {
            **_ACTING,
            "value": Words(MOST["icon_button.value"]),
            "accessibility_label": Words(MOST["icon_button.accessibility_label"]),
            "visible_to_user_ids": _VISIBLE_TO,
        },
    ),
}

_TYPED: dict[str, Spec] = {"action_id": ACTION_ID, **_FOCUS, "dispatch_action_config": DISPATCH_CONFIG}


def _initial_number_fits(element: Mapping[str, object], at: str) -> Complaints:
    numbers = [name for name in ("initial_value", "min_value", "max_value") if name in element]
    if not element["is_decimal_allowed"]:
        for name in numbers:
            if "." in str(element[name]):
                yield complaint("must be a whole number as is_decimal_allowed is false", f"{at}/{name}")


TYPED: dict[str, Spec] = {
    "plain_text_input": Shape(
        {},
        {
            **_TYPED,
            "placeholder": plain(MOST["plain_text_input.placeholder"]),
            "initial_value": Words(MOST["plain_text_input.max_length"], least=0),
            "multiline": Flag(),
            "min_length": Whole(LEAST["plain_text_input.min_length"], MOST["plain_text_input.min_length"]),
            "max_length": Whole(LEAST["plain_text_input.max_length"], MOST["plain_text_input.max_length"]),
        },
        (ascending("min_length", "max_length"),),
    ),
    "email_text_input": Shape(
        {}, {**_TYPED, "placeholder": plain(MOST["email_input.placeholder"]), "initial_value": Words(least=0)}
    ),
    "url_text_input": Shape(
        {}, {**_TYPED, "placeholder": plain(MOST["url_input.placeholder"]), "initial_value": Words(least=0)}
    ),
    "number_input": Shape(
        {"is_decimal_allowed": Flag()},
        {
            **_TYPED,
            "placeholder": plain(MOST["number_input.placeholder"]),
            "initial_value": Decimal(),
            "min_value": Decimal(),
            "max_value": Decimal(),
        },
        (
            ascending("min_value", "max_value"),
            ascending("min_value", "initial_value"),
            ascending("initial_value", "max_value"),
            _initial_number_fits,
        ),
    ),
    "rich_text_input": Shape(
        {},
        {
            **_TYPED,
            "placeholder": plain(MOST["rich_text_input.placeholder"]),
            "initial_value": RICH_TEXT_VALUE,
            "min_lines": Whole(LEAST["rich_text_input.min_lines"], MOST["rich_text_input.min_lines"]),
            "max_lines": Whole(LEAST["rich_text_input.max_lines"], MOST["rich_text_input.max_lines"]),
        },
        (ascending("min_lines", "max_lines"),),
    ),
    "file_input": Shape(
        {},
        {
            "action_id": ACTION_ID,
            "filetypes": Many(Words()),
            "max_files": Whole(LEAST["file_input.max_files"], MOST["file_input.max_files"]),
        },
    ),
}

# Slack, Block Kit elements reference: "works with block types".
IN_ACTIONS = Kinds({**PRESSED, **SELECTS, **PICKERS, **CHOICES, "datetimepicker": DATETIME_PICKER})
IN_SECTION = Kinds({**PRESSED, **SELECTS, **MULTI_SELECTS, **PICKERS, **CHOICES, "image": IMAGE})
IN_INPUT = Kinds(
    {**TYPED, **SELECTS, **MULTI_SELECTS, **PICKERS, **CHOICES, "datetimepicker": DATETIME_PICKER}
)
IN_CONTEXT_ACTIONS = Kinds(CONTEXT_ACTIONS)
