"""Retries with backoff, and workflow steps that return their failure instead of raising it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar
from functools import cache
from typing import Any, TypeVar, TypeVarTuple

import structlog
from pydantic import TypeAdapter

from tocsin.incidents.errors import OutcomeUnknown, Refused, SlackRefused, TocsinError, Unavailable
from tocsin.incidents.model import FrozenModel, Incident
from tocsin.workflows.ports import WorkflowEngine

# Retries. `best_effort` is the only place that catches Exception.

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
log = structlog.get_logger()

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0


@asynccontextmanager
async def best_effort(doing: str) -> AsyncIterator[list[BaseException]]:
    """Suppress and log any exception that is raised in this block.

    The list that it yields contains the exception afterwards, for callers that report it.
    """
    failed: list[BaseException] = []
    try:
        yield failed
    except TocsinError as error:
        log.warning("not done", doing=doing, because=str(error))
        failed.append(error)
    except TimeoutError as error:
        # A limit of our own that was met, on a busy machine, say: no fault to look for.
        log.warning("not done in time", doing=doing)
        failed.append(error)
    except Exception as error:
        log.exception("failed", doing=doing)
        failed.append(error)


class Backoff:
    """Pauses between attempts: as long as the other side asks, or else doubled each time.

    From half a second to 30 s, with jitter, so that many callers do not all retry at the same moment.
    """

    def __init__(self, attempts: int | None) -> None:
        """Give up after `attempts` lost answers (OutcomeUnknown), or never if that is None.

        Answers may be lost because of the request itself. A side that cannot be reached at all is retried
        without limit.
        """
        self._attempts = attempts
        self._tried = 0
        self._lost = 0

    async def wait(self, error: Unavailable) -> None:
        """Wait before the next attempt. Raises `error` if no attempt is left."""
        self._tried += 1
        self._lost += isinstance(error, OutcomeUnknown)
        if self._attempts is not None and self._lost >= self._attempts:
            raise error
        await asyncio.sleep(self._seconds(error.retry_after))

    def _seconds(self, asked: float | None) -> float:
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._tried - 1, 10))
        spread = random.uniform(0.5, 1.0)
        return longest * spread if asked is None else asked + 0.2 * spread


async def retry(act: Callable[[*Ts], Awaitable[T]], *args: *Ts, attempts: int | None) -> T:
    """Return the result of `act`, retried while it is unavailable, until `attempts` answers were lost."""
    backoff = Backoff(attempts)
    while True:
        try:
            return await act(*args)
        except Unavailable as error:
            await backoff.wait(error)


async def retry_forever(doing: str, act: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Return the result of `act`, retried until it succeeds: it was promised to a person.

    Raises only a refusal. An unexpected exception is logged and retried like an expected one.
    """
    backoff = Backoff(None)
    while True:
        expected: TocsinError = Unavailable("Something went wrong on Tocsin's side.")
        async with best_effort(doing):
            try:
                return await act(*args)
            except TocsinError as error:
                expected = error
        if not isinstance(expected, Unavailable):
            raise expected
        await backoff.wait(expected)


# Workflow steps: each is recorded, so that a crash does not repeat it; a failed step stops no other step.

SLACK_ATTEMPTS = 8
"""Lost answers (about two minutes) after which the workflow goes on without this step."""

ALL_DAY = 3_000
"""Lost answers (about a day) after which the workflow goes on without an essential step."""

OUR_FAULT = "something went wrong on Tocsin's side; its log says what"


class StepFailure(FrozenModel):
    """Failure of a step and its reason: two halves of a sentence for the person who asked."""

    trouble: str
    why: str = ""
    passing: bool = False
    """True if the step was not refused, so that it may succeed once the other side works again."""


_part_of: ContextVar[bool | None] = ContextVar("part_of", default=None)
"""Within a step: True if an earlier process may have run that step already. Outside of steps None."""


class Steps:
    """Runner of workflow steps, which are recorded by name and not repeated after a crash.

    `returns` is the type of the result of `act`, by which the result is recorded; None if it has none.
    """

    def __init__(self, engine: WorkflowEngine) -> None:
        self._engine = engine

    def run(
        self,
        name: str,
        act: Callable[[*Ts], Awaitable[T]],
        *args: *Ts,
        on_failure: str,
        returns: Any = None,
        attempts: int = SLACK_ATTEMPTS,
    ) -> Coroutine[Any, Any, T | StepFailure]:
        """Run one step with retries; return its result, or a StepFailure instead of raising.

        It retries as long as Slack or our own files cannot be reached at all, and up to `attempts` lost
        answers.
        """
        return self._run(name, lambda _again: act(*args), on_failure, returns, attempts)

    def run_once(
        self,
        name: str,
        act: Callable[[*Ts, bool], Awaitable[T]],
        *args: *Ts,
        on_failure: str,
        returns: Any = None,
        attempts: int = SLACK_ATTEMPTS,
        seconds: float | None = None,
    ) -> Coroutine[Any, Any, T | StepFailure]:
        """Run one step that is not idempotent, as `run` does; with `seconds`, for so long at most.

        The last argument of `act` is True if an earlier attempt or an earlier process may have done it.
        Nothing that was promised waits for what is optional: such a step has a limit.
        """
        return self._run(name, lambda again: act(*args, again), on_failure, returns, attempts, seconds)

    async def _run(
        self,
        name: str,
        act: Callable[[bool], Awaitable[T]],
        on_failure: str,
        returns: Any,
        attempts: int,
        seconds: float | None = None,
    ) -> T | StepFailure:
        async def attempted(again: bool) -> T | StepFailure:
            failure, backoff = StepFailure(trouble=on_failure, why=OUR_FAULT), Backoff(attempts)
            # A bug in one step must not stop the other steps.
            async with best_effort(name), asyncio.timeout(seconds):
                try:
                    while True:
                        try:
                            return await act(again)
                        except Unavailable as error:
                            await backoff.wait(error)
                            # An unavailable call may also have come after other calls of the same step.
                            again = True
                except (Refused, SlackRefused, Unavailable) as error:
                    failure = _failure(on_failure, error)
            return failure

        return await self._step(name, attempted, returns | StepFailure if returns else StepFailure | None)

    async def record(self, name: str, act: Callable[[*Ts], Awaitable[T]], *args: *Ts, returns: Any) -> T:
        """Run one step and return its result. Raises any exception of `act`, which stops the workflow."""
        return await self._step(name, lambda _again: act(*args), returns)

    async def together(self, name: str, act: Callable[[*Ts], Awaitable[T]], *args: *Ts, returns: Any) -> T:
        """Run `act` as one step, of which the steps that it runs are parts.

        Recording a step costs more than most steps do, so parts are not recorded: if the process dies before
        all of them are done, the next one runs all of them again. Each must look first, as those of
        `run_once` do, or be idempotent. An unexpected exception between the parts is not recorded either: it
        stops the workflow, which the next process resumes here.
        """

        async def parts(again: bool) -> T:
            within = _part_of.set(again)
            try:
                async with best_effort(name):
                    return await act(*args)
            finally:
                _part_of.reset(within)
            raise asyncio.CancelledError

        return await self._step(name, parts, returns)

    def find_incident(
        self, find: Callable[[str], Awaitable[Incident | None]], incident_id: str
    ) -> Coroutine[Any, Any, Incident | None]:
        """Run the step that looks at the incident as it is now, until the backend answers."""
        return self.record(
            "look at the incident",
            retry_forever,
            "look at an incident",
            find,
            incident_id,
            returns=Incident | None,
        )

    async def last(self, act: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run `act`, of which the steps that it runs are parts, at the end of the workflow.

        It is like `together`, but not recorded: the end of the workflow is, right after it.
        """
        within = _part_of.set(self._engine.is_resumed())
        try:
            return await act(*args)
        finally:
            _part_of.reset(within)

    async def _step(self, name: str, act: Callable[[bool], Awaitable[T]], returns: Any) -> T:
        """Return the result of `act`, by way of its record unless it is a part of another step."""
        again = _part_of.get()
        if again is not None:
            return await act(again)
        shape: TypeAdapter[T] = _shape(returns)

        async def recorded(again: bool) -> Any:
            return shape.dump_python(await act(again), mode="json")

        return shape.validate_python(await self._engine.step(name, recorded))


async def outside_workflow(starting: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that starts a workflow, from within another one.

    Its context is empty, as DBOS would count the new workflow among the steps of the running one.
    """
    return await asyncio.get_running_loop().create_task(starting, context=Context())


def _failure(on_failure: str, error: TocsinError) -> StepFailure:
    if isinstance(error, Refused):
        return StepFailure(trouble=error.sentence)
    if isinstance(error, SlackRefused):
        return StepFailure(trouble=on_failure, why=error.sentence)
    return StepFailure(trouble=on_failure, why=str(error).rstrip("."), passing=True)


@cache
def _shape(returns: Any) -> TypeAdapter[Any]:
    """Return the adapter that serializes results of this type; cached because building one is slow."""
    return TypeAdapter(returns)


def sentences(failures: Iterable[StepFailure]) -> list[str]:
    """Return the failures as sentences without full stops; failures with the same reason share one."""
    by_reason: dict[str, list[str]] = {}
    for failure in failures:
        by_reason.setdefault(failure.why, []).append(failure.trouble)
    return [
        f"{'; '.join(troubled)}: {why}" if why else "; ".join(troubled) for why, troubled in by_reason.items()
    ]
