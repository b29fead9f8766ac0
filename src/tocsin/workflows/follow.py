"""Following an incident by direct message, and catching up on what happened in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog

from tocsin.incidents.catchup import catch_up
from tocsin.incidents.errors import Refused, SlackRefused
from tocsin.incidents.model import FrozenModel, Incident, PersonId, TeamId
from tocsin.incidents.permissions import NOT_SEEN
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.updates import ChangeNotification
from tocsin.incidents.validation import is_visible_to
from tocsin.workflows.command import AnyChange, AskedCommand, Change, Changed, DurableCommand, NotChanged
from tocsin.workflows.ports import IncidentBackend, SlackStateStore, WorkflowEngine
from tocsin.workflows.retry import retry_forever
from tocsin.workflows.slack_client import WorkspaceOf

log = structlog.get_logger()

# These marks stand in the table of fingerprints, under the person's id in place of a channel's.

FOLLOWER = "follower"
"""Mark of a person who follows the incident; the value is their workspace."""

CAUGHT_UP = "caught-up"
"""Mark of a person who caught up; the value is a CaughtUp."""

GONE = "That incident is not here any more."

STOPPED = (
    "An incident that you followed is not yours to see any more. Its updates do not come to you any more."
)
"""Message to a follower who may not see the incident, so it says nothing of it."""


class CaughtUp(FrozenModel):
    """The last time that a person caught up, the key of that request, and the time before it, if any."""

    at: datetime
    key: str
    before: datetime | None = None


class FollowerUpdates:
    """Sender of an incident's updates to the people who follow it."""

    def __init__(self, state: SlackStateStore, workspace: WorkspaceOf) -> None:
        self._state = state
        self._workspace = workspace

    async def tell(
        self,
        incident: Incident,
        change: IncidentChange,
        news: Callable[[], Awaitable[ChangeNotification]],
        again: bool,
    ) -> None:
        """Send the update to each follower except its author; the gate judges each message as it is sent.

        A follower who may not see the incident any more is told so, once, and followed no longer. Raises
        Unavailable if a follower could not be told; a repeat sends nothing twice.
        """
        followers = {
            PersonId(person): TeamId(team)
            for (person, mark), team in (await self._state.fingerprints(incident.id)).items()
            if mark == FOLLOWER and person != change.by.slack_user_id
        }
        if not followers:
            return
        update = await news()
        told = await asyncio.gather(
            *(self._tell(person, team, update, change, again) for person, team in followers.items()),
            return_exceptions=True,
        )
        for failure in filter(None, told):
            raise failure

    async def _tell(
        self, person: PersonId, team: TeamId, update: ChangeNotification, change: IncidentChange, again: bool
    ) -> None:
        messages, incident = self._workspace(team).messages, update.incident
        key = f"{change.key}:follower:{person}"
        try:
            try:
                await messages.post_news(person, update, incident, key=key, again=again)
            except Refused:
                await messages.tell(person, STOPPED, None, f"{key}:stopped", again)
                await self._state.delete_fingerprint(incident.id, person, FOLLOWER)
        except SlackRefused as refusal:
            # Their account is gone, or takes no messages of apps.
            log.warning("not done", doing="tell a follower", because=refusal.sentence)


def tells_followers(change: IncidentChange) -> bool:
    """True for changes that followers are told of: what is known, where it stands, and how bad it is."""
    return bool(change.message or change.incident_status_id or change.severity_id or change.visibility)


class FollowCommand(AskedCommand):
    """A request to follow an incident, or to follow it no longer."""

    follows: bool


class Followers(DurableCommand[FollowCommand]):
    """Workflow that makes a person a follower of an incident, and that ends it."""

    verb = "follow"
    command_type = FollowCommand

    def __init__(
        self, backend: IncidentBackend, engine: WorkflowEngine, state: SlackStateStore, workspace: WorkspaceOf
    ) -> None:
        super().__init__(engine, workspace)
        self._backend = backend
        self._state = state

    async def run(self, command: FollowCommand) -> AnyChange:
        return await self._steps.record(
            "follow it", retry_forever, "follow an incident", self._follow, command, returns=Change
        )

    async def _follow(self, command: FollowCommand) -> AnyChange:
        found = await visible_incident(self._backend, command)
        if isinstance(found, NotChanged):
            return found
        person = command.by.slack_user_id or PersonId("")
        if command.follows:
            await self._state.save_fingerprint(found.id, person, FOLLOWER, command.team)
            said = f"You follow {found.reference}: its updates come to you as direct messages of Tocsin."
        else:
            await self._state.delete_fingerprint(found.id, person, FOLLOWER)
            said = f"You do not follow {found.reference} any more."
        return Changed(incident=found, said=said)

    async def after(self, command: FollowCommand, done: Changed) -> None:
        """Do nothing: the answer is for the person alone."""


class CatchUps(DurableCommand[AskedCommand]):
    """Workflow that tells a person what happened since they caught up last, and remembers that they did."""

    verb = "catch up"
    command_type = AskedCommand

    def __init__(
        self, backend: IncidentBackend, engine: WorkflowEngine, state: SlackStateStore, workspace: WorkspaceOf
    ) -> None:
        super().__init__(engine, workspace)
        self._backend = backend
        self._state = state

    async def run(self, command: AskedCommand) -> AnyChange:
        return await self._steps.record(
            "catch up", retry_forever, "catch up", self._catch_up, command, returns=Change
        )

    async def _catch_up(self, command: AskedCommand) -> AnyChange:
        found = await visible_incident(self._backend, command)
        if isinstance(found, NotChanged):
            return found
        person = command.by.slack_user_id or PersonId("")
        since = _since(await self._state.fingerprints(found.id), person, command)
        try:
            timeline, form = await self._backend.timeline(found.id), await self._backend.form()
        except Refused as refusal:
            return NotChanged(sentence=refusal.sentence)
        now = CaughtUp(at=command.at, key=command.key, before=since)
        await self._state.save_fingerprint(found.id, person, CAUGHT_UP, now.model_dump_json())
        return Changed(incident=found, said=catch_up(found, timeline, person, since, command.at, form))

    async def after(self, command: AskedCommand, done: Changed) -> None:
        """Do nothing: the answer is for the person alone."""


def _since(marks: Mapping[tuple[str, str], str], person: PersonId, command: AskedCommand) -> datetime | None:
    """Return when the person caught up before this request; None if never.

    A process that died may have stored this very request already.
    """
    found = marks.get((person, CAUGHT_UP))
    if found is None:
        return None
    last = CaughtUp.model_validate_json(found)
    return last.before if last.key == command.key else last.at


async def visible_incident(backend: IncidentBackend, command: AskedCommand) -> Incident | NotChanged:
    """Return the command's incident as it is now, or a refusal if the person may not see it."""
    incident = await backend.find(command.incident_id)
    if incident is None:
        return NotChanged(sentence=GONE)
    return incident if is_visible_to(command.by.slack_user_id, incident) else NotChanged(sentence=NOT_SEEN)
