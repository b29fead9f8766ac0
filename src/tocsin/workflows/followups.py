"""Actions and follow-ups: add one, complete it with a button, list them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, FollowUp, Incident, MessageTs, Person
from tocsin.incidents.requests import FollowUpRequest
from tocsin.incidents.transitions import validate_follow_up
from tocsin.incidents.validation import FOLLOW_UP_WORDS
from tocsin.workflows.channels import fitting_channel
from tocsin.workflows.command import (
    AnyChange,
    Change,
    Changed,
    Command,
    DurableCommand,
    NotChanged,
)
from tocsin.workflows.ports import IncidentBackend, SlackStateStore, WorkflowEngine
from tocsin.workflows.retry import Steps, retry_forever
from tocsin.workflows.slack_client import WorkspaceOf

VERB_ADD, VERB_COMPLETE = "add a follow-up", "complete a follow-up"
LACKED = {"action": "action", "follow_up": "follow-up"}
"""Name in `Form.lacks` of the verb that a backend may lack, by kind of follow-up."""

GONE = "That incident is not here any more."


class AddFollowUpCommand(Command):
    """A request to add an action or follow-up."""

    request: FollowUpRequest

    @property
    def key(self) -> str:
        return self.request.key

    @property
    def by(self) -> Person:
        return self.request.by

    @property
    def asked_at(self) -> datetime:
        return self.request.at

    def with_key(self, key: str) -> AddFollowUpCommand:
        return self.model_copy(update={"request": self.request.model_copy(update={"key": key})})


class CompleteFollowUpCommand(Command):
    """A request to complete an action or follow-up."""

    follow_up_id: str
    asked: str
    """The key."""
    done_by: Person
    at: datetime

    @property
    def key(self) -> str:
        return self.asked

    @property
    def by(self) -> Person:
        return self.done_by

    @property
    def asked_at(self) -> datetime:
        return self.at

    def with_key(self, key: str) -> CompleteFollowUpCommand:
        return self.model_copy(update={"asked": key})


class AddFollowUp(DurableCommand[AddFollowUpCommand]):
    """Workflow that adds an action or follow-up; its outcome carries it."""

    verb = VERB_ADD
    command_type = AddFollowUpCommand

    def __init__(
        self, backend: IncidentBackend, engine: WorkflowEngine, workspace: WorkspaceOf, board: _Board
    ) -> None:
        super().__init__(engine, workspace)
        self._backend = backend
        self._board = board

    async def run(self, command: AddFollowUpCommand) -> AnyChange:
        return await self._steps.record(
            "add the follow-up", retry_forever, "add a follow-up", self._add, command, returns=Change
        )

    async def _add(self, command: AddFollowUpCommand) -> AnyChange:
        kind = command.request.kind
        try:
            form = await self._backend.form()
            if lacking := form.lacks.get(LACKED[kind]):
                return NotChanged(sentence=lacking)
            incident = await self._backend.find(command.incident_id)
            if incident is None:
                return NotChanged(sentence=GONE)
            added = await self._backend.add_follow_up(command.incident_id, _clean(command))
        except Refused as refusal:
            return NotChanged(sentence=refusal.sentence, fields=refusal.fields)
        return _changed(incident, f"{FOLLOW_UP_WORDS[kind]} added", added)

    async def after(self, command: AddFollowUpCommand, done: Changed) -> None:
        await self._board.show(self._steps, command, done)


class CompleteFollowUp(DurableCommand[CompleteFollowUpCommand]):
    """Workflow that completes an action or follow-up; completing it again changes nothing."""

    verb = VERB_COMPLETE
    command_type = CompleteFollowUpCommand

    def __init__(
        self, backend: IncidentBackend, engine: WorkflowEngine, workspace: WorkspaceOf, board: _Board
    ) -> None:
        super().__init__(engine, workspace)
        self._backend = backend
        self._board = board

    async def run(self, command: CompleteFollowUpCommand) -> AnyChange:
        return await self._steps.record(
            "complete the follow-up",
            retry_forever,
            "complete a follow-up",
            self._complete,
            command,
            returns=Change,
        )

    async def _complete(self, command: CompleteFollowUpCommand) -> AnyChange:
        try:
            incident = await self._backend.find(command.incident_id)
            if incident is None:
                return NotChanged(sentence=GONE)
            known = await self._backend.follow_ups(command.incident_id)
            if all(one.id != command.follow_up_id for one in known):
                return NotChanged(sentence="That is not to be done in this incident.")
            done = await self._backend.complete_follow_up(
                command.follow_up_id, command.done_by, command.at, command.asked
            )
        except Refused as refusal:
            return NotChanged(sentence=refusal.sentence, fields=refusal.fields)
        return _changed(incident, "done", done)

    async def after(self, command: CompleteFollowUpCommand, done: Changed) -> None:
        await self._board.show(self._steps, command, done)


class _Board:
    """Messages about actions and follow-ups in the incident's channel, each with a button."""

    def __init__(self, backend: IncidentBackend, state: SlackStateStore, workspace: WorkspaceOf) -> None:
        self._backend = backend
        self._state = state
        self._workspace = workspace

    async def show(self, steps: Steps, command: Command, done: Changed) -> None:
        if done.follow_up is not None and done.incident.slack_channel_id:
            await steps.run_once(
                "show the follow-up",
                self._show,
                command,
                done.incident,
                done.follow_up,
                on_failure="The channel was not told",
            )

    async def _show(self, command: Command, incident: Incident, follow_up: FollowUp, again: bool) -> None:
        """Post the message, or edit the one that was posted so that it shows the completion."""
        slack, thing = self._workspace(command.team), f"follow-up {follow_up.id}"
        fingerprints = await self._state.fingerprints(incident.id)
        posted = next(((place, ts) for (place, known), ts in fingerprints.items() if known == thing), None)
        if posted is not None:
            channel, ts = ChannelId(posted[0]), MessageTs(posted[1])
            await slack.messages.update_follow_up(channel, ts, incident, follow_up)
            return
        now = await self._backend.find(incident.id) or incident
        fitting = await fitting_channel(slack, self._state, now)
        if fitting is not None and not follow_up.is_done:
            key = f"{command.key}:follow-up"
            ts = await slack.messages.post_follow_up(fitting, incident, follow_up, key=key, again=again)
            await self._state.save_fingerprint(incident.id, fitting, thing, ts)


class FollowUps:
    """The two workflows and the list of follow-ups. One instance serves the whole process."""

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        workspace: WorkspaceOf,
    ) -> None:
        board = _Board(backend, state, workspace)
        self._backend = backend
        self.add = AddFollowUp(backend, engine, workspace, board)
        self.complete = CompleteFollowUp(backend, engine, workspace, board)

    async def of(self, incident_id: str) -> Sequence[FollowUp]:
        """Return actions and follow-ups, oldest first."""
        return await self._backend.follow_ups(incident_id)


def _changed(incident: Incident, did: str, follow_up: FollowUp) -> Changed:
    said = f"{incident.reference}: {did}: {follow_up.text}"
    return Changed(incident=incident, said=said, follow_up=follow_up)


def _clean(command: AddFollowUpCommand) -> FollowUpRequest:
    return validate_follow_up(command.request)
