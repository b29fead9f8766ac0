"""Schemas of rich text: sections, lists, quotes, preformatted text and their inline elements."""

from collections.abc import Mapping

from slack_emulator.grammar import (
    Address,
    Flag,
    Kinds,
    Many,
    OneOf,
    Shape,
    Spec,
    Whole,
    Words,
)
from slack_emulator.limits import LEAST, MOST

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
