"""What changes where incidents are kept shows in Slack, though nobody changed it here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from fakes.bot import RunningBot, running_bot
from fakes.declarations import BEN, DAWN
from fakes.managing import an_incident, verbs
from fakes.readings import cards, own_channel, words
from fakes.slack import running_workspace

from tocsin.actions.promises import KeepsIncidents
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentChange
from tocsin.playground.manifest import Manifest
from tocsin.slack import routes


async def elsewhere(bot: RunningBot, incident: Incident, **what: Any) -> None:
    """A change in the backend's own pages, of which nobody tells us."""
    change = IncidentChange(key=f"elsewhere-{what}", by=BEN, at=DAWN, **what)
    await cast(KeepsIncidents, bot.bot.backend).change(incident.id, change)


async def test_a_change_made_elsewhere_shows_at_the_next_look(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    await elsewhere(bot, incident, severity_id="critical", name="Payments fail")
    await verbs(bot).watching.look()
    for channel in (incident.slack_channel_id, bot.slack.channel("general"), bot.slack.channel("incidents")):
        assert "Payments fail" in words(cards(bot, channel)[0])
    assert own_channel(bot, incident).topic == "Critical · Investigating · Payments fail"
    assert own_channel(bot, incident).name == "inc-1-payments-fail"


async def test_an_incident_that_ended_elsewhere_shows_it_and_is_watched_no_more(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    await elsewhere(bot, incident, incident_status_id="closed")
    await verbs(bot).watching.look()
    assert "Closed" in words(cards(bot, incident.slack_channel_id)[0])
    bot.workspace.clear()
    await verbs(bot).watching.look()
    assert not bot.calls()


async def test_a_look_at_incidents_that_did_not_change_asks_slack_nothing(bot: RunningBot) -> None:
    for _ in range(3):
        await an_incident(bot)
    bot.workspace.clear()
    await verbs(bot).watching.look()
    assert not bot.calls()


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
    await verbs(bot).watching.look()
    for channel in ("general", "incidents"):
        assert not [m for m in cards(bot, bot.slack.channel(channel)) if "checkout" in words(m)]
