"""Declare an incident: save the command, create the incident, open its channel, and reply to its origin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import structlog

from tocsin.incidents.channel_names import ChannelNames
from tocsin.incidents.errors import Refused, Unavailable
from tocsin.incidents.model import Incident, PersonId, SourceMessage, TeamId, TimelineEntry
from tocsin.incidents.requests import Declaration
from tocsin.incidents.validation import is_visible_to
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.command import REFUSALS, Bounded, PendingReplies, PendingReply, act_for
from tocsin.workflows.declaration import (
    OUTCOME,
    AlreadyDeclared,
    AnyOutcome,
    DeclareCommand,
    Declared,
    NotDeclared,
    Outcome,
)
from tocsin.workflows.fallback_channel import VERB as SHELTER
from tocsin.workflows.fallback_channel import FallbackChannel
from tocsin.workflows.notify import too_late
from tocsin.workflows.ports import IncidentBackend, SlackStateStore, WorkflowEngine
from tocsin.workflows.publish import DeclarationPublisher
from tocsin.workflows.retry import SLACK_ATTEMPTS, Steps, best_effort, retry, retry_forever
from tocsin.workflows.tasks import AddTasks

log = structlog.get_logger()
VERB = "declare"
DOING = "declare an incident"
LONG_AGO = "That was asked long ago, and is not known here any more."

# Slack must be answered within 3 s; this leaves a second for the way back.
PATIENCE = 2.0


class DeclareIncident:
    """Durable workflow of the verb `declare`. One instance serves the whole process."""

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        state: SlackStateStore,
        engine: WorkflowEngine,
        publisher: Callable[[TeamId], DeclarationPublisher],
        alerts: OperatorAlerts,
        shelter: FallbackChannel,
        names: ChannelNames,
        add_tasks: AddTasks,
        ended: Callable[[str], None] = lambda outcome: None,
        seen: Callable[[float], None] = lambda seconds: None,
        saw: Callable[[Incident], None] = lambda incident: None,
    ) -> None:
        """`publisher` returns the publisher of declarations in one workspace.

        Callbacks: `saw` gets each created incident, `ended` the kind of outcome of each finished declaration,
        and `seen` the seconds from the press until the reporter could see the reference.
        """
        self._backend = backend
        self._state = state
        self._engine = engine
        self._steps = Steps(engine)
        self._publisher = publisher
        self._alerts = alerts
        self._shelter = shelter
        self._names = names
        self._add_tasks = add_tasks
        self._ended = ended
        self._saw = saw
        self._room: PendingReplies[AnyOutcome] = PendingReplies(seen)
        # Keys of refusals that have been answered; their workflows may not have ended yet.
        self._refused: Bounded[str, bool] = Bounded(REFUSALS)
        self._warning: set[asyncio.Task[None]] = set()

    async def __call__(
        self, command: DeclareCommand, acknowledged: asyncio.Event, patience: float = PATIENCE
    ) -> AnyOutcome | None:
        """Save the declaration and wait up to `patience` seconds for its outcome.

        Returns None if it is saved and still running; the modal is updated at its end. The same key always
        returns the same outcome, but a refused declaration may be corrected and sent again. Raises
        Unavailable if it could not be saved in time: the person has been promised nothing, and a repeat is
        safe.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        key, waiting = await self._room.saved(
            command.declaration.key, self._save(command, acknowledged), patience
        )
        if waiting.private:
            warning = asyncio.create_task(self._warn(command, waiting))
            self._warning.add(warning)
            warning.add_done_callback(self._warning.discard)
        outcome = await waiting.wait(until - loop.time(), partial(self._done_elsewhere, key))
        if outcome is None:
            waiting.late = True
            outcome = await self.outcome(key)
        if isinstance(outcome, NotDeclared):
            self._refused[key] = True
        return outcome

    async def _save(
        self, command: DeclareCommand, acknowledged: asyncio.Event
    ) -> tuple[str, PendingReply[AnyOutcome]]:
        # A refusal created nothing, so the corrected form is a declaration of its own. So is a form sent
        # again with *Declare another* from a message that has an incident already.
        made_nothing = (NotDeclared, AlreadyDeclared) if command.another else NotDeclared
        while True:
            key = command.declaration.key
            if key not in self._refused:
                waiting = self._room.enter(key)
                waiting.private |= command.declaration.visibility == "private"
                waiting.answers.append(acknowledged)
                if await self._engine.start(VERB, key, command.model_dump(mode="json")):
                    return key, waiting
                finished = await self.outcome(key)
                if not isinstance(finished, made_nothing):
                    if finished is not None:
                        self._room.leave(key)
                        waiting.tell(finished)
                    return key, waiting
                self._room.leave(key)
            declaration = command.declaration.model_copy(update={"key": str(uuid5(NAMESPACE_OID, key))})
            command = command.model_copy(update={"declaration": declaration})

    async def _warn(self, command: DeclareCommand, waiting: PendingReply[AnyOutcome]) -> None:
        """Tell a person who ticked *private* only for a second press that the incident is public already."""
        await asyncio.wait({waiting.outcome})
        outcome = waiting.outcome.result()
        if isinstance(outcome, Declared) and (said := too_late(outcome.incident, waiting.private)):
            await self._publisher(command.declaration.slack_team_id).notifier.too_late(
                command, outcome.incident, said
            )

    async def _done_elsewhere(self, key: str) -> AnyOutcome | None:
        """Return the outcome of a declaration that another replica carries out, as soon as it exists."""
        if self._engine.is_running(key):
            return None
        if (ended := await self.outcome(key)) is not None:
            return ended
        incident_id = await self._state.incident_id(key)
        incident = await self._backend.find(incident_id) if incident_id is not None else None
        return Declared(incident=incident) if incident is not None else None

    async def outcome(self, key: str) -> AnyOutcome | None:
        """Return the outcome of the declaration with this key; None while it is not known.

        Raises Refused if the workflow was deleted long ago and its incident cannot be found.
        """
        result = await self._engine.result(key)
        if result is not None:
            return OUTCOME.validate_python(result)
        ended = await self._engine.find_finished(key)
        if ended is None:
            return None
        if ended.kind == "refused":
            return NotDeclared(sentence=LONG_AGO)
        incident = await self._backend.find(ended.incident_id) if ended.kind == "declared" else None
        if incident is None:
            raise Refused(LONG_AGO)
        return Declared(incident=incident)

    async def begin(self, command: DeclareCommand) -> None:
        """Start a declaration that has no modal; its reporter is told by direct message.

        Does nothing if this key was started before. Raises Unavailable.
        """
        await self._engine.start(VERB, command.declaration.key, command.model_dump(mode="json"))

    async def answer(self, command: DeclareCommand, outcome: AnyOutcome) -> None:
        """Report the outcome to the Workflow Builder workflow again, which started the declaration."""
        await self._publisher(command.declaration.slack_team_id).notifier.answer_workflow(command, outcome)

    def workflows(self) -> dict[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
        """Return the durable workflows to register with the engine, by verb."""
        return {VERB: self.workflow, SHELTER: self._shelter.workflow}

    def channel_name(self, incident: Incident) -> str:
        """Return the name that the channel has or will get; empty if the backend chooses it later."""
        opens_none = self._backend.makes_channel or incident.is_retrospective
        ours = "" if opens_none else self._names.of(incident)
        return incident.slack_channel_name or ours

    async def workflow(self, raw: dict[str, Any]) -> Any:
        """Run the durable workflow; recorded steps are not repeated after a crash."""
        command = DeclareCommand.model_validate(raw)
        act_for(command.declaration.reporter.slack_user_id, command.declaration.at)
        key = command.declaration.key
        waiting = self._room.enter(key)
        publisher = self._publisher(command.declaration.slack_team_id)
        self._shelter.watch(command, waiting.outcome)
        outcome: AnyOutcome = await self._steps.record(
            "create the incident", self._create, command, waiting, returns=Outcome
        )
        waiting.tell(outcome)
        # No call to Slack is made before the reporter's modal has been answered.
        await waiting.read()
        if isinstance(outcome, Declared):
            if not waiting.waited:
                waiting.visible()
            outcome = await self._published(command, outcome, waiting)
        else:
            await asyncio.gather(*publisher.notifier.answers(command, outcome))
            # A Workflow Builder step gets the error itself; its reporter has no form to correct.
            if waiting.waited and not command.run:
                await publisher.notifier.late(command, outcome)
        self._room.leave(key)
        # More people read logs and metrics than may know of a private incident.
        known = None if isinstance(outcome, NotDeclared) else outcome.incident
        reference = known.reference if known is not None and not known.is_private else None
        if known is None or not known.is_private:
            self._ended(outcome.kind)
        log.info("a declaration came to its end", outcome=outcome.kind, incident=reference)
        return outcome.model_dump(mode="json")

    async def _published(
        self, command: DeclareCommand, outcome: Declared, waiting: PendingReply[AnyOutcome]
    ) -> Declared:
        """Show the incident in Slack and start its tasks, whose checklist needs the headline to be there."""
        publisher, created = self._publisher(command.declaration.slack_team_id), outcome.incident
        begin_tasks = partial(
            retry_forever, "add its actions and follow-ups", self._add_tasks.begin, None, created
        )
        # A backend's own channel may take a day to come, and has no headline of ours.
        at_once = [begin_tasks()] if self._backend.makes_channel else []
        incident, *_ = await asyncio.gather(
            publisher.publish(command, created, waiting),
            *publisher.notifier.answers(command, outcome),
            *at_once,
        )
        if not at_once:
            await begin_tasks()
        return Declared(incident=incident)

    async def _create(self, command: DeclareCommand, waiting: PendingReply[AnyOutcome]) -> AnyOutcome:
        declaration = command.declaration
        earlier = await self._claim(command)
        if earlier is not None and is_visible_to(declaration.reporter.slack_user_id, earlier):
            await retry_forever(DOING, self._shelter.declared_before, declaration.key, earlier)
            return AlreadyDeclared(incident=earlier)
        try:
            incident = await retry_forever(
                DOING, self._alerts.guard, "backend", self._backend.create, declaration
            )
        except Refused as refusal:
            await retry_forever(DOING, self._release, command)
            await retry_forever(DOING, self._shelter.refused, declaration.key)
            return NotDeclared(sentence=refusal.sentence, fields=refusal.fields)
        self._saw(incident)
        waiting.counted = not incident.is_private
        # The modal is answered before the step is recorded: the create is idempotent, and people wait.
        waiting.tell(Declared(incident=incident))
        await retry_forever(DOING, self._state.remember_incident, declaration.key, incident)
        if command.unchecked:
            await self._note_unchecked(command, incident)
        return Declared(incident=incident)

    async def _note_unchecked(self, command: DeclareCommand, incident: Incident) -> None:
        declaration = command.declaration
        entry = TimelineEntry(at=declaration.at, by=declaration.reporter, verb=command.unchecked)
        async with best_effort("note who was not checked"):
            key = f"{declaration.key}:unchecked"
            await retry(self._backend.note, incident.id, entry, key, attempts=SLACK_ATTEMPTS)

    async def _claim(self, command: DeclareCommand) -> Incident | None:
        """Claim the source message; return the incident of the declaration that claimed it first, or None."""
        declaration, source = command.declaration, command.declaration.source
        by_person = declaration.automation is None
        if source is None or (command.another and by_person):
            return None
        scope = _scope(declaration)
        owner = await retry_forever(DOING, self._state.claim_source, scope, source, declaration.key)
        # A client's repeat is known by its key, so that another key means another incident.
        return await self._incident_of(owner) if owner != declaration.key and by_person else None

    async def _release(self, command: DeclareCommand) -> None:
        declaration = command.declaration
        if declaration.source is not None:
            await self._state.release_source(_scope(declaration), declaration.source, declaration.key)

    async def _incident_of(self, key: str) -> Incident:
        """Return the incident of another declaration; waits while the backend is still creating it."""

        async def look() -> Incident:
            found = await self.declared_as(key)
            if found is None:
                raise Unavailable("That message is being declared right now.", retry_after=0.1)
            return found

        return await retry_forever(DOING, look)

    async def find_command(self, key: str) -> DeclareCommand | None:
        """Return the command that was started with this key; None if there is none."""
        begun = await self._engine.find_command(key)
        return None if begun is None else DeclareCommand.model_validate(begun)

    async def declared_as(self, key: str) -> Incident | None:
        """Return the incident that the declaration with this key created; None if there is none."""
        incident_id = await self._state.incident_id(key)
        return None if incident_id is None else await self._backend.find(incident_id)

    async def declared_from(
        self, team: str, source: SourceMessage, person: PersonId | None
    ) -> Incident | None:
        """Return the incident declared from this message: a public one, or this person's own private one."""
        for scope in (team, f"{team}/{person}"):
            key = await self._state.source_key(scope, source)
            found = None if key is None else await self.declared_as(key)
            if found is not None and is_visible_to(person, found):
                return found
        return None


def _scope(declaration: Declaration) -> str:
    """Return the scope within which a message has one incident.

    For a public declaration it is the workspace, for a private one the reporter: otherwise other people
    would learn of the private incident, because the message is claimed already.
    """
    team = declaration.slack_team_id
    return team if declaration.visibility == "public" else f"{team}/{declaration.reporter.slack_user_id}"
