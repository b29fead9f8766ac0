"""Writers to one SQLite file take turns: SQLite has them wait by sleeping, ever longer and in no order."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa


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
