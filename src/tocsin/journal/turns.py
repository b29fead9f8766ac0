"""Writers to one SQLite file take turns: SQLite has them wait by sleeping, ever longer and in no order."""

from __future__ import annotations

import threading
from collections import defaultdict

import sqlalchemy as sa
from sqlalchemy import event

_turns: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)


def take_turns(engine: sa.Engine) -> None:
    """Let one thread of this process at a time have connections to the engine's file.

    Nothing changes for other processes, nor for a database that is no file of SQLite's.
    """
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    turn = _turns[engine.url.database]
    event.listen(engine, "checkout", lambda *_: turn.acquire())
    event.listen(engine, "checkin", lambda *_: turn.release())
