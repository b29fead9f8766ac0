"""A barrier for the time in which the database takes nothing: it is full, read-only or away.

DBOS gives a workflow up after an error that does not look like a lost connection, and after one that does it
tries again after pauses that grow to 90 seconds. So a database that takes nothing is reported to DBOS as a
lost connection, and its next attempt waits here until a test write of ours succeeds: then all goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import sqlalchemy as sa

TRIAL_SECONDS = 1.0
"""Seconds between two test writes."""

_asked_now: ContextVar[bool] = ContextVar("asked_now", default=False)
_never_waits: ContextVar[bool] = ContextVar("never_waits", default=False)


class WriteBarrier:
    """Barrier that DBOS's threads wait behind while the database takes nothing."""

    def __init__(self, write: Callable[[], None], seconds: float = TRIAL_SECONDS) -> None:
        """`write` is the test write; it raises SQLAlchemyError while the database takes nothing."""
        self.problem = ""
        """Error with which the database cannot be written; empty if it can."""
        self._write, self._seconds = write, seconds
        self._well = threading.Event()
        self._well.set()
        self._closed = threading.Event()
        self._one_at_a_time = threading.Lock()

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def close(self) -> None:
        """Release blocked writers with an error; call it once all workflows have been told to stop."""
        self._closed.set()
        self._well.set()

    def wait(self) -> None:
        """Wait until the database takes something, unless a person or one of our own stores waits for it."""
        if not _asked_now.get() and not _never_waits.get():
            self._well.wait()
            if self.is_closed and self.problem:
                raise sa.exc.InvalidRequestError("the journal is closed")

    def shut(self, error: BaseException) -> None:
        """Make writers wait from now on, until a test write succeeds."""
        with self._one_at_a_time:
            is_open, self.problem = not self.problem, root_message(error)
            if is_open:
                self._well.clear()
                threading.Thread(target=self._try, name="journal trial", daemon=True).start()

    def _try(self) -> None:
        """Test until a write succeeds, then open the barrier."""
        while not self._closed.wait(self._seconds):
            try:
                self._write()
            except sa.exc.SQLAlchemyError as error:
                self.problem = root_message(error)
            else:
                with self._one_at_a_time:
                    self.problem = ""
                    self._well.set()
                return


def root_message(error: BaseException) -> str:
    """Return the first line of the original error, without the SQL statement and the database URL."""
    at_heart = getattr(error, "orig", None) or error
    return (str(at_heart).strip().splitlines() or [type(at_heart).__name__])[0]


def is_asked_now() -> bool:
    """True in DBOS for which a person waits, and which shall raise instead of waiting."""
    return _asked_now.get()


@contextmanager
def fail_fast() -> Iterator[None]:
    """Within this block, an unwritable database raises at once, since a person waits for the answer."""
    earlier = _asked_now.set(True)
    try:
        yield
    finally:
        _asked_now.reset(earlier)


def wait_for_database() -> None:
    """End `fail_fast` for this task: from here on it waits until the database can be written."""
    _asked_now.set(False)


@contextmanager
def unbarred() -> Iterator[None]:
    """Within this block, which is not DBOS's, the database is asked even while it takes nothing."""
    earlier = _never_waits.set(True)
    try:
        yield
    finally:
        _never_waits.reset(earlier)
