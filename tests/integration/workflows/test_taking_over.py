"""Replicas that take over what others left do so in turns, and are there for the others meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from support.operated import GLANCE_SECONDS
from support.patience import LIMIT
from support.postgresql import PostgresqlServer

from tocsin.storage.database import Database
from tocsin.storage.earlier_formats import FORMAT, WORKFLOW_FORMAT, take_over
from tocsin.storage.postgresql import postgresql_engine
from tocsin.storage.replicas import Replicas

pytestmark = pytest.mark.process

REPLICAS = 3
LEFT = 40
"""Workflows that a replica of the earlier version left behind."""


@pytest.fixture
def engines(postgresql: PostgresqlServer) -> Iterator[list[sa.Engine]]:
    """The connections of each replica; the database has what the earlier version left."""
    url = postgresql.create_database()
    found = [postgresql_engine(url) for _ in range(REPLICAS)]
    with found[0].begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO dbos.workflow_status (workflow_uuid, status, name, application_version, executor_id,"
            " created_at, updated_at, recovery_attempts, priority)"
            " SELECT 'left-' || n, 'PENDING', 'story', 'stories-1', 'gone', n, n, 1, 0"
            f" FROM generate_series(1, {LEFT}) AS n"
        )
    yield found
    for engine in found:
        engine.dispose()


def statuses(engine: sa.Engine) -> set[tuple[str, str]]:
    with engine.connect() as connection:
        asked = "SELECT DISTINCT status, application_version FROM dbos.workflow_status"
        return {(str(status), str(version)) for status, version in connection.exec_driver_sql(asked)}


def test_of_replicas_that_take_over_at_once_none_undoes_what_another_has_done(
    engines: list[sa.Engine],
) -> None:
    together = threading.Barrier(REPLICAS)

    def takes_over(engine: sa.Engine) -> bool:
        together.wait()
        return take_over(engine, "gone")

    with ThreadPoolExecutor(REPLICAS) as pool:
        done = list(pool.map(takes_over, engines))
    assert any(done)
    assert statuses(engines[0]) == {("ENQUEUED", WORKFLOW_FORMAT)}


async def test_a_leader_that_takes_over_for_long_beats_meanwhile(postgresql: PostgresqlServer) -> None:
    database = Database(postgresql.create_database())
    leader = Replicas(database, FORMAT)
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def takes_long(alive: Collection[str]) -> None:
        has_begun.set()
        await may_end.wait()

    def seen_at(connection: sa.Connection) -> float:
        return float(connection.exec_driver_sql("SELECT seen_at FROM tocsin_replicas").scalar_one())

    leader.take_over = takes_long
    database.open()
    await leader.join()
    working = [asyncio.create_task(work()) for work in (leader.keep_beating, leader.keep_taking_over)]
    async with asyncio.timeout(LIMIT):
        await has_begun.wait()
        last_seen = await database.do(seen_at)
        # It tells news with a beat at once.
        leader.tell("alert", "{}")
        while True:
            await asyncio.sleep(GLANCE_SECONDS)
            if await database.do(seen_at) > last_seen:
                break
    may_end.set()
    await leader.leave()
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    database.close()
