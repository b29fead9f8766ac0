"""The same gesture twice, twenty times, late, after a restart, or with a clock that jumps: one incident."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.readings import deliver, how_many, last_delivery, settled
from fakes.slack import running_workspace

from faults.run import Run, run
from tocsin.playground.faults import Fault
from tocsin.playground.manifest import Manifest
from tocsin.slack import routes


async def test_twenty_deliveries_of_one_press_are_one_incident_with_one_reference(day: Run) -> None:
    _, press = await day.filled()
    assert (await day.submit(press)).ok
    payload = last_delivery(day.bot, "view_submission")
    answers = await asyncio.gather(*(deliver(day.bot, "interactive", payload) for _ in range(20)))
    await settled(day.bot)
    assert {answer["view"]["title"]["text"] for answer in answers} == {"INC-1"}
    assert day.broken() == []


async def test_a_press_replayed_after_a_restart_is_answered_with_the_same_reference(tmp_path: Path) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        async with run(tmp_path / "data", slack) as first:
            await first.declare()
            payload = last_delivery(first.bot, "view_submission")
        async with run(tmp_path / "data", slack, presses=first.presses) as second:
            answer = await deliver(second.bot, "interactive", payload)
            await settled(second.bot)
            assert answer["view"]["title"]["text"] == "INC-1"
            assert await how_many(second.bot) == 1
            assert second.broken() == []


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_clock_a_day_off_makes_nothing_twice(tmp_path: Path, days: int) -> None:
    async with run(tmp_path / "data", clock=lambda: datetime.now(UTC) + timedelta(days=days)) as day:
        for method in ("conversations.create", "bookmarks.add"):
            day.fail(method, Fault(reset=True, after_effect=True))
        day.fail("chat.postMessage", *(Fault(reset=True, after_effect=True) for _ in range(3)))
        await day.declare()
        assert day.broken() == []
