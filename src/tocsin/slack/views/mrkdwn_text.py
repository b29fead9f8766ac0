"""Parser of Slack's mrkdwn, markdown and plain text into lines of spans (Slack, formatting message text)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from tocsin.slack.views.message_name import (
    ADDRESS,
    as_announced,
    as_name,
    has_words,
    is_button,
    is_flag,
    is_level,
)

# Spans and lines: as people read them, and as the name of an incident.

Names = Mapping[str, str]
"""Names of people, user groups and channels, by Slack id."""

Kind = Literal["words", "code", "link", "mention", "broadcast", "emoji"]


class Span(NamedTuple):
    """Stretch of a line; `target` is a link's address, or the id of a mention whose name is not known."""

    kind: Kind
    text: str
    target: str = ""

    @property
    def read(self) -> str:
        """The span as plain text; an address follows its words in brackets."""
        if self.kind == "code":
            return f"`{self.text}`"
        if self.kind == "link":
            return f"{self.text} ({self.target})" if self.text else self.target
        return self.text


class Line(NamedTuple):
    """One line of text. The first line with the lowest `rank` names the message."""

    spans: tuple[Span, ...] = ()
    mark: str = ""
    rank: int = 0

    @property
    def read(self) -> str:
        """The line as plain text, with its bullet, number or quotation mark."""
        return (self.mark + "".join(span.read for span in self.spans)).rstrip()

    @property
    def called(self) -> str:
        """The line as a name; empty if it has no words of its own."""
        if not has_words(as_name(_joined(span for span in self._spoken if span.kind != "mention"))):
            return ""
        return as_name(_joined(self._spoken))

    @property
    def announced(self) -> str:
        """The line of an app as a name, also without what announces or follows it: states, times, links."""
        said = as_announced(_joined(_without_buttons(self._spoken)))
        return said if has_words(said) else self.called

    @property
    def _spoken(self) -> list[Span]:
        unspoken = {"broadcast", "emoji"}
        return [span for span in self.spans if span.kind not in unspoken or is_flag(span.text)]


def _joined(spans: Iterable[Span]) -> str:
    """Join the words of spans; an address directly after a word gets a space, so that the word is kept."""
    said = ""
    for span in spans:
        is_glued = said[-1:].isalnum() or said.endswith("_")
        said += span.text or (f" {span.target}" if is_glued else span.target)
    return said


def _without_buttons(spans: list[Span]) -> list[Span]:
    """Return the spans without states in code before the words, and without a link that is like a button."""
    worded = [at for at, span in enumerate(spans) if has_words(span.text)]
    before = "".join(span.text for span in spans[: worded[-1]]) if worded else ""
    links = [at for at in worded[-1:] if spans[at].kind == "link"]
    taken = {at for at in links if is_button(before, spans[at].text)}
    for at in worded:
        if spans[at].kind != "code" or not is_level(spans[at].text):
            break
        taken.add(at)
    return [span for at, span in enumerate(spans) if at not in taken]


FENCE = Line((Span("words", "```"),))


def split(spans: Iterable[Span]) -> list[tuple[Span, ...]]:
    """Split the spans into lines, at each line break within a span."""
    lines: list[list[Span]] = [[]]
    for span in spans:
        first, *more = span.text.split("\n")
        lines[-1].append(span._replace(text=first))
        lines += [[span._replace(text=part)] for part in more]
    return [tuple(line) for line in lines]


def fenced(lines: Iterable[Line]) -> list[Line]:
    """Return lines of code between two fences; an empty list if all of them are empty."""
    inside = list(lines)
    return [FENCE, *inside, FENCE] if any(line.read for line in inside) else []


def mention(sign: str, identity: str, label: str, names: Names) -> Span:
    """Build a mention: `@Ana Torres`, `@oncall`, `#alerts`, or a general word if the name is not known."""
    known = names.get(identity) or label.removeprefix(sign)
    if known:
        return Span("mention", f"{sign}{known}")
    unknown = {"#": "#a-channel", "@": "@a-group" if identity.startswith("S") else "@someone"}[sign]
    return Span("mention", unknown, identity)


def linked(address: str, label: str) -> Span:
    """Build a link by its words. An address that Slack only made clickable becomes plain words."""
    label = re.sub(r"\s+", " ", label).strip()
    bare = re.sub(r"^(?:[a-z][a-z0-9+.-]*://|mailto:|tel:)", "", address, flags=re.IGNORECASE)
    if label and label.rstrip("/") == bare.rstrip("/"):
        return Span("words", label)
    return Span("link", "" if ADDRESS.match(label) or label == address else label, address)


# Texts to lines (Slack, formatting message text).

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
_LABEL = re.compile(r"^(?:\*([^*\n]+):\*|\*([^*\n]+)\*:)[ \t]*\n(?=[^\s*•\-`>:])(?!&gt;)", re.MULTILINE)
_ENTITY = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ENTITIES = re.compile("|".join(_ENTITY))
_DATE_TOKEN = re.compile(r"!date\^(\d{1,11})\^([^{|^]*)[^|]*")
READ = 10_000
"""Characters of one text that are parsed; a summary has room for a third of them."""

_HELD = "\0"
"""Placeholder for a link, a mention, code or an emoji while styles are removed around it."""

Reader = re.Pattern[str]


def of_mrkdwn(text: str, names: Names) -> list[Line]:
    """Return the lines of mrkdwn, in which markdown's bold text and links are read, too."""
    return list(_lines(_LABEL.sub(lambda label: f"{label[1] or label[2]}: ", text), names, _ATOM))


def of_plain(text: str, names: Names) -> list[Line]:
    """Return the lines of plain text, in which Slack escapes `&`, `<` and `>` all the same."""
    return list(_lines(text, names, _PLAIN_ATOM))


def of_markdown(text: str, names: Names) -> list[Line]:
    """Return the lines of a markdown block: headings without their marks, table rows without their frame."""
    bare = re.sub(r"^ {0,3}#{1,6}[ \t]+|^[ \t]*\|[-:| \t]+\|?[ \t]*(?:\n|\Z)", "", text, flags=re.MULTILINE)
    rows = re.sub(r"^[ \t]*\|[ \t]*(.*?)[ \t]*\|[ \t]*$", r"\1", bare, flags=re.MULTILINE)
    listed = re.sub(r"^([ \t]*)[*+-][ \t]+", r"\1• ", rows, flags=re.MULTILINE)
    return list(_lines(re.sub(r"^([ \t]*```)\w+[ \t]*$", r"\1", listed, flags=re.MULTILINE), names, _ATOM))


def of_code(text: str, names: Names) -> list[Line]:
    """Return the lines of code between fences, in which Slack links addresses all the same."""
    said = re.sub(r"<([^<>\n]+)>", lambda token: _of_token(token[1], names).read, text.strip("\n"))
    return fenced(Line(spans) for spans in split([Span("words", unescaped(said))]))


def unescaped(text: str) -> str:
    """Replace the three entities that Slack uses with their characters."""
    return _ENTITIES.sub(lambda entity: _ENTITY[entity[0]], text)


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
    """Remove the marks of bold, italic and struck words, also nested ones."""
    for _ in range(2):
        for style in _STYLES:
            text = style.sub(r"\1", text)
    return text


def _of_atom(found: re.Match[str], names: Names) -> Span | list[Line]:
    parts = found.groupdict()
    if parts.get("fence") is not None:
        return of_code(parts["fence"], names)
    if parts.get("code"):
        said = re.sub(r"<([^<>\n]+)>", lambda token: _in_code(token[1], names), parts["code"])
        return Span("code", unescaped(said))
    if parts.get("token"):
        return _of_token(parts["token"], names)
    if parts.get("emoji"):
        return Span("emoji", _flag(parts["emoji"]) or f":{parts['emoji']}:")
    return linked(unescaped(parts.get("to") or parts["address"]), _worded(parts.get("label") or ""))


def _flag(code: str) -> str:
    """Return the flag for a code such as `flag-de` in regional indicators; empty for any other emoji."""
    found = re.fullmatch("flag-([a-z]{2})", code)
    return "".join(chr(ord(letter) + 0x1F1E6 - ord("a")) for letter in found[1]) if found else ""


def _of_token(token: str, names: Names) -> Span:
    """Return the span of a token in angle brackets: a link, a mention or a date."""
    target, _, label = token.partition("|")
    label = unescaped(label)
    if target[:1] in {"@", "#"}:
        return mention(target[0], target[1:], label, names)
    if target.startswith("!subteam^"):
        return mention("@", target.removeprefix("!subteam^"), label, names)
    if dated := _DATE_TOKEN.fullmatch(target):
        says_when = any(map(str.isdigit, label))
        return Span("words", label if says_when else f"{unescaped(dated[2])}{in_utc(int(dated[1]))}" or label)
    if target.startswith("!"):
        return Span("broadcast", f"@{target[1:].partition('^')[0]}")
    return linked(unescaped(target), _worded(token.partition("|")[2]))


def _in_code(token: str, names: Names) -> str:
    span = _of_token(token, names)
    return span.text or span.target


def _worded(label: str) -> str:
    """Return a link's label without styles and emoji codes, unless there is nothing else in it."""
    said = _unstyled(_EMOJI.sub("", label)).replace("`", "").strip()
    return unescaped(said or label)


def in_utc(seconds: int) -> str:
    """Return a Unix time as a date and time in UTC; empty if it is out of range."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return ""
