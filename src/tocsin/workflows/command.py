"""Durable commands: persisted first, run exactly once, answered within 2 s or by direct message later."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar
from uuid import NAMESPACE_OID, uuid5

from pydantic import Field, TypeAdapter

from tocsin.incidents.errors import Refused, Unavailable, Withheld
from tocsin.incidents.model import FollowUp, FrozenModel, Incident, Person, PersonId, TeamId
from tocsin.incidents.requests import IncidentChange
from tocsin.workflows.ports import WorkflowEngine
from tocsin.workflows.retry import ALL_DAY, Steps, best_effort
from tocsin.workflows.slack_client import WorkspaceOf

# In-memory futures for commands that are still running, so that a modal or a message can show the outcome.

T = TypeVar("T")

LOOK_SECONDS = 0.25

LONGEST_ANSWER = 3.0
"""Seconds to wait for an answer to be written out; a later one is too late for Slack."""


@dataclass
class PendingReply(Generic[T]):
    """Reply to one command, for which a person may be waiting."""

    outcome: asyncio.Future[T]
    answers: list[asyncio.Event] = field(default_factory=list)
    """One event per press that reached this process, set once its answer has been written out."""

    late: bool = False
    """True once the person has been told *saved*, before the outcome was known."""

    seen: Callable[[float], None] = lambda seconds: None
    """Called with the seconds until the person could see the outcome."""

    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    private: bool = False
    """True if a press had *private* ticked; a later press may be too late to make the incident private."""

    counted: bool = True
    """True if the time may go into the metrics; private incidents are not measured."""

    shown: int = -1
    """Number of answered presses when the modal was last updated; -1 if it never was."""

    @property
    def waited(self) -> bool:
        """True if the outcome came after the answer: too late, or the press reached an earlier process."""
        return self.late or not self.answers

    @property
    def has_late_presses(self) -> bool:
        """True if an answer to a press may have replaced the modal's content since its last update."""
        return self.shown < len(self.answers)

    def visible(self) -> None:
        """Record that the person can see the outcome: once, and only in the process that got the press."""
        if self.answers and self.counted:
            self.seen(asyncio.get_running_loop().time() - self.began)
        self.seen = lambda seconds: None

    async def read(self) -> None:
        """Wait until every press has been answered, at most LONGEST_ANSWER seconds for each."""
        for answer in list(self.answers):
            await asyncio.wait({asyncio.ensure_future(answer.wait())}, timeout=LONGEST_ANSWER)

    def tell(self, outcome: T) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    async def wait(self, seconds: float, look: Callable[[], Awaitable[T | None]]) -> T | None:
        """Return the outcome; None if it is not known within so many seconds.

        `look` finds the outcome of a workflow that another replica runs; it is called four times a second.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self.outcome.done() and (left := until - loop.time()) > 0:
            await asyncio.wait({self.outcome}, timeout=min(left, LOOK_SECONDS))
            if not self.outcome.done():
                async with best_effort("look for what another replica has done"):
                    if (found := await look()) is not None:
                        self.tell(found)
        return self.outcome.result() if self.outcome.done() else None


class PendingReplies(Generic[T]):
    """Pending replies of this process by key; a second press of one modal shares the first one's reply."""

    def __init__(self, seen: Callable[[float], None] = lambda seconds: None) -> None:
        self._waiting: dict[str, PendingReply[T]] = {}
        self._seen = seen
        self._saving: set[asyncio.Task[tuple[str, PendingReply[T]]]] = set()

    def enter(self, key: str) -> PendingReply[T]:
        if key not in self._waiting:
            self._waiting[key] = PendingReply(asyncio.get_running_loop().create_future(), seen=self._seen)
        return self._waiting[key]

    async def saved(
        self, key: str, save: Coroutine[Any, Any, tuple[str, PendingReply[T]]], patience: float
    ) -> tuple[str, PendingReply[T]]:
        """Return the result of `save` within `patience` seconds: the key it was saved under, and its reply.

        Raises Unavailable after that. Saving is not cancelled then, since a command that is half saved is
        worse than a late one; the reply of `key` counts as late, so the person gets a direct message.
        """
        saving = asyncio.create_task(save)
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)
        saved, _ = await asyncio.wait({saving}, timeout=patience)
        if not saved:
            self.enter(key).late = True
            raise Unavailable("Tocsin's journal did not answer in time.")
        return saving.result()

    def leave(self, key: str) -> None:
        self._waiting.pop(key, None)


# The person for whom the running task acts, for all calls to Slack that are made by it.


@dataclass(frozen=True)
class Behalf:
    """A person by their Slack id, and when they asked: nothing was done for the request before that."""

    person: str = ""
    since: datetime | None = None


_NOBODY = Behalf()
_behalf: ContextVar[Behalf] = ContextVar("behalf", default=_NOBODY)


def behalf() -> Behalf:
    """Return the person for whom the running task acts; an empty Behalf if none was set."""
    return _behalf.get()


def act_for(person: str | None, since: datetime | None) -> None:
    """Set the person for whom this task and the tasks that it starts act, and when they asked."""
    _behalf.set(Behalf(person or "", since))


# A bounded dictionary, so that memory does not grow for as long as the process runs.

K = TypeVar("K")
V = TypeVar("V")


class Bounded(dict[K, V]):
    """Dictionary of at most so many entries; a new one replaces the one that was set longest ago.

    `update` and `setdefault` do not keep the bound.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > self._most:
            del self[next(iter(self))]


# Commands about incidents that exist. `declare.py` has a workflow of its own.


NOT_YOURS_NOW = "What you asked for is done. The incident is not yours to see any more."
"""Replaces a sentence about an incident that has become private in the meantime."""

PATIENCE = 2.0
"""Seconds to wait for the outcome before the answer; Slack must be answered within 3 s."""

LONG_AGO = "That was asked long ago, and is not known here any more; look at the incident as it is now."
REFUSALS = 10_000
"""Keys of refused commands to keep in memory; each is needed until its workflow has ended."""


class Changed(FrozenModel):
    """Outcome of a command that was done: the incident after and before, and a sentence for the requester."""

    kind: Literal["changed"] = "changed"
    incident: Incident
    said: str = ""
    before: Incident | None = None
    follow_up: FollowUp | None = None
    change: IncidentChange | None = None
    """The change without the values that the incident had already."""


class NotChanged(FrozenModel):
    """Outcome of a refused command: nothing was changed.

    `overtaken` if another change came first, `needless` if all is as the command would have it.
    """

    kind: Literal["refused"] = "refused"
    sentence: str
    fields: dict[str, str] = Field(default_factory=dict)
    overtaken: bool = False
    needless: bool = False


AnyChange = Changed | NotChanged
Change = Annotated[AnyChange, Field(discriminator="kind")]
CHANGE: TypeAdapter[AnyChange] = TypeAdapter(Change)


class Command(FrozenModel, ABC):
    """A request about an incident, with everything that any process needs to carry it out."""

    incident_id: str
    team: TeamId = TeamId("")

    @property
    @abstractmethod
    def key(self) -> str: ...

    @property
    @abstractmethod
    def by(self) -> Person: ...

    @property
    @abstractmethod
    def asked_at(self) -> datetime: ...

    @abstractmethod
    def with_key(self, key: str) -> Self:
        """Return the same command with another key."""


class AskedCommand(Command):
    """A command without any input of its own: only the person, the time and the key."""

    asked: str
    """The key."""
    asked_by: Person
    at: datetime

    @property
    def key(self) -> str:
        return self.asked

    @property
    def by(self) -> Person:
        return self.asked_by

    @property
    def asked_at(self) -> datetime:
        return self.at

    def with_key(self, key: str) -> Self:
        return self.model_copy(update={"asked": key})


C = TypeVar("C", bound=Command)


class DurableCommand(ABC, Generic[C]):
    """Base class of the verbs on existing incidents: each command is a durable workflow with its own key.

    Subclasses implement the change (`run`) and its effects in Slack (`after`) as recorded steps. One
    instance serves the whole process.
    """

    verb: ClassVar[str]
    """Persisted name of the workflow."""
    command_type: type[C]

    def __init__(self, engine: WorkflowEngine, workspace: WorkspaceOf) -> None:
        self._engine = engine
        self._steps = Steps(engine)
        self._workspace = workspace
        self._room: PendingReplies[AnyChange] = PendingReplies()
        self._refused: Bounded[str, bool] = Bounded(REFUSALS)

    @abstractmethod
    async def run(self, command: C) -> AnyChange:
        """Carry out the command and return its outcome."""

    @abstractmethod
    async def after(self, command: C, done: Changed) -> None:
        """Apply the effects of the command in Slack."""

    async def __call__(
        self, command: C, acknowledged: asyncio.Event | None = None, patience: float = PATIENCE
    ) -> AnyChange | None:
        """Save the command and wait up to `patience` seconds for its outcome.

        Returns None if it is saved and still running; the person is then told by direct message. The same
        key returns the same outcome, but a refused command may be corrected and sent again. Raises
        Unavailable if it could not be saved in time, after which a repeat is safe, and Refused if it was done
        so long ago that its outcome is not stored any more. `acknowledged` is set once the answer has been
        written out; None if no person waits for one.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        saving = self._save(command, acknowledged or _answered_already())
        key, waiting = await self._room.saved(command.key, saving, patience)
        outcome = await waiting.wait(until - loop.time(), partial(self._done_elsewhere, key))
        if outcome is None:
            waiting.late = True
            outcome = await self._finished(key)
        if isinstance(outcome, NotChanged):
            self._refused[key] = True
        return outcome

    async def begin(self, command: C) -> None:
        """Save a command for which no person waits; does nothing if its key was started before.

        Raises Unavailable.
        """
        await self._engine.start(self.verb, command.key, command.model_dump(mode="json"))

    async def find_command(self, key: str) -> C | None:
        """Return the command that was started with this key; None if there is none."""
        begun = await self._engine.find_command(key)
        return None if begun is None else self.command_type.model_validate(begun)

    async def _save(self, command: C, acknowledged: asyncio.Event) -> tuple[str, PendingReply[AnyChange]]:
        while True:
            key = command.key
            if key not in self._refused:
                waiting = self._room.enter(key)
                waiting.answers.append(acknowledged)
                if await self._engine.start(self.verb, key, command.model_dump(mode="json")):
                    return key, waiting
                finished = await self._finished(key)
                if not isinstance(finished, NotChanged):
                    if finished is not None:
                        self._room.leave(key)
                        waiting.tell(finished)
                    return key, waiting
                self._room.leave(key)
            # A refusal changed nothing, so the corrected form is a command of its own.
            command = command.with_key(str(uuid5(NAMESPACE_OID, key)))

    async def _done_elsewhere(self, key: str) -> AnyChange | None:
        return None if self._engine.is_running(key) else await self._finished(key)

    async def _finished(self, key: str) -> AnyChange | None:
        result = await self._engine.result(key)
        if result is not None:
            return CHANGE.validate_python(result)
        ended = await self._engine.find_finished(key)
        if ended is None:
            return None
        if ended.kind == "changed":
            raise Refused(LONG_AGO)
        return NotChanged(sentence=LONG_AGO)

    async def workflow(self, raw: dict[str, Any]) -> Any:
        """Run the durable workflow; recorded steps are not repeated after a crash."""
        command = self.command_type.model_validate(raw)
        act_for(command.by.slack_user_id, command.asked_at)
        waiting = self._room.enter(command.key)
        outcome = await self.run(command)
        waiting.tell(outcome)
        if isinstance(outcome, Changed):
            await self.after(command, outcome)
        # If this process dies before the answer is written out, the workflow is unfinished: the next process
        # resumes it and tells the person by direct message.
        await waiting.read()
        if waiting.waited:
            await self._tell_late(command, outcome)
        self._room.leave(command.key)
        return outcome.model_dump(mode="json")

    async def _tell_late(self, command: C, outcome: AnyChange) -> None:
        """Send the outcome by direct message to the person, whose request has been answered already."""
        if command.by.slack_user_id is not None:
            await self._steps.run_once(
                "tell who asked",
                self._tell,
                command,
                command.by.slack_user_id,
                outcome,
                on_failure="Who asked could not be told",
                attempts=ALL_DAY,
            )

    async def _tell(self, command: C, person: PersonId, outcome: AnyChange, again: bool) -> None:
        incident = outcome.incident if isinstance(outcome, Changed) else None
        sentence = outcome.said if isinstance(outcome, Changed) else _refusal(outcome)
        tell, key = self._workspace(command.team).messages.tell_plainly, f"{command.key}:late"
        try:
            await tell(person, sentence, incident, key, again)
        except Withheld:
            await tell(person, NOT_YOURS_NOW, None, key, again)


def _answered_already() -> asyncio.Event:
    answered = asyncio.Event()
    answered.set()
    return answered


def _refusal(outcome: NotChanged) -> str:
    return f"What you asked for was not done: {outcome.sentence}"
