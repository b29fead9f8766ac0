"""A test of Tocsin that is cut short, or whose backend fails, leaves nothing that is not taken back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from support.bot import RunningBot, running_bot
from support.devrev import running_org
from support.errands import typed_verb
from support.held_backend import Held
from support.hosted import staged
from support.readings import cards, settled, told
from support.slack import running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.incidents.errors import OutcomeUnknown, Unavailable
from tocsin.slack import routes


async def begun(bot: RunningBot) -> None:
    said = await typed_verb(bot, "ana", bot.slack.channel("general"), "/incident test")
    assert "tells you" in said


async def outcome(bot: RunningBot) -> str:
    await settled(bot)
    (said,) = told(bot, "ana")
    return said.text


async def test_what_a_stopped_process_left_is_taken_back_by_the_next(tmp_path: Path) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        go_on = asyncio.Event()
        async with running_bot(tmp_path, slack) as bot:
            slack.workspace.faults.plan("chat.postMessage", Fault(until=go_on, after_effect=True))
            await begun(bot)
            await slack.workspace.begun("chat.postMessage")
        go_on.set()
        async with running_bot(tmp_path, slack) as bot:
            assert "All of it is taken back. INC-1 is Canceled" in await outcome(bot)
            (room,) = [c for c in slack.workspace.state.channels.values() if c.name.startswith("inc-")]
            assert room.archived
            assert not cards(bot, room.id)
            assert [incident.reference for incident in await bot.backend.incidents()] == ["INC-1"]


async def test_a_backend_that_does_not_answer_is_reported_after_half_a_minute(held: Held) -> None:
    held.backend.go_on.set()
    held.backend.failing = [Unavailable("It does not answer.")] * 100
    began = asyncio.get_running_loop().time()
    await begun(held.bot)
    said = await outcome(held.bot)
    assert "no incident can be created" in said
    assert "All of it is taken back." in said
    assert 29 < asyncio.get_running_loop().time() - began < 35
    held.backend.failing = []
    assert not await held.backend.incidents()


async def test_an_incident_whose_answer_stays_lost_is_ended_once_the_backend_answers(held: Held) -> None:
    held.backend.go_on.set()
    held.backend.failing = [OutcomeUnknown("The answer was lost.")] * 65
    await begun(held.bot)
    await settled(held.bot)
    first, last = told(held.bot, "ana")
    assert "Not taken back yet: the incident itself (The answer was lost)." in first.text
    assert "All of it is taken back." in last.text
    (incident,) = await held.backend.incidents()
    assert incident.incident_status.category == "canceled"


async def test_at_incident_io_it_is_a_private_test_that_is_canceled(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await begun(stage.bot)
        await stage.io.until_asked("GET", "/v2/incidents/")
        channel = stage.open_channel("inc-1-test", "ana", private=True)
        stage.bot.workspace.channel(channel).members.append(stage.bot.slack.app.bot_user_id)
        said = await outcome(stage.bot)
        assert "everything works" in said
        (incident,) = await stage.bot.backend.incidents()
        assert (incident.mode, incident.visibility) == ("test", "private")
        assert incident.incident_status.category == "canceled"
        assert stage.bot.workspace.channel(channel).archived


async def test_at_devrev_it_is_marked_as_a_test_and_closed_and_its_channel_is_private(tmp_path: Path) -> None:
    async with (
        running_org() as (org, url),
        running_bot(tmp_path, tocsin_backend="devrev", devrev_url=url, devrev_token=org.token) as bot,
    ):
        await begun(bot)
        assert "everything works" in await outcome(bot)
        (kept,) = org.incidents.values()
        assert kept["title"] == "[TEST] Test of Tocsin"
        (incident,) = await bot.backend.incidents()
        assert not incident.incident_status.is_open
        room = bot.workspace.channel(incident.slack_channel_id)
        assert (room.kind, room.archived) == ("private", True)
