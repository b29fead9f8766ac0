"""What changes where incidents are kept shows in Slack, though nobody changed it here."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.bot import RunningBot, running_bot
from support.declarations import BEN, DAWN
from support.held_backend import held_bot
from support.managing import an_incident, changed, verbs
from support.readings import cards, own_channel, words
from support.slack import running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentChange
from tocsin.slack import routes
from tocsin.workflows.queries import OpenIncidentsCache


async def elsewhere(bot: RunningBot, incident: Incident, **what: Any) -> None:
    """A change in the backend's own pages, of which nobody tells us."""
    change = IncidentChange(key=f"elsewhere-{what}", by=BEN, at=DAWN, **what)
    await bot.backend.change(incident.id, change)


def watched(bot: RunningBot) -> set[str]:
    with closing(sqlite3.connect(bot.folder / "journal.db", timeout=60)) as journal:
        return {row[0] for row in journal.execute("SELECT incident_id FROM tocsin_watched")}


async def test_a_change_made_elsewhere_shows_at_the_next_look(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    await elsewhere(bot, incident, severity_id="critical", name="Payments fail")
    await verbs(bot).watching.poll()
    for channel in (incident.slack_channel_id, bot.slack.channel("general"), bot.slack.channel("incidents")):
        assert "Payments fail" in words(cards(bot, channel)[0])
    assert own_channel(bot, incident).topic == "Critical · Investigating · Payments fail"
    assert own_channel(bot, incident).name == "inc-1-payments-fail"


async def test_what_changed_together_elsewhere_is_shown_together(bot: RunningBot) -> None:
    several = [await an_incident(bot) for _ in range(3)]
    for number, incident in enumerate(several):
        await elsewhere(bot, incident, name=f"Payment {number} fails")
    bot.workspace.clear()
    answered = asyncio.Event()
    bot.workspace.faults.plan("conversations.setTopic", *[Fault(until=answered)] * 3)
    looking = asyncio.create_task(verbs(bot).watching.poll())
    await bot.workspace.begun("conversations.setTopic", 3, timeout=8)
    answered.set()
    await looking
    topics = [own_channel(bot, incident).topic for incident in several]
    assert [topic[-15:] for topic in topics] == [f"Payment {number} fails" for number in range(3)]


async def test_an_incident_that_ended_elsewhere_shows_it_and_is_watched_no_more(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    await elsewhere(bot, incident, incident_status_id="closed")
    await verbs(bot).watching.poll()
    assert "Closed" in words(cards(bot, incident.slack_channel_id)[0])
    bot.workspace.clear()
    await verbs(bot).watching.poll()
    assert not bot.calls()


async def test_where_too_many_are_open_the_oldest_are_left_alone_and_the_newest_are_watched(
    bot: RunningBot,
) -> None:
    oldest, middle, newest_one = [await an_incident(bot) for _ in range(3)]
    watching = verbs(bot).watching
    watching.most = 2
    await watching.poll()
    assert watched(bot) == {middle.id, newest_one.id}
    await elsewhere(bot, newest_one, incident_status_id="closed")
    await watching.poll()
    assert "Closed" in words(cards(bot, newest_one.slack_channel_id)[0])
    assert watched(bot) == {oldest.id, middle.id}


async def test_a_look_at_incidents_that_did_not_change_asks_slack_nothing(bot: RunningBot) -> None:
    for _ in range(3):
        await an_incident(bot)
    bot.workspace.clear()
    await verbs(bot).watching.poll()
    assert not bot.calls()


async def test_what_is_declared_and_closed_during_a_look_is_open_and_closed_on_forms(tmp_path: Path) -> None:
    async with held_bot(tmp_path) as held:
        held.backend.go_on.set()
        closed = await an_incident(held.bot)
        held.backend.found.clear()
        held.backend.may_find.clear()
        look = asyncio.create_task(verbs(held.bot).watching.poll())
        await held.backend.found.wait()
        declared = await an_incident(held.bot)
        await changed(held.bot, closed, "ana", incident_status_id="closed")
        held.backend.may_find.set()
        await look
        assert [incident.reference for incident in verbs(held.bot).open_now.now] == [declared.reference]


async def test_what_changed_elsewhere_while_the_bot_was_down_shows_after_the_start(tmp_path: Path) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        async with running_bot(tmp_path, slack) as bot:
            incident = await an_incident(bot)
            await elsewhere(bot, incident, incident_status_id="fixing")
        slack.workspace.clear()
        async with running_bot(tmp_path, slack) as bot:
            await bot.workspace.heard("chat.update", 3)
            assert "Fixing" in words(cards(bot, incident.slack_channel_id)[0])


async def test_an_incident_made_private_elsewhere_is_taken_back_here(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    await elsewhere(bot, incident, visibility="private")
    await verbs(bot).watching.poll()
    for channel in ("general", "incidents"):
        assert not [m for m in cards(bot, bot.slack.channel(channel)) if "checkout" in words(m)]


async def test_an_incident_that_became_private_in_one_second_is_not_public_again_in_lists(
    bot: RunningBot,
) -> None:
    public = await an_incident(bot)
    private = public.model_copy(update={"visibility": "private"})
    at_hand = OpenIncidentsCache()
    at_hand.put(private)
    at_hand.put(public)
    assert at_hand.now == (private,)
    at_hand.begin_refresh()
    at_hand.replace_all([public])
    assert at_hand.now == (private,)
    later = public.model_copy(update={"updated_at": public.updated_at + timedelta(seconds=1)})
    at_hand.replace_all([later])
    assert at_hand.now == (later,)
    at_hand.put(private)
    assert at_hand.now == (later,)
