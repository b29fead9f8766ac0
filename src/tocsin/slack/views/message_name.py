"""The name that a line of a message gives an incident: without addresses, marks, states and dates."""

from __future__ import annotations

import re
import unicodedata

SPOKEN = 1000
"""Characters of a line that are used for a name."""

_URL = r"\b(?:[a-z][a-z0-9+.-]{0,20}://|mailto:|tel:)[^\s<>|]+"
ADDRESS = re.compile(rf"\({_URL}\)|{_URL}", re.IGNORECASE)
_POINTER = re.compile(
    r"(?:^|[\s,;:(–—-]{1,4})(?:see|at|via|here|link|details)\s*:?\s*" + _URL + "$", re.IGNORECASE
)
"""Words that point to an address at the end of a line, and mean nothing without it."""

_DATED = re.compile(
    r"\[[^\[\]]*(?:\b\d{1,4}[-/.]\d\d?[-/.]\d{1,4}|\d\d?:\d\d|\d(?:st|nd|rd|th),)[^\[\]]*\]\s*"
)
SAID_BY = re.compile(r"\[[A-Z][a-z]+ \d\d?(?:st|nd|rd|th)\b[^\[\]\n]*\]\s*[^:\n]{0,80}:(?:\s+|$)")
"""Prefix that Slack gives the fallback of a forwarded message: `[July 6th, 2023 6:47 AM] PagerDuty: `."""

_STATES = (
    "firing|resolved|alerting|alert|triggered|re-?triggered|recovered|ok|no ?data|warn|pending|normal|"
    "acknowledged"
)
_STATE = re.compile(rf"\[(?:{_STATES})(?::\s*\d+)?(?:[,|\s]+(?:{_STATES})(?::\s*\d+)?)*\]\s*", re.IGNORECASE)
"""Current state of an alert, such as `[FIRING:1]` or `[Triggered]`, which is no part of its name."""

_OPENING = re.compile(r"(?:#{1,6}|[-*+•◦▪‣–—>|]+|\d{1,2}[.)])\s+|[>|•◦▪‣]+")
_EMPTY = re.compile(r"\(\s*\)|\[\s*\]|<\s*>")
_BEFORE, _BEHIND = " \t|,;:·•", " \t|,;:·•-–—"


def as_name(text: str) -> str:
    """Return text as a name: without addresses, and without marks, emoji, states and dates before it."""
    said = _EMPTY.sub("", ADDRESS.sub("", _POINTER.sub("", text[:SPOKEN])))
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
    """True if the character is an emoji: a symbol that is not a currency, a degree or an arithmetic sign."""
    return bool(character) and ord(character) > 0x2000 and unicodedata.category(character) in {"So", "Sk"}


def has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)
