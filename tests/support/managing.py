"""What people do to an incident that exists, asked of the verbs as the listeners ask it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from support.bot import RunningBot, chosen, picked, ticked
from support.readings import cards, newest, settled, words
from tocsin.incidents.model import Incident, Person, PersonId, TeamId
from tocsin.incidents.requests import IncidentChange
from tocsin.workflows.change import ChangeCommand
from tocsin.workflows.command import AnyChange, Changed
from tocsin.workflows.registry import IncidentWorkflows

_keys = (f"key-{n}" for n in itertools.count())


def verbs(bot: RunningBot) -> IncidentWorkflows:
    assert bot.app.workflows is not None
    return bot.app.workflows


def somebody(bot: RunningBot, name: str) -> Person:
    return Person(slack_user_id=PersonId(bot.slack.person(name)), name=name.capitalize())


def order(bot: RunningBot, incident: Incident, by: str, **what: Any) -> ChangeCommand:
    """A change as a listener would ask for it; `ending`, `next_update_minutes` and `key` are apart."""
    apart = {name: what.pop(name) for name in ("ending", "next_update_minutes") if name in what}
    key = what.pop("key", next(_keys))
    at = what.pop("at", datetime.now(UTC))
    change = IncidentChange(key=key, by=somebody(bot, by), at=at, **what)
    return ChangeCommand(incident_id=incident.id, team=TeamId(incident.slack_team_id), change=change, **apart)


async def asked(bot: RunningBot, incident: Incident, by: str, **what: Any) -> AnyChange | None:
    """Ask for a change, and wait until all that follows is done."""
    outcome = await verbs(bot).change(order(bot, incident, by, **what))
    await settled(bot)
    return outcome


async def changed(bot: RunningBot, incident: Incident, by: str, **what: Any) -> Incident:
    """The incident after a change that went through."""
    outcome = await asked(bot, incident, by, **what)
    assert isinstance(outcome, Changed), outcome
    found = await bot.backend.find(incident.id)
    assert found is not None
    return found


async def an_incident(
    bot: RunningBot, name: str = "checkout is slow", *, by: str = "ana", lead: str = "", private: bool = False
) -> Incident:
    """Declared in #general, with everything that follows."""
    view = await bot.type_command(by, "general", f"/incident {name}")
    fields = {"severity_id": chosen("major")}
    if lead:
        fields["incident_role_assignments.lead"] = picked(bot.slack.person(lead))
    if private:
        fields["visibility"] = ticked("private")
    await bot.fill(by, view, **fields)
    outcome = await bot.submit(by, view)
    assert outcome.ok, outcome
    await settled(bot)
    return await newest(bot)


def everywhere(bot: RunningBot, room: str) -> list[str]:
    """What the incident's card says in its channel, where it was declared and where it was announced."""
    general, incidents = bot.slack.channel("general"), bot.slack.channel("incidents")
    return [words(cards(bot, channel)[0]) for channel in (room, general, incidents)]
