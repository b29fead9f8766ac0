"""Schemas of composition objects and of rich text (Slack, Block Kit reference)."""

from collections.abc import Mapping

from slack_emulator.limits import LEAST, MOST
from slack_emulator.schema import (
    Array,
    Boolean,
    Enum,
    Errors,
    Integer,
    Object,
    Rule,
    Schema,
    String,
    Union,
    Url,
    error_line,
    exactly_one,
)

# Schemas of composition objects: text, options, confirmations, filters, files.

PLAIN_KEYS: dict[str, Schema] = {"emoji": Boolean()}
MRKDWN_KEYS: dict[str, Schema] = {"verbatim": Boolean()}


def plain(most: int) -> Schema:
    """Return the schema of a plain_text object of at most `most` characters (Slack, text object)."""
    return Union({"plain_text": Object({"text": String(most)}, PLAIN_KEYS)})


def worded(most: int) -> Schema:
    """Return the schema of a text object of at most `most` characters (Slack, text object)."""
    words = {"text": String(most)}
    return Union({"plain_text": Object(words, PLAIN_KEYS), "mrkdwn": Object(words, MRKDWN_KEYS)})


ACTION_ID = String(MOST["action_id"])
BLOCK_ID = String(MOST["block_id"])

# Slack documents the text as plain_text, but its own SDK sends mrkdwn: Slack accepts both.
CONFIRM = Object(
    {
        "title": plain(MOST["confirmation.title"]),
        "text": worded(MOST["confirmation.text"]),
        "confirm": plain(MOST["confirmation.confirm"]),
        "deny": plain(MOST["confirmation.deny"]),
    },
    {"style": Enum("primary", "danger")},
)

_OPTION_VALUE = String(MOST["option.value"])

# Slack, option object: menus accept plain_text only, radio buttons and checkboxes also mrkdwn;
# only overflow menus accept `url`.
PLAIN_OPTION = Object(
    {"text": plain(MOST["option.text"]), "value": _OPTION_VALUE},
    {"description": plain(MOST["option.description"])},
)
OVERFLOW_OPTION = Object(
    PLAIN_OPTION.required, {**PLAIN_OPTION.optional, "url": Url(MOST["option.url"], web=False)}
)
RICH_OPTION = Object(
    {"text": worded(MOST["option.text"]), "value": _OPTION_VALUE},
    {"description": worded(MOST["option.description"])},
)
OPTION_GROUP = Object(
    {
        "label": plain(MOST["option_group.label"]),
        "options": Array(PLAIN_OPTION, MOST["option_group.options"], LEAST["option_group.options"]),
    }
)

CONVERSATION_FILTER = Object(
    optional={
        "include": Array(Enum("im", "mpim", "private", "public"), min_items=1, distinct=True),
        "exclude_external_shared_channels": Boolean(),
        "exclude_bot_users": Boolean(),
    }
)
DISPATCH_CONFIG = Object(
    {
        "trigger_actions_on": Array(
            Enum("on_enter_pressed", "on_character_entered"),
            MOST["dispatch_action_configuration.trigger_actions_on"],
            LEAST["dispatch_action_configuration.trigger_actions_on"],
            distinct=True,
        )
    }
)
SLACK_FILE = Object(
    optional={"id": String(pattern=r"F[A-Z0-9]+", message="invalid file id"), "url": Url()},
    rules=(exactly_one("id", "url"),),
)
SLACK_ICON = Union({"icon": Object({"name": String()})})
WORKFLOW = Object(
    {
        "trigger": Object(
            {"url": Url()},
            {
                "customizable_input_parameters": Array(
                    Object({"name": String(), "value": String(min_length=0)})
                )
            },
        )
    }
)
RAW_TEXT = Object({"text": String(MOST["data_table.cell_text"], LEAST["data_table.cell_text"])})


def options_of(element: Mapping[str, object]) -> list[object]:
    """Return all options of a menu, including those in its option groups."""
    options = element.get("options")
    if isinstance(options, list):
        return list(options)
    groups = element.get("option_groups")
    if not isinstance(groups, list):
        return []
    return [option for group in groups if isinstance(group, dict) for option in options_of(group)]


def _initial_among_options(element: Mapping[str, object], at: str) -> Errors:
    chosen = element.get(
        "initial_options", [element["initial_option"]] if "initial_option" in element else []
    )
    offered = options_of(element)
    for option in chosen if isinstance(chosen, list) else []:
        if option not in offered:
            field = "initial_options" if "initial_options" in element else "initial_option"
            yield error_line(f"{field} must exactly match one of the provided options", f"{at}/{field}")


def _distinct_values(element: Mapping[str, object], at: str) -> Errors:
    values = [option.get("value") for option in options_of(element) if isinstance(option, dict)]
    for value in sorted({str(value) for value in values if values.count(value) > 1}):
        yield error_line(f"option values must be unique: {value}", at)


# Slack, option object: `value` is unique; `initial_option` exactly matches one of the options.
OPTION_RULES: tuple[Rule, ...] = (_initial_among_options, _distinct_values)


# Schemas of rich text: sections, lists, quotes, preformatted text and their inline elements.

_STYLES = ("bold", "italic", "strike", "code", "underline")
_STYLE = Object(optional={name: Boolean() for name in _STYLES})
_MENTION_STYLE = Object(
    optional={name: Boolean() for name in (*_STYLES, "highlight", "client_highlight", "unlink")}
)


def _mention(field: str, form: str) -> Object:
    return Object({field: String(pattern=form, message=f"invalid {field}")}, {"style": _MENTION_STYLE})


# Slack, rich text block: the element types of a section, and the style flags of each.
INLINE: dict[str, Schema] = {
    "text": Object({"text": String()}, {"style": _STYLE}),
    "link": Object(
        {"url": Url(web=False)}, {"text": String(min_length=0), "unsafe": Boolean(), "style": _STYLE}
    ),
    "emoji": Object(
        {"name": String(pattern=r"[a-z0-9_+'-]+", message="invalid emoji name")},
        {"unicode": String(), "skin_tone": Integer(1, 6), "url": Url(), "style": _STYLE},
    ),
    "user": _mention("user_id", r"[UW][A-Z0-9]+"),
    "usergroup": _mention("usergroup_id", r"S[A-Z0-9]+"),
    "channel": _mention("channel_id", r"[CGD][A-Z0-9]+"),
    "broadcast": Object({"range": Enum("here", "channel", "everyone")}, {"style": _MENTION_STYLE}),
    "color": Object(
        {"value": String(pattern=r"#[0-9A-Fa-f]{6}", message="invalid color")}, {"style": _STYLE}
    ),
    "date": Object(
        {"timestamp": Integer(0), "format": String()},
        {"url": Url(), "fallback": String(), "style": _STYLE},
    ),
    "team": Object(
        {"team_id": String(pattern=r"[TE][A-Z0-9]+", message="invalid team_id")}, {"style": _STYLE}
    ),
}
_SECTION = Union({"rich_text_section": Object({"elements": Array(Union(INLINE), min_items=0)})})


def _border(part: str) -> Schema:
    return Integer(LEAST[f"{part}.border"], MOST[f"{part}.border"])


PARTS: dict[str, Schema] = {
    **_SECTION.variants,
    "rich_text_list": Object(
        {"elements": Array(_SECTION), "style": Enum("bullet", "ordered")},
        {
            "indent": Integer(LEAST["rich_text_list.indent"], MOST["rich_text_list.indent"]),
            "offset": Integer(LEAST["rich_text_list.offset"]),
            "border": _border("rich_text_list"),
        },
    ),
    "rich_text_preformatted": Object(
        {"elements": Array(Union({name: INLINE[name] for name in ("text", "link")}), min_items=0)},
        {"border": _border("rich_text_preformatted"), "language": String()},
    ),
    "rich_text_quote": Object(
        {"elements": Array(Union(INLINE), min_items=0)}, {"border": _border("rich_text_quote")}
    ),
}
RICH_TEXT = Object({"elements": Array(Union(PARTS))}, {"block_id": String(MOST["block_id"])})
RICH_TEXT_VALUE = Union({"rich_text": RICH_TEXT})


def words_in(value: object) -> int:
    """Return the number of characters of text in a payload (Slack, data table block: over all cells)."""
    if isinstance(value, Mapping):
        own = value.get("text")
        return (len(own) if isinstance(own, str) else 0) + sum(words_in(item) for item in value.values())
    return sum(words_in(item) for item in value) if isinstance(value, list) else 0
