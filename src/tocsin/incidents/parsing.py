"""Matching of what people type to severities, statuses, roles and people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import (
    CustomField,
    Form,
    IncidentTimestamp,
    IncidentType,
    PersonId,
    Role,
    Severity,
    Status,
)
from tocsin.incidents.paging import PageTarget
from tocsin.incidents.requests import IncidentFilter
from tocsin.incidents.validation import clean_text, join_names

# Words as people type and paste them: with any white space, any kind of dash, and punctuation around them.

_DASHES = frozenset("\u2212\u02d7\u207b\u208b\u2796\u30fc\uff70\u2500")
"""Characters that people use as a dash though Unicode does not class them as one (Pd): minus signs."""

_BREAKS = frozenset("\n\r\v\f\x85\u2028\u2029")
_ZERO_WIDTH_SPACES = frozenset("\u200b\u2060\ufeff\u180e")
NOTHING = "\0"
"""Replacement that `fold` puts for a character that has no width."""

WORD = re.compile(rf"[^\s{NOTHING}]\S*")
_LONE_SEPARATOR = re.compile(r"[ \0]*(?:[-:;,.|=>\u2192\u2026]+(?=\s|$))?[\s\0]*")


def these(words: str) -> frozenset[str]:
    """Split a list of words that is written as one string."""
    return frozenset(words.split())


def fold(text: str) -> str:
    """Lower-case the text character by character, with normal width and one kind of dash and space.

    The result is as long as the text, so that positions found in it hold for the text. Line breaks stay line
    breaks.
    """
    if text.isascii() and text.isprintable():
        return text.lower()
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
    """Fold a word and strip the marks around it: `“Fixing”.` becomes `fixing`; marks alone stay."""
    plain = fold(word).replace(NOTHING, "")
    outer = [at for at, character in enumerate(plain) if character.isalnum()]
    return plain[outer[0] : outer[-1] + 1] if outer else plain


def spans(text: str) -> list[tuple[int, int]]:
    """Return the start and end of each word."""
    return [found.span() for found in WORD.finditer(fold(text))]


def after(text: str, end: int) -> str:
    """Return the text after position `end`, without leading space and a dash or colon that stands alone."""
    lone = _LONE_SEPARATOR.match(fold(text), end)
    return trimmed(text[lone.end() if lone else end :])


def trimmed(text: str) -> str:
    """Strip white space from both ends, including zero-width spaces."""
    words = spans(text)
    return text[words[0][0] : words[-1][1]] if words else ""


# Matching of a typed severity, status or role: its name in any case, or the beginning of its name.


Choice = Severity | Status | Role | IncidentType | CustomField | IncidentTimestamp | PageTarget
"""Anything that people choose by typing its name."""

N = TypeVar("N", bound=Choice)
SHORTEST_BEFORE_MORE = 3
"""Fewest letters of an abbreviated name if more words follow: `in the EU` is not *Investigating*."""


def match_prefix(
    text: str, things: Sequence[N], what: str, also: Callable[[N], Iterable[str]] | None = None
) -> tuple[N, str]:
    """Return the thing whose name begins the text, and the rest of the text.

    A whole name takes precedence over the beginning of one, and a longer name over a shorter one. Quotes,
    bold marks and punctuation around a word are ignored.

    Raises Refused, listing all names, if the text matches none of them or several.
    """
    words = spans(text)
    typed = [bare(text[start:end]) for start, end in words]
    spelt = {thing.id: _spelt(thing, also) for thing in things}
    longest = max((len(spelling.split()) for names in spelt.values() for spelling in names), default=0)
    for match in (_is_whole, _is_beginning):
        for count in range(min(len(words), longest), 0, -1):
            said = " ".join(typed[:count])
            if match is _is_beginning and count < len(words) and len(said) < SHORTEST_BEFORE_MORE:
                continue
            found = [thing for thing in things if match(said, spelt[thing.id])]
            if len(found) == 1:
                return found[0], after(text, words[count - 1][1])
    raise Refused(f"There is no {what} “{' '.join(clean_text(text).split())}”. {list_choices(things)}")


def list_choices(things: Sequence[Choice]) -> str:
    """Return a sentence that lists the names: `There are Minor, Major and Critical.`"""
    names = [thing.name for thing in things]
    if not names:
        return "There are none here."
    return f"There {'is' if len(names) == 1 else 'are'} {join_names(names)}."


def match_options(text: str, field: CustomField) -> tuple[str, ...]:
    """Return the ids of the options that a text names: one, or several if the field takes several.

    Raises Refused, listing the options, if a part of the text names none of them or several.
    """
    parts = [text]
    if field.field_type == "multi_select" and not _options_called(text, field):
        parts = [part for part in _SEVERAL.split(text) if part.strip()]
    found = []
    for part in parts:
        options = _options_called(part, field)
        if len(options) != 1:
            there = join_names((option.value for option in field.options[:MOST_LISTED]), last="or")
            typed = " ".join(clean_text(part).split())
            raise Refused(f"{field.name} has no choice “{typed}”. Choose {there}.")
        found.append(options[0])
    return tuple(dict.fromkeys(found))


MOST_LISTED = 20
_SEVERAL = re.compile(r"[,;\n]|\s(?:and|&)\s")


def _options_called(text: str, field: CustomField) -> list[str]:
    """Return the options with this name, else those whose name begins with it."""
    typed = fold_name(text)
    names = {option.id: fold_name(option.value) for option in field.options}
    whole = [option_id for option_id, name in names.items() if typed in (name, fold_name(option_id))]
    return whole or [option_id for option_id, name in names.items() if typed and name.startswith(typed)]


def role_spellings(role: Role) -> tuple[str, ...]:
    """Return the other names of a role: its short form, and `lead` for the lead."""
    return tuple(filter(None, [role.shortform, "lead" if role.role_type == "lead" else ""]))


def _spelt(thing: N, also: Callable[[N], Iterable[str]] | None) -> list[str]:
    more = also(thing) if also else ()
    return [" ".join(map(bare, spelling.split())) for spelling in (thing.name, thing.id, *more)]


def _is_whole(typed: str, spellings: list[str]) -> bool:
    return typed in spellings


def _is_beginning(typed: str, spellings: list[str]) -> bool:
    return spellings[0].startswith(typed)


_AROUND = "\"'“”‘’«»‹›„()[]{}*_~`.,;:!?"
"""Characters that may surround a name in a sentence without being part of it."""


def fold_name(name: str) -> str:
    """Normalise a name for comparison: without case, width, outer punctuation, and a leading @."""
    even = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", clean_text(name)).casefold())
    return " ".join(even.split()).strip(f"{_AROUND} ").removeprefix("@").strip(f"{_AROUND} ")


def people_called(text: str, names: Mapping[PersonId, Collection[str]]) -> list[PersonId]:
    """Return the people who have this exact name.

    `names` maps each person to their names, each as `folded_name` returns it.
    """
    wanted = fold_name(text)
    return [who for who, known in names.items() if wanted in known]


def parse_filter(text: str, form: Form, person: PersonId | None) -> tuple[IncidentFilter, str, str]:
    """Parse the words after `list` into a filter, a title, and a sentence about the words not understood.

    Understood are `open`, `closed`, `all`, `mine`, and the names of severities and statuses, in any order.
    """
    wanted: dict[str, Any] = {"is_open": True, "visible_to": person}
    titles: list[str] = []
    unknown: list[str] = []
    words = trimmed(clean_text(text))
    while words:
        first, rest = _first(words)
        match bare(first):
            case "open" | "closed" as state:
                wanted["is_open"] = state == "open"
            case "all":
                wanted["is_open"] = None
            case "mine" | "my":
                wanted["involving"] = person
                titles.append("yours")
            case _:
                rest, title, asked = _asked(words, form)
                wanted |= asked
                (titles if asked else unknown).append(title)
        words = rest
    stands = {True: "Open", False: "Closed", None: "All"}[wanted["is_open"]]
    said = f"Left out, because Tocsin does not know it: {join_names(unknown)}." if unknown else ""
    return (
        IncidentFilter(**wanted),
        ": ".join(filter(None, [f"{stands} incidents", join_names(titles)])),
        said,
    )


def _asked(words: str, form: Form) -> tuple[str, str, dict[str, Any]]:
    """Parse a severity or status at the beginning of `words`: return the rest, its name, and filter fields.

    Returns the first word, quoted, and no filter fields if it is neither.
    """
    try:
        severity, rest = match_prefix(words, form.severities, "severity")
    except Refused:
        pass
    else:
        return rest, severity.name, {"severity_id": severity.id}
    try:
        status, rest = match_prefix(words, form.statuses, "status")
    except Refused:
        first, rest = _first(words)
        return rest, f"“{first}”", {}
    return rest, status.name, {"incident_status_id": status.id, "is_open": status.is_open}


def _first(text: str) -> tuple[str, str]:
    (start, end), *_ = spans(text)
    return text[start:end], after(text, end)
