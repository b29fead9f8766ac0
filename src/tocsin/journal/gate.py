"""A journal that takes nothing, because its disk is full, say: stories wait at a gate until it is well.

DBOS calls a story failed when what became of it cannot be written, and so would lose it. What it does with a
lost connection is what we want: the step waits, and is written down later. So a file that takes nothing is
called a lost connection here, and whoever would try it again is held up until a trial of our own went well.
PostgreSQL has connections to lose, and DBOS knows how to wait for them.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from tocsin.journal.turns import in_turns

TRIAL_SECONDS = 1.0
TRIAL_SIZE = 32_000
"""Bytes of a trial: about what the longest step of a story needs."""

BUSY_SECONDS = 5
# SQLite, result codes: perm, busy, locked, nomem, readonly, ioerr, full, cantopen, protocol.
_TAKES_NOTHING = frozenset({3, 5, 6, 7, 8, 10, 13, 14, 15})

_asks_now: ContextVar[bool] = ContextVar("asks_now", default=False)


class Gate:
    """The connections of DBOS to an SQLite journal."""

    def __init__(self, url: str) -> None:
        self.trouble = ""
        """Why the journal takes nothing; empty when it is well."""
        self.engine = in_turns(url, is_hurried=_asks_now.get, hold=self._hold)
        self._own = sa.create_engine(url, poolclass=sa.NullPool)
        self._well = threading.Event()
        self._well.set()
        self._closed = threading.Event()
        self._one_at_a_time = threading.Lock()
        for engine, seconds in ((self.engine, BUSY_SECONDS), (self._own, TRIAL_SECONDS)):
            event.listen(engine, "connect", _prepared(seconds))
        event.listen(self.engine, "handle_error", self._failed)

    def close(self) -> None:
        """Let nobody through any more, once all who have something to write were told to stop."""
        self._closed.set()
        self._well.set()
        self.engine.dispose()

    def _hold(self) -> None:
        if not _asks_now.get():
            self._well.wait()
            if self._closed.is_set() and self.trouble:
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
            if not self.trouble:
                self._well.clear()
                threading.Thread(target=self._try, name="journal trial", daemon=True).start()
            self.trouble = why

    def _try(self) -> None:
        """Until something can be written."""
        while not self._closed.wait(TRIAL_SECONDS):
            try:
                self._write()
            except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
                self.trouble = str(getattr(error, "orig", None) or error)
            else:
                with self._one_at_a_time:
                    self.trouble = ""
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
def asking_now() -> Iterator[None]:
    """Inside, a journal that takes nothing is an error at once: somebody waits for the answer."""
    earlier = _asks_now.set(True)
    try:
        yield
    finally:
        _asks_now.reset(earlier)


def in_no_hurry() -> None:
    """From here on in this task, a journal that takes nothing is waited for."""
    _asks_now.set(False)


def _prepared(seconds: float) -> Any:
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
