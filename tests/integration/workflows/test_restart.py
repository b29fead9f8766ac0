"""A bot that is stopped and started again, or killed, goes on with what it promised."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.bot import chosen, resumed, running_bot
from support.declarations import Ticking
from support.held_backend import held_bot
from support.managing import an_incident, changed, everywhere, order, verbs
from support.operated import free_port, operated, settings
from support.readings import (
    cards,
    deliver,
    how_many,
    last_delivery,
    newest,
    own_channel,
    settled,
    words,
)
from support.slack import RunningWorkspace, running_workspace
from support.terminal import Terminal

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import Channel, Message, View
from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.slack import routes
from tocsin.workflows.command import Changed


@pytest.fixture
async def slack() -> AsyncIterator[RunningWorkspace]:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as running:
        yield running


async def test_a_press_after_a_restart_is_answered_with_the_same_reference(
    slack: RunningWorkspace, tmp_path: Path
) -> None:
    async with running_bot(tmp_path, slack) as bot:
        view = await bot.type_command("ana", "general", "/incident checkout is slow")
        await bot.fill("ana", view, severity_id=chosen("major"))
        assert (await bot.submit("ana", view)).ok
        await settled(bot)
        reference = (await newest(bot)).reference
    async with running_bot(tmp_path, slack) as bot:
        answer = await deliver(bot, "interactive", last_delivery(bot, "view_submission"))
        assert reference in words(answer["view"])
        assert await how_many(bot) == 1


async def test_what_was_saved_before_a_stop_is_declared_after_the_start(
    slack: RunningWorkspace, tmp_path: Path
) -> None:
    async with held_bot(tmp_path, slack) as held:
        view = await held.filled()
        assert (await held.bot.submit("ana", view)).ok
        assert "Saved, still declaring" in words(view)
        held.backend.refusal = asyncio.CancelledError()
    async with running_bot(tmp_path, slack) as bot:
        await bot.workspace.heard("pins.add")
        await settled(bot)
        assert await how_many(bot) == 1
        assert (await newest(bot)).reference in words(view)


async def test_a_channel_is_used_once_though_the_bot_stops_while_it_joins(
    slack: RunningWorkspace, tmp_path: Path
) -> None:
    workspace, go_on = slack.workspace, asyncio.Event()
    config = tmp_path / "tocsin.toml"
    config.write_text("[channels]\nuse_this_channel = true\n")
    alerts = workspace.channel(slack.channel("alerts"))
    alerts.topic, channels = "What the monitors say", len(workspace.state.channels)
    async with running_bot(tmp_path / "data", slack, tocsin_config=config) as bot:
        workspace.faults.plan("conversations.join", Fault(until=go_on, after_effect=True))
        view = await bot.type_command("ana", "alerts", "/incident checkout is slow")
        await bot.fill("ana", view, severity_id=chosen("major"))
        assert (await bot.submit("ana", view)).ok
        await workspace.begun("conversations.join")
    go_on.set()
    async with running_bot(tmp_path / "data", slack, tocsin_config=config) as bot:
        await settled(bot)
        incident = await newest(bot)
        assert (incident.slack_channel_id, len(workspace.state.channels)) == (alerts.id, channels)
        assert len(alerts.pins) == 1
        await changed(bot, incident, "ana", ending="close")
        await settled(bot)
        assert alerts.topic == "What the monitors say"


async def declared(slack: RunningWorkspace) -> View:
    """Somebody declares, and reads the answer of the bot, whichever process that is."""
    workspace, ana = slack.workspace, slack.person("ana")
    assert (await workspace.command(ana, slack.channel("general"), "/incident checkout is slow")).ok
    await workspace.heard("views.open")
    (view,) = workspace.stack(ana)
    workspace.type_into(ana, view.id, "severity_id", "severity_id", chosen("major"))
    outcome = await workspace.submit(ana, view.id)
    assert outcome.ok, outcome
    return view


def posts(slack: RunningWorkspace, channel: Channel) -> list[Message]:
    return [m for m in slack.workspace.state.lasting(channel.id) if m.app_id == slack.app.app_id]


@pytest.mark.parametrize("method", ["conversations.create", "chat.postMessage"])
@pytest.mark.process
async def test_a_bot_killed_between_creating_and_posting_finishes_after_the_restart(
    slack: RunningWorkspace, tmp_path: Path, method: str
) -> None:
    workspace, go_on = slack.workspace, asyncio.Event()
    async with operated(slack, tmp_path, free_port()) as bot:
        workspace.faults.plan(method, *(Fault(until=go_on) for _ in range(3)))
        view = await declared(slack)
        (begun, *_) = await workspace.begun(method)
        bot.process.kill()
        await bot.process.wait()
        workspace.faults.clear()
        go_on.set()
        await workspace.heard(lambda request: request is begun)
        workspace.clear()
    async with operated(slack, tmp_path, free_port()):
        await workspace.heard("pins.add")
        backend = await LocalBackend.open(
            tmp_path / "data" / "incidents.db",
            IncidentConfig(),
            public_url="http://127.0.0.1",
            clock=Ticking(),
        )
        incidents = await backend.incidents()
        await backend.close()
    assert [incident.reference for incident in incidents] == ["INC-1"]
    rooms = [c for c in workspace.state.channels.values() if c.name.startswith("inc-")]
    assert [room.id for room in rooms] == [incidents[0].slack_channel_id]
    (headline,) = posts(slack, rooms[0])
    assert rooms[0].pins == [headline.ts]
    assert slack.person("ana") in rooms[0].members
    assert len(rooms[0].bookmarks) == 1
    counted = Counter({n: len(posts(slack, workspace.channel_by_name(n))) for n in ("general", "incidents")})
    assert counted == {"general": 1, "incidents": 1}
    assert f"<#{rooms[0].id}>" in words(view)


@pytest.mark.process
async def test_a_second_process_on_the_same_folder_is_refused_in_one_line(
    slack: RunningWorkspace, tmp_path: Path
) -> None:
    async with running_bot(tmp_path / "data", slack):
        ended = await Terminal(tmp_path).run("run", **settings(slack, tmp_path, free_port(), http=False))
    assert ended.code == 2
    (line,) = ended.lines
    assert line.startswith("TOCSIN_DATA_DIR is in use by another Tocsin process")


@pytest.mark.process
async def test_a_stop_in_the_middle_of_a_declaration_is_quiet_and_loses_nothing(
    slack: RunningWorkspace, tmp_path: Path
) -> None:
    workspace, go_on = slack.workspace, asyncio.Event()
    async with operated(slack, tmp_path, free_port()) as bot:
        workspace.faults.plan("conversations.create", Fault(until=go_on))
        await declared(slack)
        await workspace.begun("conversations.create")
        assert await bot.stopped() == 0
        go_on.set()
        assert [line for line in bot.log.splitlines() if "[info " not in line] == []
    async with operated(slack, tmp_path, free_port()):
        await workspace.heard("pins.add")
    assert len([c for c in workspace.state.channels.values() if c.name.startswith("inc-")]) == 1


RULES = """
[[announcements]]
severities = ["Critical"]
channels = ["C0ALERTS02"]
invite = ["@oncall"]
"""


async def test_a_stop_while_it_is_announced_by_a_rule_is_made_good_once_after_the_start(
    slack: RunningWorkspace, tmp_path: Path
) -> None:
    config, never = tmp_path / "tocsin.toml", asyncio.Event()
    config.write_text(RULES)
    async with running_bot(tmp_path / "data", slack, tocsin_config=config) as bot:
        incident = await an_incident(bot)
        slack.workspace.clear()
        # The messages are there, and their answers never come; the group is not even asked for.
        for method in ("chat.postMessage", "usergroups.list", "usergroups.users.list"):
            held = Fault(until=never, after_effect=method == "chat.postMessage")
            slack.workspace.faults.plan(method, *[held] * 4)
        assert await verbs(bot).change(order(bot, incident, "ben", severity_id="critical"))
        await slack.workspace.begun("chat.postMessage", 2)
        await slack.workspace.begun("usergroups.list")
    never.set()
    slack.workspace.faults.clear()
    async with running_bot(tmp_path / "data", slack, tocsin_config=config) as bot:
        await resumed(bot.engine)
        await settled(bot)
        announced = [words(card) for card in cards(bot, slack.channel("alerts"))]
        assert sum(incident.reference in said for said in announced) == 1
        assert slack.person("darius") in own_channel(bot, incident).members


async def test_a_change_that_a_stop_cut_short_is_shown_and_told_once_after_the_start(tmp_path: Path) -> None:
    never = asyncio.Event()
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        async with running_bot(tmp_path, slack) as bot:
            incident = await an_incident(bot)
            slack.workspace.faults.plan("chat.update", *(Fault(until=never) for _ in range(3)))
            asked_for = order(bot, incident, "ana", incident_status_id="fixing", message="On it.")
            assert isinstance(await verbs(bot).change(asked_for), Changed)
            await bot.workspace.begun("chat.update", 3)
        never.set()
        async with running_bot(tmp_path, slack) as bot:
            async with asyncio.timeout(60):
                await bot.app.settled()
            assert isinstance(await verbs(bot).change(asked_for), Changed)
            assert all("Fixing" in card for card in everywhere(bot, incident.slack_channel_id))
            for channel in (incident.slack_channel_id, bot.slack.channel("incidents")):
                assert sum("On it." in words(message) for message in cards(bot, channel)) == 1
