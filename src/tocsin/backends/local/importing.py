"""Import of an embedded incident file into PostgreSQL, whole and once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlite_utils import Database

from tocsin.backends.local.choices import agree_on_what_is_open
from tocsin.backends.local.connection import Row
from tocsin.backends.local.create import NUMBERING
from tocsin.backends.local.postgresql import IMPORTING, SEARCHABLE, PostgresqlConnection, indexed_words
from tocsin.backends.local.queries import readable, written
from tocsin.backends.local.sqlite import translate_errors
from tocsin.incidents.errors import Refused

SETTINGS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "10s",
}
"""Settings of the session that imports: a large file takes longer than any command of the bot may."""

AT_ONCE = 1000
"""Rows that are sent together."""

# Tables, each after those that it refers to.

_CHOICES = {
    "severities": ("id",),
    "incident_statuses": ("id",),
    "incident_types": ("id",),
    "incident_roles": ("id",),
    "custom_fields": ("id",),
    "custom_field_options": ("custom_field_id", "id"),
    "incident_timestamps": ("id",),
}
"""Tables that follow the configuration, with their keys."""

_OF_INCIDENTS = (
    "incident_role_assignments",
    "incident_memberships",
    "custom_field_entries",
    "incident_timestamp_values",
    "incident_timeline_items",
    "incident_changes",
    "incident_updates",
    "follow_ups",
    "webhook_events",
    "webhook_deliveries",
    "incident_attachments",
)

_REFERENCES: Mapping[str, Mapping[tuple[str, ...], str]] = {
    "incidents": {
        ("severity_id",): "severities",
        ("incident_status_id",): "incident_statuses",
        ("incident_type_id",): "incident_types",
    },
    "incident_role_assignments": {("incident_role_id",): "incident_roles"},
    "custom_field_options": {("custom_field_id",): "custom_fields"},
    "incident_timestamp_values": {("incident_timestamp_id",): "incident_timestamps"},
    "incident_updates": {
        ("incident_status_id",): "incident_statuses",
        ("severity_id",): "severities",
    },
    "custom_field_entries": {
        ("custom_field_id",): "custom_fields",
        ("custom_field_id", "value_option_id"): "custom_field_options",
    },
}
"""Columns that name a choice, and its table."""

_UNKNOWN_CHOICE: dict[str, Row] = {
    "incident_statuses": {"category": "closed"},
    "incident_roles": {"role_type": "custom"},
    "custom_fields": {"field_type": "text"},
}
"""Columns without a default that a choice has as well, when only its id is known."""

_IDENTITIES = {"incident_roles": "rowid", "incident_timeline_items": "id", "webhook_events": "id"}

Also = Callable[[sa.Connection], int]
"""Function that writes more in the same transaction and returns the number of its rows."""


@dataclass
class Imported:
    """The result of an import."""

    incidents: int = 0
    were_there: bool = False
    """True if an earlier run had brought all of them, so that nothing was changed."""
    odd_values: int = 0
    """Number of values that PostgreSQL cannot keep, which came over as lists and pages show them."""
    left_out: int = 0
    """Number of rows that belong to no incident, which no page shows."""
    beside: int | None = None
    """Number of rows that came from the journal; None without one."""

    @property
    def sentence(self) -> str:
        if self.were_there:
            return f"All {self.incidents} incidents are there already. Nothing was changed."
        said = [f"Incidents imported: {self.incidents}."]
        if self.beside is None:
            said.append("No journal.db lies beside the file, so what was posted in Slack is not known.")
        else:
            said.append(f"Rows from the journal beside it: {self.beside}.")
        if self.odd_values:
            said.append(
                f"Values that PostgreSQL cannot keep: {self.odd_values}; they came as pages show them."
            )
        if self.left_out:
            said.append(f"Rows of no incident, left out: {self.left_out}.")
        return "\n".join(said)


def import_incidents(
    db: PostgresqlConnection,
    file: Database,
    path: Path,
    now: datetime,
    also: Also | None,
    ruled: Collection[str] = (),
) -> Imported:
    """Bring everything over in one transaction, with what `also` writes.

    `ruled` are the tables of choices that the configuration file here rules.

    Raises Refused if the database has other incidents, and Unavailable if the file cannot be read.
    """
    with translate_errors(path), _snapshot(file), _one_sentence_for_doubles():
        importing = _Import(db, file, written(now), ruled)
        with db.transaction(NUMBERING):
            db.lock("choices")
            db.execute(f"SET LOCAL {IMPORTING} = 'on'")
            if not importing.is_done():
                importing.bring_choices()
                importing.bring_people()
                importing.bring_incidents()
                for table in _OF_INCIDENTS:
                    importing.bring_rows(table)
                importing.make_searchable()
                importing.finish()
                if also is not None:
                    importing.result.beside = also(db.connection)
        return importing.result


@contextmanager
def _snapshot(file: Database) -> Iterator[None]:
    """Read the file as it is now, texts as bytes, so that broken ones can be told from others."""
    file.conn.text_factory = memoryview
    file.conn.execute("BEGIN")
    try:
        yield
    finally:
        file.conn.execute("ROLLBACK")


@contextmanager
def _one_sentence_for_doubles() -> Iterator[None]:
    try:
        yield
    except sa.exc.IntegrityError as error:
        where = getattr(getattr(error.orig, "diag", None), "table_name", None) or "one"
        raise Refused(
            f"Two rows of the file's table {where} have one key in PostgreSQL. Nothing was imported: "
            "change one of them in the file."
        ) from error


@dataclass(frozen=True)
class _Column:
    name: str
    is_number: bool
    is_required: bool


class _Import:
    """Import of one file, within a transaction of the target."""

    def __init__(self, db: PostgresqlConnection, file: Database, now: str, ruled: Collection[str]) -> None:
        self._db = db
        self._file = file
        self._now = now
        self._ruled = ruled
        self._known: defaultdict[str, set[tuple[Any, ...]]] = defaultdict(set)
        self._incident_ids: set[str] = set()
        self.result = Imported()

    def is_done(self) -> bool:
        """True if all incidents of the file are there. Raises Refused if the target has others alone."""
        there = self._db.execute("SELECT 1 FROM incidents LIMIT 1").fetchone()
        if there is None:
            return False
        total = found = 0
        for rows in _batches(self._rows("incidents")):
            total += len(rows)
            pairs = [[row["id"] for row in rows], [row["idempotency_key"] for row in rows]]
            found += self._db.execute(
                "SELECT count(*) FROM unnest(?::text[], ?::text[]) AS f(id, key)"
                " JOIN incidents i ON i.id = f.id AND i.idempotency_key = f.key",
                pairs,
            ).fetchone()[0]
        if found < total or not total:
            raise Refused(
                f"The database has other incidents already ({found} of the file's {total} are there). "
                "Nothing was changed: import into one without incidents."
            )
        self.result = Imported(incidents=total, were_there=True)
        return True

    def bring_choices(self) -> None:
        """Bring severities, statuses, types, roles and fields, archived ones as well.

        Those that the configuration file here rules keep what it says of them. No incident is here yet, so
        that all rows can be written anew, in the order that they had in the file.
        """
        tables = {table: self._merged(table, keys) for table, keys in _CHOICES.items()}
        for table in reversed(_CHOICES):
            self._db.execute(f"DELETE FROM {table}")
        for table, rows in tables.items():
            self._insert(table, rows)

    def _merged(self, table: str, keys: Sequence[str]) -> list[Row]:
        here = {tuple(row[key] for key in keys): row for row in self._db.query(f"SELECT * FROM {table}")}
        rows = []
        for row in self._rows(table):
            configured = here.pop(tuple(row[key] for key in keys), None)
            if table in self._ruled and configured is not None and not configured["archived_at"]:
                own = {"created_at", "rowid"} & set(row)
                row = {**configured, **{column: row[column] for column in own}}
            rows.append(row)
        last = max((row.get("rowid", 0) for row in rows), default=0)
        for number, row in enumerate(here.values(), last + 1):
            rows.append({**row, "rowid": number} if "rowid" in row else row)
        return rows

    def bring_people(self) -> None:
        """Bring names and addresses; those that are known here already are newer, and stay."""
        self._insert(
            "people",
            self._rows("people"),
            "ON CONFLICT (slack_user_id) DO UPDATE SET name = COALESCE(people.name, excluded.name),"
            " email = COALESCE(people.email, excluded.email)",
        )

    def bring_incidents(self) -> None:
        """Bring the incidents."""
        for rows in _batches(self._rows("incidents")):
            self._insert("incidents", rows)
            self._incident_ids |= {row["id"] for row in rows}
        self.result.incidents = len(self._incident_ids)

    def bring_rows(self, table: str) -> None:
        """Bring a table's rows that belong to an incident."""

        def ours() -> Iterator[Row]:
            for row in self._rows(table):
                if row["incident_id"] in self._incident_ids:
                    yield row
                else:
                    self.result.left_out += 1

        self._insert(table, ours())

    def make_searchable(self) -> None:
        """Make words and people searchable, once all roles are there."""
        last = 0
        page = f"{SEARCHABLE} WHERE i.number > ? ORDER BY i.number LIMIT ?"
        while rows := list(self._db.query(page, [last, AT_ONCE])):
            self._insert(
                "incident_words", ({"number": row["number"], "words": indexed_words(row)} for row in rows)
            )
            last = rows[-1]["number"]

    def finish(self) -> None:
        """Close and reopen incidents as the configuration has their status; set what counts on."""
        agree_on_what_is_open(self._db, self._now)
        self._db.forget_counts()
        for table, column in _IDENTITIES.items():
            self._db.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'),"
                f" GREATEST(COALESCE(MAX({column}), 0) + 1, 1), false) FROM {table}"
            )
        self._db.execute(f"ANALYZE incidents, incident_people, incident_words, {', '.join(_OF_INCIDENTS)}")

    def _rows(self, table: str) -> Iterator[Row]:
        """Yield a table's rows in the order in which they were added, as PostgreSQL can keep them."""
        columns = self._columns(table)
        names = ", ".join(column.name for column in columns)
        for row in self._file.conn.execute(f"SELECT {names} FROM {table} ORDER BY rowid"):
            pairs = zip(columns, row, strict=True)
            yield {column.name: self._kept(table, column, value) for column, value in pairs}

    def _columns(self, table: str) -> list[_Column]:
        found = self._db.query(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = ? AND is_generated = 'NEVER'"
            " ORDER BY ordinal_position",
            [table],
        )
        return [
            _Column(row["column_name"], row["data_type"] == "integer", row["is_nullable"] == "NO")
            for row in found
        ]

    def _kept(self, table: str, column: _Column, found: Any) -> Any:
        """Return the value as PostgreSQL can keep it, and count it if it is not the same."""
        value = _text(found) if isinstance(found, memoryview) else found
        if _fits(column, value) or (value is None and not column.is_required):
            return value
        if column.is_number and column.name in {"id", "number", "position", "rowid"}:
            raise Refused(
                f"A row of the file's table {table} has {readable({'': value})['']!r} for its {column.name}, "
                "which PostgreSQL cannot keep. Nothing was imported: change it in the file."
            )
        self.result.odd_values += 1
        return _as_shown(column, value)

    def _insert(self, table: str, rows: Iterable[Row], more: str = "") -> None:
        for some in _batches(rows):
            for columns, parent in _REFERENCES.get(table, {}).items():
                self._name_unknown(parent, {tuple(row[column] for column in columns) for row in some})
            names = list(some[0])
            marks = ", ".join("?" * len(names))
            self._db.execute_many(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) {more}",
                [tuple(row[name] for name in names) for row in some],
            )
            if keys := _CHOICES.get(table):
                self._known[table] |= {tuple(row[key] for key in keys) for row in some}

    def _name_unknown(self, table: str, wanted: set[tuple[Any, ...]]) -> None:
        """Add archived rows for choices that rows refer to and the file lacks; each is named by its id."""
        missing = {key for key in wanted if None not in key} - self._known[table]
        name = "value" if table == "custom_field_options" else "name"
        for key in sorted(missing):
            self.result.odd_values += 1
            times = dict.fromkeys(("created_at", "updated_at", "archived_at"), self._now)
            row: Row = dict(zip(_CHOICES[table], key, strict=True))
            self._insert(table, [{**row, name: key[-1], **_UNKNOWN_CHOICE.get(table, {}), **times}])


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while some := list(islice(left, AT_ONCE)):
        yield some


# Values. SQLite keeps any value in any column; PostgreSQL has whole numbers of 32 bits, and text of whole
# characters without NUL.

_LEAST, _MOST = -(2**31), 2**31 - 1


def _text(raw: memoryview) -> str | bytes:
    """Return the text of a column; bytes if it is broken."""
    data = raw.tobytes()
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _fits(column: _Column, value: Any) -> bool:
    if column.is_number:
        return isinstance(value, int) and _LEAST <= value <= _MOST
    return isinstance(value, str) and "\0" not in value


def _as_shown(column: _Column, value: Any) -> Any:
    """Return the value that lists and pages show in its place (see `readable`)."""
    shown = readable({column.name: value})[column.name]
    if column.is_number:
        return max(_LEAST, min(int(shown), _MOST)) if isinstance(shown, int) else 0
    if isinstance(shown, datetime):
        return written(shown)
    return str(shown or "").replace("\0", "\N{REPLACEMENT CHARACTER}")
