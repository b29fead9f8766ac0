"""The database fails over to its standby: replicas that know both addresses go on by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fleet import running_fleet
from support.postgresql import PostgresqlServer, running_standby
from support.readings import words

from slack_emulator.faults import Fault

pytestmark = pytest.mark.process


@pytest.fixture
def standby(stoppable_postgresql: PostgresqlServer) -> Iterator[PostgresqlServer]:
    with running_standby(stoppable_postgresql) as server:
        yield server


async def test_a_database_that_fails_over_delays_a_declaration_and_loses_nothing(
    tmp_path: Path, stoppable_postgresql: PostgresqlServer, standby: PostgresqlServer
) -> None:
    primary = stoppable_postgresql
    name = primary.create_database().partition("?")[0].rpartition("/")[2]
    # One of them takes changes, whichever it is now (PostgreSQL, libpq: target_session_attrs).
    hosts = f"host={primary.folder},{standby.folder}&target_session_attrs=read-write"
    async with running_fleet(tmp_path, primary, database=f"postgresql://tocsin@/{name}?{hosts}") as fleet:
        await fleet.declare("before the failover")
        await fleet.quiet()
        goes_on = asyncio.Event()
        fleet.slack.workspace.faults.plan("conversations.create", Fault(until=goes_on))
        await fleet.declare("while it fails over")
        primary.stop()
        goes_on.set()
        standby.execute("SELECT pg_promote()")
        await fleet.until(fleet.all_joined)
        await fleet.quiet()
        view = await fleet.declare("after the failover")
        assert "INC-3" in words(view)
        await fleet.quiet()
        assert fleet.incidents() == [
            ("INC-1", "before the failover"),
            ("INC-2", "while it fails over"),
            ("INC-3", "after the failover"),
        ]
        for number in (1, 2, 3):
            (room,) = fleet.channels_named(f"inc-{number}-")
            assert len(fleet.posts(room)) == 1
