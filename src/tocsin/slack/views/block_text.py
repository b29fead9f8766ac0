"""Text of Block Kit blocks and of rich text, as lines (Slack, Block Kit reference)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tocsin.slack.views.mrkdwn_text import (
    Line,
    Names,
    Span,
    fenced,
    in_utc,
    linked,
    mention,
    of_markdown,
    of_mrkdwn,
    of_plain,
    split,
)

# Rich text to lines (Slack, rich text block).

Json = Mapping[str, Any]


def dicts(value: object) -> list[dict[str, Any]]:
    """Return the dictionaries in a list; empty if `value` is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def of_rich_text(element: Json, names: Names) -> Iterator[Line]:
    """Yield the lines of a rich text section, list, quote or preformatted block."""
    kind, parts = element.get("type"), dicts(element.get("elements"))
    if kind == "rich_text_list":
        yield from _of_list(element, parts, names)
        return
    lines = [Line(spans) for spans in split(_of_piece(part, names) for part in parts)]
    if kind == "rich_text_preformatted":
        yield from fenced(Line(tuple(Span("words", span.read) for span in line.spans)) for line in lines)
        return
    mark = "> " if kind == "rich_text_quote" else ""
    yield from (line._replace(mark=mark) for line in lines if line.read)


def _of_list(element: Json, parts: list[dict[str, Any]], names: Names) -> Iterator[Line]:
    """Yield a list's lines (Slack, rich_text_list: `indent` is its depth, `offset` the items before it)."""
    deep, before = (_whole(element.get(key)) for key in ("indent", "offset"))
    for number, item in enumerate(parts, before + 1):
        mark = f"{number}. " if element.get("style") == "ordered" else "• "
        if item.get("type") == "rich_text_list":
            # Slack expresses nesting by `indent`, never by a list within a list.
            continue
        for line in of_rich_text(item, names):
            yield line._replace(mark="    " * min(deep, 8) + mark)
            mark = " " * len(mark)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _of_piece(piece: Json, names: Names) -> Span:
    kind = str(piece.get("type") or "")
    if kind == "link":
        return linked(str(piece.get("url") or ""), str(piece.get("text") or ""))
    if kind == "emoji":
        return Span("emoji", _picture(piece.get("unicode")) or f":{piece.get('name') or ''}:")
    if kind == "broadcast":
        return Span("broadcast", f"@{piece.get('range') or ''}")
    if kind == "channel":
        return mention("#", str(piece.get("channel_id") or ""), "", names)
    if kind in {"user", "usergroup"}:
        return mention("@", str(piece.get(f"{kind}_id") or ""), "", names)
    if kind == "team":
        return Span("mention", "@a-workspace")
    said = next((piece[key] for key in ("text", "fallback", "title", "name", "value") if piece.get(key)), "")
    if kind == "date":
        said = piece.get("fallback") or in_utc(_whole(piece.get("timestamp")))
    style = piece.get("style")
    is_code = isinstance(style, dict) and bool(style.get("code"))
    return Span("code" if is_code and str(said).strip() else "words", str(said))


def _picture(code: object) -> str:
    """Return the emoji for code points such as `1f6a8` or `1f44d-1f3fd`; empty if they are not valid."""
    try:
        return "".join(chr(int(point, 16)) for point in str(code or "").split("-") if point)
    except (ValueError, OverflowError):
        return ""


# Blocks of any type to lines (Slack, Block Kit reference).

BODY, DETAIL, ASIDE = 0, 2, 3
"""Ranks of lines: the text itself, its details, and small print beside it. The lowest names the message."""

_DEEPEST = 12
_SPOKEN = (
    "title", "rich_text_title", "name", "subtitle", "text", "body", "subtext", "description", "caption",
    "details", "output", "elements", "fields", "items", "tasks", "child_blocks", "blocks", "rows", "sources",
)  # fmt: skip
_CONTROL = re.compile(
    r"divider|actions|context_actions|input|share_shortcut|file|(?:.*_)?(?:button|buttons|select|input)"
    r"|overflow|checkboxes|(?:date|time|datetime)picker"
)
"""Types of blocks and elements that people press or fill in; they are skipped, since they hold no message."""


def of_blocks(blocks: object, names: Names) -> Iterator[Line]:
    """Yield the lines of all blocks, in order."""
    for block in dicts(blocks):
        yield from _of_block(block, names, 0)


def _of_block(block: Json, names: Names, deep: int) -> Iterator[Line]:
    kind = str(block.get("type") or "")
    if deep > _DEEPEST or _CONTROL.fullmatch(kind):
        return
    special = _SPECIAL.get(kind)
    if special is not None:
        yield from special(block, names)
    else:
        yield from _of_shape(block, names, deep)


def _of_shape(block: Json, names: Names, deep: int) -> Iterator[Line]:
    """Yield the lines of a block of unknown type: of every text, block or list of these in it."""
    for key in _SPOKEN:
        said = block.get(key)
        if key == "fields":
            yield from (line for field in dicts(said) for line in _of_field(field, names))
        elif isinstance(said, list):
            if key == "rows":
                yield from _of_rows(said, names)
            else:
                yield from (line for part in dicts(said) for line in _of_block(part, names, deep + 1))
        elif isinstance(said, dict) and str(said.get("type")) not in _TEXTS:
            yield from _of_block(said, names, deep + 1)
        else:
            yield from of_text(said, names)


def of_text(text: object, names: Names) -> list[Line]:
    """Return the lines of a text object, or of a bare string, which is read as mrkdwn."""
    if isinstance(text, str):
        return of_mrkdwn(text, names)
    if not isinstance(text, dict):
        return []
    said = text.get("text", text.get("value"))
    if not isinstance(said, str | int | float) or isinstance(said, bool):
        return []
    return of_mrkdwn(str(said), names) if text.get("type") == "mrkdwn" else of_plain(str(said), names)


def pair(title: str, value: list[Line], names: Names) -> list[Line]:
    """Return a field's title and value: on one line (`Service: api`) unless the value is code or a list."""
    heads = of_mrkdwn(title, names)
    if not heads:
        return [line._replace(rank=DETAIL) for line in value]
    head = heads[0].spans
    if not value or any(line.read == "```" or line.mark for line in value):
        return [line._replace(rank=DETAIL) for line in (*heads, *value)]
    colon = () if heads[0].read.endswith((":", "?")) else (Span("words", ":"),)
    first = Line((*head, *colon, Span("words", " "), *value[0].spans))
    return [line._replace(rank=DETAIL) for line in (*heads[1:], first, *value[1:])]


def _of_field(field: Json, names: Names) -> list[Line]:
    """Return the lines of a section's field.

    The first line is its title if it is bold, if it ends with a colon, or if it is plain text above exactly
    one other line.
    """
    said = str(field.get("text") or "")
    title, _, value = said.strip().partition("\n")
    bare = re.fullmatch(r"\s*\*+([^*\n]+?)\*+:?\s*|([^\n]{1,60}:)\s*", title)
    alone = field.get("type") == "plain_text" and said.strip().count("\n") == 1
    if value.strip() and (bare or alone):
        about = next(filter(None, bare.groups()), title) if bare else title
        return pair(about, of_text({**field, "text": value.strip()}, names), names)
    return [line._replace(rank=DETAIL) for line in of_text(field, names)]


def _of_section(block: Json, names: Names) -> Iterator[Line]:
    yield from of_text(block.get("text"), names)
    for field in dicts(block.get("fields")):
        yield from _of_field(field, names)


def _of_rich_text_block(block: Json, names: Names) -> Iterator[Line]:
    for element in dicts(block.get("elements")):
        yield from of_rich_text(element, names)


def _of_context(block: Json, names: Names) -> Iterator[Line]:
    """Yield a context block as one line of small print, without its images."""
    said: list[Span] = []
    for element in dicts(block.get("elements")):
        if element.get("type") == "image":
            continue
        for line in of_text(element, names):
            said += [Span("words", " · "), *line.spans] if said else line.spans
    if said:
        yield Line(tuple(said), rank=ASIDE)


def _of_image(block: Json, names: Names) -> Iterator[Line]:
    title = of_text(block.get("title"), names) or of_plain(str(block.get("alt_text") or ""), names)
    yield from (line._replace(rank=DETAIL) for line in title)


def _of_video(block: Json, names: Names) -> Iterator[Line]:
    titles = of_text(block.get("title"), names) or of_plain(str(block.get("alt_text") or ""), names)
    address = str(block.get("title_url") or block.get("video_url") or "")
    for number, line in enumerate(titles):
        title = "".join(span.text for span in line.spans)
        yield Line((linked(address, title),)) if address and number == 0 else line
    yield from (line._replace(rank=DETAIL) for line in of_text(block.get("description"), names))


def _of_table(block: Json, names: Names) -> Iterator[Line]:
    yield from of_text(block.get("caption"), names)
    yield from _of_rows(block.get("rows"), names)


def _of_rows(rows: object, names: Names) -> Iterator[Line]:
    """Yield each table row as one line, with ` | ` between the cells."""
    for row in rows if isinstance(rows, list) else []:
        cells = row.get("cells") if isinstance(row, dict) else row
        said = [
            " ".join(line.read for line in _of_cell(cell, names))
            for cell in (cells if isinstance(cells, list) else [])
        ]
        if any(said):
            yield Line((Span("words", " | ".join(said)),), rank=DETAIL)


def _of_cell(cell: object, names: Names) -> Iterator[Line]:
    if isinstance(cell, dict) and cell.get("type") == "rich_text":
        yield from _of_rich_text_block(cell, names)
    elif isinstance(cell, str):
        yield from of_plain(cell, names)
    else:
        yield from of_text(cell, names)


def _of_call(block: Json, names: Names) -> Iterator[Line]:
    """Yield the name and the link of a call (Slack, call block: its details are under a version key)."""
    call = block.get("call")
    versions = dicts(list(call.values())) if isinstance(call, dict) else []
    for version in versions[:1]:
        title, address = str(version.get("name") or "Call"), str(version.get("join_url") or "")
        yield Line((linked(address, title) if address else Span("words", title),), rank=DETAIL)


def _of_source(block: Json, names: Names) -> Iterator[Line]:
    yield Line((linked(str(block.get("url") or ""), str(block.get("text") or "")),), rank=DETAIL)


def _of_code(block: Json, names: Names) -> Iterator[Line]:
    yield from fenced(of_plain(str(block.get("text") or ""), names))


_TEXTS = frozenset({"mrkdwn", "plain_text", "raw_text", "raw_number"})
_SPECIAL: dict[str, Callable[[Json, Names], Iterator[Line]]] = {
    "section": _of_section,
    "rich_text": _of_rich_text_block,
    "context": _of_context,
    "image": _of_image,
    "video": _of_video,
    "table": _of_table,
    "data_table": _of_table,
    "markdown": lambda block, names: iter(of_markdown(str(block.get("text") or ""), names)),
    "call": _of_call,
    "url": _of_source,
    "code": _of_code,
    **{kind: lambda block, names: iter(of_text(block, names)) for kind in _TEXTS},
    **{f"rich_text_{kind}": of_rich_text for kind in ("section", "list", "quote", "preformatted")},
}
