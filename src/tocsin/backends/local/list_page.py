"""Pages of the list of incidents that people read, with any filters together, each at a bounded cost.

Public incidents are walked through along the indexes of all; private ones too if all may be seen, and else
along those of the viewer alone. Filters for which there is no index are applied to the rows on the way, of
which a page looks at so many at most, as `listing.py` does it for the API.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.backends.local.connection import WORD, Query, SqlConnection
from tocsin.backends.local.listing import LOOKED_AT, NEAR, UNKNOWN_CURSOR, Among, of_answers
from tocsin.backends.local.queries import (
    BY_NUMBERS,
    ID,
    marks,
    matching_numbers,
    readable,
    unknown_statuses,
    written,
)
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Incident, Status
from tocsin.incidents.requests import NOBODY, IncidentFilter, IncidentQuery, ListedIncidents

GRAIN = 100
"""A page that was cut ends at a multiple of this number, so that its cursor names no incident."""

FIRST_SPAN, WIDER = 4_096, 4
"""Numbers among which words are looked for first, and how many times as many come after them."""

NAMESAKES = 5
"""Most people whose names begin alike and who are looked for together."""

_NUMBER = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
_PERSON = re.compile(r"<?@?([UW][A-Z0-9]{2,31})>?", re.ASCII)
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True)
class PageOfNumbers:
    """Numbers of the incidents on a page in its order, the cursor of the next one, and if it was cut."""

    numbers: Sequence[int] = ()
    after: str | None = None
    is_cut: bool = False


@dataclass(frozen=True)
class _Asked:
    """A query with its values looked up. `statuses` and `people` are None if any will do."""

    wanted: IncidentQuery
    start: int | None
    statuses: tuple[str, ...] | None
    is_open: tuple[int, ...]
    people: tuple[str, ...] | None
    unknown: frozenset[str] = frozenset()
    """Those among the statuses that are not there: the one that is asked for, or those of public incidents,
    and of private ones if all of them may be seen."""
    known: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """True if only closed incidents are wanted."""
        return self.is_open == (0,)

    @property
    def may_be_over(self) -> bool:
        """True if there may be very many: closed ones, or all of them."""
        return self.statuses is None or self.is_over


@dataclass(frozen=True)
class _Walk:
    """A way along one index, newest or oldest first, and the conditions on the way and beside it."""

    source: str
    """Table that the way goes along."""
    joined: str
    """The same with the incidents, for what is beside the way."""
    number: str
    along: Sequence[Query]
    beside: Sequence[Query]


_Found = tuple[set[int], int | None]
"""Numbers, and the last number that was looked at if a walk had to stop there."""


def read_list_page(
    db: SqlConnection, wanted: IncidentQuery, read: Callable[[str, Sequence[Any]], list[Incident]]
) -> ListedIncidents:
    """Return a page; `read` returns the incidents of a query of `queries.py`. Raises Refused for a cursor."""
    page = page_numbers(db, wanted)
    query = BY_NUMBERS.format(marks=marks(page.numbers))
    found = read(query, page.numbers) if page.numbers else []
    in_order = tuple(reversed(found) if wanted.oldest_first else found)
    return ListedIncidents(incidents=in_order, after=page.after, is_cut=page.is_cut)


def page_numbers(db: SqlConnection, wanted: IncidentQuery) -> PageOfNumbers:
    """Return the numbers of a page. Raises Refused for an unknown cursor."""
    asked = _asked(db, wanted)
    if asked is None:
        return PageOfNumbers()
    found: set[int] = set()
    ends: list[int] = []
    for numbers, end in _walked(db, asked):
        found |= numbers
        ends += [] if end is None else [end]
    page = sorted(found, reverse=not wanted.oldest_first)
    stop = None
    if ends:
        # Behind the first place where a walk stopped, incidents may be missing.
        stop = _rounded(min(ends) if wanted.oldest_first else max(ends), asked)
        page = [one for one in page if (one <= stop if wanted.oldest_first else one >= stop)]
    if len(page) > wanted.limit:
        page = page[: wanted.limit]
        row = db.execute("SELECT id FROM incidents WHERE number = ?", [page[-1]]).fetchone()
        return PageOfNumbers(page, str(row[0]) if row else str(page[-1]))
    return PageOfNumbers(page, None if stop is None else str(stop), stop is not None)


def _rounded(end: int, asked: _Asked) -> int:
    """Return a round number near the end, on the side that was looked at."""
    if asked.wanted.oldest_first:
        near = end // GRAIN * GRAIN
        return near if near > (asked.start or 0) else end
    near = -(-end // GRAIN) * GRAIN
    return near if asked.start is None or near < asked.start else end


def _asked(db: SqlConnection, wanted: IncidentQuery) -> _Asked | None:
    """Look up what the query names. Returns None if nothing can match."""
    if wanted.text.strip() and not WORD.search(wanted.text):
        return None
    start = _start(db, wanted)
    rows = db.query("SELECT id, name, category FROM incident_statuses WHERE id >= ''")
    known = {status.id: status for status in (Status(**readable(row)) for row in rows)}
    statuses, unknown, both = None, frozenset[str](), [1, 0]
    if wanted.group is not None or wanted.incident_status_id is not None:
        if wanted.incident_status_id is None:
            chosen = sorted(known)
            unknown = frozenset(unknown_statuses(db, (1, 0) if wanted.visible_to is None else (1,)))
        else:
            chosen = [wanted.incident_status_id]
            unknown = frozenset(chosen) - known.keys()
        fitting = [one for one in chosen if one in known and wanted.group in (None, known[one].group)]
        # An incident whose status is not there is open or closed by itself, and never in triage.
        statuses = (*fitting, *(sorted(unknown) if wanted.group != "triage" else ()))
        both = sorted({int(known[one].is_open) for one in fitting} | ({1, 0} if unknown else set()))
        both = both if wanted.group is None else [int(wanted.group != "closed")]
    people = _people(db, wanted.person)
    if statuses == () or people == ():
        return None
    return _Asked(wanted, start, statuses, tuple(both), people, unknown, tuple(sorted(known)))


def _start(db: SqlConnection, wanted: IncidentQuery) -> int | None:
    """Return the number that the cursor stands for; what may not be seen is as unknown as what is not there.

    Raises Refused for an unknown cursor.
    """
    after = wanted.after
    if after is None:
        return None
    if _NUMBER.fullmatch(after):
        return int(after)
    if ID.fullmatch(after):
        named = IncidentFilter(reference=after, visible_to=wanted.visible_to, teams=wanted.teams)
        if found := matching_numbers(db, named, None, 1):
            return found[0]
    raise Refused(UNKNOWN_CURSOR, {"after": UNKNOWN_CURSOR})


def _people(db: SqlConnection, person: str) -> tuple[str, ...] | None:
    """Return the ids of the people who are meant; None if no person is.

    Names are those of all people, so an unknown name is answered as one without an incident is.
    """
    said = " ".join(person.split())
    if not said:
        return None
    if known := _PERSON.fullmatch(said):
        return (known[1],)
    begins = said.removeprefix("@").translate(_SMALL)
    asked = (
        "SELECT slack_user_id FROM people WHERE lower(name) >= ? AND lower(name) < ?"
        " ORDER BY lower(name) LIMIT ?"
    )
    rows = db.execute(asked, [begins, f"{begins}\U0010ffff", NAMESAKES]).fetchall()
    return tuple(sorted({row[0] for row in rows}))


# Walks: one or more over what is public, and one or more over what is private and may be seen.


def _walked(db: SqlConnection, asked: _Asked) -> Iterator[_Found]:
    wanted = asked.wanted
    has_words = bool(wanted.text.strip()) and not wanted.oldest_first and asked.people is None
    if has_words and wanted.visible_to is None and asked.may_be_over:
        yield _searched(db, asked, None)
        return
    for public in (1, 0):
        if not public and wanted.visible_to is not None:
            if wanted.visible_to != NOBODY:
                yield from _along(db, asked, _of_person(db, asked, wanted.visible_to, public))
        elif asked.people is not None:
            for person in asked.people:
                yield from _along(db, asked, _of_person(db, asked, person, public))
        elif has_words and asked.may_be_over:
            yield _searched(db, asked, public)
        else:
            yield from _along(db, asked, _of_all(db, asked, public))


def _of_all(db: SqlConnection, asked: _Asked, public: int) -> Iterator[_Walk]:
    """Yield walks along the indexes of all incidents: of each status, of what is closed, or of everything."""
    wanted, seen = asked.wanted, (f"{db.is_public} = ?", [public])
    severity = wanted.severity_id
    index, ways = "incidents_listed", list[Query]()
    if wanted.group == "closed" and wanted.incident_status_id is None:
        index, ways = "incidents_by_openness", [(f"{db.is_open} = ?", [0])]
    elif asked.statuses is not None:
        index = "incidents_by_status"
        ways = [("i.incident_status_id = ?", [status]) for status in asked.statuses]
    if severity is not None:
        index = "incidents_by_severity" if not ways else f"{index}_and_severity"
    of_severity = [("i.severity_id = ?", [severity])] if severity is not None else []
    source = f"incidents i{db.indexed_by(index)}"
    beside = [*_columns(wanted), *_far(db, asked)]
    for way in ways or [("TRUE", [])]:
        along = [seen, *([way] if ways else []), *of_severity]
        is_open = asked.is_open if asked.unknown.intersection(way[1]) else (1, 0)
        own = [(f"{db.is_open} = ?", list(is_open))] if len(is_open) == 1 else []
        yield _Walk(source, source, "i.number", along, [*beside, *own])


def _of_person(db: SqlConnection, asked: _Asked, person: str, public: int) -> Iterator[_Walk]:
    """Yield walks along one person's incidents, open ones and closed ones."""
    wanted = asked.wanted
    beside = [*_not_other_statuses(asked), *_severity(wanted), *_columns(wanted), *_far(db, asked)]
    part: list[Query] = []
    if asked.people is not None:
        if person in asked.people and wanted.role_id is not None and len(asked.people) == 1:
            part = [("p.part = ?", [wanted.role_id])]
        elif asked.people != (person,):
            beside.append(_involved(asked.people, wanted.role_id))
    source = "incident_people p"
    joined = f"{source} {db.join_in_order} incidents i ON i.number = p.number"
    for is_open in asked.is_open:
        whose = "p.slack_user_id = ? AND p.is_public = ? AND p.is_open = ?"
        yield _Walk(source, joined, "p.number", [(whose, [person, public, is_open])], [*part, *beside])


def _involved(people: Sequence[str], role_id: str | None) -> Query:
    role = "" if role_id is None else " AND q.part = ?"
    found = (
        "SELECT 1 FROM incident_people q WHERE q.number = i.number"
        f" AND q.slack_user_id IN ({marks(people)}){role}"
    )
    return f"EXISTS ({found})", [*people, *([] if role_id is None else [role_id])]


def _statuses(asked: _Asked) -> list[Query]:
    if asked.statuses is None:
        return []
    return [(f"i.incident_status_id IN ({marks(asked.statuses)})", list(asked.statuses))]


def _not_other_statuses(asked: _Asked) -> list[Query]:
    """Return the condition on the status of a person's own incidents, one that is not there among them."""
    wanted = asked.wanted
    if wanted.incident_status_id is not None or wanted.group in {None, "triage"}:
        return _statuses(asked)
    others = [one for one in asked.known if one not in (asked.statuses or ())]
    return [(f"i.incident_status_id NOT IN ({marks(others)})", others)] if others else []


def _severity(wanted: IncidentQuery) -> list[Query]:
    return [] if wanted.severity_id is None else [("i.severity_id = ?", [wanted.severity_id])]


def _columns(wanted: IncidentQuery) -> list[Query]:
    """Return the conditions on columns for which there is no index."""
    found: list[Query] = []
    if wanted.incident_type_id is not None:
        found.append(("i.incident_type_id = ?", [wanted.incident_type_id]))
    if wanted.created_from is not None:
        found.append(("i.created_at >= ?", [written(wanted.created_from)]))
    if wanted.created_before is not None:
        found.append(("i.created_at < ?", [written(wanted.created_before)]))
    if wanted.teams is not None:
        found.append((f"i.slack_team_id IN ({marks(tuple(wanted.teams))})", sorted(wanted.teams)))
    return found


def _far(db: SqlConnection, asked: _Asked) -> list[Query]:
    """Return the conditions on what other tables say."""
    words = [db.contains_words(asked.wanted.text)] if asked.wanted.text.strip() else []
    return [*_answers(asked.wanted), *words]


def _answers(wanted: IncidentQuery) -> list[Query]:
    given = wanted.custom_field_entries.items()
    return [part for id, value in given for part in of_answers(id, Among(one_of=frozenset([value])))]


def _joined(conditions: Sequence[Query]) -> tuple[str, list[Any]]:
    said = " AND ".join(said for said, _ in conditions) or "TRUE"
    return said, [value for _, values in conditions for value in values]


def _along(db: SqlConnection, asked: _Asked, walks: Iterator[_Walk]) -> Iterator[_Found]:
    for walk in walks:
        yield _one_walk(db, asked, walk)


def _one_walk(db: SqlConnection, asked: _Asked, walk: _Walk) -> _Found:
    """Look along the way, at a few rows first and then at more and more, until the page is full."""
    limit, oldest_first = asked.wanted.limit, asked.wanted.oldest_first
    before, until, order = (">", "<=", "ASC") if oldest_first else ("<", ">=", "DESC")
    in_order = f"ORDER BY {walk.number} {order} LIMIT ?"
    each = "DISTINCT " * (walk.source != walk.joined)
    found: set[int] = set()
    place, looked, more = asked.start, 0, NEAR * (limit + 1)
    while True:
        along = [*walk.along, *([] if place is None else [(f"{walk.number} {before} ?", [place])])]
        reached: list[int] = []
        if walk.beside:
            more = min(more, LOOKED_AT - looked)
            way, parameters = _joined(along)
            probe = f"SELECT {walk.number} FROM {walk.source} WHERE {way} {in_order} OFFSET ?"
            row = db.execute(probe, [*parameters, 1, more - 1]).fetchone()
            reached = [] if row is None else [int(row[0])]
        bound = [(f"{walk.number} {until} ?", reached)] if reached else []
        where, values = _joined([*along, *bound, *walk.beside])
        query = f"SELECT {each}{walk.number} FROM {walk.joined} WHERE {where} {in_order}"
        found |= {row[0] for row in db.execute(query, [*values, limit + 1 - len(found)])}
        if len(found) > limit or not reached:
            return found, None
        looked, place = looked + more, reached[0]
        if looked >= LOOKED_AT:
            return found, place
        more *= NEAR


def _searched(db: SqlConnection, asked: _Asked, public: int | None) -> _Found:
    """Return the newest incidents with these words.

    With other filters too, they are looked for in one span of numbers after the other until so many have the
    words as a page looks at. Which these are depends on what is as visible alone.
    """
    wanted = asked.wanted
    seen = [] if public is None else [(f"{db.is_public} = ?", [public])]
    beside = [*_severity(wanted), *_columns(wanted), *_answers(wanted)]
    if wanted.incident_status_id is not None:
        beside += _statuses(asked)
    where, values = _joined([*seen, *([(f"{db.is_open} = ?", [0])] if asked.is_over else []), *beside])
    below = asked.start
    if below is None:
        below = db.execute("SELECT COALESCE(MAX(number), 0) FROM incidents").fetchone()[0] + 1
    found: set[int] = set()
    size, looked = FIRST_SPAN, 0
    while below > 0:
        floor = max(below - size, 0) if beside else 0
        for query, given in db.word_searches(wanted.text, below, public, (), floor):
            asking = f"{query.format(conditions=f' AND {where}')} LIMIT ?"
            found |= {row[0] for row in db.execute(asking, [*given, *values, wanted.limit + 1 - len(found)])}
            if len(found) > wanted.limit:
                return found, None
        if not floor:
            break
        looked += _count(db, wanted.text, (below, floor), public, LOOKED_AT - looked)
        if looked >= LOOKED_AT:
            return found, floor
        below, size = floor, size * WIDER
    return found, None


def _count(db: SqlConnection, text: str, span: tuple[int, int], public: int | None, most: int) -> int:
    """Return how many incidents of a span have the words, up to `most` for each search."""
    total, seen = 0, "" if public is None else f" AND {db.is_public} = {public}"
    for query, given in db.word_searches(text, span[0], public, (), span[1]):
        counted = f"{query.format(conditions=seen)} LIMIT ?"
        rows = db.execute(f"SELECT COUNT(*) FROM ({counted}) counted", [*given, most])
        total += int(rows.fetchone()[0])
    return total
