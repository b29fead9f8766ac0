"""Actions and follow-ups: add one, take it, link its issue, complete it, list them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import NAMESPACE_OID, uuid5
from weakref import WeakValueDictionary

from tocsin.incidents.errors import OutcomeUnknown, Refused
from tocsin.incidents.model import ChannelId, FollowUp, Incident, MessageTs, Person, display_name
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest
from tocsin.incidents.transitions import validate_follow_up, validate_follow_up_change
from tocsin.incidents.validation import FOLLOW_UP_WORDS
from tocsin.workflows.channels import attempts_to_tell, awaits_channel, fitting_channel, is_told
from tocsin.workflows.checklists import Checklists
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

VERB_ADD, VERB_COMPLETE, VERB_CHANGE = "add a follow-up", "complete a follow-up", "change a follow-up"
LACKED = {"action": "action", "follow_up": "follow-up"}
"""Name in `Form.lacks` of the verb that a backend may lack, by kind of follow-up."""

GONE = "That incident is not here any more."
POSTED = "follow-up "
"""Prefix of the mark of an item's message among the fingerprints; the item's id follows."""
SHOWN = "shown follow-up "
"""Prefix of the mark that has what an edited message shows, so that none is edited for nothing."""

NOT_HERE = "This incident has no such action or follow-up."


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


class ChangeFollowUpCommand(Command):
    """A request to change an action or follow-up: to take it, say, or to link its issue."""

    follow_up_id: str
    change: FollowUpChange

    @property
    def key(self) -> str:
        return self.change.key

    @property
    def by(self) -> Person:
        return self.change.by

    @property
    def asked_at(self) -> datetime:
        return self.change.at

    def with_key(self, key: str) -> ChangeFollowUpCommand:
        return self.model_copy(update={"change": self.change.model_copy(update={"key": key})})


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
        await self._board.show(self._steps, command, done, is_new=True)


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
                return NotChanged(sentence=NOT_HERE)
            done = await self._backend.complete_follow_up(
                command.follow_up_id, command.done_by, command.at, command.asked
            )
        except Refused as refusal:
            return NotChanged(sentence=refusal.sentence, fields=refusal.fields)
        return _changed(incident, "done", done)

    async def after(self, command: CompleteFollowUpCommand, done: Changed) -> None:
        await self._board.show(self._steps, command, done)


class ChangeFollowUp(DurableCommand[ChangeFollowUpCommand]):
    """Workflow that changes an action or follow-up: gives it to a person, say, or links its issue."""

    verb = VERB_CHANGE
    command_type = ChangeFollowUpCommand

    def __init__(
        self, backend: IncidentBackend, engine: WorkflowEngine, workspace: WorkspaceOf, board: _Board
    ) -> None:
        super().__init__(engine, workspace)
        self._backend = backend
        self._board = board

    async def run(self, command: ChangeFollowUpCommand) -> AnyChange:
        return await self._steps.record(
            "change the follow-up",
            retry_forever,
            "change a follow-up",
            self._change,
            command,
            returns=Change,
        )

    async def _change(self, command: ChangeFollowUpCommand) -> AnyChange:
        change = command.change
        try:
            incident = await self._backend.find(command.incident_id)
            if incident is None:
                return NotChanged(sentence=GONE)
            known = await self._backend.follow_ups(command.incident_id)
            found = next((one for one in known if one.id == command.follow_up_id), None)
            # What an earlier process has deleted for this is listed no more.
            is_repeat = change.status == "deleted" and self._engine.is_resumed()
            if found is None and not is_repeat:
                return NotChanged(sentence=NOT_HERE)
            if found is not None and (why := _why_not_taken(found, change)):
                return NotChanged(sentence=why)
            changed = await self._backend.change_follow_up(
                command.follow_up_id, validate_follow_up_change(change)
            )
        except Refused as refusal:
            return NotChanged(sentence=refusal.sentence, fields=refusal.fields)
        did = "its issue is linked" if change.issue_url else "taken" if change.assignee else "changed"
        return _changed(incident, did, changed)

    async def after(self, command: ChangeFollowUpCommand, done: Changed) -> None:
        await self._board.show(self._steps, command, done)


def _why_not_taken(found: FollowUp, change: FollowUpChange) -> str:
    """Return the reason why a person cannot take it; empty if they can, have it already, or are given it."""
    person = change.assignee
    if person is None or person.slack_user_id != change.by.slack_user_id:
        return ""
    if found.is_done:
        return "That is done already."
    holder = found.assignee
    if holder is not None and holder.slack_user_id != person.slack_user_id:
        return f"{display_name(holder)} has it already."
    return ""


class _Board:
    """Messages about actions and follow-ups in the incident's channel, each with buttons."""

    def __init__(
        self,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        checklists: Checklists,
    ) -> None:
        self._backend = backend
        self._engine = engine
        self._state = state
        self._workspace = workspace
        self._checklists = checklists
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def show(self, steps: Steps, command: Command, done: Changed, *, is_new: bool = False) -> None:
        told = is_told(done.incident, command.by, command.asked_at)
        if done.follow_up is not None and told:
            await steps.run_once(
                "show the follow-up",
                self._show,
                command,
                done.incident,
                done.follow_up,
                is_new,
                on_failure="The channel was not told",
                attempts=attempts_to_tell(done.incident),
            )

    async def _show(
        self, command: Command, incident: Incident, follow_up: FollowUp, is_new: bool, again: bool
    ) -> None:
        """Post the message of a new one, or edit the one that was posted; then edit the checklist.

        Each workflow shows the follow-up as it is at that moment, in turns: the next change may be made
        before the message of the first one is posted. Another replica's change may come between the look and
        the message, so that it is looked at again afterwards.
        """
        async with self._turns.setdefault(follow_up.id, asyncio.Lock()):
            fingerprints = await self._state.fingerprints(incident.id)
            place = next(
                (
                    (place, ts)
                    for (place, thing), ts in fingerprints.items()
                    if thing == POSTED + follow_up.id
                ),
                None,
            )
            shown = await self._read(follow_up)
            if place is None and is_new and not follow_up.is_done:
                place = await self._post(command, incident, shown, again)
            elif place is not None:
                known = fingerprints.get((place[0], SHOWN + follow_up.id))
                # An earlier process may have sent something older after this was stored.
                known = None if self._engine.is_resumed() else known
                await self._edit(command, incident, shown, place, known)
            while place is not None and (current := await self._read(follow_up)) != shown:
                shown = current
                await self._edit(command, incident, shown, place, None)
        await self._checklists.refresh(incident.id)

    async def _read(self, follow_up: FollowUp) -> FollowUp:
        """Return an action or follow-up as it is now, also one that was deleted."""
        known = await self._backend.follow_ups(follow_up.incident_id)
        gone = follow_up.model_copy(update={"status": "deleted", "is_done": True})
        return next((one for one in known if one.id == follow_up.id), gone)

    async def _post(
        self, command: Command, incident: Incident, shown: FollowUp, again: bool
    ) -> tuple[str, str] | None:
        """Post the message; return its channel and `ts`.

        Returns None where there is no fitting channel, and for what was deleted before anybody saw it. Raises
        OutcomeUnknown while the incident awaits its channel.
        """
        slack, now = self._workspace(command.team), await self._backend.find(incident.id) or incident
        fitting = await fitting_channel(slack, self._state, now)
        if await awaits_channel(self._backend, self._state, now):
            raise OutcomeUnknown(f"{now.reference} has no channel yet, so nothing was said there")
        if fitting is None or (shown.status == "deleted" and not again):
            return None
        new_issue, key = self._checklists.new_issue_url(now, shown), f"{command.key}:follow-up"
        ts = await slack.messages.post_follow_up(fitting, incident, shown, new_issue, key=key, again=again)
        await self._state.save_fingerprint(incident.id, fitting, POSTED + shown.id, ts)
        return fitting, ts

    async def _edit(
        self,
        command: Command,
        incident: Incident,
        shown: FollowUp,
        place: tuple[str, str],
        known: str | None,
    ) -> None:
        """Edit the message, unless it is `known` to show the same, and store what it shows now."""
        now = await self._backend.find(incident.id) or incident
        new_issue = self._checklists.new_issue_url(now, shown)
        face = str(uuid5(NAMESPACE_OID, f"{shown.model_dump_json()} {new_issue}"))
        if face != known:
            channel, ts = ChannelId(place[0]), MessageTs(place[1])
            messages = self._workspace(command.team).messages
            await messages.update_follow_up(channel, ts, incident, shown, new_issue)
            await self._state.save_fingerprint(incident.id, channel, SHOWN + shown.id, face)


class FollowUps:
    """The three workflows and the list of follow-ups. One instance serves the whole process."""

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        engine: WorkflowEngine,
        state: SlackStateStore,
        workspace: WorkspaceOf,
        checklists: Checklists,
    ) -> None:
        board = _Board(backend, engine, state, workspace, checklists)
        self._backend = backend
        self._state = state
        self.checklists = checklists
        self.add = AddFollowUp(backend, engine, workspace, board)
        self.complete = CompleteFollowUp(backend, engine, workspace, board)
        self.change = ChangeFollowUp(backend, engine, workspace, board)

    async def posted_as(self, incident_id: str, channel: ChannelId, ts: MessageTs) -> str | None:
        """Return the id of the action or follow-up that this message shows; None if it shows none."""
        posted = (await self._state.fingerprints(incident_id)).items()
        found = (thing for (place, thing), known in posted if place == channel and known == ts)
        return next((thing.removeprefix(POSTED) for thing in found if thing.startswith(POSTED)), None)

    async def of(self, incident_id: str) -> Sequence[FollowUp]:
        """Return actions and follow-ups, oldest first."""
        return await self._backend.follow_ups(incident_id)


def _changed(incident: Incident, did: str, follow_up: FollowUp) -> Changed:
    said = f"{incident.reference}: {did}: {follow_up.text}"
    return Changed(incident=incident, said=said, follow_up=follow_up)


def _clean(command: AddFollowUpCommand) -> FollowUpRequest:
    return validate_follow_up(command.request)
