"""While the database takes nothing workflows wait, people do not, and all goes on once it takes something."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.patience import LIMIT

from tocsin.storage.barrier import WriteBarrier, fail_fast, unbarred
from tocsin.storage.database import Database
from tocsin.storage.sqlite import barred_engine


class Disk:
    """A disk that is full until there is room; the second test write finds out."""

    def __init__(self) -> None:
        self.tried = threading.Semaphore(0)
        self.has_room = threading.Event()

    def write(self) -> None:
        self.tried.release()
        if not self.has_room.is_set():
            raise sa.exc.OperationalError("INSERT", {}, Exception("no space left\nsecret line"))


@pytest.fixture
def disk() -> Disk:
    return Disk()


def test_a_workflow_waits_until_a_test_write_succeeds(disk: Disk) -> None:
    barrier = WriteBarrier(disk.write, seconds=0.001)
    barrier.wait()
    barrier.shut(OSError("it is full"))
    with ThreadPoolExecutor(1) as workflow:
        waiting = workflow.submit(barrier.wait)
        assert disk.tried.acquire(timeout=LIMIT)
        assert disk.tried.acquire(timeout=LIMIT)
        assert not waiting.done()
        assert barrier.problem == "no space left"
        disk.has_room.set()
        waiting.result(LIMIT)
    assert barrier.problem == ""


@pytest.mark.parametrize("within", [fail_fast, unbarred])
def test_what_a_person_waits_for_and_our_own_stores_do_not_wait(
    disk: Disk, within: Callable[[], Any]
) -> None:
    barrier = WriteBarrier(disk.write, seconds=0.001)
    barrier.shut(OSError("it is full"))
    with within():
        barrier.wait()
    barrier.close()


def test_a_bot_that_stops_meanwhile_lets_its_workflows_go_with_an_error(disk: Disk) -> None:
    barrier = WriteBarrier(disk.write, seconds=0.001)
    barrier.shut(OSError("it is full"))
    with ThreadPoolExecutor(1) as workflow:
        waiting = workflow.submit(barrier.wait)
        barrier.close()
        with pytest.raises(sa.exc.InvalidRequestError, match="closed"):
            waiting.result(LIMIT)


def test_what_a_file_does_not_take_from_our_own_stores_or_in_another_file_keeps_no_workflow_waiting(
    tmp_path: Path,
) -> None:
    url, tries = f"sqlite:///{tmp_path / 'journal.db'}", list[sa.Connection]()

    def write(connection: sa.Connection) -> None:
        tries.append(connection)
        connection.execute(sa.text("PRAGMA query_only=ON"))
        connection.execute(sa.text("CREATE TABLE refused (said TEXT)"))

    own = Database(url)
    own.open()
    (engine, barrier), (_, another) = barred_engine(url), barred_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        own.run(write)
    assert (len(tries), barrier.problem, another.problem) == (1, "", "")
    with pytest.raises(sa.exc.OperationalError, match="readonly"), engine.begin() as connection:
        write(connection)
    assert ("readonly" in barrier.problem, another.problem) == (True, "")
    for opened in (barrier, another):
        opened.close()
    own.close()


def test_dbos_is_told_the_time_to_the_millisecond_also_by_an_sqlite_that_cannot(tmp_path: Path) -> None:
    """DBOS asks for it under Python 3.12 and later, without which it cannot make its tables."""
    engine, barrier = barred_engine(f"sqlite:///{tmp_path / 'journal.db'}")
    with closing(barrier), engine.begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE t (n INTEGER, at INTEGER DEFAULT (unixepoch('subsec') * 1000))")
        )
        connection.execute(sa.text("INSERT INTO t (n) VALUES (1)"))
        told = connection.scalar(sa.text("SELECT at > 1700000000000 FROM t"))
    engine.dispose()
    assert told == 1
