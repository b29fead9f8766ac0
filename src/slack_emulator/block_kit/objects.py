"""Schemas of composition objects and of rich text (Slack, Block Kit reference)."""

from collections.abc import Mapping

from slack_emulator.limits import LEAST, MOST
from slack_emulator.schema import (
    Address,
    Complaints,
    Flag,
    Kinds,
    Many,
    OneOf,
    Rule,
    Shape,
    Spec,
    Whole,
    Words,
    complaint,
    exactly_one,
)

# Schemas of composition objects: text, options, confirmations, filters, files.

PLAIN_KEYS: dict[str, Spec] = {"emoji": Flag()}
MRKDWN_KEYS: dict[str, Spec] = {"verbatim": Flag()}


def plain(most: int) -> Spec:
    """Return the schema of a plain_text object of at most `most` characters (Slack, text object)."""
    return Kinds({"plain_text": Shape({"text": Words(most)}, PLAIN_KEYS)})


def worded(most: int) -> Spec:
    """Return the schema of a text object of at most `most` characters (Slack, text object)."""
    words = {"text": Words(most)}
    return Kinds({"plain_text": Shape(words, PLAIN_KEYS), "mrkdwn": Shape(words, MRKDWN_KEYS)})


ACTION_ID = Words(MOST["action_id"])
BLOCK_ID = Words(MOST["block_id"])

# Slack documents the text as plain_text, but its own SDK sends mrkdwn: Slack accepts both.
CONFIRM = Shape(
    {
        "title": plain(MOST["confirmation.title"]),
        "text": worded(MOST["confirmation.text"]),
        "confirm": plain(MOST["confirmation.confirm"]),
        "deny": plain(MOST["confirmation.deny"]),
    },
    {"style": OneOf("primary", "danger")},
)

_OPTION_VALUE = Words(MOST["option.value"])

# Slack, option object: menus accept plain_text only, radio buttons and checkboxes also mrkdwn;
# only overflow menus accept `url`.
PLAIN_OPTION = Shape(
    {"text": plain(MOST["option.text"]), "value": _OPTION_VALUE},
    {"description": plain(MOST["option.description"])},
)
OVERFLOW_OPTION = Shape(
    PLAIN_OPTION.required, {**PLAIN_OPTION.optional, "url": Address(MOST["option.url"], web=False)}
)
RICH_OPTION = Shape(
    {"text": worded(MOST["option.text"]), "value": _OPTION_VALUE},
    {"description": worded(MOST["option.description"])},
)
OPTION_GROUP = Shape(
    {
        "label": plain(MOST["option_group.label"]),
        "options": Many(PLAIN_OPTION, MOST["option_group.options"], LEAST["option_group.options"]),
    }
)

CONVERSATION_FILTER = Shape(
    optional={
        "include": Many(OneOf("im", "mpim", "private", "public"), least=1, distinct=True),
        "exclude_external_shared_channels": Flag(),
        "exclude_bot_users": Flag(),
    }
)
DISPATCH_CONFIG = Shape(
    {
        "trigger_actions_on": Many(
            OneOf("on_enter_pressed", "on_character_entered"),
            MOST["dispatch_action_configuration.trigger_actions_on"],
            LEAST["dispatch_action_configuration.trigger_actions_on"],
            distinct=True,
        )
    }
)
SLACK_FILE = Shape(
    optional={"id": Words(form=r"F[A-Z0-9]+", wanted="invalid file id"), "url": Address()},
    rules=(exactly_one("id", "url"),),
)
SLACK_ICON = Kinds({"icon": Shape({"name": Words()})})
WORKFLOW = Shape(
    {
        "trigger": Shape(
            {"url": Address()},
            {"customizable_input_parameters": Many(Shape({"name": Words(), "value": Words(least=0)}))},
        )
    }
)
RAW_TEXT = Shape({"text": Words(MOST["data_table.cell_text"], LEAST["data_table.cell_text"])})


def options_of(element: Mapping[str, object]) -> list[object]:
    """Return all options of a menu, including those in its option groups."""
    options = element.get("options")
    if isinstance(options, list):
        return list(options)
    groups = element.get("option_groups")
    if not isinstance(groups, list):
        return []
    return [option for group in groups if isinstance(group, dict) for option in options_of(group)]


def _initial_among_options(element: Mapping[str, object], at: str) -> Complaints:
    chosen = element.get(
        "initial_options", [element["initial_option"]] if "initial_option" in element else []
    )
    offered = options_of(element)
    for option in chosen if isinstance(chosen, list) else []:
        if option not in offered:
            field = "initial_options" if "initial_options" in element else "initial_option"
            yield complaint(f"{field} must exactly match one of the provided options", f"{at}/{field}")


def _distinct_values(element: Mapping[str, object], at: str) -> Complaints:
    values = [option.get("value") for option in options_of(element) if isinstance(option, dict)]
    for value in sorted({str(value) for value in values if values.count(value) > 1}):
        yield complaint(f"option values must be unique: {value}", at)


# Slack, option object: `value` is unique; `initial_option` exactly matches one of the options.
OPTION_RULES: tuple[Rule, ...] = (_initial_among_options, _distinct_values)


# Schemas of rich text: sections, lists, quotes, preformatted text and their inline elements.

_STYLES = ("bold", "italic", "strike", "code", "underline")
_STYLE = Shape(optional={name: Flag() for name in _STYLES})
_MENTION_STYLE = Shape(
    optional={name: Flag() for name in (*_STYLES, "highlight", "client_highlight", "unlink")}
)


def _mention(field: str, form: str) -> Shape:
    return Shape({field: Words(form=form, wanted=f"invalid {field}")}, {"style": _MENTION_STYLE})


# Slack, rich text block: the element types of a section, and the style flags of each.
INLINE: dict[str, Spec] = {
    "text": Shape({"text": Words()}, {"style": _STYLE}),
    "link": Shape({"url": Address(web=False)}, {"text": Words(least=0), "unsafe": Flag(), "style": _STYLE}),
    "emoji": Shape(
        {"name": Words(form=r"[a-z0-9_+'-]+", wanted="invalid emoji name")},
        {"unicode": Words(), "skin_tone": Whole(1, 6), "url": Address(), "style": _STYLE},
    ),
    "user": _mention("user_id", r"[UW][A-Z0-9]+"),
    "usergroup": _mention("usergroup_id", r"S[A-Z0-9]+"),
    "channel": _mention("channel_id", r"[CGD][A-Z0-9]+"),
    "broadcast": Shape({"range": OneOf("here", "channel", "everyone")}, {"style": _MENTION_STYLE}),
    "color": Shape({"value": Words(form=r"#[0-9A-Fa-f]{6}", wanted="invalid color")}, {"style": _STYLE}),
    "date": Shape(
        {"timestamp": Whole(0), "format": Words()},
        {"url": Address(), "fallback": Words(), "style": _STYLE},
    ),
    "team": Shape({"team_id": Words(form=r"[TE][A-Z0-9]+", wanted="invalid team_id")}, {"style": _STYLE}),
}
_SECTION = Kinds({"rich_text_section": Shape({"elements": Many(Kinds(INLINE), least=0)})})


def _border(part: str) -> Spec:
    return Whole(LEAST[f"{part}.border"], MOST[f"{part}.border"])


PARTS: dict[str, Spec] = {
    **_SECTION.shapes,
    "rich_text_list": Shape(
        {"elements": Many(_SECTION), "style": OneOf("bullet", "ordered")},
        {
            "indent": Whole(LEAST["rich_text_list.indent"], MOST["rich_text_list.indent"]),
            "offset": Whole(LEAST["rich_text_list.offset"]),
            "border": _border("rich_text_list"),
        },
    ),
    "rich_text_preformatted": Shape(
        {"elements": Many(Kinds({name: INLINE[name] for name in ("text", "link")}), least=0)},
        {"border": _border("rich_text_preformatted"), "language": Words()},
    ),
    "rich_text_quote": Shape(
        {"elements": Many(Kinds(INLINE), least=0)}, {"border": _border("rich_text_quote")}
    ),
}
RICH_TEXT = Shape({"elements": Many(Kinds(PARTS))}, {"block_id": Words(MOST["block_id"])})
RICH_TEXT_VALUE = Kinds({"rich_text": RICH_TEXT})


def words_in(value: object) -> int:
    """Return the number of characters of text in a payload (Slack, data table block: over all cells)."""
    if isinstance(value, Mapping):
        own = value.get("text")
        return (len(own) if isinstance(own, str) else 0) + sum(words_in(item) for item in value.values())
    return sum(words_in(item) for item in value) if isinstance(value, list) else 0
