"""Views, blocks and messages are taken or refused as Slack does it, and in its words."""

import json

import pytest

from slack_emulator.block_kit import (
    block_errors,
    input_errors,
    message_errors,
    message_refusal,
    view_errors,
    view_too_large,
)
from slack_emulator.limits import VIEW_BYTES

Json = dict[str, object]


def plain(text: str = "x") -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "x") -> Json:
    return {"type": "mrkdwn", "text": text}


def option(value: str = "v", **more: object) -> Json:
    return {"text": plain(), "value": value, **more}


def asked(element: Json, **more: object) -> Json:
    return {"type": "input", "block_id": "b", "label": plain(), "element": element, **more}


def modal(*blocks: object, **more: object) -> Json:
    return {"type": "modal", "title": plain(), "submit": plain(), "blocks": list(blocks), **more}


def without(payload: Json, *names: str) -> Json:
    return {name: value for name, value in payload.items() if name not in names}


def acting(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


DIVIDER: Json = {"type": "divider"}
TEXT_INPUT: Json = {"type": "plain_text_input", "action_id": "a"}
SECTION: Json = {"type": "section", "text": mrkdwn()}
BUTTON: Json = {"type": "button", "text": plain()}
CONFIRM: Json = {"title": plain(), "text": plain(), "confirm": plain(), "deny": plain()}


VIEWS_REFUSED: dict[str, tuple[object, str]] = {
    "no view at all": ("modal", "must provide an object [json-pointer:/view]"),
    "no type": (without(modal(DIVIDER), "type"), "missing required field: type [json-pointer:/view]"),
    "a type that is a list": (modal(DIVIDER, type=[]), "unsupported type: [] [json-pointer:/view/type]"),
    "unknown type": (modal(DIVIDER, type="dialog"), "unsupported type: dialog [json-pointer:/view/type]"),
    "no title": (without(modal(DIVIDER), "title"), "missing required field: title [json-pointer:/view]"),
    "no blocks": (without(modal(), "blocks"), "missing required field: blocks [json-pointer:/view]"),
    "empty blocks": (modal(), "no fewer than 1 items allowed [json-pointer:/view/blocks]"),
    "101 blocks": (modal(*[DIVIDER] * 101), "no more than 100 items allowed [json-pointer:/view/blocks]"),
    "blocks as JSON text": (modal(blocks="[]"), "must provide an array [json-pointer:/view/blocks]"),
    "long title": (
        modal(DIVIDER, title=plain("x" * 25)),
        "must be less than 25 characters [json-pointer:/view/title/text]",
    ),
    "empty title": (
        modal(DIVIDER, title=plain("")),
        "must be more than 0 characters [json-pointer:/view/title/text]",
    ),
    "mrkdwn title": (
        modal(DIVIDER, title=mrkdwn()),
        "unsupported type: mrkdwn [json-pointer:/view/title/type]",
    ),
    "title as a string": (modal(DIVIDER, title="x"), "must provide an object [json-pointer:/view/title]"),
    "submit missing with an input": (
        without(modal(asked(TEXT_INPUT)), "submit"),
        "must define `submit` to use an `input` block in modals [json-pointer:/view]",
    ),
    "metadata as an object": (
        modal(DIVIDER, private_metadata={"a": 1}),
        "must provide a string [json-pointer:/view/private_metadata]",
    ),
    "a flag as a string": (
        modal(DIVIDER, notify_on_close="true"),
        "must provide a boolean [json-pointer:/view/notify_on_close]",
    ),
    "what only Slack sets": (
        modal(DIVIDER, hash="1.2"),
        "invalid additional property: hash [json-pointer:/view]",
    ),
    "a Home tab with a title": (
        {"type": "home", "title": plain(), "blocks": [DIVIDER]},
        "invalid additional property: title [json-pointer:/view]",
    ),
    "markdown in a modal": (
        modal({"type": "markdown", "text": "x"}),
        "unsupported type: markdown [json-pointer:/view/blocks/0/type]",
    ),
    "table in a modal": (
        modal({"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}),
        "unsupported type: table [json-pointer:/view/blocks/0/type]",
    ),
    "alert on a Home tab": (
        {"type": "home", "blocks": [{"type": "alert", "text": plain()}]},
        "unsupported type: alert [json-pointer:/view/blocks/0/type]",
    ),
    "unknown block": (
        modal({"type": "marquee"}),
        "unsupported type: marquee [json-pointer:/view/blocks/0/type]",
    ),
    "the same block_id twice": (
        modal({**DIVIDER, "block_id": "d"}, {**DIVIDER, "block_id": "d"}),
        "`block_id` d already exists for another block [json-pointer:/view/blocks/1/block_id]",
    ),
    "two that want the focus": (
        modal(
            asked({**TEXT_INPUT, "focus_on_load": True}),
            asked({**TEXT_INPUT, "focus_on_load": True}, block_id="c"),
        ),
        "only one element may set focus_on_load [json-pointer:/view/blocks/1/element/focus_on_load]",
    ),
    "mrkdwn label": (
        modal(asked(TEXT_INPUT, label=mrkdwn())),
        "unsupported type: mrkdwn [json-pointer:/view/blocks/0/label/type]",
    ),
    "button in an input": (
        modal(asked(BUTTON)),
        "unsupported type: button [json-pointer:/view/blocks/0/element/type]",
    ),
    "input without element": (
        modal(without(asked(TEXT_INPUT), "element")),
        "missing required field: element [json-pointer:/view/blocks/0]",
    ),
    "max_length beyond": (
        modal(asked({**TEXT_INPUT, "max_length": 3001})),
        "must be less than or equal to 3000 [json-pointer:/view/blocks/0/element/max_length]",
    ),
    "min over max": (
        modal(asked({**TEXT_INPUT, "min_length": 5, "max_length": 4})),
        "min_length must be less than or equal to max_length [json-pointer:/view/blocks/0/element]",
    ),
    "response_url in an actions block": (
        modal(acting({"type": "channels_select", "response_url_enabled": True})),
        "response_url_enabled works in input blocks of modals only [json-pointer:/view/blocks/0/elements/0]",
    ),
    "workflow button in a modal": (
        modal(
            acting(
                {
                    "type": "workflow_button",
                    "text": plain(),
                    "workflow": {"trigger": {"url": "https://slack.com/x"}},
                }
            )
        ),
        "unsupported type: workflow_button [json-pointer:/view/blocks/0/elements/0/type]",
    ),
    "file input on a Home tab": (
        {"type": "home", "blocks": [asked({"type": "file_input"})]},
        "unsupported type: file_input [json-pointer:/view/blocks/0/element/type]",
    ),
}

BLOCKS_REFUSED: dict[str, tuple[Json, str]] = {
    "mrkdwn header": (
        {"type": "header", "text": mrkdwn()},
        "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]",
    ),
    "empty text": (
        {**SECTION, "text": mrkdwn("")},
        "must be more than 0 characters [json-pointer:/blocks/0/text/text]",
    ),
    "emoji in mrkdwn": (
        {**SECTION, "text": {**mrkdwn(), "emoji": True}},
        "invalid additional property: emoji [json-pointer:/blocks/0/text]",
    ),
    "empty section": (
        {"type": "section"},
        "must provide at least one of: text, fields [json-pointer:/blocks/0]",
    ),
    "multi-select among actions": (
        acting({"type": "multi_users_select"}),
        "unsupported type: multi_users_select [json-pointer:/blocks/0/elements/0/type]",
    ),
    "text input among actions": (
        acting(TEXT_INPUT),
        "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]",
    ),
    "button in a context": (
        {"type": "context", "elements": [BUTTON]},
        "unsupported type: button [json-pointer:/blocks/0/elements/0/type]",
    ),
    "the same action_id twice": (
        acting({**BUTTON, "action_id": "a"}, {**BUTTON, "action_id": "a"}),
        "`action_id` a already exists for another element [json-pointer:/blocks/0/elements/1/action_id]",
    ),
    "mrkdwn button": (
        acting({**BUTTON, "text": mrkdwn()}),
        "unsupported type: mrkdwn [json-pointer:/blocks/0/elements/0/text/type]",
    ),
    "unknown button style": (
        acting({**BUTTON, "style": "default"}),
        "value is not one of the allowed values: primary, danger [json-pointer:/blocks/0/elements/0/style]",
    ),
    "a number as a button's value": (
        acting({**BUTTON, "value": 12}),
        "must provide a string [json-pointer:/blocks/0/elements/0/value]",
    ),
    "a link that is none": (
        acting({**BUTTON, "url": "example"}),
        "invalid url [json-pointer:/blocks/0/elements/0/url]",
    ),
    "half a confirmation": (
        acting({**BUTTON, "confirm": without(CONFIRM, "deny")}),
        "missing required field: deny [json-pointer:/blocks/0/elements/0/confirm]",
    ),
    "options and option_groups": (
        acting(
            {
                "type": "static_select",
                "options": [option()],
                "option_groups": [{"label": plain(), "options": [option()]}],
            }
        ),
        "only one of options, option_groups may be given [json-pointer:/blocks/0/elements/0]",
    ),
    "neither of the two": (
        acting({"type": "static_select"}),
        "missing required field: options [json-pointer:/blocks/0/elements/0]",
    ),
    "no options": (
        acting({"type": "static_select", "options": []}),
        "no fewer than 1 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "mrkdwn in a menu": (
        acting({"type": "static_select", "options": [option(text=mrkdwn())]}),
        "unsupported type: mrkdwn [json-pointer:/blocks/0/elements/0/options/0/text/type]",
    ),
    "a link in a select's option": (
        acting({"type": "static_select", "options": [option(url="https://a.example")]}),
        "invalid additional property: url [json-pointer:/blocks/0/elements/0/options/0]",
    ),
    "an initial option from elsewhere": (
        acting({"type": "radio_buttons", "options": [option()], "initial_option": option("w")}),
        "initial_option must exactly match one of the provided options "
        "[json-pointer:/blocks/0/elements/0/initial_option]",
    ),
    "the same value twice": (
        acting({"type": "overflow", "options": [option(), option()]}),
        "option values must be unique: v [json-pointer:/blocks/0/elements/0]",
    ),
    "a day that never was": (
        acting({"type": "datepicker", "initial_date": "2026-02-30"}),
        "must be a date in the format YYYY-MM-DD [json-pointer:/blocks/0/elements/0/initial_date]",
    ),
    "a time that never comes": (
        acting({"type": "timepicker", "initial_time": "24:00"}),
        "must be a time in the format HH:mm [json-pointer:/blocks/0/elements/0/initial_time]",
    ),
    "a moment in milliseconds": (
        acting({"type": "datetimepicker", "initial_date_time": 1700000000000}),
        "must be less than or equal to 9999999999 [json-pointer:/blocks/0/elements/0/initial_date_time]",
    ),
    "a person by name": (
        acting({"type": "users_select", "initial_user": "ana"}),
        "invalid user id [json-pointer:/blocks/0/elements/0/initial_user]",
    ),
    "a conversation kind of its own": (
        acting({"type": "conversations_select", "filter": {"include": ["dm"]}}),
        "value is not one of the allowed values: im, mpim, private, public "
        "[json-pointer:/blocks/0/elements/0/filter/include/0]",
    ),
    "a number input that won't say": (
        asked({"type": "number_input"}),
        "missing required field: is_decimal_allowed [json-pointer:/blocks/0/element]",
    ),
    "a bare number": (
        asked({"type": "number_input", "is_decimal_allowed": True, "min_value": 1}),
        "must provide a number as a string [json-pointer:/blocks/0/element/min_value]",
    ),
    "a fraction among whole numbers": (
        asked({"type": "number_input", "is_decimal_allowed": False, "initial_value": "1.5"}),
        "must be a whole number as is_decimal_allowed is false "
        "[json-pointer:/blocks/0/element/initial_value]",
    ),
    "an initial number out of range": (
        asked({"type": "number_input", "is_decimal_allowed": False, "initial_value": "9", "max_value": "8"}),
        "initial_value must be less than or equal to max_value [json-pointer:/blocks/0/element]",
    ),
    "an image without words": (
        {"type": "image", "image_url": "https://a.example/a.png"},
        "missing required field: alt_text [json-pointer:/blocks/0]",
    ),
    "an image without an image": (
        {"type": "image", "alt_text": "a"},
        "missing required field: image_url [json-pointer:/blocks/0]",
    ),
    "an image twice": (
        {"type": "image", "alt_text": "a", "image_url": "https://a.example", "slack_file": {"id": "F1"}},
        "only one of image_url, slack_file may be given [json-pointer:/blocks/0]",
    ),
    "alert in a message": (
        {"type": "alert", "text": plain()},
        "unsupported type: alert [json-pointer:/blocks/0/type]",
    ),
    "text straight into rich text": (
        {"type": "rich_text", "elements": [{"type": "text", "text": "x"}]},
        "unsupported type: text [json-pointer:/blocks/0/elements/0/type]",
    ),
    "a mention in preformatted text": (
        {
            "type": "rich_text",
            "elements": [
                {"type": "rich_text_preformatted", "elements": [{"type": "user", "user_id": "U1"}]},
            ],
        },
        "unsupported type: user [json-pointer:/blocks/0/elements/0/elements/0/type]",
    ),
    "an unknown style of text": (
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_section",
                    "elements": [{"type": "text", "text": "x", "style": {"blink": True}}],
                },
            ],
        },
        "invalid additional property: blink [json-pointer:/blocks/0/elements/0/elements/0/style]",
    ),
    "an empty card": (
        {"type": "card", "subtitle": plain()},
        "must provide at least one of: hero_image, title, actions, body [json-pointer:/blocks/0]",
    ),
    "a divider in a carousel": (
        {"type": "carousel", "elements": [DIVIDER]},
        "unsupported type: divider [json-pointer:/blocks/0/elements/0/type]",
    ),
    "a card in a container": (
        {"type": "container", "title": plain(), "child_blocks": [{"type": "card", "title": plain()}]},
        "unsupported type: card [json-pointer:/blocks/0/child_blocks/0/type]",
    ),
    "a ragged data table": (
        {
            "type": "data_table",
            "caption": "c",
            "rows": [[{"type": "raw_text", "text": "x"}], [{"type": "raw_text", "text": "x"}] * 2],
        },
        "all rows must have the same number of columns [json-pointer:/blocks/0/rows]",
    ),
    "an empty slice": (
        {
            "type": "data_visualization",
            "title": "t",
            "chart": {"type": "pie", "segments": [{"label": "a", "value": 0}]},
        },
        "must be greater than 0 [json-pointer:/blocks/0/chart/segments/0/value]",
    ),
    "a pending task alone": (
        {"type": "task_card", "task_id": "1", "title": "t", "status": "pending"},
        "value is not one of the allowed values: in_progress, complete, error "
        "[json-pointer:/blocks/0/status]",
    ),
}


@pytest.mark.parametrize("case", VIEWS_REFUSED)
def test_a_bad_view_is_refused_with_the_reason_and_the_place(case: str) -> None:
    view, line = VIEWS_REFUSED[case]
    assert view_errors(view) == [f"[ERROR] {line}"]


@pytest.mark.parametrize("case", BLOCKS_REFUSED)
def test_a_bad_block_is_refused_with_the_reason_and_the_place(case: str) -> None:
    block, line = BLOCKS_REFUSED[case]
    assert block_errors([block], "message") == [f"[ERROR] {line}"]


def test_a_view_over_250_kilobytes_is_refused() -> None:
    section = {**SECTION, "text": mrkdwn("é" * 2999)}
    view = modal(*[section] * 50)
    assert len(json.dumps(view, ensure_ascii=False).encode()) > VIEW_BYTES
    assert view_too_large(view)
    assert view_errors(view) == ["[ERROR] view must be at most 250000 bytes [json-pointer:/view]"]


def test_the_same_action_id_is_fine_in_different_blocks() -> None:
    blocks = [acting({**BUTTON, "action_id": "a"}), acting({**BUTTON, "action_id": "a"})]
    assert block_errors(blocks, "message") == []


def test_blocks_inside_a_container_count_as_blocks_of_the_message() -> None:
    twin = {**DIVIDER, "block_id": "d"}
    container = {"type": "container", "title": plain(), "child_blocks": [twin]}
    assert "already exists" in block_errors([twin, container], "message")[0]


MESSAGES_REFUSED: dict[str, tuple[Json, str]] = {
    "nothing at all": ({"channel": "C1"}, "no_text"),
    "empty text": ({"text": ""}, "no_text"),
    "markdown beside text": ({"text": "a", "markdown_text": "b"}, "markdown_text_conflict"),
    "text over the cut": ({"text": "x" * 40_001}, "msg_too_long"),
    "too much markdown": ({"markdown_text": "x" * 12_001}, "msg_too_long"),
    "text that is no text": ({"text": 5}, "invalid_arguments"),
    "bad blocks": ({"text": "a", "blocks": [{"type": "marquee"}]}, "invalid_blocks"),
    "51 blocks": ({"text": "a", "blocks": [DIVIDER] * 51}, "invalid_blocks"),
    "blocks that are no list": ({"text": "a", "blocks": "x"}, "invalid_blocks"),
    "101 attachments": ({"text": "a", "attachments": [{"text": "b"}] * 101}, "too_many_attachments"),
    "attachments that are no list": ({"text": "a", "attachments": {}}, "invalid_attachments"),
    "bad blocks in an attachment": (
        {"attachments": [{"blocks": [{"type": "input"}]}]},
        "invalid_attachments",
    ),
    "metadata without a type": ({"text": "a", "metadata": {"event_payload": {}}}, "invalid_metadata_format"),
    "metadata of an unknown thing": (
        {"text": "a", "metadata": {"entities": [{"entity_type": "bell", "entity_payload": {}}]}},
        "invalid_metadata_format",
    ),
    "an event without payload beside a thing": (
        {
            "text": "a",
            "metadata": {
                "event_type": "a",
                "entities": [
                    {
                        "entity_type": "slack#/entities/incident",
                        "entity_payload": {},
                        "external_ref": {"id": "1"},
                        "url": "https://a.example",
                    }
                ],
            },
        },
        "invalid_metadata_format",
    ),
    "metadata with spaces in its type": (
        {"text": "a", "metadata": {"event_type": "a b", "event_payload": {}}},
        "invalid_metadata_format",
    ),
    "metadata nested too deep": (
        {"text": "a", "metadata": {"event_type": "a", "event_payload": {"a": {"b": {"c": 1}}}}},
        "invalid_metadata_format",
    ),
    "null in metadata": (
        {"text": "a", "metadata": {"event_type": "a", "event_payload": {"a": None}}},
        "invalid_metadata_format",
    ),
    "too much metadata": (
        {"text": "a", "metadata": {"event_type": "a", "event_payload": {"a": "x" * 8_000}}},
        "metadata_too_large",
    ),
}


@pytest.mark.parametrize("case", MESSAGES_REFUSED)
def test_a_bad_message_is_refused_with_slacks_error(case: str) -> None:
    message, error = MESSAGES_REFUSED[case]
    refusal = message_refusal(message)
    assert refusal is not None
    assert refusal.error == error
    assert message_errors(message) != []


def _field(element: Json, **more: object) -> Json:
    return modal(asked({"action_id": "a", **element}, **more))


FORMS_HELD_BACK: dict[str, tuple[Json, Json, str]] = {
    "nothing typed": (_field(TEXT_INPUT), {}, "Please complete this required field."),
    "only spaces": (
        _field(TEXT_INPUT),
        {"type": "plain_text_input", "value": "  "},
        "Please complete this required field.",
    ),
    "nothing ticked": (
        _field({"type": "checkboxes", "options": [option()]}),
        {"type": "checkboxes", "selected_options": []},
        "Please complete this required field.",
    ),
    "nobody chosen": (
        _field({"type": "users_select"}),
        {"type": "users_select", "selected_user": None},
        "Please complete this required field.",
    ),
    "too short": (
        _field({**TEXT_INPUT, "min_length": 3}),
        {"value": "ab"},
        "Please enter at least 3 characters.",
    ),
    "too long": (
        _field({**TEXT_INPUT, "max_length": 3}),
        {"value": "abcd"},
        "Please enter no more than 3 characters.",
    ),
    "no address": (
        _field({"type": "email_text_input"}),
        {"value": "ana@"},
        "Please enter a valid email address.",
    ),
    "no link": (_field({"type": "url_text_input"}), {"value": "example"}, "Please enter a valid URL."),
    "no number": (
        _field({"type": "number_input", "is_decimal_allowed": True}),
        {"value": "1e5"},
        "Please enter a number.",
    ),
    "no whole number": (
        _field({"type": "number_input", "is_decimal_allowed": False}),
        {"value": "1.5"},
        "Please enter a whole number.",
    ),
    "too small": (
        _field({"type": "number_input", "is_decimal_allowed": True, "min_value": "0.5"}),
        {"value": "0.4"},
        "Please enter a number greater than or equal to 0.5.",
    ),
    "too big": (
        _field({"type": "number_input", "is_decimal_allowed": False, "max_value": "5"}),
        {"value": "6"},
        "Please enter a number less than or equal to 5.",
    ),
    "too many chosen": (
        _field({"type": "multi_users_select", "max_selected_items": 1}),
        {"selected_users": ["U1", "U2"]},
        "Please select no more than 1 items.",
    ),
    "chosen from nowhere": (
        _field({"type": "static_select", "options": [option()]}),
        {"selected_option": option("w")},
        "Please choose from the list.",
    ),
    "too many files": (
        _field({"type": "file_input", "max_files": 1}),
        {"files": [{"id": "F1"}, {"id": "F2"}]},
        "Please upload no more than 1 files.",
    ),
}


@pytest.mark.parametrize("case", FORMS_HELD_BACK)
def test_the_client_holds_a_form_back_and_says_why_under_the_field(case: str) -> None:
    view, state, sentence = FORMS_HELD_BACK[case]
    assert view_errors(view) == []
    assert input_errors(view, {"b": {"a": state}}) == {"b": sentence}


def test_an_optional_field_may_stay_empty_but_not_be_wrong() -> None:
    view = _field({"type": "url_text_input"}, optional=True)
    assert input_errors(view, {}) == {}
    assert input_errors(view, {"b": {"a": {"value": ""}}}) == {}
    assert input_errors(view, {"b": {"a": {"value": "x"}}}) == {"b": "Please enter a valid URL."}


def test_a_form_that_is_filled_in_is_sent() -> None:
    view = _field({"type": "number_input", "is_decimal_allowed": False, "min_value": "-3"})
    assert input_errors(view, {"b": {"a": {"type": "number_input", "value": "-3"}}}) == {}
