"""Announce an incident that started in triage, once it is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from tocsin.incidents.announcements import Announcement, AnnouncementPolicy
from tocsin.incidents.model import Card, ChannelId, Form, FrozenModel, Incident, PersonId, TeamId
from tocsin.incidents.validation import CardDestination
from tocsin.workflows.channel_setup import ChannelSetup, as_it_is
from tocsin.workflows.channels import withdraw_posts
from tocsin.workflows.command import act_for
from tocsin.workflows.declaration import DeclareCommand
from tocsin.workflows.ports import (
    Clock,
    IncidentBackend,
    SlackClient,
    SlackStateStore,
    WorkflowEngine,
    WorkspaceOf,
)
from tocsin.workflows.retry import ALL_DAY, StepFailure, Steps, retry_forever, sentences
from tocsin.workflows.sync import OWN_PLACES, UNANNOUNCED, snapshot

VERB = "announce"
DOING = "announce an accepted incident"
NO_INCIDENT = frozenset({"declined", "merged", "canceled"})


async def mark_unannounced(state: SlackStateStore, command: DeclareCommand, incident: Incident) -> None:
    """Store that an incident in triage has yet to be announced, and the channel that shows it already."""
    has_own_message = command.origin is not None and command.thread is None and not command.withheld
    shown_in = command.origin if has_own_message and not incident.is_private else None
    await state.save_fingerprint(incident.id, shown_in or "", UNANNOUNCED, "")


class AnnounceCommand(FrozenModel):
    """An accepted incident, and the channel in which it was declared by a message of its own."""

    incident_id: str
    team: TeamId = TeamId("")
    shown_in: str = ""
    at: datetime


class AnnouncedIncident(FrozenModel):
    """An incident as it was accepted, with its announcement: later changes of the rules do not affect it."""

    incident: Incident | None = None
    announcement: Announcement = Announcement()


class AnnounceAccepted:
    """Durable workflow of the announcement; one for each incident, however often it is accepted."""

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        form: Callable[[], Awaitable[Form]],
        policy: Callable[[TeamId], AnnouncementPolicy],
        clock: Clock,
    ) -> None:
        """`policy` returns the announcement channel and the rules of a workspace."""
        self._backend = backend
        self._engine = engine
        self._steps = Steps(engine)
        self._state = state
        self._workspace = workspace
        self._form = form
        self._policy = policy
        self._clock = clock

    async def begin(self, incident: Incident, shown_in: str) -> None:
        """Start the announcement unless it was started before. Raises Unavailable."""
        command = AnnounceCommand(
            incident_id=incident.id,
            team=TeamId(incident.slack_team_id),
            shown_in=shown_in,
            at=self._clock(),
        )
        key = str(uuid5(NAMESPACE_OID, f"{incident.id}:{VERB}"))
        starting = self._engine.start(VERB, key, command.model_dump(mode="json"))
        # A fresh context, so that DBOS does not count it among the steps of the workflow that accepts.
        await asyncio.get_running_loop().create_task(_done(starting), context=Context())

    async def workflow(self, raw: dict[str, Any]) -> Any:
        """Run the durable workflow; recorded steps are not repeated after a crash."""
        command = AnnounceCommand.model_validate(raw)
        decided = await self._steps.record(
            "decide where it is announced",
            retry_forever,
            DOING,
            self._decide,
            command,
            returns=AnnouncedIncident,
        )
        if decided.incident is not None:
            act_for(decided.incident.creator.slack_user_id, command.at)
            await self._steps.last(self._announce, command, decided.incident, decided.announcement)
        return None

    async def _decide(self, command: AnnounceCommand) -> AnnouncedIncident:
        incident = await self._backend.find(command.incident_id)
        if incident is None or incident.is_private:
            return AnnouncedIncident()
        found = self._policy(command.team).announcement_of(incident, await self._form())
        if self._backend.makes_channel:
            # Where the backend makes the channel, its own rules announce and invite.
            announced = self._policy(command.team).channel
            found = Announcement(channels=tuple(c for c in found.channels if c == announced))
        return AnnouncedIncident(incident=incident, announcement=found)

    async def _announce(
        self, command: AnnounceCommand, incident: Incident, announcement: Announcement
    ) -> None:
        """Post the cards and invite the user groups; tell the reporter what failed."""
        slack = self._workspace(command.team)
        incident = await as_it_is(self._backend, incident)
        if not incident.is_private and incident.incident_status.category not in NO_INCIDENT:
            setup = ChannelSetup(backend=self._backend, workspace=slack, engine=self._engine)
            done = await asyncio.gather(
                *(self._post(incident, c) for c in announcement.channels if c != command.shown_in),
                *setup.invitations(announcement.invite, incident),
            )
            await self._tell_failures(slack, incident, [x for x in done if isinstance(x, StepFailure)])
        now = await as_it_is(self._backend, incident)
        if now.is_private:
            # It became private meanwhile, and the workflow that withdrew its cards may not have seen these.
            await withdraw_posts(slack, self._state, now, kept=OWN_PLACES)
        await self._state.delete_fingerprint(incident.id, command.shown_in, UNANNOUNCED)

    def _post(self, incident: Incident, channel: str) -> Awaitable[Any]:
        return self._steps.run_once(
            f"announce it in {channel}",
            self._card,
            incident,
            ChannelId(channel),
            on_failure=f"It could not be announced in <#{channel}>",
            returns=Card | None,
            attempts=ALL_DAY,
        )

    async def _card(self, incident: Incident, channel: ChannelId, again: bool) -> Card | None:
        """Post the card and store it; None if this channel has one."""
        known = await self._state.cards(incident.id)
        if any(card.channel == channel and card.place == "announcement" for card in known):
            return None
        messages = self._workspace(TeamId(incident.slack_team_id)).messages
        spot = CardDestination(place="announcement", to=channel)
        key = f"{incident.id}:announcement:{channel}"
        card = await messages.post_card(incident, spot, key=key, again=again)
        face = messages.fingerprints(incident)["card"]
        await self._state.save_rendered(incident, card, face, snapshot(incident))
        return card

    async def _tell_failures(
        self, slack: SlackClient, incident: Incident, failures: list[StepFailure]
    ) -> None:
        reporter = incident.creator.slack_user_id
        if not failures or reporter is None:
            return
        said = ". ".join(sentences(failures))
        await self._steps.run_once(
            "tell the reporter",
            slack.messages.tell,
            PersonId(reporter),
            f"{incident.reference} is accepted, but not everything went well: {said}.",
            incident,
            f"{incident.id}:announcement:trouble",
            on_failure="The reporter could not be told",
            attempts=ALL_DAY,
        )


async def _done(starting: Awaitable[bool]) -> None:
    await starting
