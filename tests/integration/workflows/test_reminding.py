"""The next update is asked for when it is due: once, by name, until somebody says otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.bot import RunningBot, running_bot
from support.declarations import BEN
from support.managing import an_incident, changed, somebody, verbs
from support.readings import cards, words
from support.slack import RunningWorkspace, running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentChange
from tocsin.slack import routes
from tocsin.storage.slack_state import SqlSlackStateStore


class Turned:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.fixture
async def slack() -> AsyncIterator[RunningWorkspace]:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as running:
        yield running


@pytest.fixture
async def bot(tmp_path: Path, slack: RunningWorkspace, clock: Turned) -> AsyncIterator[RunningBot]:
    async with running_bot(tmp_path, slack, clock=clock) as running:
        yield running


def asked_for(bot: RunningBot, incident: Incident) -> list[str]:
    said = [words(message) for message in cards(bot, incident.slack_channel_id)]
    return [one for one in said if "is due" in one]


async def planned(bot: RunningBot, clock: Turned, minutes: int = 15, lead: str = "ben") -> Incident:
    incident = await an_incident(bot, lead=lead)
    return await changed(bot, incident, "ana", message="On it.", next_update_minutes=minutes, at=clock.now)


async def test_an_update_is_asked_for_of_the_lead_when_it_is_due_and_once(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await planned(bot, clock)
    assert "Next update due" in words(cards(bot, incident.slack_channel_id)[-1])
    clock.turn(14.9)
    await verbs(bot).remind.ask_due()
    assert asked_for(bot, incident) == []
    clock.turn(0.2)
    for _ in range(3):
        await verbs(bot).remind.ask_due()
    (asked,) = asked_for(bot, incident)
    assert f"<@{bot.slack.person('ben')}>: an update on" in asked
    assert "In 15 minutes" in asked


async def test_an_update_given_in_time_moves_the_next_one(bot: RunningBot, clock: Turned) -> None:
    incident = await planned(bot, clock)
    clock.turn(10)
    await changed(bot, incident, "ana", message="Still on it.", next_update_minutes=30, at=clock.now)
    clock.turn(20)
    await verbs(bot).remind.ask_due()
    assert asked_for(bot, incident) == []
    clock.turn(11)
    await verbs(bot).remind.ask_due()
    assert len(asked_for(bot, incident)) == 1


async def test_an_update_can_be_put_off_handed_over_and_stopped(bot: RunningBot, clock: Turned) -> None:
    incident, chloe = await planned(bot, clock), somebody(bot, "chloe")
    remind = verbs(bot).remind
    await remind.snooze(incident, 15, chloe, "snooze")
    clock.turn(14)
    await remind.ask_due()
    assert asked_for(bot, incident) == []
    await remind.take_over(incident, 5, chloe, "mine")
    clock.turn(6)
    await remind.ask_due()
    assert f"<@{chloe.slack_user_id}>: an update on" in asked_for(bot, incident)[-1]
    await remind.snooze(incident, 15, chloe, "again")
    await remind.stop(incident)
    clock.turn(100)
    await remind.ask_due()
    assert len(asked_for(bot, incident)) == 1


async def test_nobody_is_asked_for_updates_on_what_has_ended(bot: RunningBot, clock: Turned) -> None:
    incident = await planned(bot, clock)
    await changed(bot, incident, "ana", ending="close")
    assert await verbs(bot).remind.planned(incident.id) is None
    clock.turn(100)
    await verbs(bot).remind.ask_due()
    assert asked_for(bot, incident) == []


async def test_a_reminder_outlives_the_process(
    slack: RunningWorkspace, tmp_path: Path, clock: Turned
) -> None:
    async with running_bot(tmp_path, slack, clock=clock) as bot:
        incident = await planned(bot, clock)
    clock.turn(20)
    slack.workspace.clear()
    async with running_bot(tmp_path, slack, clock=clock) as bot:
        await bot.workspace.heard("chat.postMessage")
        assert len(asked_for(bot, incident)) == 1


async def test_a_reminder_whose_answer_was_lost_is_not_posted_twice(bot: RunningBot, clock: Turned) -> None:
    incident = await planned(bot, clock)
    clock.turn(16)
    bot.workspace.faults.plan("chat.postMessage", Fault(status=500, after_effect=True))
    await verbs(bot).remind.ask_due()
    await verbs(bot).remind.ask_due()
    assert len(asked_for(bot, incident)) == 1
    assert await verbs(bot).remind.planned(incident.id) is None


async def test_a_reminder_that_was_asked_for_before_its_plan_was_recorded_is_not_asked_for_again(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await planned(bot, clock)
    remind = verbs(bot).remind
    waiting = await remind.planned(incident.id)
    assert waiting is not None
    planned_at = clock.now
    clock.turn(16)
    await remind.ask_due()
    # The story that planned it is begun again by a process that came late, and plans it once more.
    await remind.plan(incident, 15, somebody(bot, "ana"), planned_at, waiting.key)
    await remind.ask_due()
    assert len(asked_for(bot, incident)) == 1
    assert await remind.planned(incident.id) is None


async def test_a_nudge_whose_answer_was_lost_is_posted_once_also_after_a_restart(
    slack: RunningWorkspace, tmp_path: Path, clock: Turned
) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text('[[nudges.rules]]\nwhen = "no_lead"\nafter = "10 minutes"\n')
    folder = tmp_path / "data"
    async with running_bot(folder, slack, clock=clock, tocsin_config=config) as bot:
        incident = await an_incident(bot)
        slack.workspace.faults.plan("chat.postMessage", Fault(status=500, after_effect=True))
        clock.turn(11)
        await verbs(bot).nudger.nudge_due()
    async with running_bot(folder, slack, clock=clock, tocsin_config=config) as bot:
        await verbs(bot).watching.poll()
        for minutes in (0, 11):
            clock.turn(minutes)
            await verbs(bot).nudger.nudge_due()
            said = [words(message) for message in cards(bot, incident.slack_channel_id)]
            assert sum("has no lead" in one for one in said) == 1


async def test_an_update_of_an_incident_that_ended_elsewhere_is_overdue_no_more(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await planned(bot, clock)
    state = SqlSlackStateStore(bot.app.resources.database)
    await verbs(bot).watching.poll()
    clock.turn(15.1)
    await verbs(bot).remind.ask_due()
    assert list(await state.overdue_updates()) == [incident.id]
    closed = next(one for one in (await bot.backend.form()).statuses if one.category == "closed")
    change = IncidentChange(key="elsewhere", by=BEN, at=clock.now, incident_status_id=closed.id)
    await bot.backend.change(incident.id, change)
    await verbs(bot).watching.poll()
    assert await state.overdue_updates() == {}


async def test_an_update_that_is_not_given_is_overdue_on_home_until_it_is(
    bot: RunningBot, clock: Turned
) -> None:
    ben, app = bot.slack.person("ben"), bot.slack.app.app_id
    incident = await planned(bot, clock)
    clock.turn(15.1)
    assert await verbs(bot).remind.overdue([incident]) == {}
    await verbs(bot).remind.ask_due()
    clock.turn(20)
    await bot.workspace.open_home(ben, app)
    await bot.workspace.heard("views.publish")
    await bot.app.settled()
    said = words(bot.workspace.home(ben, app))
    assert "Updates overdue (1)" in said
    assert "An update was due 20 minutes ago" in said
    later = incident.model_copy(update={"updated_at": clock.now})
    assert await verbs(bot).remind.overdue([later]) == {}
    now = await changed(bot, incident, "ben", message="Still on it.", next_update_minutes=15, at=clock.now)
    assert await verbs(bot).remind.overdue([now]) == {}
