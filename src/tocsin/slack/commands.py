"""The `/incident` command: the table of its verbs, and the parsing of the text after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from tocsin.incidents.validation import is_one_edit_away
from tocsin.slack.command_text import First, first_word, typed_word
from tocsin.slack.listeners import (
    close,
    export,
    fields,
    find,
    follow,
    followups,
    home,
    invite,
    nudges,
    page,
    roles,
    self_test,
    timeline,
    times,
    triage,
    update,
)
from tocsin.slack.listeners.verbs import DECLARE, CommandSpec, VerbSpec

COMMAND = "/incident"
COMMAND_DESCRIPTION = "Declare an incident, or manage one"
COMMAND_USAGE = "[what is wrong], update, close, list or help"

VERBS: dict[str, VerbSpec | CommandSpec] = {
    "": DECLARE,
    "triage": triage.TRIAGE,
    **{
        spec.verb: spec
        for spec in (
            update.UPDATE,
            update.STATUS,
            update.SEVERITY,
            roles.LEAD,
            roles.ROLES,
            roles.TAKE,
            invite.INVITE,
            invite.REMOVE,
            update.RENAME,
            update.SUMMARY,
            update.CALL,
            fields.FIELDS,
            times.TIME,
            timeline.NOTE,
            followups.ACTION,
            followups.FOLLOW_UP,
            nudges.SNOOZE,
            page.PAGE,
            close.CLOSE,
            close.REOPEN,
            triage.ACCEPT,
            close.DECLINE,
            close.MERGE,
            close.CANCEL,
            close.PRIVATE,
            follow.CATCH_UP,
            follow.FOLLOW,
            follow.UNFOLLOW,
            export.EXPORT,
            export.DOCUMENT,
            times.RETRO,
            find.LIST,
            find.FIND,
            find.SHOW,
            self_test.TEST,
            home.HELP,
        )
    },
}
"""All verbs by the first word after the command, in the order of `/incident help`."""

ALIASES = {"actions": "action", "followup": "follow-up", "follow-ups": "follow-up", "roles": "role"}
ALIASES |= dict.fromkeys(("postmortem", "post-mortem"), "document")
ALIASES |= {"catch-up": "catchup", "times": "time"}
"""Other words that people type for a verb; none of them begins a likely name of an incident."""

SPELLINGS = {**{word: word for word in VERBS if word}, **ALIASES}
"""Verbs by each of their spellings."""

LONGEST = 40
"""Most letters in a misspelled verb; a longer word is part of an incident's name."""


@dataclass(frozen=True)
class Typed:
    """The parsed text after the command: a verb and the rest of the text, or a name."""

    spec: VerbSpec | CommandSpec
    rest: str
    first: First | None = None
    """The first word as it was typed; None if the text is a name."""
    notice: str = ""
    """A question to show above the form if the person may have meant a verb."""


@lru_cache(maxsize=8)
def find_verb(text: str) -> Typed:
    """Parse the verb at the start of the text; without a known verb the text is a name.

    The last results are kept, since the name of the route and the listener both ask.
    """
    first = first_word(text, SPELLINGS)
    if first is not None:
        return Typed(VERBS[first.word], first.rest, first)
    meant = suggest_verb(typed_word(text), tuple(VERBS))
    notice = f"Did you mean `{COMMAND} {meant}`? Nothing is declared before you submit." if meant else ""
    return Typed(VERBS[""], text, notice=notice)


# Suggestion of a misspelled verb, found by an index whose speed does not depend on the number of verbs.


def suggest_verb(word: str, verbs: tuple[str, ...]) -> str | None:
    """Return the verb that is one edit away from a word; None if there is none."""
    if len(word) > LONGEST:
        return None
    near = _near(verbs)
    maybe = {verb for left in _with_a_letter_less(word) for verb in near.get(left, ())}
    return next((verb for verb in sorted(maybe) if is_one_edit_away(word, verb)), None)


@lru_cache(maxsize=4)
def _near(verbs: tuple[str, ...]) -> Mapping[str, list[str]]:
    """Return an index of the verbs: by the verb itself, and by the verb without each one of its letters."""
    found: dict[str, list[str]] = {}
    for verb in filter(None, verbs):
        for left in _with_a_letter_less(verb):
            found.setdefault(left, []).append(verb)
    return found


def _with_a_letter_less(word: str) -> frozenset[str]:
    """Return the word, and the word without each letter; two words one edit apart share one of these."""
    return frozenset([word, *(word[:at] + word[at + 1 :] for at in range(len(word)))])
