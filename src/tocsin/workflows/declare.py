"""Declare an incident: commit to it, create it, open its channel, and say so where it came from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import structlog

from tocsin.incidents.errors import Refused, Unavailable
from tocsin.incidents.model import Incident, PersonId, SourceMessage, TeamId, TimelineEntry
from tocsin.incidents.requests import Declaration
from tocsin.incidents.validation import channel_name, is_visible_to
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

log = structlog.get_logger()
VERB = "declare"
DOING = "declare an incident"
LONG_AGO = "That was asked long ago, and is not known here any more."

# An acknowledgement is due at Slack within 3 s; this leaves a second for the way back.
PATIENCE = 2.0


class DeclareIncident:
    """The verb. One instance serves the whole process."""

    def __init__(
        self,
        *,
        backend: IncidentBackend,
        state: SlackStateStore,
        engine: WorkflowEngine,
        publisher: Callable[[TeamId], DeclarationPublisher],
        alerts: OperatorAlerts,
        shelter: FallbackChannel,
        ended: Callable[[str], None] = lambda outcome: None,
        seen: Callable[[float], None] = lambda seconds: None,
        saw: Callable[[Incident], None] = lambda incident: None,
    ) -> None:
        """`publisher` publishes a declaration in one workspace.

        `saw` hears of each incident as it was created, `ended` the kind of outcome of each declaration that
        came to its end, and `seen` how many seconds after the press its reporter could see the reference.
        """
        self._backend = backend
        self._state = state
        self._engine = engine
        self._steps = Steps(engine)
        self._publisher = publisher
        self._alerts = alerts
        self._shelter = shelter
        self._ended = ended
        self._saw = saw
        self._room: PendingReplies[AnyOutcome] = PendingReplies(seen)
        # Refusals that somebody has read while their workflow may not have come to its end yet.
        self._refused: Bounded[str, bool] = Bounded(REFUSALS)
        self._warning: set[asyncio.Task[None]] = set()

    async def __call__(
        self, command: DeclareCommand, acknowledged: asyncio.Event, patience: float = PATIENCE
    ) -> AnyOutcome | None:
        """Commit to the declaration and wait up to `patience` seconds for what becomes of it.

        None means that it is saved and still being declared; the modal is updated when it is done. The same
        key answers the same outcome, however often and however late it comes, except that what was refused
        may be put right and sent again. Raises Unavailable when it could not be saved in time: nothing was
        promised then, and asking again is safe.
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
        outcome = await waiting.wait(until - loop.time())
        if outcome is None:
            waiting.late = True
            outcome = await self.outcome(key)
        if isinstance(outcome, NotDeclared):
            self._refused[key] = True
        return outcome

    async def _save(
        self, command: DeclareCommand, acknowledged: asyncio.Event
    ) -> tuple[str, PendingReply[AnyOutcome]]:
        command, finished = await self._not_refused_yet(command)
        key = command.declaration.key
        waiting = self._room.enter(key)
        waiting.private |= command.declaration.visibility == "private"
        if finished is not None:
            self._room.leave(key)
            waiting.tell(finished)
            return key, waiting
        waiting.answers.append(acknowledged)
        await self._engine.start(VERB, key, command.model_dump(mode="json"))
        return key, waiting

    async def _warn(self, command: DeclareCommand, waiting: PendingReply[AnyOutcome]) -> None:
        """Tell a person who ticked *private* only when they pressed again that it is public already."""
        await asyncio.wait({waiting.outcome})
        outcome = waiting.outcome.result()
        if isinstance(outcome, Declared) and (said := too_late(outcome.incident, waiting.private)):
            await self._publisher(command.declaration.slack_team_id).notifier.too_late(
                command, outcome.incident, said
            )

    async def _not_refused_yet(self, command: DeclareCommand) -> tuple[DeclareCommand, AnyOutcome | None]:
        """Return the order under a key that nothing was refused for, and what became of that key.

        A refusal made nothing, so the same form put right is a declaration of its own; so is the same form
        sent again as another incident from a message that has one.
        """
        made_nothing = (NotDeclared, AlreadyDeclared) if command.another else NotDeclared
        while isinstance(finished := await self.outcome(command.declaration.key), made_nothing) or (
            command.declaration.key in self._refused
        ):
            key = str(uuid5(NAMESPACE_OID, command.declaration.key))
            declaration = command.declaration.model_copy(update={"key": key})
            command = command.model_copy(update={"declaration": declaration})
        return command, finished

    async def outcome(self, key: str) -> AnyOutcome | None:
        """Return what became of the declaration with this key; None while that is not known.

        Raises Refused where that was long ago, and may not be told any more.
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
        """Commit to a declaration without a window to wait in; its reporter is told by message.

        Nothing happens when its key was begun before. Raises Unavailable.
        """
        await self._engine.start(VERB, command.declaration.key, command.model_dump(mode="json"))

    async def answer(self, command: DeclareCommand, outcome: AnyOutcome) -> None:
        """Say to its workflow once more what became of a declaration."""
        await self._publisher(command.declaration.slack_team_id).notifier.answer_workflow(command, outcome)

    def workflows(self) -> dict[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
        """Return the workflows that the engine must know how to go on with, by verb."""
        return {VERB: self.workflow, SHELTER: self._shelter.workflow}

    def channel_name(self, incident: Incident) -> str:
        """Return the name its channel has, or will have; empty where the backend gives it one of its own."""
        ours = "" if self._backend.makes_channel else channel_name(incident.reference, incident.name)
        return incident.slack_channel_name or ours

    async def workflow(self, raw: dict[str, Any]) -> Any:
        """Do the durable part, from top to bottom; each step is done once, also across a crash."""
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
        # Nothing is asked of Slack before the reference is visible.
        await waiting.read()
        if isinstance(outcome, Declared):
            if not waiting.waited:
                waiting.visible()
            incident, *_ = await asyncio.gather(
                publisher.publish(command, outcome.incident, waiting),
                *publisher.notifier.answers(command, outcome),
            )
            outcome = Declared(incident=incident)
        else:
            await asyncio.gather(*publisher.notifier.answers(command, outcome))
            # A workflow reads what is wrong; its reporter has typed nothing that could be mended.
            if waiting.waited and not command.run:
                await publisher.notifier.late(command, outcome)
        self._room.leave(key)
        # Logs and figures are read by more people than a private incident is for.
        known = None if isinstance(outcome, NotDeclared) else outcome.incident
        reference = known.reference if known is not None and not known.is_private else None
        if known is None or not known.is_private:
            self._ended(outcome.kind)
        log.info("a declaration came to its end", outcome=outcome.kind, incident=reference)
        return outcome.model_dump(mode="json")

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
        # Whoever waits is told before the step is recorded: the create is repeatable, and they have waited.
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
        """Take the source message; return the incident of another declaration that took it first."""
        declaration, source = command.declaration, command.declaration.source
        if source is None or command.another:
            return None
        scope = _scope(declaration)
        owner = await retry_forever(DOING, self._state.claim_source, scope, source, declaration.key)
        return None if owner == declaration.key else await self._incident_of(owner)

    async def _release(self, command: DeclareCommand) -> None:
        declaration = command.declaration
        if declaration.source is not None:
            await self._state.release_source(_scope(declaration), declaration.source, declaration.key)

    async def _incident_of(self, key: str) -> Incident:
        """Return the incident of another declaration, which may still be on its way to the backend."""

        async def look() -> Incident:
            found = await self.declared_as(key)
            if found is None:
                raise Unavailable("That message is being declared right now.", retry_after=0.1)
            return found

        return await retry_forever(DOING, look)

    async def find_command(self, key: str) -> DeclareCommand | None:
        """The declaration that was begun with this key, as it was made."""
        begun = await self._engine.find_command(key)
        return None if begun is None else DeclareCommand.model_validate(begun)

    async def declared_as(self, key: str) -> Incident | None:
        """The incident that the declaration with this key became."""
        incident_id = await self._state.incident_id(key)
        return None if incident_id is None else await self._backend.find(incident_id)

    async def declared_from(
        self, team: str, source: SourceMessage, person: PersonId | None
    ) -> Incident | None:
        """The incident that was declared from this message, publicly or privately by this person."""
        for scope in (team, f"{team}/{person}"):
            key = await self._state.source_key(scope, source)
            found = None if key is None else await self.declared_as(key)
            if found is not None and is_visible_to(person, found):
                return found
        return None


def _scope(declaration: Declaration) -> str:
    """Name the scope in which a message has one incident: the workspace, or its reporter for a private one.

    A private incident must not be given away by telling others that the message is taken.
    """
    team = declaration.slack_team_id
    return team if declaration.visibility == "public" else f"{team}/{declaration.reporter.slack_user_id}"
