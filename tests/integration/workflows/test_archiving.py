"""The channel of what has ended is archived after a set time, with a day's notice, unless it is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.bot import RunningBot, chosen, running_bot, ticked
from support.errands import press_card, until
from support.managing import an_incident, asked, changed, verbs
from support.readings import cards, newest, own_channel, pressed, settled, words
from support.slack import RunningWorkspace, running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import Message
from tocsin.incidents.model import Incident
from tocsin.slack import routes


class Turned:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, days: float) -> None:
        self.now += timedelta(days=days)


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tocsin.toml"
    path.write_text("[after]\narchive_after_days = 3\n")
    return path


@pytest.fixture
async def slack() -> AsyncIterator[RunningWorkspace]:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as running:
        yield running


@pytest.fixture
async def bot(
    tmp_path: Path, slack: RunningWorkspace, clock: Turned, config: Path
) -> AsyncIterator[RunningBot]:
    async with running_bot(tmp_path / "kept", slack, clock=clock, tocsin_config=config) as running:
        yield running


def notices(bot: RunningBot, incident: Incident) -> list[Message]:
    return [m for m in cards(bot, incident.slack_channel_id) if "This channel is archived" in words(m)]


async def closed(bot: RunningBot) -> Incident:
    return await changed(bot, await an_incident(bot), "ana", ending="close")


async def passed(bot: RunningBot, clock: Turned, days: float) -> None:
    clock.turn(days)
    await verbs(bot).archiving.archive_due()


async def test_a_day_before_the_channel_reads_of_it_and_then_it_is_archived(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await closed(bot)
    await passed(bot, clock, 1.9)
    assert notices(bot, incident) == []
    await passed(bot, clock, 0.2)
    await passed(bot, clock, 0.1)
    (notice,) = notices(bot, incident)
    assert "Keep the channel" in words(notice)
    assert not own_channel(bot, incident).archived
    await passed(bot, clock, 1)
    assert own_channel(bot, incident).archived
    timeline = await bot.backend.timeline(incident.id)
    assert [entry.verb for entry in timeline][-1] == "archived the channel"
    bot.workspace.clear()
    await passed(bot, clock, 10)
    assert bot.calls("conversations.archive") == []


async def test_whoever_keeps_the_channel_keeps_it_until_the_incident_ends_again(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await closed(bot)
    await passed(bot, clock, 2.1)
    (notice,) = notices(bot, incident)
    await press_card(bot, "chloe", notice, "keep_channel")
    await until(bot, lambda: "keeps this channel" in words(cards(bot, incident.slack_channel_id)[-1]))
    await changed(bot, incident, "ana", summary="A lock in the database.")
    await passed(bot, clock, 5)
    assert not own_channel(bot, incident).archived


async def test_a_channel_that_was_there_before_is_not_archived(bot: RunningBot, clock: Turned) -> None:
    view = await bot.type_command("ana", "alerts", "/incident checkout is slow")
    alerts = bot.slack.channel("alerts")
    await pressed(bot, view, "more_fields", "more_fields")
    await bot.fill("ana", view, severity_id=chosen("major"), slack_channel_id=ticked(alerts))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    incident = await changed(bot, await newest(bot), "ana", ending="close")
    assert incident.slack_channel_id == alerts
    for _ in range(3):
        await passed(bot, clock, 2.1)
    assert notices(bot, incident) == []
    assert not own_channel(bot, incident).archived


async def test_a_notice_that_could_not_be_changed_is_when_the_channel_is_kept_once_more(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await closed(bot)
    await passed(bot, clock, 2.1)
    (notice,) = notices(bot, incident)
    bot.workspace.faults.plan("chat.update", Fault(error="cant_update_message"))
    await press_card(bot, "chloe", notice, "keep_channel")
    await bot.workspace.heard("chat.update")
    assert notices(bot, incident) == [notice]
    await press_card(bot, "chloe", notice, "keep_channel")
    await until(bot, lambda: "keeps this channel" in words(cards(bot, incident.slack_channel_id)[-1]))


async def test_an_archiving_that_could_not_be_noted_is_noted_later(
    bot: RunningBot, clock: Turned, tmp_path: Path
) -> None:
    incident = await closed(bot)
    await passed(bot, clock, 2.1)
    held = sqlite3.connect(tmp_path / "kept" / "incidents.db", isolation_level=None)
    with closing(held):
        held.execute("BEGIN IMMEDIATE")
        await passed(bot, clock, 1)
        held.execute("ROLLBACK")
    assert own_channel(bot, incident).archived
    await passed(bot, clock, 0.1)
    timeline = await bot.backend.timeline(incident.id)
    assert [entry.verb for entry in timeline][-1] == "archived the channel"


async def test_what_is_opened_again_stays_and_goes_once_it_has_ended_again(
    bot: RunningBot, clock: Turned
) -> None:
    incident = await closed(bot)
    await passed(bot, clock, 2.1)
    await asked(bot, incident, "ana", ending="reopen", at=clock.now)
    await passed(bot, clock, 2)
    assert not own_channel(bot, incident).archived


async def test_a_days_notice_is_a_day_however_late_it_is_given(
    slack: RunningWorkspace, tmp_path: Path, clock: Turned, config: Path
) -> None:
    async with running_bot(tmp_path / "kept", slack, clock=clock, tocsin_config=config) as bot:
        incident = await closed(bot)
    clock.turn(30)
    async with running_bot(tmp_path / "kept", slack, clock=clock, tocsin_config=config) as bot:
        await until(bot, lambda: notices(bot, incident))
        await passed(bot, clock, 0.9)
        assert not own_channel(bot, incident).archived
        await passed(bot, clock, 0.2)
        assert own_channel(bot, incident).archived


async def test_a_notice_whose_answer_was_lost_is_not_given_twice(bot: RunningBot, clock: Turned) -> None:
    incident = await closed(bot)
    bot.workspace.faults.plan("chat.postMessage", Fault(status=500, after_effect=True))
    await passed(bot, clock, 2.1)
    await passed(bot, clock, 0.1)
    assert len(notices(bot, incident)) == 1
    await passed(bot, clock, 1.1)
    assert own_channel(bot, incident).archived


async def test_without_the_setting_no_channel_is_ever_archived(
    slack: RunningWorkspace, tmp_path: Path, clock: Turned
) -> None:
    async with running_bot(tmp_path / "kept", slack, clock=clock) as bot:
        incident = await closed(bot)
        await passed(bot, clock, 400)
        assert notices(bot, incident) == []
        assert not own_channel(bot, incident).archived
