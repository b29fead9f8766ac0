"""Answers to Workflow Builder steps: what a step gives to the later ones, or the reason why it failed."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tocsin.incidents.errors import Unavailable, Withheld
from tocsin.incidents.model import Incident
from tocsin.incidents.permissions import NOT_SEEN
from tocsin.workflows.command import AnyChange, NotChanged
from tocsin.workflows.ports import IncidentBackend
from tocsin.workflows.slack_client import SlackClient

PAUSES = (0.1, 0.2, 0.5, 1, 2, 4, 8, 15, 30)
"""Seconds before each poll for the incident's channel; a Workflow Builder step waits about a minute."""


async def complete_step(slack: SlackClient, run: str, incident: Incident) -> None:
    """Complete a step with the incident as its output; a repeat changes nothing.

    Later steps of that workflow may post its outputs anywhere, and all its editors read its log. So for a
    private incident it learns only that the step is done.
    """
    outputs = {
        "reference": incident.reference,
        "permalink": incident.permalink or "",
        "channel": incident.slack_channel_id,
    }
    told = {name: value for name, value in outputs.items() if value}
    try:
        await slack.complete_step(run, told, about=incident)
    except Withheld:
        await slack.complete_step(run, {}, about=None)


async def answer_step(
    slack: SlackClient, backend: IncidentBackend, run: str, incident_id: str, outcome: AnyChange
) -> None:
    """Report the outcome of a change to the step that asked for it; a repeat changes nothing."""
    if isinstance(outcome, NotChanged):
        sentence = " ".join(dict.fromkeys(outcome.fields.values())) or outcome.sentence
        now = await backend.find(incident_id)
        # It may have become private since the step began, and the log of a workflow has more readers.
        await slack.fail_step(run, NOT_SEEN if now is not None and now.is_private else sentence)
        return
    await complete_step(slack, run, outcome.incident)


async def in_its_channel(backend: IncidentBackend, incident: Incident) -> Incident:
    """Return the incident with its channel; without one if it does not exist within a minute."""
    for pause in PAUSES:
        if incident.slack_channel_id or incident.is_private or incident.is_retrospective:
            break
        await asyncio.sleep(pause)
        with suppress(Unavailable):
            incident = await backend.find(incident.id) or incident
    return incident
