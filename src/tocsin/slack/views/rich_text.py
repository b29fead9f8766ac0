"""Rich text, as people write it in Slack, read into lines (Slack, rich text block)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tocsin.slack.views.mrkdwn import in_utc
from tocsin.slack.views.spans import Line, Names, Span, fenced, linked, mention, split

Json = Mapping[str, Any]


def dicts(value: object) -> list[dict[str, Any]]:
    """The objects in a list; none where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def of_rich_text(element: Json, names: Names) -> Iterator[Line]:
    """Lines of a section, a list, a quotation or code."""
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
    """Slack, rich_text_list: `indent` is its depth, `offset` the items that were counted before."""
    deep, before = (_whole(element.get(key)) for key in ("indent", "offset"))
    for number, item in enumerate(parts, before + 1):
        mark = f"{number}. " if element.get("style") == "ordered" else "• "
        if item.get("type") == "rich_text_list":
            # Slack says how deep a list is by its indent, never by a list within a list.
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
    """An emoji from its code points, such as `1f6a8` or `1f44d-1f3fd`."""
    try:
        return "".join(chr(int(point, 16)) for point in str(code or "").split("-") if point)
    except (ValueError, OverflowError):
        return ""
