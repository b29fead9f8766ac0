"""Writers to one SQLite file take turns: SQLite has them wait by sleeping, ever longer and in no order."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import defaultdict
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import event


class Turns:
    """Whose turn it is: first who has somebody waiting for an answer, then in the order they came.

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
        """How many are in the row."""
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


_turns: defaultdict[str, Turns] = defaultdict(Turns)


def take_turns(engine: sa.Engine, is_hurried: Callable[[], bool] = lambda: False) -> None:
    """Let one thread of this process at a time have connections to the engine's file.

    Nothing changes for other processes, nor for a database that is no file of SQLite's.
    """
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    turns = _turns[engine.url.database]
    event.listen(engine, "checkout", lambda *_: turns.take(hurried=is_hurried()))
    event.listen(engine, "checkin", lambda *_: turns.give_back())
