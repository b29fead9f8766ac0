"""Words as people type and paste them: any white space between, any dash within, any marks around them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_DASHES = frozenset("\u2212\u02d7\u207b\u208b\u2796\u30fc\uff70\u2500")
"""What people take for a dash, and what is none in Unicode (category Pd), such as minus signs."""

_BREAKS = frozenset("\n\r\v\f\x85\u2028\u2029")
_ZERO_WIDTH_SPACES = frozenset("\u200b\u2060\ufeff\u180e")
NOTHING = "\0"
"""What `folded` puts for a character that takes no room."""

_WORD = re.compile(rf"[^\s{NOTHING}]\S*")
_LONE_SEPARATOR = re.compile(r"[ \0]*(?:[-:;,.|=>\u2192\u2026]+(?=\s|$))?[\s\0]*")


def these(words: str) -> frozenset[str]:
    """A list of words, as it is written down."""
    return frozenset(words.split())


def folded(text: str) -> str:
    """The text character for character, in small letters of usual width, with one kind of dash and of space.

    It is as long as the text, so that what is found in it can be cut out of the text. Line breaks stay line
    breaks.
    """
    return "".join(map(_folded, text))


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    if character in _BREAKS:
        return "\n"
    if character.isspace() or character in _ZERO_WIDTH_SPACES:
        return " "
    category = unicodedata.category(character)
    if category == "Pd" or character in _DASHES:
        return "-"
    if category in {"Cf", "Cc", "Cs", "Mn", "Me"}:
        return NOTHING
    usual = unicodedata.normalize("NFKC", character)
    usual = usual if len(usual) == 1 else character
    if usual.isdecimal():
        return str(int(usual))
    small = usual.lower()
    return small if len(small) == 1 else usual


def bare(word: str) -> str:
    """A word folded, without the marks around it: `“Fixing”.` is `fixing`; what is all marks stays."""
    plain = folded(word).replace(NOTHING, "")
    outer = [at for at, character in enumerate(plain) if character.isalnum()]
    return plain[outer[0] : outer[-1] + 1] if outer else plain


def spans(text: str) -> list[tuple[int, int]]:
    """Where each word of the text begins and ends."""
    return [found.span() for found in _WORD.finditer(folded(text))]


def after(text: str, end: int) -> str:
    """What follows a word that ends there, without the space and a dash or colon that stands by itself."""
    lone = _LONE_SEPARATOR.match(folded(text), end)
    return trimmed(text[lone.end() if lone else end :])


def trimmed(text: str) -> str:
    """The text without white space at its ends, zero-width spaces too."""
    words = spans(text)
    return text[words[0][0] : words[-1][1]] if words else ""
