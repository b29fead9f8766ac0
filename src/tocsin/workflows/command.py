"""Durable commands: committed first, done exactly once, answered in time or told later."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar
from uuid import NAMESPACE_OID, uuid5

from pydantic import Field, TypeAdapter

from tocsin.incidents.errors import Refused, Unavailable, Withheld
from tocsin.incidents.model import FollowUp, FrozenModel, Incident, Person, PersonId, TeamId
from tocsin.incidents.requests import IncidentChange
from tocsin.workflows.ports import WorkflowEngine, WorkspaceOf
from tocsin.workflows.retry import ALL_DAY, Steps

# Who in this process waits to hear what became of what they asked for.

T = TypeVar("T")

LONGEST_ANSWER = 3.0
"""An answer that is not written out within so many seconds is too late for Slack, and not waited for."""


@dataclass
class PendingReply(Generic[T]):
    """One command whose outcome a person may be waiting for."""

    outcome: asyncio.Future[T]
    answers: list[asyncio.Event] = field(default_factory=list)
    """One for each press that came to this process, set once its answer has been written out."""

    late: bool = False
    """The person was told *saved* before the outcome was known."""

    seen: Callable[[float], None] = lambda seconds: None
    """Hears how long it took until the person could see the outcome."""

    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    private: bool = False
    """A person who waits has ticked *private*, which may have come too late to make it so."""

    counted: bool = True
    """The time that it took may be counted; of private incidents nothing is counted."""

    shown: int = -1
    """Presses that had their answer when the window was last brought up to date; -1 when it never was."""

    @property
    def waited(self) -> bool:
        """True if the outcome comes after the answer: it was late, or an earlier process was asked."""
        return self.late or not self.answers

    @property
    def has_late_presses(self) -> bool:
        """True if an answer may have come into the window since it was brought up to date."""
        return self.shown < len(self.answers)

    def visible(self) -> None:
        """Note that the person can see it now; counted once, and only in the process that they pressed in."""
        if self.answers and self.counted:
            self.seen(asyncio.get_running_loop().time() - self.began)
        self.seen = lambda seconds: None

    async def read(self) -> None:
        """Wait until every press has its answer."""
        for answer in list(self.answers):
            await asyncio.wait({asyncio.ensure_future(answer.wait())}, timeout=LONGEST_ANSWER)

    def tell(self, outcome: T) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    async def wait(self, seconds: float) -> T | None:
        """Return the outcome, if it is known within so many seconds."""
        done, _ = await asyncio.wait({self.outcome}, timeout=seconds)
        return self.outcome.result() if done else None


class PendingReplies(Generic[T]):
    """Replies that are waited for in this process, by key; a second press of one modal joins the first."""

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
        """Return what `save` answers within `patience` seconds: the key it was saved under, and its reply.

        Saving goes on when we stop waiting for it: a half-made promise is worse than a late one. Raises
        Unavailable then; who asked hears of it under `key` if it is saved a moment later.
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


# Whose errand the running task is on, and since when: known to every call to Slack that is made for it.


@dataclass(frozen=True)
class Behalf:
    """The person, by their id in Slack, and the moment before which nothing was done for this."""

    person: str = ""
    since: datetime | None = None


_NOBODY = Behalf()
_behalf: ContextVar[Behalf] = ContextVar("behalf", default=_NOBODY)


def behalf() -> Behalf:
    """Return the person for whom the running task acts; an empty Behalf where that was not said."""
    return _behalf.get()


def act_for(person: str | None, since: datetime | None) -> None:
    """From here on this task, and those that it begins, are for this person, who asked for it then."""
    _behalf.set(Behalf(person or "", since))


# What a process may remember without growing for as long as it lives.

K = TypeVar("K")
V = TypeVar("V")


class Bounded(dict[K, V]):
    """A dictionary of so many entries at most: what was set longest ago is forgotten.

    `update` and `setdefault` know no bound.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > self._most:
            del self[next(iter(self))]


# A verb on an incident that exists: committed to, done once, answered in time or told later.


NOT_YOURS_NOW = "What you asked for is done. The incident is not yours to see any more."
"""Said in place of a sentence about an incident that has become private meanwhile."""

PATIENCE = 2.0
"""Seconds that a person waits for the outcome; an acknowledgement is due at Slack within three."""

LONG_AGO = "That was asked long ago, and is not known here any more; look at the incident as it is now."
REFUSALS = 10_000
"""Refusals that were read and are remembered; each is needed until its workflow has come to its end."""


class Changed(FrozenModel):
    """It is done: the incident as it is now, as it was, and one sentence for who asked."""

    kind: Literal["changed"] = "changed"
    incident: Incident
    said: str = ""
    before: Incident | None = None
    follow_up: FollowUp | None = None
    change: IncidentChange | None = None
    """The change as it was made: without what was so already."""


class NotChanged(FrozenModel):
    """It was refused and nothing was done; `overtaken` when the incident was changed by another first."""

    kind: Literal["refused"] = "refused"
    sentence: str
    fields: dict[str, str] = Field(default_factory=dict)
    overtaken: bool = False


AnyChange = Changed | NotChanged
Change = Annotated[AnyChange, Field(discriminator="kind")]
CHANGE: TypeAdapter[AnyChange] = TypeAdapter(Change)


class Command(FrozenModel, ABC):
    """A request about an incident: all that is needed to do it, also by the next process."""

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
        """Return the same under another key."""


class AskedCommand(Command):
    """An order that nothing is typed for."""

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
    """A verb on an incident that exists: each command of it is a durable workflow with its own key.

    A subclass says what is done (`run`) and what follows in Slack (`after`), in recorded steps. One instance
    serves the whole process.
    """

    verb: ClassVar[str]
    """The name of the workflow, as it is written down."""
    command_type: type[C]

    def __init__(self, engine: WorkflowEngine, workspace: WorkspaceOf) -> None:
        self._engine = engine
        self._steps = Steps(engine)
        self._workspace = workspace
        self._room: PendingReplies[AnyChange] = PendingReplies()
        self._refused: Bounded[str, bool] = Bounded(REFUSALS)

    @abstractmethod
    async def run(self, command: C) -> AnyChange:
        """Do what was asked, and answer what became of it."""

    @abstractmethod
    async def after(self, command: C, done: Changed) -> None:
        """Do what follows in Slack once it is done."""

    async def __call__(
        self, command: C, acknowledged: asyncio.Event | None = None, patience: float = PATIENCE
    ) -> AnyChange | None:
        """Commit to the command and wait up to `patience` seconds for what becomes of it.

        None means that it is saved and will be done; the person is told later in a message. The same key
        answers the same outcome, except that what was refused may be put right and sent again. Raises
        Unavailable when it could not be saved in time: asking again is safe; and Refused where it was done so
        long ago that nothing is known of it. `acknowledged` is set once the person has read the answer;
        without it nobody waits for one.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        saving = self._save(command, acknowledged or _answered_already())
        key, waiting = await self._room.saved(command.key, saving, patience)
        outcome = await waiting.wait(until - loop.time())
        if outcome is None:
            waiting.late = True
            outcome = await self._finished(key)
        if isinstance(outcome, NotChanged):
            self._refused[key] = True
        return outcome

    async def _save(self, command: C, acknowledged: asyncio.Event) -> tuple[str, PendingReply[AnyChange]]:
        finished = await self._finished(command.key)
        while isinstance(finished, NotChanged) or command.key in self._refused:
            # A refusal changed nothing: the same form put right is a change of its own.
            command = command.with_key(str(uuid5(NAMESPACE_OID, command.key)))
            finished = await self._finished(command.key)
        key = command.key
        waiting = self._room.enter(key)
        if finished is not None:
            self._room.leave(key)
            waiting.tell(finished)
            return key, waiting
        waiting.answers.append(acknowledged)
        await self._engine.start(self.verb, key, command.model_dump(mode="json"))
        return key, waiting

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
        """Do the durable part, from top to bottom; each step is done once, also across a crash."""
        command = self.command_type.model_validate(raw)
        act_for(command.by.slack_user_id, command.asked_at)
        waiting = self._room.enter(command.key)
        outcome = await self.run(command)
        waiting.tell(outcome)
        if isinstance(outcome, Changed):
            await self.after(command, outcome)
        # Should this process end before the answer is out, the next one finds it unfinished, and tells.
        await waiting.read()
        if waiting.waited:
            await self._tell_late(command, outcome)
        self._room.leave(command.key)
        return outcome.model_dump(mode="json")

    async def _tell_late(self, command: C, outcome: AnyChange) -> None:
        """Say it in a message to the person who asked, who does not wait any more."""
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
