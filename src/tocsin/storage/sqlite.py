"""SQLite: its engines, the queue of writers, what it refuses on a full disk, and the file itself."""

from __future__ import annotations

import heapq
import itertools
import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, MutableMapping
from contextlib import closing, suppress
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.util import LRUCache

from tocsin.storage.barrier import TRIAL_SECONDS, WriteBarrier, is_asked_now

# A queue for writers to one SQLite file: SQLite itself makes them sleep and retry, ever longer, in no order.


class WriteQueue:
    """Reentrant lock for writer threads: hurried ones first, then in the order of arrival.

    The thread that holds it may take it again and must give it back as often.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._whose: int | None = None
        self._taken = 0
        self._numbers = itertools.count()
        self._waiting: list[tuple[bool, int, int, threading.Event]] = []

    @property
    def waiting(self) -> int:
        """Number of threads in the queue."""
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
    """Return an engine that gives a connection to an SQLite file to one thread of this process at a time.

    `hold` may block a thread before it joins the queue. Other processes are not affected, and other
    databases get a plain engine.
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

    # No limit on connections is needed: only the thread that holds the queue takes another one.
    engine = sa.create_engine(url, poolclass=TurnPool, max_overflow=-1, **options)
    engine.dialect, compiled = _compiled_by()
    engine.update_execution_options(compiled_cache=compiled)
    return engine


COMPILED = 500
"""Statements to keep compiled, as many as SQLAlchemy keeps for an engine of its own."""


@cache
def _compiled_by() -> tuple[sa.Dialect, MutableMapping[Any, Any]]:
    """Return the dialect of all SQLite engines of this process, and the statements that it has compiled.

    An engine with a dialect of its own would compile all of them again: a sixth of a start's time, in a
    process that opens one database after the other.
    """
    engine = sa.create_engine("sqlite://")
    # The dialect reads SQLite's version from its first connection.
    engine.connect().close()
    engine.dispose()
    # SQLAlchemy keeps what handles errors with the dialect, so this is asked for the errors of all engines.
    event.listen(engine.dialect, "handle_error", _shut_barrier)
    return engine.dialect, LRUCache(COMPILED)


# What DBOS writes to an SQLite file waits behind a barrier while the file takes nothing. DBOS waits by itself
# after a lost connection only, so that is what the error is made to look like.

TRIAL_SIZE = 32_000
"""Bytes of a test write: about as much as the largest step of a workflow."""

BUSY_SECONDS = 5
# SQLite, result codes: perm, busy, locked, nomem, readonly, ioerr, full, cantopen, protocol.
_TAKES_NOTHING = frozenset({3, 5, 6, 7, 8, 10, 13, 14, 15})


def barred_engine(url: str) -> tuple[sa.Engine, WriteBarrier]:
    """Return an engine for DBOS, and the barrier where its threads wait while the file takes nothing."""
    own = sa.create_engine(url, poolclass=sa.NullPool)
    barrier = WriteBarrier(partial(_write, own))
    engine = in_turns(url, is_hurried=is_asked_now, hold=barrier.wait)
    engine.update_execution_options(barrier=barrier)
    for prepared, seconds in ((engine, BUSY_SECONDS), (own, TRIAL_SECONDS)):
        event.listen(prepared, "connect", _on_connect(seconds))
    return engine, barrier


def _shut_barrier(context: sa.ExceptionContext) -> None:
    """Shut the barrier of the engine that met this error, if that has one and its file takes nothing."""
    options = {} if context.engine is None else context.engine.get_execution_options()
    barrier, error = options.get("barrier"), context.original_exception
    if barrier is None or not isinstance(error, sqlite3.Error) or barrier.is_closed:
        return
    if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _TAKES_NOTHING:
        barrier.shut(error)
        if not is_asked_now():
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False


def _write(engine: sa.Engine) -> None:
    """Write as much as a large step and delete it again.

    In one transaction, the file would not need to grow, and the test would prove nothing.
    """
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE IF NOT EXISTS tocsin_trials (said BLOB)"))
        connection.execute(sa.text(f"INSERT INTO tocsin_trials VALUES (zeroblob({TRIAL_SIZE}))"))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE tocsin_trials"))


def _on_connect(seconds: float) -> Any:
    def prepare(connection: Any, _record: Any) -> None:
        # The settings that DBOS gives to its own connections.
        connection.isolation_level = "IMMEDIATE"
        connection.execute(f"PRAGMA busy_timeout={int(1000 * seconds)}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        # Deleted rows contain what people wrote, so they are overwritten in the file.
        connection.execute("PRAGMA secure_delete=ON")
        # Data that must survive a power cut is synced separately (see `fsync_wal`). Losing the record of a
        # step is harmless: its effect is searched for in Slack and at the backend before it is repeated.
        connection.execute("PRAGMA synchronous=NORMAL")
        give_subseconds(connection)

    return prepare


WITH_SUBSECONDS = (3, 42)
"""First version of SQLite in which `unixepoch` knows `subsec` (SQLite, Date And Time Functions)."""


def give_subseconds(connection: sqlite3.Connection) -> None:
    """Give a connection to DBOS's tables the function `unixepoch('subsec')`, if its SQLite has none.

    Without it no row can be written whose time is its column's default.
    """
    if sqlite3.sqlite_version_info < WITH_SUBSECONDS:
        connection.create_function("unixepoch", 1, _unixepoch)


def _unixepoch(modifier: str) -> float | None:
    """Return the seconds since 1970 to the millisecond, as SQLite's `unixepoch('subsec')` does.

    With Python 3.12 and later DBOS takes for granted that SQLite has it. Debian 12 has SQLite 3.40, under any
    Python.
    """
    return round(time.time(), 3) if modifier in ("subsec", "subsecond") else None


def sqlite_engine(url: str) -> sa.Engine:
    """Return an engine for our own tables; commits reach the disk at `fsync_wal` or the next checkpoint."""
    engine = in_turns(url)
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=1500")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA synchronous=NORMAL")


# The file of an SQLite database: created for its owner only, checked for replacement, and synced to disk.

TRUNCATING_SECONDS = 5


@lru_cache
def file_of(url: str) -> Path | None:
    """Return the path of an SQLite database; None for other databases."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def file_identity(url: str) -> tuple[int, int] | None:
    """Return the device and inode of the SQLite file; None if there is none.

    Data written to a deleted file is lost when the process ends, so commands must not be accepted then.
    """
    path = file_of(url)
    if path is None:
        return None
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def fsync_wal(url: str) -> None:
    """Sync all commits to disk, so that they survive a power cut. Raises OSError.

    Commits alone leave that to the next checkpoint (SQLite, PRAGMA synchronous: NORMAL).
    """
    path = file_of(url)
    if path is None:
        return
    # SQLite holds no locks on the write-ahead log itself, so closing it here releases none.
    with suppress(FileNotFoundError):
        log = os.open(f"{path}-wal", os.O_RDWR)
        try:
            os.fdatasync(log)
        finally:
            os.close(log)


def truncate(url: str) -> None:
    """Empty the write-ahead log of an SQLite database, in which deleted data would still be readable."""
    path = file_of(url)
    if path is not None:
        with closing(sqlite3.connect(path, timeout=TRUNCATING_SECONDS)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def create_file(url: str) -> None:
    """Create the file of an SQLite database (mode 0600) unless it exists, and set write-ahead mode."""
    path = file_of(url)
    if path is None:
        return
    # Only a new file is opened here. Closing a file that SQLite has open would drop SQLite's locks on it
    # (POSIX locks belong to the process), and the next program to open it would delete its write-ahead log.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
