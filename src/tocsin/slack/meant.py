"""Which verb somebody may have meant, found in the same time among ten and among hundreds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from tocsin.incidents.validation import is_one_edit_away

LONGEST = 40
"""Letters in a word that may be a verb; what is longer is somebody's title."""


def find_meant(word: str, verbs: tuple[str, ...]) -> str | None:
    """The verb that is one edit away from a word."""
    if len(word) > LONGEST:
        return None
    near = _near(verbs)
    maybe = {verb for left in _with_a_letter_less(word) for verb in near.get(left, ())}
    return next((verb for verb in sorted(maybe) if is_one_edit_away(word, verb)), None)


@lru_cache(maxsize=4)
def _near(verbs: tuple[str, ...]) -> Mapping[str, list[str]]:
    """The verbs by themselves, and by what is left of each without one of its letters."""
    found: dict[str, list[str]] = {}
    for verb in filter(None, verbs):
        for left in _with_a_letter_less(verb):
            found.setdefault(left, []).append(verb)
    return found


def _with_a_letter_less(word: str) -> frozenset[str]:
    """The word, and what is left without each letter: two that are one edit apart share one of these."""
    return frozenset([word, *(word[:at] + word[at + 1 :] for at in range(len(word)))])
