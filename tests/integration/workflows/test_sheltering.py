"""incident.io away for hours: people get a channel to work in, and are told there what it became."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from support.bot import RunningBot, chosen, running_bot
from support.incident_io.account import Account
from support.incident_io.server import IncidentIoServer, failing, running_incident_io
from support.patience import LIMIT
from support.readings import cards, settled, told, words
from support.slack import RunningWorkspace, running_workspace

from slack_emulator.manifest import Manifest
from slack_emulator.models import Channel
from tocsin.data_dir import now
from tocsin.slack import routes

LONG_AGO = timedelta(minutes=3)


class Early:
    """A clock by which everything was declared some minutes ago."""

    def __init__(self) -> None:
        self.behind = LONG_AGO

    def __call__(self) -> datetime:
        return now() - self.behind


@asynccontextmanager
async def bot_over(
    io: IncidentIoServer, slack: RunningWorkspace, folder: Path, **more: Any
) -> AsyncIterator[RunningBot]:
    settings = {"tocsin_backend": "incident_io", "incident_io_url": io.url, "incident_io_api_key": "a-key"}
    async with running_bot(folder, slack, **settings, **more) as bot:
        yield bot


@asynccontextmanager
async def away(folder: Path) -> AsyncIterator[tuple[RunningWorkspace, IncidentIoServer]]:
    async with (
        running_workspace(Manifest.from_dict(routes.manifest())) as slack,
        running_incident_io() as io,
    ):
        for name in ("ana", "ben"):
            io.account.knows(slack.person(name), name)
        yield slack, io


async def declared(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident checkout is slow")
    await bot.fill("ana", view, severity_id=chosen("major"))
    assert (await bot.submit("ana", view)).ok
    assert "Saved, still declaring" in words(view)


def shelters(slack: RunningWorkspace) -> list[Channel]:
    return [c for c in slack.workspace.state.channels.values() if c.name.startswith("inc-")]


async def until(slack: RunningWorkspace, seen: Any) -> None:
    while not seen():
        ended = [r for r in slack.workspace.requests if r.finished]
        await slack.workspace.heard(lambda r: True, len(ended) + 1, LIMIT)


async def test_while_incident_io_is_away_there_is_a_channel_and_later_it_says_the_reference(
    tmp_path: Path,
) -> None:
    async with away(tmp_path) as (slack, io):
        clock = Early()
        async with bot_over(io, slack, tmp_path, clock=clock) as bot:
            io.down = failing(503)
            await declared(bot)
        # Started again, still away: what was declared minutes ago gets its channel.
        async with bot_over(io, slack, tmp_path) as bot:
            # Both are done side by side.
            await until(slack, lambda: any(slack.person("ana") in room.members for room in shelters(slack)))
            await until(slack, lambda: told(bot, "ana"))
            (channel,) = shelters(slack)
            assert channel.name == "inc-checkout-is-slow"
            assert f"<#{channel.id}>" in words(told(bot, "ana")[0])
        # And again: nothing is made twice, and what comes next is said where people work.
        async with bot_over(io, slack, tmp_path) as bot:
            io.down = None
            await until(slack, lambda: any("INC-1" in words(m) for m in cards(bot, channel.id)))
            io.account.open_channel(io.account.incidents[0], "C0INCIDENT", "inc-1-checkout")
            await settled(bot)
            assert len(shelters(slack)) == 1
            assert len(io.account.incidents) == 1
            assert len({h.raw for h in io.asked("POST", "/v2/incidents")}) == 1


async def test_what_was_refused_in_the_end_is_said_in_the_channel_too(tmp_path: Path) -> None:
    async with away(tmp_path) as (slack, io):
        async with bot_over(io, slack, tmp_path, clock=Early()) as bot:
            io.down = failing(503)
            await declared(bot)
        async with bot_over(io, slack, tmp_path) as bot:
            await until(slack, lambda: shelters(slack) and told(bot, "ana"))
            (channel,) = shelters(slack)
            io.account.severities = [s for s in Account().severities if s["id"] != "major"]
            io.down = None
            await until(slack, lambda: any("refused" in words(m) for m in cards(bot, channel.id)))
            await settled(bot)
            assert io.account.incidents == []


async def test_a_message_declared_twice_while_incident_io_was_away_is_one_incident_and_both_channels_say_so(
    tmp_path: Path,
) -> None:
    async with away(tmp_path) as (slack, io), bot_over(io, slack, tmp_path) as bot:
        message = slack.workspace.history(slack.channel("alerts"), slack.person("ana"))[0]
        forms = {person: await bot.pick_shortcut(person, message) for person in ("ana", "ben")}
        io.down = failing(503)
        for person, form in forms.items():
            await bot.fill(person, form, severity_id=chosen("major"))
            assert (await bot.submit(person, form)).ok
        await until(slack, lambda: len(shelters(slack)) == 2)
        io.down = None
        for channel in shelters(slack):
            await until(slack, lambda c=channel: any("*INC-1*" in words(card) for card in cards(bot, c.id)))
        io.account.open_channel(io.account.incidents[0], "C0INCIDENT", "inc-1-checkout")
        await settled(bot)
        assert len(io.account.incidents) == 1
