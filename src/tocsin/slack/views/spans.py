"""A line of a message: as people read it, and as they would say it in an incident's name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

Names = Mapping[str, str]
"""What people, user groups and channels are called, by their id in Slack."""

Kind = Literal["words", "code", "link", "mention", "broadcast", "emoji"]


class Span(NamedTuple):
    """A stretch of a line; `target` is a link's address, or the id of who is mentioned and not known."""

    kind: Kind
    text: str
    target: str = ""

    @property
    def read(self) -> str:
        """The span in plain text; an address stands in brackets behind its words."""
        if self.kind == "code":
            return f"`{self.text}`"
        if self.kind == "link":
            return f"{self.text} ({self.target})" if self.text else self.target
        return self.text


class Line(NamedTuple):
    """One line; of those with the lowest `rank` the first one names the message."""

    spans: tuple[Span, ...] = ()
    mark: str = ""
    rank: int = 0

    @property
    def read(self) -> str:
        """The line in plain text, with its bullet, number or quotation mark."""
        return (self.mark + "".join(span.read for span in self.spans)).rstrip()

    @property
    def called(self) -> str:
        """The line as a name; empty where it has no words of its own."""
        spoken = [span for span in self.spans if span.kind not in {"broadcast", "emoji"}]
        own = "".join(span.text or span.target for span in spoken if span.kind != "mention")
        if not _has_words(called(own)):
            return ""
        return called("".join(span.text or span.target for span in spoken))


FENCE = Line((Span("words", "```"),))

SPOKEN = 1000
"""Characters of a line in which a name is looked for."""

_URL = r"\b(?:[a-z][a-z0-9+.-]{0,20}://|mailto:|tel:)[^\s<>|]+"
_ADDRESS = re.compile(rf"\({_URL}\)|{_URL}", re.IGNORECASE)
_POINTER = re.compile(
    r"(?:^|[\s,;:(–—-]{1,4})(?:see|at|via|here|link|details)\s*:?\s*" + _URL + "$", re.IGNORECASE
)
"""What leads to an address at the end of a line, and means nothing without it."""

_DATED = re.compile(
    r"\[[^\[\]]*(?:\b\d{1,4}[-/.]\d\d?[-/.]\d{1,4}|\d\d?:\d\d|\d(?:st|nd|rd|th),)[^\[\]]*\]\s*"
)
SAID_BY = re.compile(r"\[[A-Z][a-z]+ \d\d?(?:st|nd|rd|th)\b[^\[\]\n]*\]\s*[^:\n]{0,80}:(?:\s+|$)")
"""`[July 6th, 2023 6:47 AM] PagerDuty: `, as Slack begins the fallback of a forwarded message."""

_STATES = (
    "firing|resolved|alerting|alert|triggered|re-?triggered|recovered|ok|no ?data|warn|pending|normal|"
    "acknowledged"
)
_STATE = re.compile(rf"\[(?:{_STATES})(?::\s*\d+)?(?:[,|\s]+(?:{_STATES})(?::\s*\d+)?)*\]\s*", re.IGNORECASE)
"""`[FIRING:1]`, `[Triggered]`: what an alert is at the moment, which is no part of what is wrong."""

_OPENING = re.compile(r"(?:#{1,6}|[-*+•◦▪‣–—>|]+|\d{1,2}[.)])\s+|[>|•◦▪‣]+")
_EMPTY = re.compile(r"\(\s*\)|\[\s*\]|<\s*>")
_BEFORE, _BEHIND = " \t|,;:·•", " \t|,;:·•-–—"


def called(text: str) -> str:
    """Plain text as somebody would say it: no address, mark, state or date before it."""
    said = _EMPTY.sub("", _ADDRESS.sub("", _POINTER.sub("", text[:SPOKEN])))
    said = re.sub(r"\s+", " ", said)
    before = None
    while said != before:
        before, said = said, said.lstrip(_BEFORE)
        for opening in (SAID_BY, _DATED, _STATE, _OPENING):
            if found := opening.match(said):
                said = said[found.end() :]
        said = said.lstrip() if not _is_picture(said[:1]) else said[1:].lstrip("\ufe0f\u200d")
    return said.rstrip(_BEHIND)


def _is_picture(character: str) -> bool:
    """Whether it is an emoji: a symbol that is none of a currency, a degree or arithmetic."""
    return bool(character) and ord(character) > 0x2000 and unicodedata.category(character) in {"So", "Sk"}


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def split(spans: Iterable[Span]) -> list[tuple[Span, ...]]:
    """The spans line by line: one that has line breaks ends a line at each."""
    lines: list[list[Span]] = [[]]
    for span in spans:
        first, *more = span.text.split("\n")
        lines[-1].append(span._replace(text=first))
        lines += [[span._replace(text=part)] for part in more]
    return [tuple(line) for line in lines]


def fenced(lines: Iterable[Line]) -> list[Line]:
    """Lines of code between two fences; nothing where they are all empty."""
    inside = list(lines)
    return [FENCE, *inside, FENCE] if any(line.read for line in inside) else []


def mention(sign: str, identity: str, label: str, names: Names) -> Span:
    """`@Ana Torres`, `@oncall`, `#alerts`; of who is not known, a word in the place of the name."""
    known = names.get(identity) or label.removeprefix(sign)
    if known:
        return Span("mention", f"{sign}{known}")
    unknown = {"#": "#a-channel", "@": "@a-group" if identity.startswith("S") else "@someone"}[sign]
    return Span("mention", unknown, identity)


def linked(address: str, label: str) -> Span:
    """A link by its words; an address that was only made clickable is its own words."""
    label = re.sub(r"\s+", " ", label).strip()
    bare = re.sub(r"^(?:[a-z][a-z0-9+.-]*://|mailto:|tel:)", "", address, flags=re.IGNORECASE)
    if label and label.rstrip("/") == bare.rstrip("/"):
        return Span("words", label)
    return Span("link", "" if _ADDRESS.match(label) or label == address else label, address)
