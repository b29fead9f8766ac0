"""Changes of severities, statuses, roles, custom fields and options in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tocsin.backends.local.choices import SCOPE, insert_row, update_row
from tocsin.backends.local.connection import Row, SqlConnection, T
from tocsin.backends.local.create import ulid
from tocsin.backends.local.postgresql import PostgresqlDatabase
from tocsin.backends.local.queries import readable, written
from tocsin.backends.local.sqlite import IncidentFile
from tocsin.config import IncidentConfig
from tocsin.incidents import catalogue
from tocsin.incidents.catalogue import KEYS, Entry, Kind, name_key
from tocsin.incidents.errors import Refused
from tocsin.workflows.ports import Clock

_ORDER: dict[Kind, str] = {
    "severities": "rank, created_at, id",
    "incident_statuses": "rank, created_at, id",
    "incident_roles": "rowid",
    "custom_fields": "rank, created_at, id",
    "custom_field_options": "sort_key, created_at, id",
}

USUAL_SORT_KEY = 1000  # incident.io, Custom Field Options V1, Create: sort_key


class Catalogue:
    """Severities, statuses, roles, custom fields and options, as far as the configuration file leaves them.

    Every change raises Refused, with the wrong fields, if the file rules the kind or a rule forbids it.
    """

    def __init__(
        self, database: IncidentFile | PostgresqlDatabase, config: IncidentConfig, clock: Clock
    ) -> None:
        self._database = database
        self._config = config
        self._clock = clock
        self.changed: Callable[[], None] = lambda: None
        """Called after each change, so that forms show it."""

    async def entries(self, kind: Kind, field_id: str | None = None) -> Sequence[Entry]:
        """Return all of a kind in their order; of options, those of one field."""
        return await self._database.run(lambda db: _entries(db, kind, field_id))

    async def find(self, kind: Kind, entry_id: str) -> Entry | None:
        """Return the entry with this id; None if there is none, or it was deleted."""
        return await self._database.run(lambda db: _find(db, kind, entry_id))

    async def create(self, kind: Kind, given: Entry) -> Entry:
        """Add an entry, last in its order unless it says where; return it."""
        now = self._clock()
        catalogue.refuse_wrong(kind, given)
        new = {"id": ulid(now), **given}

        def work(db: SqlConnection) -> Entry:
            with db.transaction(SCOPE):
                self._refuse_ruled(kind)
                if kind == "custom_field_options":
                    catalogue.refuse_option(_find(db, "custom_fields", new["custom_field_id"]))
                others = _entries(db, kind, new.get("custom_field_id"))
                catalogue.refuse_full(kind, others)
                catalogue.refuse_same_name(kind, new[name_key(kind)], others)
                _insert(db, kind, new, others, written(now))
                return _known(db, kind, new["id"])

        return await self._told(work)

    async def update(self, kind: Kind, entry_id: str, given: Entry) -> Entry | None:
        """Change the given fields of an entry and return it; None if there is none with this id."""
        catalogue.refuse_wrong(kind, given)
        now = written(self._clock())

        def work(db: SqlConnection) -> Entry | None:
            with db.transaction(SCOPE):
                entry = self._changeable(db, kind, entry_id)
                if entry is None:
                    return None
                others = _others(db, kind, entry)
                catalogue.refuse_same_name(kind, given.get(name_key(kind), ""), others)
                row = {**_identity(kind, entry), **given}
                if any(entry[column] != value for column, value in row.items()):
                    update_row(db, kind, row, tuple(_identity(kind, entry)), now)
                return _known(db, kind, entry_id)

        return await self._told(work)

    async def delete(self, kind: Kind, entry_id: str) -> bool:
        """Delete an entry; False if there is none with this id.

        Its row is kept as archived: incidents that have it go on naming it, and a form that is open can
        still be submitted.
        """
        now = written(self._clock())

        def work(db: SqlConnection) -> bool:
            with db.transaction(SCOPE):
                entry = self._changeable(db, kind, entry_id)
                if entry is None:
                    return False
                catalogue.refuse_removal(kind, entry, _others(db, kind, entry))
                key = _identity(kind, entry)
                update_row(db, kind, {**key, "archived_at": now}, tuple(key), now)
                return True

        return await self._told(work)

    def _changeable(self, db: SqlConnection, kind: Kind, entry_id: str) -> Entry | None:
        """Return the entry with this id; None if there is none. Raises Refused if it may not be changed."""
        found = _with_id(db, kind, entry_id)
        if found:
            self._refuse_ruled(kind)
            catalogue.refuse_ambiguous(found)
        return next(iter(found), None)

    def _refuse_ruled(self, kind: Kind) -> None:
        if (key := KEYS[kind]) in self._config.model_fields_set:
            raise Refused(f"The configuration file (TOCSIN_CONFIG) rules {key}: change it there.")

    async def _told(self, work: Callable[[SqlConnection], T]) -> T:
        done = await self._database.run(work)
        self.changed()
        return done


# Names of tables and columns come from this module and from models, never from a request.


def _entries(db: SqlConnection, kind: Kind, field_id: str | None = None) -> list[Entry]:
    where, parameters = ("", []) if field_id is None else (" AND custom_field_id = ?", [field_id])
    query = f"SELECT * FROM {kind} WHERE archived_at IS NULL{where} ORDER BY {_ORDER[kind]}"
    return [readable(row) for row in db.query(query, parameters)]


def _with_id(db: SqlConnection, kind: Kind, entry_id: str) -> list[Entry]:
    """Return the entries with this id: one, or none; of options, one of each field that has such a one."""
    # The options of a deleted field are not archived themselves.
    of_field = "AND custom_field_id IN (SELECT id FROM custom_fields WHERE archived_at IS NULL)"
    where = of_field if kind == "custom_field_options" else ""
    query = f"SELECT * FROM {kind} WHERE id = ? AND archived_at IS NULL {where} ORDER BY {_ORDER[kind]}"
    return [readable(row) for row in db.query(query, [entry_id])]


def _find(db: SqlConnection, kind: Kind, entry_id: str) -> Entry | None:
    return next(iter(_with_id(db, kind, entry_id)), None)


def _known(db: SqlConnection, kind: Kind, entry_id: str) -> Entry:
    entry = _find(db, kind, entry_id)
    assert entry is not None
    return entry


def _others(db: SqlConnection, kind: Kind, entry: Entry) -> list[Entry]:
    """Return the entries beside this one; of an option, those of its field."""
    found = _entries(db, kind, entry.get("custom_field_id"))
    return [other for other in found if other["id"] != entry["id"]]


def _identity(kind: Kind, entry: Entry) -> Row:
    columns = ("custom_field_id", "id") if kind == "custom_field_options" else ("id",)
    return {column: entry[column] for column in columns}


def _insert(db: SqlConnection, kind: Kind, new: Row, others: Sequence[Entry], now: str) -> None:
    row = {**new, "created_at": now, "updated_at": now}
    if kind == "incident_statuses":
        row["rank"] = place = catalogue.place_of(new["category"], others)
        for rank, other in enumerate(others):
            moved = rank + (rank >= place)
            db.execute("UPDATE incident_statuses SET rank = ? WHERE id = ?", [moved, other["id"]])
    elif kind in {"severities", "custom_fields"} and row.get("rank") is None:
        row["rank"] = max((other["rank"] for other in others), default=-1) + 1
    elif kind == "custom_field_options" and row.get("sort_key") is None:
        row["sort_key"] = USUAL_SORT_KEY
    elif kind == "incident_roles":
        row["role_type"] = "custom"
    insert_row(db, kind, row)
