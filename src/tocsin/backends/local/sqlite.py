"""The SQLite file of the local backend: its connection, its transactions, its errors."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from tocsin.backends.local.connection import WORD, Parameters, Query, Row, SqlConnection, T
from tocsin.backends.local.schema import later_changes, migrations
from tocsin.incidents.errors import Refused, Unavailable

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


# The connection.


class SqliteConnection(SqlConnection):
    """Connection to an incident file."""

    # With it, SQLite reads the left side first (SQLite, Query Optimizer Overview, 7.2).
    join_in_order = "CROSS JOIN"
    is_public = "(i.visibility = 'public')"
    is_open = "(i.closed_at IS NULL)"

    def __init__(self, db: Database) -> None:
        self.conn: sqlite3.Connection = db.conn
        self._db = db

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        return self.conn.execute(sql, parameters)

    def query(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        return self._db.query(sql, parameters)

    @contextmanager
    def transaction(self, scope: str) -> Iterator[None]:
        """Commit all statements of the block together, under the write lock of the whole file."""
        self.conn.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.conn.execute("COMMIT")
        except BaseException:
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")
            raise

    @contextmanager
    def counting(self) -> Iterator[bool]:
        """Yield True: a transaction has the write lock of the file, so a change comes before or after."""
        with self.transaction("insights"):
            yield True

    def recounted(self, public: int) -> frozenset[str]:
        """Return none: the counts that a change makes void are deleted with it."""
        return frozenset()

    def indexed_by(self, index: str) -> str:
        return f" INDEXED BY {index}"

    def word_searches(
        self,
        text: str,
        before: int,
        public: int | None = None,
        people: Sequence[str] = (),
        at_least: int = 0,
    ) -> Sequence[Query]:
        """Return the one query that is needed: FTS5 walks over the matches from the newest on."""
        query = (
            "SELECT w.rowid FROM incident_words w CROSS JOIN incidents i ON i.number = w.rowid"
            " WHERE incident_words MATCH ? AND w.rowid < ? AND w.rowid >= ?{conditions}"
            " ORDER BY w.rowid DESC"
        )
        return [(query, [_match(text), before, at_least])]

    def has_words(self, number: str, text: str) -> Query:
        return _contains(number, text) if WORD.search(text) else ("TRUE", [])

    def contains_words(self, text: str) -> Query:
        return _contains("i.number", text)

    def index_words(self, number: int) -> None:
        """Do nothing: triggers of the file do it."""


def _contains(number: str, text: str) -> Query:
    """Return the condition with one look for each row; `IN` would list all matches first (SQLite, 3.46)."""
    found = f"incident_words WHERE incident_words MATCH ? AND incident_words.rowid = {number}"
    return f"EXISTS (SELECT 1 FROM {found})", [_match(text)]


def _match(text: str) -> str:
    """Return the FTS5 expression that requires every word or a word beginning with it (FTS5, 3.1 to 3.3)."""
    return " AND ".join(f'"{word}"*' for word in WORD.findall(text))


# The file and the one thread that uses its connection.

PATIENCE = 1.5  # seconds; Slack waits 3 s for an answer, and SQLite's usual 5 s would be too long


class IncidentFile:
    """A SQLite file with its connection in a thread of its own, so that the event loop never waits for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="incidents")
        self._db: SqliteConnection | None = None
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
        return await cls._opened_by(open_for_reading, path)

    @classmethod
    async def _opened_by(cls, way: Callable[[Path], Database], path: Path) -> IncidentFile:
        file = cls(path)
        try:
            opened = await asyncio.get_running_loop().run_in_executor(file._thread, way, path)
            file._db = SqliteConnection(opened)
            file._identity = _identity(path)
        except BaseException:
            file._thread.shutdown(wait=False)
            raise
        return file

    async def run(self, work: Callable[[SqlConnection], T]) -> T:
        """Run `work` in the file's thread. Raises Unavailable for SQLite's errors.

        The sentences name the file without its folder, since everyone with an API key may read them.
        """
        name = Path(self.path.name)

        def in_thread() -> T:
            if self._identity != _identity(self.path):
                # Data written to a deleted file is lost once the process ends.
                raise Unavailable(
                    f"The incident file {name} was moved or deleted. Put it back and start Tocsin again."
                )
            with translate_errors(name):
                return work(self._opened())

        self._opened()
        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    def _opened(self) -> SqliteConnection:
        if self._db is None:
            raise Unavailable("The incident file is closed.")
        return self._db

    async def close(self) -> None:
        """Close the file; closing it again does nothing."""
        database, self._db = self._db, None
        if database is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, database.conn.close)
            self._thread.shutdown(wait=False)


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


def open_for_reading(path: Path) -> Database:
    """Open the file unchanged; without one, an empty database in memory. Raises Unavailable."""
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
            if _pending(db):
                raise Unavailable(
                    "The incident file is older than this Tocsin. Start the bot once to update it."
                )
            _refuse_incomplete(db)
            return db
        except BaseException:
            connection.close()
            raise


def open_to_import(path: Path) -> Database:
    """Open a file that must be there and be an incident file. Raises Unavailable."""
    if not path.is_file():
        raise Unavailable(f"There is no file {path}. Give the path of an incidents.db.")
    with translate_errors(path):
        connection = _connected(path)
        try:
            tables = Database(connection).table_names()
        finally:
            connection.close()
    if "incidents" not in tables or "_sqlite_migrations" not in tables:
        raise Unavailable(f"{path} is not an incident file. Give the path of an incidents.db.")
    return open_for_reading(path)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file at this path, or None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
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
    if (there := Database(connection)).table_names() and not _pending(there):
        _refuse_incomplete(there)
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    db = Database(connection)
    _refuse_newer(db)
    if _pending(db):
        with SqliteConnection(db).transaction("tables"):
            migrations.apply(db)
    return db


def _pending(db: Database) -> list[Any]:
    """Return the migrations that are to come. Raises DatabaseError if their table is not as it was made."""
    try:
        return migrations.pending(db)
    except KeyError as missing:
        raise _damaged(f"{missing} is not in the table of migrations") from missing


def _refuse_damaged(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise _damaged("quick_check failed")


def _damaged(how: str) -> sqlite3.DatabaseError:
    damaged = sqlite3.DatabaseError(how)
    damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return damaged


def _refuse_incomplete(db: Database) -> None:
    """Raise an error if a table lacks a column: SQLite does not notice a damaged column name."""
    for table, columns in _columns().items():
        if not columns <= _columns_of(db, table):
            damaged = sqlite3.DatabaseError(f"{table} is not whole")
            damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damaged


@cache
def _columns() -> dict[str, frozenset[str]]:
    """Return the columns of each table, as the migrations leave them."""
    whole = Database(memory=True)
    migrations.apply(whole)
    columns = {table: _columns_of(whole, table) for table in whole.table_names()}
    whole.close()
    return columns


def _columns_of(db: Database, table: str) -> frozenset[str]:
    """Return the columns of a table; none if there is no such table."""
    return frozenset(name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", [table]))


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
