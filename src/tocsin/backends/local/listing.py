"""Pages of incidents by the filters of incident.io's list, each at a bounded cost.

A page walks along an index. Filters for which there is none are applied to the rows on the way, of which a
page looks at so many at most: then it is short, and its cursor says where to go on (incident.io, Pagination:
the last page is the one without a cursor).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.queries import marks
from tocsin.incidents.errors import Refused

LOOKED_AT = 5_000
"""Most rows that a page looks at along one index."""

NEAR = 4
"""So many times the size of a page are looked at first."""

STANDARD = frozenset({"standard", "retrospective"})
"""Modes that a list has unless others are asked for (incident.io, Incidents V2, List)."""

UNKNOWN_CURSOR = "There is nothing with this id to go on after."


@dataclass(frozen=True)
class Among:
    """Values that are wanted, or all but these; `is_blank` asks for none or for any."""

    one_of: frozenset[str] | None = None
    not_in: frozenset[str] = frozenset()
    is_blank: bool | None = None


@dataclass(frozen=True)
class IncidentListing:
    """Filters, order and place of a page. What is None matches every incident."""

    sees_private: bool
    statuses: frozenset[str] | None = None
    severities: frozenset[str] | None = None
    modes: frozenset[str] = STANDARD
    types: Among = Among()
    created: tuple[str, str] = ("", "")
    """Earliest and latest time, as rows have it; "" for no limit."""
    updated: tuple[str, str] = ("", "")
    fields: Mapping[str, Among] = field(default_factory=dict)
    """Options or texts by custom field."""
    roles: Mapping[str, Among] = field(default_factory=dict)
    """People by role."""
    oldest_first: bool = False
    after: str | None = None
    limit: int = 25


@dataclass(frozen=True)
class Listed:
    """Numbers of the incidents on a page, and the cursor of the next one."""

    numbers: list[int]
    after: str | None


@dataclass(frozen=True)
class _Walk:
    """A way along one index, and the conditions on it."""

    index: str
    conditions: tuple[str, ...]
    parameters: tuple[Any, ...]


def listed_numbers(db: SqlConnection, wanted: IncidentListing) -> Listed:
    """Return the numbers of a page. Raises Refused for an unknown cursor."""
    start = _start(db, wanted)
    found: set[int] = set()
    ends: list[int] = []
    """Numbers up to which a walk has looked that looked at as many rows as it may."""
    for walk in _walks(db, wanted):
        numbers, end = _walked(db, wanted, walk, start)
        found |= set(numbers)
        ends += [] if end is None else [end]
    numbers = sorted(found, reverse=not wanted.oldest_first)
    if len(numbers) <= wanted.limit and not ends:
        return Listed(numbers, None)
    last = None
    if ends:
        # Behind the first place where a walk stopped, incidents may be missing.
        last = min(ends) if wanted.oldest_first else max(ends)
        numbers = [one for one in numbers if (one <= last if wanted.oldest_first else one >= last)]
    if len(numbers) > wanted.limit:
        numbers = numbers[: wanted.limit]
        last = numbers[-1]
    row = db.execute("SELECT id FROM incidents WHERE number = ?", [last]).fetchone()
    return Listed(numbers, str(row[0]) if row else None)


def count_up_to(db: SqlConnection, wanted: IncidentListing, most: int) -> int | None:
    """Return the number of all matches; None if there are more, or if only a look at too many would tell."""
    walks = list(_walks(db, wanted))
    if _has_far_filters(wanted) and _counted(db, [(walk, "1 = 1", []) for walk in walks], LOOKED_AT) is None:
        return None
    among, values = _filters(wanted)
    return _counted(db, [(walk, among, values) for walk in walks], most)


def _counted(db: SqlConnection, walks: Sequence[tuple[_Walk, str, list[Any]]], most: int) -> int | None:
    """Return the number of rows of all walks that meet a further condition; None if there are more."""
    total = 0
    for walk, among, values in walks:
        where = " AND ".join([*walk.conditions, among])
        counted = (
            f"SELECT COUNT(*) FROM (SELECT 1 FROM incidents i{db.indexed_by(walk.index)}"
            f" WHERE {where} LIMIT ?) counted"
        )
        given = [*walk.parameters, *values, most + 1 - total]
        total += db.execute(counted, given).fetchone()[0]
        if total > most:
            return None
    return total


def _start(db: SqlConnection, wanted: IncidentListing) -> int | None:
    """Return the number of the cursor's incident; what may not be seen is as unknown as what is not there."""
    if wanted.after is None:
        return None
    visible = "" if wanted.sees_private else f" AND {db.is_public} = 1"
    asked = f"SELECT i.number FROM incidents i WHERE i.id = ?{visible}"
    row = db.execute(asked, [wanted.after]).fetchone()
    if row is None:
        raise Refused(UNKNOWN_CURSOR, {"after": UNKNOWN_CURSOR})
    return int(row[0])


def _walks(db: SqlConnection, wanted: IncidentListing) -> Iterator[_Walk]:
    """Yield a walk for each visibility, and each status or severity that is wanted."""
    if wanted.severities is not None and not wanted.severities:
        return
    for public in (1, 0) if wanted.sees_private else (1,):
        seen = f"{db.is_public} = ?"
        if wanted.statuses is not None:
            for status in sorted(wanted.statuses):
                yield _Walk("incidents_by_status", (seen, "i.incident_status_id = ?"), (public, status))
        elif wanted.severities is not None:
            for severity in sorted(wanted.severities):
                yield _Walk("incidents_by_severity", (seen, "i.severity_id = ?"), (public, severity))
        else:
            yield _Walk("incidents_listed", (seen,), (public,))


def _walked(
    db: SqlConnection, wanted: IncidentListing, walk: _Walk, start: int | None
) -> tuple[list[int], int | None]:
    """Return numbers of one walk, and the last number it looked at if it had to stop there."""
    before, until, order = (">", "<=", "ASC") if wanted.oldest_first else ("<", ">=", "DESC")
    conditions, parameters = list(walk.conditions), list(walk.parameters)
    if start is not None:
        conditions.append(f"i.number {before} ?")
        parameters.append(start)
    rows = f"SELECT i.number FROM incidents i{db.indexed_by(walk.index)} WHERE {{}} ORDER BY i.number {order}"
    among, values = _filters(wanted)
    # Most pages are full after a few rows, so that the far end need not be found.
    for looked_at in (NEAR * (wanted.limit + 1), LOOKED_AT):
        end = f"{rows.format(' AND '.join(conditions))} LIMIT 1 OFFSET {looked_at - 1}"
        row = db.execute(end, parameters).fetchone()
        reached = [] if row is None else [int(row[0])]
        bounded = [*conditions, *([f"i.number {until} ?"] if reached else []), among]
        query = f"{rows.format(' AND '.join(bounded))} LIMIT ?"
        given = [*parameters, *reached, *values, wanted.limit + 1]
        found = [one[0] for one in db.execute(query, given)]
        if len(found) > wanted.limit or not reached:
            return found, None
    return found, reached[0]


def _has_far_filters(wanted: IncidentListing) -> bool:
    """True if a filter is on what few incidents may have, so that counting looks at many for nothing."""
    blank = IncidentListing(sees_private=True)
    names = ("types", "created", "updated", "fields", "roles")
    return wanted.modes != STANDARD or any(getattr(wanted, name) != getattr(blank, name) for name in names)


def _filters(wanted: IncidentListing) -> tuple[str, list[Any]]:
    """Return the condition of everything that no index is walked for."""
    conditions, values = [f"i.mode IN ({marks(tuple(wanted.modes))})"], list[Any](sorted(wanted.modes))
    if wanted.statuses is not None and wanted.severities is not None:
        conditions.append(f"i.severity_id IN ({marks(tuple(wanted.severities))})")
        values += sorted(wanted.severities)
    for column, (earliest, latest) in (("created_at", wanted.created), ("updated_at", wanted.updated)):
        for sign, limit in ((">=", earliest), ("<=", latest)):
            if limit:
                conditions.append(f"i.{column} {sign} ?")
                values.append(limit)
    parts = [_of_column("i.incident_type_id", wanted.types)]
    parts += [of_answers(field_id, among) for field_id, among in wanted.fields.items()]
    parts += [_of_holders(role_id, among) for role_id, among in wanted.roles.items()]
    for said, given in (part for found in parts for part in found):
        conditions.append(said)
        values += given
    return " AND ".join(conditions), values


_Part = tuple[str, list[Any]]


def _of_column(column: str, among: Among) -> Iterator[_Part]:
    if among.one_of is not None:
        yield f"{column} IN ({marks(tuple(among.one_of))})", sorted(among.one_of)
    if among.not_in:
        yield f"COALESCE({column}, '') NOT IN ({marks(tuple(among.not_in))})", sorted(among.not_in)


def of_answers(field_id: str, among: Among) -> Iterator[_Part]:
    """Yield the conditions on the answers of `incidents i` to a custom field, with their values."""
    rows = "SELECT 1 FROM custom_field_entries e WHERE e.incident_id = i.id AND e.custom_field_id = ?"
    column = "COALESCE(e.value_option_id, e.value_text, e.value_link, e.value_numeric)"
    yield from _of_rows(rows, column, field_id, among)


def _of_holders(role_id: str, among: Among) -> Iterator[_Part]:
    rows = (
        "SELECT 1 FROM incident_role_assignments e WHERE e.incident_id = i.id AND e.incident_role_id = ?"
        " AND e.assignee_slack_user_id IS NOT NULL"
    )
    yield from _of_rows(rows, "e.assignee_slack_user_id", role_id, among)


def _of_rows(rows: str, column: str, key: str, among: Among) -> Iterator[_Part]:
    def some(values: Sequence[str]) -> str:
        return f"EXISTS ({rows} AND {column} IN ({marks(values)}))"

    if among.one_of is not None:
        yield some(tuple(among.one_of)), [key, *sorted(among.one_of)]
    if among.not_in:
        yield f"NOT {some(tuple(among.not_in))}", [key, *sorted(among.not_in)]
    if among.is_blank is not None:
        yield f"{'NOT ' if among.is_blank else ''}EXISTS ({rows})", [key]
