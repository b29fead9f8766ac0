"""SQLite: its engines, the queue of writers, the barrier for a full disk, and the file itself."""

from __future__ import annotations

import heapq
import itertools
import os
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url

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
    return sa.create_engine(url, poolclass=TurnPool, max_overflow=-1, **options)


# A barrier for the time in which SQLite cannot be written, because the disk is full, for example.
#
# DBOS marks a workflow as failed if its result cannot be written, and the workflow would be lost. After a
# lost connection, however, it retries the write later, as we need. So an SQLite file that cannot be written
# is reported to DBOS as a lost connection, and its next attempts block until a test write of ours succeeds.
# PostgreSQL has real connections, and DBOS waits for them itself.

TRIAL_SECONDS = 1.0
TRIAL_SIZE = 32_000
"""Bytes of a test write: about as much as the largest step of a workflow."""

BUSY_SECONDS = 5
# SQLite, result codes: perm, busy, locked, nomem, readonly, ioerr, full, cantopen, protocol.
_TAKES_NOTHING = frozenset({3, 5, 6, 7, 8, 10, 13, 14, 15})

_asks_now: ContextVar[bool] = ContextVar("asks_now", default=False)


class WriteBarrier:
    """Engine for DBOS that blocks its threads while the SQLite file cannot be written."""

    def __init__(self, url: str) -> None:
        self.problem = ""
        """Error with which the database cannot be written; empty if it can."""
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
        """Release blocked writers with an error; call it once all workflows have been told to stop."""
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
        """Test once a second until a write succeeds, then open the barrier."""
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
        """Write as much as a large step and delete it again.

        In one transaction, the file would not need to grow, and the test would prove nothing.
        """
        with self._own.begin() as connection:
            connection.execute(sa.text("CREATE TABLE IF NOT EXISTS tocsin_trials (said BLOB)"))
            connection.execute(sa.text(f"INSERT INTO tocsin_trials VALUES (zeroblob({TRIAL_SIZE}))"))
        with self._own.begin() as connection:
            connection.execute(sa.text("DROP TABLE tocsin_trials"))


@contextmanager
def fail_fast() -> Iterator[None]:
    """Within this block, an unwritable database raises at once, since a person waits for the answer."""
    earlier = _asks_now.set(True)
    try:
        yield
    finally:
        _asks_now.reset(earlier)


def wait_for_database() -> None:
    """End `fail_fast` for this task: from here on it waits until the database can be written."""
    _asks_now.set(False)


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

    return prepare


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
