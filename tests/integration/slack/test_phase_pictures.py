"""What a closed incident leaves in its channel: below the summary, one picture of its phases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from support.beginning import Beginning
from support.bot import RunningBot, running_bot, ticked
from support.errands import declared, typed_verb
from support.readings import settled, words

from slack_emulator.faults import Fault
from slack_emulator.models import Json, Message

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Turned:
    """A clock that is turned by hand. It begins in the past, since the backend has its own for the end."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) - timedelta(hours=2)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@pytest.fixture(scope="module")
def clock() -> Turned:
    return Turned()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_bot(
    tmp_path_factory: pytest.TempPathFactory, clock: Turned
) -> AsyncIterator[tuple[RunningBot, Beginning]]:
    async with running_bot(tmp_path_factory.mktemp("tocsin") / "data", clock=clock) as running:
        with closing(Beginning(running)) as beginning:
            yield running, beginning


def history(bot: RunningBot, channel: str) -> list[Message]:
    return list(bot.workspace.history(channel, bot.slack.person("ana")))


def pictures(bot: RunningBot, channel: str) -> list[Json]:
    return [file for message in history(bot, channel) for file in message.files]


async def closed(bot: RunningBot, clock: Turned, name: str, **fields: Any) -> str:
    """An incident that was fixed and closed, with everything that follows; its channel."""
    channel = await closing_begun(bot, clock, name, **fields)
    await settled(bot)
    return channel


async def closing_begun(bot: RunningBot, clock: Turned, name: str, **fields: Any) -> str:
    incident = await declared(bot, name, **fields)
    clock.turn(10)
    for verb in ("status {} fixing", "close {} it was the pool"):
        said = await typed_verb(
            bot, "ana", incident.slack_channel_id, f"/incident {verb.format(incident.reference)}"
        )
        assert incident.reference in said
        clock.turn(10)
    return incident.slack_channel_id


async def test_a_closed_incident_has_one_picture_of_its_phases(bot: RunningBot, clock: Turned) -> None:
    bot.workspace.faults.plan("files.completeUploadExternal", Fault(status=500, after_effect=True))
    channel = await closed(bot, clock, "pictured")
    (picture,) = pictures(bot, channel)
    assert picture["mimetype"] == "image/png"
    assert "Investigating" in picture["alt_txt"]
    assert "Fixing" in picture["alt_txt"]
    assert "Closed" not in picture["alt_txt"]
    assert picture["title"] == "Phases of INC-1"
    said = [words(message) for message in history(bot, channel)]
    places = [n for n, text in enumerate(said) if "from declared to Closed" in text or "Phases: " in text]
    assert len(places) == 2
    assert "Phases: " in said[places[1]]
    content = bot.workspace.state.files[picture["id"]].content.encode("utf-8", "surrogateescape")
    assert content.startswith(b"\x89PNG")
    hidden = await closed(bot, clock, "pictured for few", visibility=ticked("private"))
    (picture,) = pictures(bot, hidden)
    assert bot.workspace.state.files[picture["id"]].channels == [hidden]


async def test_without_files_a_closed_incident_has_its_summary_alone(bot: RunningBot, clock: Turned) -> None:
    bot.workspace.faults.plan("files.getUploadURLExternal", Fault(error="missing_scope"))
    channel = await closed(bot, clock, "without a picture")
    assert pictures(bot, channel) == []
    assert any("from declared to Closed" in words(message) for message in history(bot, channel))
    assert not any("went well" in words(message) for message in history(bot, channel))


async def test_an_incident_is_closed_to_the_end_although_slack_takes_no_picture_for_hours(
    bot: RunningBot, clock: Turned
) -> None:
    limited = [Fault(status=429, retry_after=30) for _ in range(400)]
    bot.workspace.faults.plan("files.getUploadURLExternal", *limited)
    async with asyncio.timeout(600):
        channel = await closing_begun(bot, clock, "no picture yet")
        await bot.app.settled()
    bot.workspace.faults.clear()
    assert pictures(bot, channel) == []
    assert any("from declared to Closed" in words(message) for message in history(bot, channel))
