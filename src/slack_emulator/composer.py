"""Text as a user types it, turned into mrkdwn and rich text."""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

from slack_emulator.mrkdwn import Mention, Span, broadcasts, escape, parse_mrkdwn, plain_of, unescape

# Conversion of typed text and mrkdwn to rich_text blocks, and of these to a message's `text`.

Element = dict[str, object]
_BULLET = re.compile(r"( *)[-*•] +(?=\S)")
_NUMBER = re.compile(r"( *)\d{1,3}\. +(?=\S)")
_NAME = re.compile(r"(?<![\w@#])[@#][^\W_][\w.-]*[\w]|(?<![\w@#])[@#][^\W_]")
_FENCE = re.compile(r"(```.+?```)", re.DOTALL)
_STYLED: dict[str, str] = {"bold": "bold", "italic": "italic", "strike": "strike"}
_MENTIONS = {"U": "user", "W": "user", "S": "usergroup", "C": "channel", "G": "channel", "D": "channel"}
_POINTING = {
    "person": ("user", "user_id"),
    "group": ("usergroup", "usergroup_id"),
    "channel": ("channel", "channel_id"),
    "broadcast": ("broadcast", "range"),
}
_BROADCASTS = ("here", "channel", "everyone")
_MARKS = (("strike", "~"), ("italic", "_"), ("bold", "*"))


def rich_text_of(text: str, names: Mapping[str, str] | None = None) -> list[dict[str, object]]:
    """Return the blocks of a user's message: one rich_text block, none for a blank text.

    `names` maps each typed name (`@ana`, `@oncall`, `#general`) to the id that the composer's suggestions
    would put in its place. `@here`, `@channel` and `@everyone` always become mentions. Angle brackets that a
    user types stay plain characters.
    """
    if not text.strip():
        return []
    parts: list[Element] = []
    for chunk in _FENCE.split(text):
        if _FENCE.fullmatch(chunk):
            parts.append(_preformatted(chunk[3:-3].strip("\n")))
        else:
            parts += _parts(chunk.strip("\n"), names or {})
    return [{"type": "rich_text", "elements": parts}] if parts else []


def rich_text_of_mrkdwn(text: str) -> list[dict[str, object]]:
    """Return the blocks that Slack makes of an app's text: one rich_text block, none for a blank text."""
    if not text.strip():
        return []
    parts: list[Element] = []
    section: list[Element] = []
    for span in parse_mrkdwn(text):
        if span.kind not in ("pre", "quote"):
            section += _of_mrkdwn(span, ())
            continue
        if section:
            parts.append({"type": "rich_text_section", "elements": _joined(section)})
            section = []
        if span.kind == "pre":
            parts.append(_preformatted(span.text))
        else:
            quoted = [element for child in span.children for element in _of_mrkdwn(child, ())]
            parts.append({"type": "rich_text_quote", "elements": _joined(quoted)})
    if section:
        parts.append({"type": "rich_text_section", "elements": _joined(section)})
    return [{"type": "rich_text", "elements": parts}]


def _of_mrkdwn(span: Span, styles: tuple[str, ...]) -> list[Element]:
    if span.kind in _STYLED:
        inner = (*styles, _STYLED[span.kind])
        return [element for child in span.children for element in _of_mrkdwn(child, inner)]
    if span.kind in _POINTING:
        kind, field = _POINTING[span.kind]
        return [_styled({"type": kind, field: span.target}, styles)]
    if span.kind == "link" and span.text != span.target:
        return [_styled({"type": "link", "url": span.target, "text": span.text}, styles)]
    if span.kind == "date":
        date: Element = {"type": "date", "timestamp": span.ts, "format": span.form, "fallback": span.text}
        return [_styled(date | ({"url": span.target} if span.target else {}), styles)]
    if span.kind == "text":
        return [_styled({"type": "text", "text": span.text}, styles)]
    return _of_span(span, {}, styles)


def _preformatted(words: str) -> Element:
    elements = [{"type": "text", "text": words}] if words else []
    return {"type": "rich_text_preformatted", "elements": elements, "border": 0}


def _parts(chunk: str, names: Mapping[str, str]) -> Iterable[Element]:
    for (kind, indent), group in groupby(chunk.split("\n") if chunk else [], key=_line_kind):
        lines = list(group)
        if kind == "text":
            elements = _elements("\n".join(lines), names)
            if elements:
                yield {"type": "rich_text_section", "elements": elements}
        elif kind == "quote":
            quoted = "\n".join(line[1:].removeprefix(" ") for line in lines)
            yield {"type": "rich_text_quote", "elements": _elements(quoted, names)}
        else:
            mark = _BULLET if kind == "bullet" else _NUMBER
            items = [_elements(mark.sub("", line, count=1), names) for line in lines]
            sections = [{"type": "rich_text_section", "elements": item} for item in items]
            yield {
                "type": "rich_text_list",
                "elements": sections,
                "style": kind,
                "indent": indent,
                "border": 0,
            }


def _line_kind(line: str) -> tuple[str, int]:
    if line.startswith(">"):
        return "quote", 0
    for kind, mark in (("bullet", _BULLET), ("ordered", _NUMBER)):
        if match := mark.match(line):
            return kind, min(len(match[1]) // 2, 8)
    return "text", 0


def _elements(text: str, names: Mapping[str, str]) -> list[Element]:
    # A space in front keeps the parser from reading a line that begins with `>` as a quote again.
    spans = parse_mrkdwn(" " + escape(text).replace("\n", "\n "))
    elements = [element for span in spans for element in _of_span(span, names, ())]
    return _joined(_unindented(elements))


def _unindented(elements: list[Element]) -> list[Element]:
    fresh = True
    for element in elements:
        words = element.get("text")
        if element["type"] == "text" and isinstance(words, str):
            element["text"] = words[1:] if fresh and words.startswith(" ") else words
            fresh = words == "\n"
        else:
            fresh = False
    return elements


def _joined(elements: list[Element]) -> list[Element]:
    joined: list[Element] = []
    for element in elements:
        last = joined[-1] if joined else None
        if element.get("text") == "" and element["type"] == "text":
            continue
        if last and last["type"] == element["type"] == "text" and last.get("style") == element.get("style"):
            joined[-1] = {**last, "text": f"{last['text']}{element['text']}"}
        else:
            joined.append(element)
    return joined


def _of_span(span: Span, names: Mapping[str, str], styles: tuple[str, ...]) -> list[Element]:
    if span.kind in _STYLED:
        inner = (*styles, _STYLED[span.kind])
        return [element for child in span.children for element in _of_span(child, names, inner)]
    if span.kind == "newline":
        return [_styled({"type": "text", "text": "\n"}, styles)]
    if span.kind == "emoji":
        name, _, tone = span.target.partition("::skin-tone-")
        emoji: Element = {"type": "emoji", "name": name}
        return [{**emoji, "skin_tone": int(tone)} if tone else emoji]
    if span.kind == "link":
        return [_styled({"type": "link", "url": span.target}, styles)]
    if span.kind == "code":
        return [_styled({"type": "text", "text": span.text}, (*styles, "code"))]
    return _with_mentions(span.text, names, styles)


def _with_mentions(text: str, names: Mapping[str, str], styles: tuple[str, ...]) -> list[Element]:
    elements: list[Element] = []
    last = 0
    for match in _NAME.finditer(text):
        mention = _mention(match[0], names)
        if mention:
            elements.append(_styled({"type": "text", "text": text[last : match.start()]}, styles))
            elements.append(_styled(mention, styles))
            last = match.end()
    elements.append(_styled({"type": "text", "text": text[last:]}, styles))
    return elements


def _mention(token: str, names: Mapping[str, str]) -> Element | None:
    if token[0] == "@" and token[1:] in _BROADCASTS:
        return {"type": "broadcast", "range": token[1:]}
    found = names.get(token)
    if not found or found[0] not in _MENTIONS:
        return None
    kind = _MENTIONS[found[0]]
    return {"type": kind, f"{kind}_id": found}


def _styled(element: Element, styles: tuple[str, ...]) -> Element:
    return {**element, "style": dict.fromkeys(styles, True)} if styles else element


def flatten(blocks: Iterable[Mapping[str, object]]) -> str:
    """Return the `text` that Slack puts beside rich_text blocks: escaped mrkdwn with its mentions."""
    parts = [_flat_part(part) for block in blocks for part in _list(block.get("elements"))]
    return "\n".join(part.strip("\n") for part in parts)


def _list(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _flat_part(part: Mapping[str, object]) -> str:
    elements = _list(part.get("elements"))
    kind = part.get("type")
    if kind == "rich_text_list":
        return _flat_list(part, elements)
    words = "".join(_flat_element(element) for element in elements)
    if kind == "rich_text_quote":
        return "\n".join(f"&gt; {line}" for line in words.split("\n"))
    return f"```{words}```" if kind == "rich_text_preformatted" else words


def _flat_list(part: Mapping[str, object], items: list[Mapping[str, object]]) -> str:
    indent, offset = part.get("indent", 0), part.get("offset", 0)
    margin = "    " * (indent if isinstance(indent, int) else 0)
    first = 1 + (offset if isinstance(offset, int) else 0)
    ordered = part.get("style") == "ordered"
    marks = [f"{first + number}." if ordered else "•" for number in range(len(items))]
    return "\n".join(f"{margin}{mark} {_flat_part(item)}" for mark, item in zip(marks, items, strict=True))


def _flat_element(element: Mapping[str, object]) -> str:
    write = _WRITERS.get(str(element.get("type")))
    words = write(element) if write else ""
    style = element.get("style")
    if not isinstance(style, dict) or not words.strip():
        return words
    if style.get("code"):
        words = f"`{words}`"
    for name, mark in _MARKS:
        if style.get(name):
            words = _marked(words, mark)
    return words


def _marked(words: str, mark: str) -> str:
    bare = words.strip()
    start = words.index(bare)
    return f"{words[:start]}{mark}{bare}{mark}{words[start + len(bare) :]}"


def _flat_link(element: Mapping[str, object]) -> str:
    url = escape(str(element.get("url", ""))).replace("|", "%7C")
    label = escape(str(element.get("text", ""))).replace("|", "¦").replace("\n", " ")
    return f"<{url}|{label}>" if label and label != url else f"<{url}>"


def _flat_date(element: Mapping[str, object]) -> str:
    fallback = escape(str(element.get("fallback", ""))) or str(element.get("timestamp", ""))
    url = f"^{escape(str(element['url']))}" if element.get("url") else ""
    return f"<!date^{element.get('timestamp')}^{escape(str(element.get('format', '')))}{url}|{fallback}>"


def _flat_emoji(element: Mapping[str, object]) -> str:
    tone = f"::skin-tone-{element['skin_tone']}" if element.get("skin_tone") else ""
    return f":{element.get('name')}{tone}:"


_WRITERS: dict[str, Callable[[Mapping[str, object]], str]] = {
    "text": lambda element: escape(str(element.get("text", ""))),
    "link": _flat_link,
    "emoji": _flat_emoji,
    "user": lambda element: f"<@{element.get('user_id')}>",
    "usergroup": lambda element: f"<!subteam^{element.get('usergroup_id')}>",
    "channel": lambda element: f"<#{element.get('channel_id')}>",
    "broadcast": lambda element: f"<!{element.get('range')}>",
    "color": lambda element: escape(str(element.get("value", ""))),
    "date": _flat_date,
    "team": lambda element: f"<!team^{element.get('team_id')}>",
}


# Slack's two text formats: mrkdwn, with its escapes and mentions, and rich text.

__all__ = [
    "Mention",
    "Span",
    "broadcasts",
    "escape",
    "flatten",
    "parse_mrkdwn",
    "plain_of",
    "rich_text_of",
    "rich_text_of_mrkdwn",
    "unescape",
]
