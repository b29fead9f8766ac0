"""The SQLite file of the local backend: its transactions, its errors, its configured choices."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from tocsin.backends.local.schema import later_changes, migrations
from tocsin.incidents.errors import Refused, Unavailable
from tocsin.incidents.model import OPEN_CATEGORIES, Form

# Sentences for SQLite's errors, for the person who declares an incident.

_HELD = "Another program is holding the incident file {path}. Try again in a moment."
_SENTENCES = {
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_FULL: "The disk is full: nothing can be added to {path}. Free some space and try again.",
    sqlite3.SQLITE_READONLY: "The incident file {path} is read-only. Allow writing to it and to its folder.",
    sqlite3.SQLITE_CORRUPT: "The incident file {path} is damaged. It is left as it is: restore a backup.",
    sqlite3.SQLITE_NOTADB: "{path} is not an incident file. Left as it is: move it, or restore a backup.",
    sqlite3.SQLITE_CANTOPEN: "The incident file {path} cannot be opened. Check who may write to its folder.",
    sqlite3.SQLITE_PERM: "The incident file {path} may not be opened by this user. Check who owns it.",
    sqlite3.SQLITE_IOERR: "The disk failed while using {path}. Check the disk and try again.",
}
_WAIT = {sqlite3.SQLITE_BUSY: 1.0, sqlite3.SQLITE_LOCKED: 1.0}


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into Unavailable, with a sentence for each kind."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        sentence = _SENTENCES.get(code, "The incident file {path} could not be used ({error}).")
        raise Unavailable(sentence.format(path=path, error=error), _WAIT.get(code)) from error
    except UnicodeDecodeError as error:
        # SQLite quotes a damaged schema in its message, and Python cannot decode the quotation.
        raise Unavailable(_SENTENCES[sqlite3.SQLITE_CORRUPT].format(path=path)) from error
    except UnicodeEncodeError as error:
        raise Refused("The text has a broken character in it that cannot be kept. Remove it.") from error


# The file and the one thread that uses its connection.

T = TypeVar("T")

PATIENCE = 1.5  # seconds; Slack waits 3 s for an answer, and SQLite's usual 5 s would be too long


class IncidentFile:
    """A SQLite file with its connection in a thread of its own, so that the event loop never waits for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="incidents")
        self._db: Database | None = None
        self._identity: tuple[int, int] | None = None

    @classmethod
    async def open(cls, path: Path) -> IncidentFile:
        """Open the file, creating it (0600, in a folder of 0700) and migrating its tables.

        Raises Unavailable with a one-line sentence if it cannot be used; a damaged file is left unchanged.
        """
        return await cls._opened_by(_prepared, path)

    @classmethod
    async def read(cls, path: Path) -> IncidentFile:
        """Open the file for reading only, unchanged; without a file, use an empty database in memory.

        Raises Unavailable with a one-line sentence if it cannot be used.
        """
        return await cls._opened_by(_as_it_is, path)

    @classmethod
    async def _opened_by(cls, way: Callable[[Path], Database], path: Path) -> IncidentFile:
        file = cls(path)
        try:
            file._db = await asyncio.get_running_loop().run_in_executor(file._thread, way, path)
            file._identity = _identity(path)
        except BaseException:
            file._thread.shutdown(wait=False)
            raise
        return file

    async def run(self, work: Callable[[Database], T]) -> T:
        """Run `work` in the file's thread. Raises Unavailable for SQLite's errors."""

        def in_thread() -> T:
            if self._identity != _identity(self.path):
                # Data written to a deleted file is lost once the process ends.
                raise Unavailable(
                    f"The incident file {self.path} was moved or deleted. Put it back and start Tocsin again."
                )
            with translate_errors(self.path):
                return work(self._opened())

        self._opened()
        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    def _opened(self) -> Database:
        if self._db is None:
            raise Unavailable("The incident file is closed.")
        return self._db

    async def close(self) -> None:
        """Close the file; closing it again does nothing."""
        database, self._db = self._db, None
        if database is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, database.close)
            self._thread.shutdown(wait=False)


@contextmanager
def transaction(db: Database) -> Iterator[Database]:
    """Commit all statements of the block together.

    The write lock is taken at the beginning, so that values read in the block stay valid until the commit.
    """
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.conn.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:
            db.conn.execute("ROLLBACK")
        raise


def _prepared(path: Path) -> Database:
    with translate_errors(path):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_private(path)
        except OSError as error:
            raise Unavailable(f"The incident file {path} cannot be opened: {error.strerror}.") from error
        connection = _connected(path)
        try:
            return _up_to_date(connection)
        except BaseException:
            connection.close()
            raise


def _as_it_is(path: Path) -> Database:
    if not path.exists():
        empty = Database(memory=True)
        migrations.apply(empty)
        return empty
    with translate_errors(path):
        connection = _connected(path)
        try:
            connection.execute("PRAGMA query_only = ON")
            _refuse_damaged(connection)
            db = Database(connection)
            _refuse_newer(db)
            if migrations.pending(db):
                raise Unavailable(
                    "The incident file is older than this Tocsin. Start the bot once to update it."
                )
            _refuse_incomplete(db)
            return db
        except BaseException:
            connection.close()
            raise


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file at this path, or None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    # In a container that may write only to the data folder, SQLite has no place for temporary files.
    connection.execute("PRAGMA temp_store = MEMORY")
    # A broken byte in one text becomes a replacement character there; it must not make the whole list fail.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    return connection


def _make_private(path: Path) -> None:
    # SQLite gives its -wal and -shm files the mode of the main file, so this mode protects all three.
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    elif path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _up_to_date(connection: sqlite3.Connection) -> Database:
    _refuse_damaged(connection)
    if (there := Database(connection)).table_names() and not migrations.pending(there):
        _refuse_incomplete(there)
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    db = Database(connection)
    _refuse_newer(db)
    if migrations.pending(db):
        with transaction(db):
            migrations.apply(db)
    return db


def _refuse_damaged(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        damaged = sqlite3.DatabaseError("quick_check failed")
        damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damaged


def _refuse_incomplete(db: Database) -> None:
    """Raise an error if a table lacks a column: SQLite does not notice a damaged column name."""
    whole = Database(memory=True)
    migrations.apply(whole)
    for table in whole.tables:
        if not set(table.columns_dict) <= set(db[table.name].columns_dict):
            damaged = sqlite3.DatabaseError(f"{table.name} is not whole")
            damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damaged
    whole.close()


def _refuse_newer(db: Database) -> None:
    if later_changes(db):
        raise Unavailable("The incident file was written by a newer version of Tocsin. Install that version.")


def _write_ahead(connection: sqlite3.Connection) -> None:
    # Changing the journal mode does not wait for other connections as everything else does (SQLite,
    # "Write-Ahead Logging"), so of two processes that start together one would fail here without the retry.
    given_up = time.monotonic() + PATIENCE
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > given_up:
                raise
            time.sleep(0.01)


# The configured choices as rows, so that the choices of old incidents can still be named after the
# configuration has changed.

Row = dict[str, Any]

ELSEWHERE = {"options", "searched", "catalog_type_id"}
"""Properties of a custom field that are no columns: options have their own table, the others are unused."""


def update_choices(db: Database, form: Form, now: str) -> None:
    """Update the tables to match the form; rows that the form lacks are archived, never deleted."""
    if not list(_changes(db, form, now)):
        return
    with transaction(db):
        # Compared again under the lock: another process may have written the same rows meanwhile.
        for table, row, known in list(_changes(db, form, now)):
            if known:
                _update(db, table, row, known, now)
            else:
                _insert(db, table, {**row, "created_at": now, "updated_at": now})
        _agree_on_what_is_open(db, now)


def _agree_on_what_is_open(db: Database, now: str) -> None:
    """Close or reopen incidents whose status got another category in the configuration."""
    marks = ", ".join("?" * len(OPEN_CATEGORIES))
    is_open = f"incident_status_id IN (SELECT id FROM incident_statuses WHERE category IN ({marks}))"
    categories = sorted(OPEN_CATEGORIES)
    db.execute(f"UPDATE incidents SET closed_at = NULL WHERE closed_at IS NOT NULL AND {is_open}", categories)
    db.execute(
        f"UPDATE incidents SET closed_at = ? WHERE closed_at IS NULL AND NOT ({is_open})", [now, *categories]
    )


def _changes(db: Database, form: Form, now: str) -> Iterator[tuple[str, Row, tuple[str, ...]]]:
    for table, keys, wanted in _tables(form):
        for row, known in _differences(db, table, keys, wanted, now):
            yield table, row, known


def _tables(form: Form) -> Iterator[tuple[str, tuple[str, ...], list[Row]]]:
    yield "severities", ("id",), [severity.model_dump() for severity in form.severities]
    yield "incident_statuses", ("id",), [status.model_dump() for status in form.statuses]
    yield "incident_types", ("id",), [kind.model_dump() for kind in form.incident_types]
    yield "incident_roles", ("id",), [role.model_dump() for role in form.roles]
    fields = enumerate(form.custom_fields)
    yield "custom_fields", ("id",), [{**f.model_dump(exclude=ELSEWHERE), "rank": r} for r, f in fields]
    yield (
        "custom_field_options",
        ("custom_field_id", "id"),
        [
            {"custom_field_id": field.id, **option.model_dump()}
            for field in form.custom_fields
            for option in field.options
        ],
    )


def _differences(
    db: Database, table: str, keys: tuple[str, ...], wanted: list[Row], now: str
) -> Iterator[tuple[Row, tuple[str, ...]]]:
    """Yield the rows to write, each with the names of its key columns (none for a new row)."""
    there = {tuple(row[key] for key in keys): row for row in db[table].rows}
    for row in wanted:
        found = there.pop(tuple(row[key] for key in keys), None)
        if found is None:
            yield row, ()
        elif found["archived_at"] or any(found[column] != value for column, value in row.items()):
            yield {**row, "archived_at": None}, keys
    for row in there.values():
        if not row["archived_at"]:
            yield {**{key: row[key] for key in keys}, "archived_at": now}, keys


# Table and column names below come only from this module and the models, never from user input.


def _insert(db: Database, table: str, row: Mapping[str, Any]) -> None:
    columns = ", ".join(row)
    marks = ", ".join(f":{column}" for column in row)
    db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", dict(row))


def _update(db: Database, table: str, row: Mapping[str, Any], keys: tuple[str, ...], now: str) -> None:
    changed = ", ".join(f"{column} = :{column}" for column in [*row, "updated_at"] if column not in keys)
    where = " AND ".join(f"{key} = :{key}" for key in keys)
    db.execute(f"UPDATE {table} SET {changed} WHERE {where}", {**row, "updated_at": now})
