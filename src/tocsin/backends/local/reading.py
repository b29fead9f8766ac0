"""Reads of the API: the choices with their dates, pages of incidents by many filters, and the people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from tocsin.backends.local import queries
from tocsin.backends.local.changes import follow_up_in
from tocsin.backends.local.connection import Row, SqlConnection
from tocsin.backends.local.listing import (
    STANDARD,
    IncidentListing,
    Listed,
    count_up_to,
    listed_numbers,
)
from tocsin.backends.local.postgresql import PostgresqlDatabase
from tocsin.backends.local.queries import UNKNOWN_TIME, marks, person_in, readable, unknown_statuses
from tocsin.backends.local.sqlite import IncidentFile
from tocsin.backends.local.updates import Update, read_updates, update_of_change
from tocsin.incidents.model import (
    CustomField,
    FieldOption,
    FollowUp,
    Incident,
    IncidentTimestamp,
    IncidentType,
    Person,
    Role,
    Severity,
    Status,
)

T = TypeVar("T")
ReadQuery = Callable[[SqlConnection, str, Sequence[Any]], list[Incident]]

COUNTED = 1_000
"""Most matches that are counted, so that a page costs the same however many there are."""


@dataclass(frozen=True)
class Kept(Generic[T]):
    """A choice as the database keeps it; an archived one cannot be chosen any more."""

    thing: T
    created_at: datetime
    updated_at: datetime
    is_archived: bool = False


@dataclass(frozen=True)
class Choices:
    """All choices by id, in the organisation's order, archived ones among them: old incidents have those."""

    severities: Mapping[str, Kept[Severity]] = field(default_factory=dict)
    statuses: Mapping[str, Kept[Status]] = field(default_factory=dict)
    types: Mapping[str, Kept[IncidentType]] = field(default_factory=dict)
    roles: Mapping[str, Kept[Role]] = field(default_factory=dict)
    fields: Mapping[str, Kept[CustomField]] = field(default_factory=dict)
    timestamps: Mapping[str, Kept[IncidentTimestamp]] = field(default_factory=dict)

    def status_ids(self, categories: Collection[str]) -> frozenset[str]:
        """Return the ids of the statuses of these categories."""
        return frozenset(id for id, kept in self.statuses.items() if kept.thing.category in categories)


@dataclass(frozen=True)
class ReadIncidents:
    """A page of incidents with everything that the API says of them."""

    incidents: Sequence[Incident]
    choices: Choices
    last_activity: Mapping[str, datetime]
    """Time of the last timeline entry, by incident id."""
    after: str | None = None
    """Cursor of the next page; None if this is the last one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", _with_unknown(self.choices, self.incidents))


def read_choices(db: SqlConnection) -> Choices:
    """Return all choices."""
    options: dict[str, list[FieldOption]] = {}
    asked = "SELECT * FROM custom_field_options WHERE custom_field_id >= '' AND archived_at IS NULL"
    in_order = sorted(
        map(readable, db.query(asked)), key=lambda row: (row["sort_key"], row["created_at"], row["id"])
    )
    for row in in_order:
        options.setdefault(row["custom_field_id"], []).append(FieldOption(**row))
    statuses = _kept(db, "incident_statuses", "rank", lambda row: Status(**row))
    statuses |= {id: _archived(Status(id=id, name=id)) for id in unknown_statuses(db)}
    return Choices(
        severities=_ById(
            _kept(db, "severities", "rank", lambda row: Severity(**row)), lambda id: Severity(id=id, name=id)
        ),
        statuses=_ById(statuses, lambda id: Status(id=id, name=id)),
        types=_kept(db, "incident_types", "created_at", lambda row: IncidentType(**row)),
        roles=_kept(db, "incident_roles", "rowid", lambda row: Role(**row)),
        fields=_kept(
            db,
            "custom_fields",
            "rank",
            lambda row: CustomField(**row, options=tuple(options.get(row["id"], ()))),
        ),
        timestamps=_kept(db, "incident_timestamps", "rank", lambda row: IncidentTimestamp(**row)),
    )


def _kept(db: SqlConnection, table: str, order: str, read: Callable[[Row], T]) -> dict[str, Kept[T]]:
    # Table and order come only from this module.
    found: dict[str, Kept[T]] = {}
    # The condition lets PostgreSQL take the index of the ids (see SESSION there).
    rows = list(db.query(f"SELECT t.{order} AS place, t.* FROM {table} t WHERE t.id >= ''"))
    for plain in sorted(rows, key=_place):
        row = readable(plain)
        is_archived = plain["archived_at"] is not None
        found[row["id"]] = Kept(read(row), row["created_at"], row["updated_at"], is_archived)
    return found


def _place(row: Row) -> tuple[int, str, str]:
    """Return the place of a row among the others, as in forms; also for one that was edited by hand."""
    place = row["place"]
    return (place if isinstance(place, int) else 0, str(row["created_at"]), row["id"])


_ACTIVITY = """
SELECT incident_id, MAX(timestamp) AS timestamp FROM incident_timeline_items
WHERE incident_id IN ({marks}) GROUP BY incident_id
"""


class _ById(dict[str, Kept[T]]):
    """Choices by id; one that is not there, since a row was edited by hand, has its id for a name."""

    def __init__(self, found: Mapping[str, Kept[T]], named: Callable[[str], T]) -> None:
        super().__init__(found)
        self._named = named

    def __missing__(self, id: str) -> Kept[T]:
        return _archived(self._named(id))


def _with_unknown(choices: Choices, incidents: Iterable[Incident]) -> Choices:
    """Return the choices, and those of these incidents that are not there, as the incidents have them."""
    found: dict[str, dict[str, Any]] = {name: dict(getattr(choices, name)) for name in _OF_INCIDENTS}
    for one in incidents:
        for name, parts in _OF_INCIDENTS.items():
            for part in parts(one):
                found[name].setdefault(part.id, _archived(part))
    return replace(choices, **found)


_OF_INCIDENTS: Mapping[str, Callable[[Incident], Iterable[Any]]] = {
    "severities": lambda one: filter(None, [one.severity]),
    "statuses": lambda one: [one.incident_status],
    "types": lambda one: filter(None, [one.incident_type]),
    "roles": lambda one: [given.role for given in one.incident_role_assignments],
    "fields": lambda one: [entry.custom_field for entry in one.custom_field_entries],
}


def _archived(thing: T) -> Kept[T]:
    return Kept(thing, UNKNOWN_TIME, UNKNOWN_TIME, is_archived=True)


def read_activity(db: SqlConnection, ids: Sequence[str]) -> dict[str, datetime]:
    """Return the time of the last timeline entry of each incident that has one."""
    if not ids:
        return {}
    rows = db.query(_ACTIVITY.format(marks=marks(ids)), ids)
    return {row["incident_id"]: row["timestamp"] for row in map(readable, rows)}


def read_page(
    db: SqlConnection, wanted: IncidentListing, read: Callable[[str, Sequence[Any]], list[Incident]]
) -> ReadIncidents:
    """Return a page of incidents; `read` returns the incidents of a query of `queries.py`.

    Raises Refused, with the field `after`, for a cursor that names no incident that may be seen.
    """
    listed: Listed = listed_numbers(db, wanted)
    found: list[Incident] = []
    if listed.numbers:
        by_number = queries.BY_NUMBERS.format(marks=marks(listed.numbers))
        found = read(by_number, listed.numbers)
    if wanted.oldest_first:
        found.reverse()
    choices, activity = read_choices(db), read_activity(db, [incident.id for incident in found])
    return ReadIncidents(found, choices, activity, listed.after)


# People.

_PEOPLE = """
SELECT slack_user_id, name, email FROM people
WHERE slack_user_id > ? AND (? = '' OR lower(email) = ?) ORDER BY slack_user_id LIMIT ?
"""


def read_people(db: SqlConnection, *, email: str, after: str, limit: int) -> list[Person]:
    """Return the people whose names are known, in the order of their ids."""
    return [Person(**row) for row in db.query(_PEOPLE, [after, email.lower(), email.lower(), limit])]


def read_person(db: SqlConnection, slack_user_id: str) -> Person | None:
    """Return a person whose name is known; None if there is none with this id."""
    asked = "SELECT slack_user_id, name, email FROM people WHERE slack_user_id = ?"
    return next((Person(**row) for row in db.query(asked, [slack_user_id])), None)


# Actions and follow-ups.


@dataclass(frozen=True)
class ReadTask:
    """An action or a follow-up with the person who added it."""

    task: FollowUp
    creator: Person | None


_TASKS = """
SELECT f.*, COALESCE(p.name, f.assignee_name) AS known_name,
    COALESCE(p.email, f.assignee_email) AS known_email,
    l.actor_slack_user_id, COALESCE(a.name, l.actor_name) AS actor_name,
    COALESCE(a.email, l.actor_email) AS actor_email
FROM follow_ups f {join} incidents i ON i.id = f.incident_id
LEFT JOIN people p ON p.slack_user_id = f.assignee_slack_user_id
LEFT JOIN incident_timeline_items l
    ON l.incident_id = f.incident_id AND l.idempotency_key = f.idempotency_key || ':' || 'added'
LEFT JOIN people a ON a.slack_user_id = l.actor_slack_user_id
WHERE {conditions} ORDER BY f.id LIMIT ?
"""


@dataclass(frozen=True)
class TaskListing:
    """Filters and place of a list of actions or follow-ups."""

    kind: str
    sees_private: bool
    id: str | None = None
    incident_id: str | None = None
    modes: frozenset[str] | None = STANDARD
    """None for every mode."""
    after: str | None = None
    limit: int = 25
    created: tuple[str, str] = ("", "")
    """Earliest and latest time, as rows have it; "" for no limit."""
    updated: tuple[str, str] = ("", "")


_UPDATED = "COALESCE(f.updated_at, f.done_at, f.created_at)"


def read_tasks(db: SqlConnection, wanted: TaskListing) -> list[ReadTask]:
    """Return actions or follow-ups, oldest first."""
    conditions = ["f.kind = ?", "COALESCE(f.status, '') <> 'deleted'"]
    parameters = list[Any]([wanted.kind])
    if not wanted.sees_private:
        conditions.append(f"{db.is_public} = 1")
    for column, value in (("f.id", wanted.id), ("f.incident_id", wanted.incident_id)):
        if value is not None:
            conditions.append(f"{column} = ?")
            parameters.append(value)
    if wanted.modes is not None:
        conditions.append(f"i.mode IN ({marks(tuple(wanted.modes))})")
        parameters += sorted(wanted.modes)
    if wanted.after is not None:
        conditions.append("f.id > ?")
        parameters.append(wanted.after)
    for column, (earliest, latest) in (("f.created_at", wanted.created), (_UPDATED, wanted.updated)):
        for sign, limit in ((">=", earliest), ("<=", latest)):
            if limit:
                conditions.append(f"{column} {sign} ?")
                parameters.append(limit)
    query = _TASKS.format(join=db.join_in_order, conditions=" AND ".join(conditions))
    rows = db.query(query, [*parameters, wanted.limit])
    return [ReadTask(follow_up_in(dict(row)), person_in(readable(row), "actor")) for row in rows]


class LocalReader:
    """Reads of the API over the database of the local backend. Every method raises Unavailable."""

    def __init__(self, database: IncidentFile | PostgresqlDatabase, read: ReadQuery) -> None:
        """`read` returns the incidents that a query of `queries.py` finds."""
        self._database = database
        self._read_query = read

    async def choices(self) -> Choices:
        return await self._database.run(read_choices)

    async def page(self, wanted: IncidentListing) -> ReadIncidents:
        """Return a page of incidents. Raises Refused for an unknown cursor."""
        return await self._database.run(lambda db: read_page(db, wanted, partial(self._read_query, db)))

    async def total(self, wanted: IncidentListing) -> int | None:
        """Return the number of all matches; None if there are more than are counted."""
        return await self._database.run(lambda db: count_up_to(db, wanted, COUNTED))

    async def around(self, incident: Incident) -> ReadIncidents:
        """Return an incident that was found already, with what the API says besides."""

        def look(db: SqlConnection) -> ReadIncidents:
            return ReadIncidents([incident], read_choices(db), read_activity(db, [incident.id]))

        return await self._database.run(look)

    async def people(self, *, email: str = "", after: str = "", limit: int = 25) -> list[Person]:
        """Return people whose names are known, in the order of their ids."""
        return await self._database.run(lambda db: read_people(db, email=email, after=after, limit=limit))

    async def person(self, slack_user_id: str) -> Person | None:
        """Return a person whose name is known; None if there is none with this id."""
        return await self._database.run(lambda db: read_person(db, slack_user_id))

    async def tasks(self, wanted: TaskListing) -> list[ReadTask]:
        """Return actions or follow-ups, oldest first."""
        return await self._database.run(lambda db: read_tasks(db, wanted))

    async def updates(
        self, *, incident_id: str | None, sees_private: bool, after: str | None, limit: int
    ) -> tuple[list[Update], Choices]:
        """Return updates, newest first, and the choices that they name. Raises Refused for a cursor."""

        def look(db: SqlConnection) -> tuple[list[Update], Choices]:
            found = read_updates(
                db, incident_id=incident_id, sees_private=sees_private, after=after, limit=limit
            )
            return found, read_choices(db)

        return await self._database.run(look)

    async def update_of_change(self, key: str) -> tuple[Update | None, Choices]:
        """Return the update that the change with this key made, and the choices that it names."""
        return await self._database.run(lambda db: (update_of_change(db, key), read_choices(db)))
