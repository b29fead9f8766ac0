"""Which incidents are wanted: each page is a walk along one index, as long as the page and no longer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlite_utils import Database

from tocsin.incidents.model import OPEN_CATEGORIES
from tocsin.incidents.requests import IncidentFilter

_NO_NUMBER = 1 << 62
_WORD = re.compile(r"\w+")
ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
REFERENCE = re.compile(r"(?:INC-)?([1-9][0-9]{0,14})", re.ASCII | re.IGNORECASE)

# An index for each way of asking (see schema.py), by what is asked for.
_INDEXES = {
    (): "incidents_listed",
    ("open",): "incidents_by_openness",
    ("open", "severity"): "incidents_by_openness_and_severity",
    ("severity",): "incidents_by_severity",
    ("status",): "incidents_by_status",
    ("status", "severity"): "incidents_by_status_and_severity",
}


def matching_numbers(db: Database, wanted: IncidentFilter, after: str | None, limit: int) -> list[int]:
    """The numbers of the incidents that are wanted, newest first, at most `limit`."""
    before = _NO_NUMBER
    if after is not None:
        row = db.execute("SELECT number FROM incidents WHERE id = ?", [after]).fetchone()
        if row is None:
            return []
        before = row[0]
    if _contradicts_itself(db, wanted):
        return []
    if wanted.reference:
        return _named(db, wanted)[:limit]
    found: set[int] = set()
    for query, parameters in _walks(wanted, before):
        found |= {row[0] for row in db.execute(f"{query} LIMIT ?", [*parameters, limit])}
    return sorted(found, reverse=True)[:limit]


def named_number(db: Database, reference: str) -> int:
    """The number that a reference, a number or an id stands for; 0 for none, which no incident has."""
    wanted = reference.strip()
    if number := REFERENCE.fullmatch(wanted):
        return int(number[1])
    if not ID.fullmatch(wanted):
        return 0
    row = db.execute("SELECT number FROM incidents WHERE id = ?", [wanted]).fetchone()
    return int(row[0]) if row is not None else 0


_ALONE = """SELECT i.number FROM incidents i INDEXED BY incidents_listed
    WHERE (i.visibility = 'public') = ? AND i.number = ?"""
_THEIR_OWN = """SELECT i.number FROM incident_people p CROSS JOIN incidents i ON i.number = p.number
    WHERE p.slack_user_id = ? AND p.is_public = 0 AND p.is_open IN (1, 0) AND p.number = ?"""


def _named(db: Database, wanted: IncidentFilter) -> list[int]:
    """The number of the one that goes by this reference, if it may be known of.

    One that may not takes the same queries, and as many steps, as one that is not there: the index has what
    is public apart from what is private, and a private one is looked for among what is somebody's own.
    """
    number, teams = named_number(db, wanted.reference), IncidentFilter(teams=wanted.teams)
    conditions, parameters = _conditions(teams)
    private = (_ALONE, 0) if wanted.visible_to is None else (_THEIR_OWN, wanted.visible_to)
    found: list[int] = []
    for query, first in ((_ALONE, 1), private):
        where = " AND ".join([query, *conditions])
        found += [row[0] for row in db.execute(f"{where} LIMIT 1", [first, number, *parameters])]
    return found


def _contradicts_itself(db: Database, wanted: IncidentFilter) -> bool:
    """A closed incident in an open status, or words without a letter: nobody need look."""
    if wanted.text.strip() and not _WORD.search(wanted.text):
        return True
    if wanted.incident_status_id is None or wanted.is_open is None:
        return False
    asked = "SELECT category FROM incident_statuses WHERE id = ?"
    row = db.execute(asked, [wanted.incident_status_id]).fetchone()
    return row is None or (row[0] in OPEN_CATEGORIES) != wanted.is_open


def _walks(wanted: IncidentFilter, before: int) -> Iterator[tuple[str, list[Any]]]:
    """One query for the public incidents, and one for the private ones that may be known of."""
    if wanted.text.strip() and wanted.visible_to is None and wanted.involving is None:
        yield _among_words(wanted, before)
        return
    for public in (1, 0):
        if not public and wanted.visible_to is not None:
            yield from _among_their_own(wanted, wanted.visible_to, public, before)
        elif wanted.involving is not None:
            yield from _among_their_own(wanted, wanted.involving, public, before)
        else:
            yield _among_all(wanted, public, before)


def _among_words(wanted: IncidentFilter, before: int, *more: str) -> tuple[str, list[Any]]:
    """Along the incidents that have all the words, as far as it takes to find those that fit."""
    conditions, parameters = _conditions(wanted)
    start = "SELECT w.rowid FROM incident_words w CROSS JOIN incidents i ON i.number = w.rowid"
    where = ["incident_words MATCH ?", "w.rowid < ?", *more, *conditions]
    given = [_words(wanted.text), before, *parameters]
    return f"{start} WHERE {' AND '.join(where)} ORDER BY w.rowid DESC", given


def _among_all(wanted: IncidentFilter, public: int, before: int) -> tuple[str, list[Any]]:
    if wanted.text.strip():
        return _among_words(wanted, before, f"(i.visibility = 'public') = {public}")
    conditions, parameters = _conditions(wanted)
    where = ["(i.visibility = 'public') = ?", *conditions, "i.number < ?"]
    start = f"SELECT i.number FROM incidents i INDEXED BY {_INDEXES[_asked(wanted)]}"
    return f"{start} WHERE {' AND '.join(where)} ORDER BY i.number DESC", [public, *parameters, before]


def _among_their_own(
    wanted: IncidentFilter, person: str, public: int, before: int
) -> Iterator[tuple[str, list[Any]]]:
    """Along what one person has to do with: a walk each for what is open and what is not."""
    conditions, parameters = _conditions(wanted)
    also = wanted.involving
    if also is not None and also != person:
        conditions.append(
            "EXISTS (SELECT 1 FROM incident_people q WHERE q.slack_user_id = ?"
            " AND q.is_public = p.is_public AND q.is_open = p.is_open AND q.number = p.number)"
        )
        parameters.append(also)
    if wanted.text.strip():
        conditions.append("p.number IN (SELECT rowid FROM incident_words WHERE incident_words MATCH ?)")
        parameters.append(_words(wanted.text))
    where = ["p.slack_user_id = ?", "p.is_public = ?", "p.is_open = ?", "p.number < ?"]
    start = "SELECT DISTINCT p.number FROM incident_people p CROSS JOIN incidents i ON i.number = p.number"
    for is_open in (1, 0) if wanted.is_open is None else (int(wanted.is_open),):
        query = f"{start} WHERE {' AND '.join([*where, *conditions])} ORDER BY p.number DESC"
        yield query, [person, public, is_open, before, *parameters]


def _asked(wanted: IncidentFilter) -> tuple[str, ...]:
    """What is asked for by index; a status says by itself whether its incidents are open."""
    first = ("status",) if wanted.incident_status_id is not None else ("open",) * (wanted.is_open is not None)
    return (*first, *(("severity",) * (wanted.severity_id is not None)))


def _conditions(wanted: IncidentFilter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    parameters: list[Any] = []
    if wanted.is_open is not None and wanted.incident_status_id is None:
        conditions.append("(i.closed_at IS NULL) = ?")
        parameters.append(int(wanted.is_open))
    for column, value in (
        ("incident_status_id", wanted.incident_status_id),
        ("severity_id", wanted.severity_id),
    ):
        if value is not None:
            conditions.append(f"i.{column} = ?")
            parameters.append(value)
    if wanted.teams is not None:
        conditions.append(f"i.slack_team_id IN ({marks(tuple(wanted.teams))})")
        parameters += sorted(wanted.teams)
    return conditions, parameters


def _words(text: str) -> str:
    """Every word, or what begins with it, in SQLite's own words (FTS5, 3.1 to 3.3)."""
    return " AND ".join(f'"{word}"*' for word in _WORD.findall(text))


def marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
