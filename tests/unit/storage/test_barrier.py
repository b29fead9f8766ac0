"""While the database takes nothing workflows wait, people do not, and all goes on once it takes something."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from support.patience import LIMIT

from tocsin.storage.barrier import WriteBarrier, fail_fast, unbarred


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
