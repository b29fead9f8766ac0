"""Slack's mrkdwn, markdown and plain text, read into lines (Slack, formatting message text)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from tocsin.slack.views.spans import Line, Names, Span, fenced, linked, mention, split

_ATOM = re.compile(
    r"```(?P<fence>.*?)(?:```|\Z)"
    r"|`(?P<code>[^`\n]+)`"
    r"|<(?P<token>[^<>\n]+)>"
    r"|\[(?P<label>[^\[\]\n]+)\]\((?P<to>https?://[^\s()]+(?:\([^\s()]*\)[^\s()]*)*)\)"
    r"|(?P<address>https?://[^\s<>|*`]+)"
    r"|(?<![\w:]):(?P<emoji>[a-z0-9_+'-]+):(?::skin-tone-\d:)?",
    re.DOTALL,
)
_EMOJI = re.compile(r"(?<![\w:]):[a-z0-9_+'-]+:(?::skin-tone-\d:)?")
_PLAIN_ATOM = re.compile(
    r"(?P<address>https?://[^\s<>|]+)|(?<![\w:]):(?P<emoji>[a-z0-9_+'-]+):(?::skin-tone-\d:)?"
)
_STYLES = [
    re.compile(rf"(?<![\w{mark}]){run}(?=\S)([^{mark}\n]+)(?<=\S){run}(?![\w{mark}])")
    for mark, run in (("*", r"\*\*"), ("_", "__"), ("~", "~~"), ("*", r"\*"), ("_", "_"), ("~", "~"))
]
_LABEL = re.compile(r"^(?:\*([^*\n]+):\*|\*([^*\n]+)\*:)[ \t]*\n(?=[^\s*•\-`>:])", re.MULTILINE)
_ENTITY = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_DATE_TOKEN = re.compile(r"!date\^(\d{1,11})\^[^|]*")
READ = 10_000
"""Characters of one text that are read; a summary has room for a third of them."""

_HELD = "\0"
"""Stands for a link, a mention, code or an emoji while styles are taken off around it."""

Reader = re.Pattern[str]


def of_mrkdwn(text: str, names: Names) -> list[Line]:
    """Lines of mrkdwn; what is bold markdown or a markdown link is taken for one too."""
    return list(_lines(_LABEL.sub(lambda label: f"{label[1] or label[2]}: ", text), names, _ATOM))


def of_plain(text: str, names: Names) -> list[Line]:
    """Lines of plain text, in which Slack escapes three characters all the same."""
    return list(_lines(text, names, _PLAIN_ATOM))


def of_markdown(text: str, names: Names) -> list[Line]:
    """Lines of a markdown block: headings without their marks, table rows without their frame."""
    bare = re.sub(r"^ {0,3}#{1,6}[ \t]+|^[ \t]*\|[-:| \t]+\|?[ \t]*(?:\n|\Z)", "", text, flags=re.MULTILINE)
    rows = re.sub(r"^[ \t]*\|[ \t]*(.*?)[ \t]*\|[ \t]*$", r"\1", bare, flags=re.MULTILINE)
    listed = re.sub(r"^([ \t]*)[*+-][ \t]+", r"\1• ", rows, flags=re.MULTILINE)
    return list(_lines(re.sub(r"^([ \t]*```)\w+[ \t]*$", r"\1", listed, flags=re.MULTILINE), names, _ATOM))


def of_code(text: str, names: Names) -> list[Line]:
    """Lines between fences, in which Slack links addresses all the same."""
    said = re.sub(r"<([^<>\n]+)>", lambda token: _of_token(token[1], names).read, text.strip("\n"))
    return fenced(Line(spans) for spans in split([Span("words", unescaped(said))]))


def unescaped(text: str) -> str:
    """The three characters that Slack escapes, as they were written."""
    return re.sub("&(?:lt|gt|amp);", lambda entity: _ENTITY[entity[0]], text)


def _lines(text: str, names: Names, atoms: Reader) -> Iterator[Line]:
    held: list[Span | list[Line]] = []

    def hold(found: re.Match[str]) -> str:
        atom = _of_atom(found, names)
        held.append(atom)
        return f"\n{_HELD}\n" if isinstance(atom, list) else _HELD

    said = atoms.sub(hold, text[:READ].replace(_HELD, ""))
    said = _unstyled(said) if atoms is _ATOM else said
    waiting = iter(held)
    for line in said.split("\n"):
        spans: list[Span] = []
        for piece in re.split(f"({_HELD})", line):
            atom = next(waiting) if piece == _HELD else Span("words", unescaped(piece))
            if isinstance(atom, list):
                yield from atom
            else:
                spans += [atom] if atom.read else []
        if spans:
            yield Line(tuple(spans))


def _unstyled(text: str) -> str:
    """Text without the marks of bold, italic and struck words, one within another or not."""
    for _ in range(2):
        for style in _STYLES:
            text = style.sub(r"\1", text)
    return text


def _of_atom(found: re.Match[str], names: Names) -> Span | list[Line]:
    parts = found.groupdict()
    if parts.get("fence") is not None:
        return of_code(parts["fence"], names)
    if parts.get("code"):
        said = re.sub(r"<([^<>\n]+)>", lambda token: _of_token(token[1], names).text, parts["code"])
        return Span("code", unescaped(said))
    if parts.get("token"):
        return _of_token(parts["token"], names)
    if parts.get("emoji"):
        return Span("emoji", f":{parts['emoji']}:")
    return linked(unescaped(parts.get("to") or parts["address"]), _worded(parts.get("label") or ""))


def _of_token(token: str, names: Names) -> Span:
    """What stands between angle brackets: a link, a mention, a date."""
    target, _, label = token.partition("|")
    label = unescaped(label)
    if target[:1] in {"@", "#"}:
        return mention(target[0], target[1:], label, names)
    if target.startswith("!subteam^"):
        return mention("@", target.removeprefix("!subteam^"), label, names)
    if dated := _DATE_TOKEN.fullmatch(target):
        return Span("words", label or in_utc(int(dated[1])))
    if target.startswith("!"):
        return Span("broadcast", f"@{target[1:].partition('^')[0]}")
    return linked(unescaped(target), _worded(token.partition("|")[2]))


def _worded(label: str) -> str:
    """The words of a link without styles and emoji codes, unless there is nothing else."""
    said = _unstyled(_EMOJI.sub("", label)).replace("`", "").strip()
    return unescaped(said or label)


def in_utc(seconds: int) -> str:
    """A moment, where only its number of seconds is known."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return ""
