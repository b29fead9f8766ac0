"""Requests to see a private incident: the lead is asked once, and allows or declines."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID, uuid5

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import (
    ChannelId,
    Incident,
    MessageTs,
    Person,
    PersonId,
    TimelineEntry,
    display_name,
)
from tocsin.incidents.permissions import NOT_SEEN
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.validation import is_visible_to
from tocsin.workflows.change import GONE, ChangeEffects
from tocsin.workflows.command import AnyChange, AskedCommand, Change, Changed, DurableCommand, NotChanged
from tocsin.workflows.ports import IncidentBackend, WorkflowEngine
from tocsin.workflows.retry import ALL_DAY, retry_forever
from tocsin.workflows.slack_client import WorkspaceOf

KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000005")

DECLINED = "You asked to see a private incident. That was declined."
"""Message to a person who may not see the incident, so it says nothing of it."""


def request_key(incident_id: str, person: PersonId) -> str:
    """Return the key of a person's only request to see an incident: asking twice is asking once."""
    return str(uuid5(KEYS, f"request/{incident_id}/{person}"))


def decision_key(incident_id: str, person: PersonId) -> str:
    """Return the key of the decision on that request: the first press counts."""
    return str(uuid5(KEYS, f"decision/{incident_id}/{person}"))


class AccessState(StrEnum):
    """State of a person's request to see an incident."""

    NOT_ASKED = "not asked"
    ASKED = "asked"
    DECIDED = "decided"


class AccessRequest(AskedCommand):
    """A request that a person may see a private incident.

    `asked_by` is empty, since the outcome is not for the person: they are told of the decision alone.
    """

    person: Person
    invited_by: PersonId | None = None
    """Person who brought them into the channel by hand; None if they ask themselves."""


class AccessDecision(AskedCommand):
    """The decision on such a request, and the message with the buttons."""

    person: Person
    is_allowed: bool
    channel: ChannelId = ChannelId("")
    ts: MessageTs = MessageTs("")


def decider_of(incident: Incident) -> PersonId | None:
    """Return the person who decides: the lead, or else the first of the people who see the incident."""
    lead = incident.lead.slack_user_id if incident.lead else None
    return lead or next(iter(incident.people), None)


class AccessRequests(DurableCommand[AccessRequest]):
    """Workflow that asks the lead of a private incident if a person may see it."""

    verb = "request access"
    command_type = AccessRequest

    def __init__(self, backend: IncidentBackend, engine: WorkflowEngine, workspace: WorkspaceOf) -> None:
        super().__init__(engine, workspace)
        self._backend = backend

    async def state_of(self, incident_id: str, person: PersonId) -> AccessState:
        """Return the state of a person's request. Raises Unavailable."""
        if await self._engine.find_command(decision_key(incident_id, person)) is not None:
            return AccessState.DECIDED
        asked = await self._engine.find_command(request_key(incident_id, person)) is not None
        return AccessState.ASKED if asked else AccessState.NOT_ASKED

    async def run(self, command: AccessRequest) -> AnyChange:
        return await self._steps.record(
            "look at the request", retry_forever, "look at a request", self._look, command, returns=Change
        )

    async def _look(self, command: AccessRequest) -> AnyChange:
        incident = await self._backend.find(command.incident_id)
        if incident is None:
            return NotChanged(sentence=GONE)
        if is_visible_to(command.person.slack_user_id, incident):
            return NotChanged(sentence="You may see this incident already.")
        return Changed(incident=incident, said="Access was asked for. You are told what is decided.")

    async def after(self, command: AccessRequest, done: Changed) -> None:
        await self._steps.run_once(
            "ask the lead", self._ask, command, on_failure="The lead could not be asked", attempts=ALL_DAY
        )

    async def _ask(self, command: AccessRequest, again: bool) -> None:
        """Send the question to the person who leads now, unless it has been answered by an invitation."""
        incident = await self._backend.find(command.incident_id)
        if incident is None or is_visible_to(command.person.slack_user_id, incident):
            return
        decider = decider_of(incident)
        if decider is None:
            raise Refused(f"Nobody sees {incident.reference} who could allow it")
        messages, key = self._workspace(command.team).messages, f"{command.key}:access"
        await messages.ask_for_access(
            decider, incident, command.person, command.invited_by, key=key, again=again
        )


class AccessDecisions(DurableCommand[AccessDecision]):
    """Workflow that allows a person to see a private incident, or declines it."""

    verb = "decide on access"
    command_type = AccessDecision

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        workspace: WorkspaceOf,
        effects: ChangeEffects,
    ) -> None:
        super().__init__(engine, workspace)
        self._backend = backend
        self._effects = effects

    async def run(self, command: AccessDecision) -> AnyChange:
        return await self._steps.record(
            "decide", retry_forever, "decide on access", self._decide, command, returns=Change
        )

    async def _decide(self, command: AccessDecision) -> AnyChange:
        incident, name = await self._backend.find(command.incident_id), display_name(command.person)
        if incident is None:
            return NotChanged(sentence=GONE)
        if not is_visible_to(command.by.slack_user_id, incident):
            return NotChanged(sentence=NOT_SEEN)
        try:
            if command.is_allowed:
                after = await self._backend.change(incident.id, _invitation(command))
                said = f"{name} may see {incident.reference} now."
                return Changed(incident=after, before=incident, said=said, change=_invitation(command))
            if is_visible_to(command.person.slack_user_id, incident):
                return NotChanged(sentence=f"{name} sees {incident.reference} already.")
            entry = TimelineEntry(at=command.at, by=command.by, verb="declined access of", text=name)
            await self._backend.note(incident.id, entry, f"{command.key}:declined")
        except Refused as refusal:
            return NotChanged(sentence=refusal.sentence, fields=refusal.fields)
        return Changed(incident=incident, said=f"{name} may not see {incident.reference}.")

    async def after(self, command: AccessDecision, done: Changed) -> None:
        if done.change is not None:
            await self._effects.apply(done, done.change)
        else:
            await self._effects.people.remove(done.incident, [_id(command)])
        await self._steps.run(
            "show the decision",
            self._show,
            command,
            done,
            on_failure="The question still stands",
        )
        await self._steps.run_once(
            "tell of the decision",
            self._tell_person,
            command,
            done,
            on_failure="The person could not be told",
            attempts=ALL_DAY,
        )

    async def _tell_late(self, command: AccessDecision, outcome: AnyChange) -> None:
        # A decision is read where the question stood, however late; only a refusal is not.
        if isinstance(outcome, NotChanged) or not command.ts:
            await super()._tell_late(command, outcome)

    async def _show(self, command: AccessDecision, done: Changed) -> None:
        if command.ts:
            messages = self._workspace(command.team).messages
            await messages.show_decision(command.channel, command.ts, command.by, done.incident, done.said)

    async def _tell_person(self, command: AccessDecision, done: Changed, again: bool) -> None:
        messages, key = self._workspace(command.team).messages, f"{command.key}:decided"
        if done.change is None:
            await messages.tell(_id(command), DECLINED, None, key, again)
            return
        incident = done.incident
        where = f" in <#{incident.slack_channel_id}>" if incident.slack_channel_id else ""
        said = f"You may see {incident.reference} now{where}."
        await messages.tell(_id(command), said, incident, key, again)


def _id(command: AccessDecision) -> PersonId:
    return command.person.slack_user_id or PersonId("")


def _invitation(command: AccessDecision) -> IncidentChange:
    return IncidentChange(
        key=command.key,
        by=command.by,
        at=command.at,
        invited=(_id(command),),
        assignees=(command.person,),
    )
