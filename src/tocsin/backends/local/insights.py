"""Storage of the counts of incidents by day, each until an incident of its day changes.

A look at a range reads one row for each day, and counts those days that have none: so many incidents at most,
and the rest at the next look.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any

from tocsin.backends.local.connection import Row, SqlConnection
from tocsin.backends.local.postgresql import PostgresqlDatabase
from tocsin.backends.local.queries import CATEGORY, UNKNOWN_TIME, marks, readable
from tocsin.backends.local.reading import Choices, read_choices
from tocsin.backends.local.sqlite import IncidentFile
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.insights import (
    FORMAT,
    SELECTS,
    Chosen,
    CountedDays,
    Day,
    Facts,
    FieldNames,
    InsightSource,
    Names,
    Teams,
    days_of,
    only,
    read_day,
    written_day,
)
from tocsin.incidents.timestamps import DurationRule, measured

AT_ONCE = 1_000
"""Most incidents that are counted in one transaction: in SQLite changes wait for it."""

MOST_OF_A_DAY = 5_000
"""Most incidents of one day that are counted: the newest."""

IN_A_LOOK = MOST_OF_A_DAY + AT_ONCE
"""Incidents after which a look begins to count no further ones."""

_TOGETHER = 500
"""Incidents of which the parts are read, and days that are stored, with one statement."""

_STORED = """
SELECT day, is_cut, counts FROM insight_days
WHERE is_public = ? AND day >= ? AND day <= ? AND counted_as = ?
"""
_STORE = """
INSERT INTO insight_days (is_public, day, counted_as, is_cut, counts) VALUES {rows}
ON CONFLICT (is_public, day) DO UPDATE SET
    counted_as = excluded.counted_as, is_cut = excluded.is_cut, counts = excluded.counts
"""
_INCIDENTS = """
SELECT i.id, i.created_at, i.closed_at, i.severity_id, i.incident_type_id, i.mode, i.slack_team_id,
    {category} AS category
FROM incidents i{indexed} LEFT JOIN incident_statuses s ON s.id = i.incident_status_id
WHERE {public} = ? AND i.created_at >= ? AND i.created_at < ? ORDER BY i.created_at DESC LIMIT ?
"""
_HOLDERS = """
SELECT incident_id, incident_role_id, COALESCE(assignee_slack_user_id, assignee_name) AS person_id
FROM incident_role_assignments WHERE incident_id IN ({marks})
"""
_OPTIONS = """
SELECT incident_id, custom_field_id, value_option_id FROM custom_field_entries
WHERE incident_id IN ({marks}) AND value_option_id IS NOT NULL
"""
_TIMES = """
SELECT incident_id, incident_timestamp_id, value AS set_to FROM incident_timestamp_values
WHERE incident_id IN ({marks})
"""
_FOLLOW_UPS = """
SELECT incident_id, created_at, done_at FROM follow_ups
WHERE incident_id IN ({marks}) AND kind = 'follow_up' AND COALESCE(status, '') <> 'deleted'
"""


@dataclass
class _Found:
    """Days that were counted, those among them that were cut, and the number of incidents that were read."""

    days: dict[date, Day] = field(default_factory=dict)
    cut: set[date] = field(default_factory=set)
    read: int = 0


class LocalInsights:
    """Counts of days over the database of the local backend. Every method raises Unavailable."""

    def __init__(self, database: IncidentFile | PostgresqlDatabase, rules: Sequence[DurationRule]) -> None:
        self._database = database
        self._rules = rules
        told = "".join(rule.model_dump_json() for rule in rules)
        self._counted_as = f"{FORMAT} {hashlib.sha256(told.encode()).hexdigest()[:16]}"

    @property
    def source(self) -> InsightSource:
        return InsightSource(self.count, self.names_of)

    async def count(self, chosen: Chosen, sees_private: bool, teams: Teams) -> CountedDays:
        """Return the counts of the days of a range; count some of those that are not stored, newest first."""
        known = [await self._visible(chosen, public) for public in ((1, 0) if sees_private else (1,))]
        days: dict[date, Day] = {}
        for found in known:
            for day, cells in found.days.items():
                days[day] = _both(days.get(day, {}), only(cells, teams))
        whole = {day for day in chosen.days if all(day in found.days for found in known)}
        return CountedDays(
            days={day: days[day] for day in sorted(whole)},
            names=await self._database.run(lambda db: _read_names(db, self._rules)),
            missing=sum(1 for day in chosen.days if day not in whole),
            cut=tuple(sorted({day for found in known for day in found.cut})),
        )

    async def names_of(self, people: Sequence[str]) -> Mapping[str, str]:
        """Return the names of those people whose names are known, by their Slack ids."""

        def look(db: SqlConnection) -> dict[str, str]:
            asked = f"SELECT slack_user_id, name FROM people WHERE slack_user_id IN ({marks(people)})"
            return {row[0]: row[1] for row in db.execute(asked, list(people)) if row[1]}

        return await self._database.run(look) if people else {}

    async def _visible(self, chosen: Chosen, public: int) -> _Found:
        """Return the counted days of the incidents that are public, or of those that are not."""
        found = await self._database.run(lambda db: self._stored(db, chosen, public))
        missing = [day for day in chosen.days if day not in found.days][::-1]
        left, count = IN_A_LOOK, self._count_and_store
        while missing and left > 0:
            try:
                more = await self._database.run(partial(count, missing=tuple(missing), public=public))
            except Unavailable:
                if count == self._count:
                    raise
                # It may be that nothing can be written just now: the disk is full, or somebody has the lock.
                count = self._count
                continue
            found.days |= more.days
            found.cut |= more.cut
            missing = [day for day in missing if day not in more.days]
            left -= more.read
        return found

    def _stored(self, db: SqlConnection, chosen: Chosen, public: int) -> _Found:
        """Return the days whose counts are stored; void ones are read first, as a count may come between."""
        found, void = _Found(), db.recounted(public)
        values = [public, chosen.first.isoformat(), chosen.last.isoformat(), self._counted_as]
        for day, is_cut, counts in db.execute(_STORED, values):
            if not void.isdisjoint({day, ""}):
                continue
            try:
                found.days[date.fromisoformat(day)] = read_day(counts)
            except ValueError:
                # Somebody edited the row by hand: the day is counted anew.
                continue
            found.cut |= {date.fromisoformat(day)} if is_cut else set()
        return found

    def _count_and_store(self, db: SqlConnection, missing: Sequence[date], public: int) -> _Found:
        """Count the first of these days, and store what no change has crossed."""
        with db.counting() as is_lasting:
            found = self._count(db, missing, public)
            if is_lasting:
                self._store(db, public, found)
        return found

    def _count(self, db: SqlConnection, missing: Sequence[date], public: int) -> _Found:
        """Count the first of these days, newest first."""
        found = _Found()
        for first, last in _runs(missing):
            self._count_run(db, first, last, public, found)
            if found.read >= AT_ONCE:
                break
        return found

    def _store(self, db: SqlConnection, public: int, found: _Found) -> None:
        """Store the days, many with one statement, however far away the database is."""
        rows = [
            (public, day.isoformat(), self._counted_as, int(day in found.cut), written_day(cells))
            for day, cells in found.days.items()
        ]
        for start in range(0, len(rows), _TOGETHER):
            some = rows[start : start + _TOGETHER]
            query = _STORE.format(rows=", ".join(["(?, ?, ?, ?, ?)"] * len(some)))
            db.execute(query, [value for row in some for value in row])

    def _count_run(self, db: SqlConnection, first: date, last: date, public: int, found: _Found) -> None:
        """Count the days from the last to the first, as far as their incidents may be read."""
        most = AT_ONCE - found.read
        rows = _incidents(db, first, last, public, most + 1)
        if len(rows) > most:
            # The oldest of these days has more incidents than were read.
            first = _day(rows[-1], first) + timedelta(days=1)
            rows = [row for row in rows if _day(row, last) >= first]
            found.read = AT_ONCE
            if first > last and not found.days:
                self._count_large(db, last, public, found)
                return
        found.read += len(rows)
        counted = days_of(_facts(db, rows, self._rules))
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            found.days[day] = counted.get(day, {})

    def _count_large(self, db: SqlConnection, day: date, public: int, found: _Found) -> None:
        """Count a day that has more incidents than are counted at once: the newest, if there are too many."""
        rows = _incidents(db, day, day, public, MOST_OF_A_DAY + 1)
        found.read = len(rows)
        found.cut |= {day} if len(rows) > MOST_OF_A_DAY else set()
        found.days[day] = days_of(_facts(db, rows[:MOST_OF_A_DAY], self._rules)).get(day, {})


def _both(one: Day, other: Day) -> Day:
    """Return the sum of two days' counts."""
    return {cell: one.get(cell, Counter()) + other.get(cell, Counter()) for cell in {**one, **other}}


def _runs(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Yield the first and the last of each run of days without a gap; the days are sorted, newest first."""
    last = previous = days[0]
    for day in days[1:]:
        if previous - day > timedelta(days=1):
            yield previous, last
            last = day
        previous = day
    yield previous, last


def _incidents(db: SqlConnection, first: date, last: date, public: int, limit: int) -> list[Row]:
    """Return the rows of the incidents that were declared on these days, newest first."""
    indexed = db.indexed_by("incidents_by_creation")
    query = _INCIDENTS.format(indexed=indexed, public=db.is_public, category=CATEGORY)
    end = last + timedelta(days=1)
    return [dict(row) for row in db.query(query, [public, first.isoformat(), end.isoformat(), limit])]


def _day(row: Row, otherwise: date) -> date:
    """Return the day of the declaration; `otherwise` where the row was edited by hand."""
    try:
        return date.fromisoformat(str(row["created_at"])[:10])
    except ValueError:
        return otherwise


def _facts(db: SqlConnection, rows: Sequence[Row], rules: Sequence[DurationRule]) -> Iterator[Facts]:
    """Yield the facts of the incidents in these rows."""
    for start in range(0, len(rows), _TOGETHER):
        some = rows[start : start + _TOGETHER]
        ids = [row["id"] for row in some]
        holders, options, times, follow_ups = (
            _parts(db, query, ids) for query in (_HOLDERS, _OPTIONS, _TIMES, _FOLLOW_UPS)
        )
        for row in some:
            known = {one["incident_timestamp_id"]: one["set_to"] for one in times[row["id"]]}
            yield Facts(
                **_own(row),
                options=tuple((one["custom_field_id"], one["value_option_id"]) for one in options[row["id"]]),
                holders=tuple(
                    (one["incident_role_id"], one["person_id"])
                    for one in holders[row["id"]]
                    if one["person_id"]
                ),
                durations={
                    one.id: one.seconds
                    for one in (measured(rule, known) for rule in rules)
                    if one.seconds is not None
                },
                follow_ups=tuple(
                    (one["created_at"].date(), one["done_at"] is not None) for one in follow_ups[row["id"]]
                ),
            )


def _own(row: Row) -> dict[str, Any]:
    """Return the facts that are in an incident's own row."""
    plain = readable(row)
    lasted = None
    if plain["closed_at"] is not None and UNKNOWN_TIME not in {plain["closed_at"], plain["created_at"]}:
        lasted = max(0, int((plain["closed_at"] - plain["created_at"]).total_seconds()))
    return {
        "declared_at": plain["created_at"],
        "category": plain["category"],
        "mode": plain["mode"],
        "team": plain["slack_team_id"] or "",
        "severity": plain["severity_id"] or "",
        "type": plain["incident_type_id"] or "",
        "seconds_open": lasted,
    }


def _parts(db: SqlConnection, query: str, ids: Sequence[str]) -> defaultdict[str, list[Row]]:
    """Return the rows of a table by incident, as they can be read."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in db.query(query.format(marks=marks(ids)), ids):
        found[row["incident_id"]].append(readable(dict(row)))
    return found


def _names(
    choices: Choices, options: Mapping[str, Mapping[str, str]], rules: Iterable[DurationRule]
) -> Names:
    """Return the names of all choices, archived ones among them."""
    return Names(
        severities={id: kept.thing.name for id, kept in choices.severities.items()},
        types={id: kept.thing.name for id, kept in choices.types.items()},
        roles={
            id: kept.thing.name for id, kept in choices.roles.items() if kept.thing.role_type != "reporter"
        },
        fields={
            id: FieldNames(kept.thing.name, options.get(id, {}), kept.thing.field_type == "multi_select")
            for id, kept in choices.fields.items()
            if kept.thing.field_type in SELECTS
        },
        durations={rule.id: rule.name for rule in rules},
    )


_ALL_OPTIONS = "SELECT custom_field_id, id, value FROM custom_field_options WHERE custom_field_id >= ''"


def _read_names(db: SqlConnection, rules: Iterable[DurationRule]) -> Names:
    options: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for field_id, option_id, value in db.execute(_ALL_OPTIONS):
        options[field_id][option_id] = str(value)
    return _names(read_choices(db), options, rules)
