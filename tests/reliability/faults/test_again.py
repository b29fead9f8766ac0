"""The same gesture twice, twenty times, late, after a restart, or with a clock that jumps: one incident."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.bot import ticked
from support.readings import deliver, how_many, last_delivery, settled, words
from support.slack import running_workspace

from reliability.faults.run import Run, run
from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import View
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


async def unheard(day: Run, view: View) -> None:
    """A press that arrives, and whose answer never comes back to Slack."""
    person = day.bot.workspace.person(view.user)
    payload = day.bot.workspace.payloads.submission(day.bot.slack.app, person, view, "1.2.abc", [])
    await deliver(day.bot, "interactive", payload, "view_submission")


@pytest.mark.parametrize("settles", [True, False], ids=["it was finished", "it was not"])
async def test_who_ticks_private_only_at_the_second_press_is_told_that_it_is_public(
    day: Run, settles: bool
) -> None:
    goes_on = asyncio.Event()
    day.fail("conversations.create", Fault(until=goes_on))
    view, press = await day.filled()
    if settles:
        day.fail("views.update", Fault(error="hash_conflict"))
    await unheard(day, view)
    if settles:
        goes_on.set()
        await settled(day.bot)
    await day.bot.fill("ana", view, visibility=ticked("private"))
    assert (await day.submit(press)).ok
    goes_on.set()
    await settled(day.bot)
    await day.bot.workspace.heard(lambda call: "is public" in str(call.args.get("text")))
    for said in (words(view), day.told()):
        assert "INC-1 is public: your first press had declared it already" in said
        assert "/incident private" in said
    assert day.broken() == []


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_clock_a_day_off_makes_nothing_twice(tmp_path: Path, days: int) -> None:
    async with run(tmp_path / "data", clock=lambda: datetime.now(UTC) + timedelta(days=days)) as day:
        for method in ("conversations.create", "bookmarks.add"):
            day.fail(method, Fault(reset=True, after_effect=True))
        day.fail("chat.postMessage", *(Fault(reset=True, after_effect=True) for _ in range(3)))
        await day.declare()
        assert day.broken() == []
