"""Announce an incident by rules that have come to hold for it: once in each channel, once for each group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from tocsin.incidents.announcements import Announcement, AnnouncementRule, further_announcement
from tocsin.incidents.model import FrozenModel, Incident, Person, TeamId
from tocsin.incidents.validation import CardDestination
from tocsin.workflows.channel_setup import ChannelSetup
from tocsin.workflows.channels import A_DAY, await_channel
from tocsin.workflows.command import act_for
from tocsin.workflows.ports import Channel, Clock, IncidentBackend, SlackStateStore, WorkflowEngine
from tocsin.workflows.retry import ALL_DAY, StepFailure, Steps, outside_workflow, sentences
from tocsin.workflows.slack_client import WorkspaceOf
from tocsin.workflows.sync import SlackSync

VERB = "announce"
KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000018")

RulesOf = Callable[[TeamId], Sequence[AnnouncementRule]]
"""Returns the announcement rules of a workspace, as configured now."""


class AnnounceCommand(FrozenModel):
    """A channel in which an incident is to be announced, or a user group to bring into its own channel."""

    incident_id: str
    team: TeamId
    channel: str = ""
    group: str = ""
    by: Person
    """The person to be told if it fails: the one who changed the incident, else its reporter."""
    at: datetime

    @property
    def key(self) -> str:
        """Key of the workflow: there is one for each incident and channel or group."""
        return str(uuid5(KEYS, f"{self.incident_id}/{self.channel or self.group}"))


class Announcer:
    """Durable workflow of each channel and user group that a change adds. One instance serves the process.

    However often, and wherever, an incident is raised and lowered, each of them is told once. What the
    declaration did is found by the incident's card, or by the group's mark.
    """

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        following: SlackSync,
        rules_of: RulesOf,
        clock: Clock,
    ) -> None:
        self._backend = backend
        self._engine = engine
        self._steps = Steps(engine)
        self._state = state
        self._workspace = workspace
        self._following = following
        self._rules_of = rules_of
        self._clock = clock

    def due(self, before: Incident, incident: Incident) -> Announcement:
        """Return the channels and groups that the rules name since this change, and did not name before."""
        return further_announcement(self._rules_of(TeamId(incident.slack_team_id)), before, incident)

    async def begin(self, before: Incident, incident: Incident, by: Person | None = None) -> None:
        """Start the workflows that a change calls for, and return once they are saved; a repeat starts none.

        `by` changed it; None if it was changed elsewhere. Raises Unavailable.
        """
        due = self.due(before, incident)
        named = [{"channel": channel} for channel in due.channels]
        named += [{"group": group} for group in due.invite]
        for one in named:
            command = AnnounceCommand(
                incident_id=incident.id,
                team=TeamId(incident.slack_team_id),
                by=by if by is not None and by.slack_user_id else incident.creator,
                at=self._clock(),
                **one,
            )
            starting = self._engine.start(VERB, command.key, command.model_dump(mode="json"))
            await outside_workflow(starting)

    async def workflow(self, raw: dict[str, Any]) -> Any:
        """Run the durable workflow; recorded steps are not repeated after a crash."""
        command = AnnounceCommand.model_validate(raw)
        act_for(command.by.slack_user_id, command.at)
        incident = await self._steps.find_incident(self._backend.find, command.incident_id)
        if incident is not None and not incident.is_private:
            act = self._announce if command.channel else self._bring_in
            if (failure := await act(command, incident)) is not None:
                await self._tell(command, incident, failure)
        return {"kind": "announced", "incident": {"id": command.incident_id}}

    async def _announce(self, command: AnnounceCommand, incident: Incident) -> StepFailure | None:
        return await self._steps.run_once(
            "announce it",
            self._post_card,
            incident,
            command.channel,
            on_failure=f"It could not be announced in <#{command.channel}>",
            attempts=ALL_DAY,
        )

    async def _post_card(self, incident: Incident, channel: str, again: bool) -> None:
        """Post the card of the incident as it is now, unless the channel has one.

        What an earlier attempt may have posted is taken back if the incident must not be announced any more.
        """
        slack = self._workspace(TeamId(incident.slack_team_id))
        spot = CardDestination(place="announcement", to=channel)
        key, now = f"{incident.id}:announced:{channel}", await self._backend.find(incident.id)
        cards = await self._state.cards(incident.id)
        is_known = any(card.channel == channel for card in cards)
        if now is None or now.is_private or not now.incident_status.is_open:
            if again and not is_known:
                await slack.messages.withdraw_lost(spot, key)
            return
        if not is_known:
            card = await slack.messages.post_card(now, spot, key=key, again=again)
            await self._state.remember_card(now.id, card)
        # It may have changed, or have become private, before its new card was stored.
        await self._following.sync(incident.id)

    async def _bring_in(self, command: AnnounceCommand, incident: Incident) -> StepFailure | None:
        """Bring a group into the incident's channel, once that is there."""
        if not incident.slack_channel_id:
            found = await self._steps.record(
                "await the channel",
                await_channel,
                self._backend,
                self._state,
                incident,
                A_DAY,
                returns=Channel | StepFailure,
            )
            if isinstance(found, StepFailure):
                return found
            incident = incident.model_copy(update={"slack_channel_id": found.id})
        slack = self._workspace(command.team)
        setup = ChannelSetup(backend=self._backend, workspace=slack, engine=self._engine, state=self._state)
        (bringing,) = setup.invitations([command.group], incident)
        failure: StepFailure | None = await bringing
        return failure

    async def _tell(self, command: AnnounceCommand, incident: Incident, failure: StepFailure) -> None:
        person = command.by.slack_user_id
        if person is None:
            return
        (said,) = sentences([failure])
        await self._steps.run_once(
            "tell of the troubles",
            self._workspace(command.team).messages.tell,
            person,
            f"{incident.reference} is changed, but not everything went well: {said}.",
            incident,
            f"{command.key}:trouble",
            on_failure="Who changed it could not be told",
            attempts=ALL_DAY,
        )
