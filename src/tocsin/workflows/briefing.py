"""Tell people who were given a role what the organisation expects of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tocsin.incidents.model import Incident, PersonId, display_name
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import newly_given, role_instructions
from tocsin.workflows.ports import SlackClient
from tocsin.workflows.retry import ALL_DAY, Steps


def briefings(
    steps: Steps,
    slack: SlackClient,
    before: Incident | None,
    incident: Incident,
    key: str,
    by: PersonId | None = None,
) -> list[Awaitable[Any]]:
    """Return one step for each person who holds a role with instructions now, and did not `before`.

    A person who took the role, `by`, reads the instructions in the answer instead. Of a private incident
    nothing is said outside its channel. An incident that has ended needs nothing of anybody.
    """
    if not incident.incident_status.is_open or (incident.is_private and not incident.slack_channel_id):
        return []
    told = {
        person: role_instructions(incident, roles, _beginning(incident, person))
        for person, roles in newly_given(before, incident).items()
        if person != by
    }
    return [
        steps.run_once(
            f"tell {person} of their role",
            _tell,
            slack,
            PersonId(incident.slack_channel_id) if incident.is_private else person,
            sentence,
            incident,
            f"{key}:role:{person}",
            on_failure=f"<@{person}> was not told what their role is",
            attempts=ALL_DAY,
        )
        for person, sentence in told.items()
        if sentence
    ]


def change_briefings(
    steps: Steps,
    slack: Callable[[Incident], SlackClient],
    before: Incident,
    incident: Incident,
    change: IncidentChange,
) -> list[Awaitable[Any]]:
    """Return the briefings after a change."""
    return briefings(steps, slack(incident), before, incident, change.key, change.by.slack_user_id)


def _beginning(incident: Incident, person: PersonId) -> str:
    if not incident.is_private:
        return "You have"
    held = (one.assignee for one in incident.incident_role_assignments)
    return f"{next(display_name(who) for who in held if who and who.slack_user_id == person)} has"


async def _tell(
    slack: SlackClient, to: PersonId, sentence: str, incident: Incident, key: str, again: bool
) -> None:
    await slack.messages.tell_plainly(to, sentence, incident, key, again)
