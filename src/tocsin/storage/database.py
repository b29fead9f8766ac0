"""The journal's SQLAlchemy engine, its write queue, and the barrier before a full disk."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import os
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url

from tocsin.incidents.errors import Unavailable

# Writers to one SQLite file take turns: SQLite has them wait by sleeping, ever longer and in no order.


class WriteQueue:
    """A queue of writers: first those whose answer is waited for, then in the order they came.

    A thread that has the turn may take it again, and gives it back as often.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._whose: int | None = None
        self._taken = 0
        self._numbers = itertools.count()
        self._waiting: list[tuple[bool, int, int, threading.Event]] = []

    @property
    def waiting(self) -> int:
        """The length of the queue."""
        return len(self._waiting)

    def take(self, *, hurried: bool) -> None:
        own = threading.get_ident()
        with self._mutex:
            if self._whose in (None, own):
                self._whose, self._taken = own, self._taken + 1
                return
            called = threading.Event()
            heapq.heappush(self._waiting, (not hurried, next(self._numbers), own, called))
        called.wait()

    def give_back(self) -> None:
        with self._mutex:
            self._taken -= 1
            if self._taken:
                return
            self._whose = None
            if self._waiting:
                _, _, self._whose, called = heapq.heappop(self._waiting)
                self._taken = 1
                called.set()


_turns: defaultdict[str, WriteQueue] = defaultdict(WriteQueue)


def in_turns(
    url: str,
    *,
    is_hurried: Callable[[], bool] = lambda: False,
    hold: Callable[[], None] = lambda: None,
    **options: Any,
) -> sa.Engine:
    """An engine that lets one thread of this process at a time have a connection to an SQLite file.

    `hold` may keep a thread waiting before it gets in the row. Nothing changes for other processes, nor for
    a database that is no file of SQLite's.
    """
    database = sa.make_url(url).database
    if not url.startswith("sqlite") or not database:
        return sa.create_engine(url, **options)
    turns = _turns[database]

    class TurnPool(sa.QueuePool):
        def _do_get(self) -> Any:
            hold()
            turns.take(hurried=is_hurried())
            try:
                return super()._do_get()
            except BaseException:
                turns.give_back()
                raise

        def _do_return_conn(self, record: Any) -> None:
            try:
                super()._do_return_conn(record)
            finally:
                turns.give_back()

    # Only a thread that has its turn already takes another connection.
    return sa.create_engine(url, poolclass=TurnPool, max_overflow=-1, **options)


# A journal that takes nothing, because its disk is full, say: workflows wait at a gate until it is well.
#
# DBOS calls a workflow failed when what became of it cannot be written, and so would lose it. What it does
# with a lost connection is what we want: the step waits, and is written down later. So a file that takes
# nothing is called a lost connection here, and whoever would try it again is held up until a trial of our
# own went well. PostgreSQL has connections to lose, and DBOS knows how to wait for them.

TRIAL_SECONDS = 1.0
TRIAL_SIZE = 32_000
"""Bytes of a trial: about what the longest step of a workflow needs."""

BUSY_SECONDS = 5
# SQLite, result codes: perm, busy, locked, nomem, readonly, ioerr, full, cantopen, protocol.
_TAKES_NOTHING = frozenset({3, 5, 6, 7, 8, 10, 13, 14, 15})

_asks_now: ContextVar[bool] = ContextVar("asks_now", default=False)


class WriteBarrier:
    """The connections of DBOS to an SQLite journal."""

    def __init__(self, url: str) -> None:
        self.problem = ""
        """Return why the database takes nothing; empty when it is well."""
        self.engine = in_turns(url, is_hurried=_asks_now.get, hold=self._hold)
        self._own = sa.create_engine(url, poolclass=sa.NullPool)
        self._well = threading.Event()
        self._well.set()
        self._closed = threading.Event()
        self._one_at_a_time = threading.Lock()
        for engine, seconds in ((self.engine, BUSY_SECONDS), (self._own, TRIAL_SECONDS)):
            event.listen(engine, "connect", _on_connect(seconds))
        event.listen(self.engine, "handle_error", self._failed)

    def close(self) -> None:
        """Let no writer through any more, once all who have something to write were told to stop."""
        self._closed.set()
        self._well.set()
        self.engine.dispose()

    def _hold(self) -> None:
        if not _asks_now.get():
            self._well.wait()
            if self._closed.is_set() and self.problem:
                raise sqlite3.OperationalError("the journal is closed")

    def _failed(self, context: sa.ExceptionContext) -> None:
        error = context.original_exception
        if not isinstance(error, sqlite3.Error) or self._closed.is_set():
            return
        if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _TAKES_NOTHING:
            self._shut(str(error))
            if not _asks_now.get():
                context.is_disconnect = True
                context.invalidate_pool_on_disconnect = False

    def _shut(self, why: str) -> None:
        with self._one_at_a_time:
            if not self.problem:
                self._well.clear()
                threading.Thread(target=self._try, name="journal trial", daemon=True).start()
            self.problem = why

    def _try(self) -> None:
        """Until something can be written."""
        while not self._closed.wait(TRIAL_SECONDS):
            try:
                self._write()
            except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
                self.problem = str(getattr(error, "orig", None) or error)
            else:
                with self._one_at_a_time:
                    self.problem = ""
                    self._well.set()
                return

    def _write(self) -> None:
        """Have room for a step, and give it back. What is added and removed at once would need none."""
        with self._own.begin() as connection:
            connection.execute(sa.text("CREATE TABLE IF NOT EXISTS tocsin_trials (said BLOB)"))
            connection.execute(sa.text(f"INSERT INTO tocsin_trials VALUES (zeroblob({TRIAL_SIZE}))"))
        with self._own.begin() as connection:
            connection.execute(sa.text("DROP TABLE tocsin_trials"))


@contextmanager
def fail_fast() -> Iterator[None]:
    """Within this block, a database that takes nothing is an error at once: its answer is waited for."""
    earlier = _asks_now.set(True)
    try:
        yield
    finally:
        _asks_now.reset(earlier)


def wait_for_database() -> None:
    """From here on in this task, a journal that takes nothing is waited for."""
    _asks_now.set(False)


def _on_connect(seconds: float) -> Any:
    def prepare(connection: Any, _record: Any) -> None:
        # As DBOS does with the connections that it makes itself.
        connection.isolation_level = "IMMEDIATE"
        connection.execute(f"PRAGMA busy_timeout={int(1000 * seconds)}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        # What people wrote is not to be read in the file once it is deleted.
        connection.execute("PRAGMA secure_delete=ON")
        # What must outlive a power cut is written through by itself (see `through`): a step that is not
        # recorded is looked for in Slack and at the backend before it is done again.
        connection.execute("PRAGMA synchronous=NORMAL")

    return prepare


# The file of an SQLite journal: made for its owner alone, known again, and through to the disk.

TRUNCATING_SECONDS = 5


def file_of(url: str) -> Path | None:
    """The file of an SQLite journal."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def file_identity(url: str) -> tuple[int, int] | None:
    """Return the identity of the file there now; None where there is none, or the database is no file.

    What is written to a file that was deleted is gone with the process: nothing may be promised on it.
    """
    path = file_of(url)
    if path is None or not path.exists():
        return None
    found = path.stat()
    return found.st_dev, found.st_ino


def root_message(error: BaseException) -> str:
    """The first line of what went wrong, without the statement and the address it went wrong with."""
    at_heart = getattr(error, "orig", None) or error
    return (str(at_heart).strip().splitlines() or [type(at_heart).__name__])[0]


def fsync_wal(url: str) -> None:
    """Have everything that was committed to an SQLite journal on the disk, whatever happens to the power.

    Raises OSError. Its commits alone leave that to the next checkpoint (SQLite, PRAGMA synchronous: NORMAL).
    """
    path = file_of(url)
    if path is None:
        return
    # No locks are held on the log itself, so that it may be opened and closed beside SQLite.
    with suppress(FileNotFoundError):
        log = os.open(f"{path}-wal", os.O_RDWR)
        try:
            os.fdatasync(log)
        finally:
            os.close(log)


def truncate(url: str) -> None:
    """Leave nothing in the log of an SQLite journal: what was deleted would stay there to be read."""
    path = file_of(url)
    if path is not None:
        with closing(sqlite3.connect(path, timeout=TRUNCATING_SECONDS)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def create_file(url: str) -> None:
    """Create the file of an SQLite journal, for its owner's eyes only (0600), in write-ahead mode."""
    path = file_of(url)
    if path is None:
        return
    # Only a new file is opened here: closing one that SQLite has open would drop its locks (POSIX locks are
    # the process's), and the next program to look into the journal would take its write-ahead log away.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


# Tables of ours beside the journal, in the same database.

T = TypeVar("T")


class Database:
    """Some tables at this SQLAlchemy address; nothing is opened before `open`, or before it is first asked.

    With `synchronous` as NORMAL a commit in SQLite reaches the disk at the next `through`, or the next
    checkpoint; with FULL before it is answered.
    """

    def __init__(self, url: str, tables: sa.MetaData, *, synchronous: str = "FULL") -> None:
        self._url, self._tables, self._synchronous = url, tables, synchronous
        self._engine: sa.Engine | None = None
        self._identity: tuple[int, int] | None = None
        self._opening = Lock()
        self.failed = False
        """A transaction failed since this was last set to False."""

    def open(self) -> sa.Engine:
        """The engine, with the tables there. Raises SQLAlchemyError or OSError."""
        with self._opening:
            if self._engine is None:
                create_file(self._url)
                self._identity = file_identity(self._url)
                self._engine = _made(_prepared(self._url, self._synchronous), self._tables)
            return self._engine

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    async def do(self, act: Callable[[sa.Connection], T]) -> T:
        """Return what `act` answers within one transaction. Raises Unavailable."""

        def transaction() -> T:
            engine = self.open()
            if file_identity(self._url) != self._identity:
                raise Unavailable(
                    "Tocsin's journal was moved or deleted; put it back and start Tocsin again."
                )
            with engine.begin() as connection:
                return act(connection)

        try:
            try:
                return await asyncio.to_thread(transaction)
            except sa.exc.IntegrityError:
                # Another replica wrote the same row first; asking again finds it.
                return await asyncio.to_thread(transaction)
        except sa.exc.SQLAlchemyError as error:
            self.failed = True
            raise Unavailable(f"Tocsin's journal cannot be used ({root_message(error)}).") from error


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    key: dict[str, str],
    rest: dict[str, str | None],
    *,
    replacing: bool = True,
) -> None:
    """Write the row with this primary key; one that is there already stays, unless it is `replacing`."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = insert(table).values({**key, **rest})
    if replacing:
        connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=rest))
    else:
        connection.execute(row.on_conflict_do_nothing(index_elements=list(key)))


def _prepared(url: str, synchronous: str) -> sa.Engine:
    """An engine whose SQLite connections wait for each other."""
    engine = in_turns(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_prepare_sqlite, synchronous))
    return engine


def _made(engine: sa.Engine, tables: sa.MetaData) -> sa.Engine:
    for _ in tables.sorted_tables:
        # Another process may make a table between our looking and our making; what is wrong stays so.
        with contextlib.suppress(sa.exc.DBAPIError):
            tables.create_all(engine)
    tables.create_all(engine)
    return engine


def _prepare_sqlite(synchronous: str, connection: Any, _record: Any) -> None:
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=1500")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute(f"PRAGMA synchronous={synchronous}")
