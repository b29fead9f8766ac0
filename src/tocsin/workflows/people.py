"""People who come into an incident's channel, and people who may not read it any more."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from tocsin.incidents.model import ChannelId, Incident, PersonId, TeamId
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.validation import join_names
from tocsin.workflows.ports import IncidentBackend, SlackClient, WorkflowEngine, WorkspaceOf
from tocsin.workflows.retry import ALL_DAY, StepFailure, Steps


class PeopleOfChannel:
    """Steps that bring people into an incident's channel, and take them out of it."""

    def __init__(self, *, backend: IncidentBackend, engine: WorkflowEngine, workspace: WorkspaceOf) -> None:
        self._backend = backend
        self._steps = Steps(engine)
        self._workspace = workspace

    def bring_in(self, before: Incident, incident: Incident, change: IncidentChange) -> list[Awaitable[Any]]:
        """Return the step that brings people who were invited or have a new role into the channel."""
        new = [person for person in incident.people if person not in before.people]
        new = list(dict.fromkeys([*new, *change.invited]))
        if not new or not incident.slack_channel_id:
            return []
        return [
            self._steps.run(
                "bring people in",
                self._bring_in,
                incident,
                new,
                on_failure="Nobody could be brought into the channel",
                attempts=ALL_DAY,
            )
        ]

    def take_out(self, before: Incident, incident: Incident) -> list[Awaitable[Any]]:
        """Return the step that removes people who lost their part in a private incident from its channel."""
        gone = [person for person in before.people if person not in incident.people]
        return [self.remove(incident, gone)] if gone and self._is_theirs(incident) else []

    async def remove(self, incident: Incident, gone: Sequence[PersonId]) -> Any:
        """Remove people who may not see a private incident from its channel, if it is the bot's own."""
        if not self._is_theirs(incident):
            return None
        return await self._steps.run_once(
            "take people out",
            self._take_out,
            incident,
            gone,
            on_failure="Who has no part in it any more may still read its channel",
            attempts=ALL_DAY,
        )

    def _is_theirs(self, incident: Incident) -> bool:
        """True if the incident's channel is for the people who see the incident, and for no others."""
        return incident.is_private and bool(incident.slack_channel_id) and not self._backend.makes_channel

    async def _take_out(self, incident: Incident, people: Sequence[PersonId], again: bool) -> None:
        """Remove people from the channel; name those whom Slack does not let the bot remove in a message."""
        slack, channel = self._slack(incident), ChannelId(incident.slack_channel_id)
        now = await self._backend.find(incident.id) or incident
        gone = [person for person in people if person not in now.people]
        left = await slack.channels.remove(channel, gone)
        if left:
            names = join_names(f"<@{person}>" for person in left)
            key = f"{incident.id}:reads:{'-'.join(left)}"
            said = f"{names} has no part in this incident any more and still reads this channel."
            await slack.messages.say_here(channel, incident, said, key=key, again=again)

    async def _bring_in(self, incident: Incident, people: Sequence[PersonId]) -> StepFailure | None:
        left_out = await self._slack(incident).channels.invite(
            ChannelId(incident.slack_channel_id), people, incident
        )
        names = join_names(f"<@{person}>" for person in left_out)
        return StepFailure(trouble=f"{names} could not be brought into the channel") if left_out else None

    def _slack(self, incident: Incident) -> SlackClient:
        return self._workspace(TeamId(incident.slack_team_id))
