"""Retries with backoff, and one workflow step whose failure is returned instead of raised."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypeVar, TypeVarTuple

import structlog
from pydantic import TypeAdapter

from tocsin.incidents.errors import OutcomeUnknown, Refused, SlackRefused, TocsinError, Unavailable
from tocsin.incidents.model import FrozenModel
from tocsin.workflows.ports import WorkflowEngine

# The one place that catches Exception, and how long we try before we give up.

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
log = structlog.get_logger()

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0


@asynccontextmanager
async def best_effort(doing: str) -> AsyncIterator[list[BaseException]]:
    """Suppress and log whatever goes wrong in this block.

    The list that is handed out holds the exception afterwards, for who wants to tell somebody.
    """
    failed: list[BaseException] = []
    try:
        yield failed
    except TocsinError as error:
        log.warning("not done", doing=doing, because=str(error))
        failed.append(error)
    except Exception as error:
        log.exception("failed", doing=doing)
        failed.append(error)


class Backoff:
    """The pauses between attempts: as long as the other side asks, else twice as long each time.

    From half a second to 30 s with jitter, so that many who wait do not all come back at once.
    """

    def __init__(self, attempts: int | None) -> None:
        """Give up after so many lost answers, or never when None: that may be one request's own fault.

        A side that cannot be reached is waited for without end.
        """
        self._attempts = attempts
        self._tried = 0
        self._lost = 0

    async def wait(self, error: Unavailable) -> None:
        """Wait before the next attempt. Raises the error where there is none."""
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
    """Return what `act` answers, tried until it is available, or until `attempts` answers were lost."""
    backoff = Backoff(attempts)
    while True:
        try:
            return await act(*args)
        except Unavailable as error:
            await backoff.wait(error)


async def retry_forever(doing: str, act: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Return what `act` answers in the end: what was promised is given up for nothing but a refusal.

    What nobody foresaw is written down, and tried again as if it had been foreseen.
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


# The steps of workflows: each is done once, also across a crash, and a failure of one does not undo others.

SLACK_ATTEMPTS = 8
"""Lost answers in a row, about two minutes of them, after which the rest goes on without this step."""

ALL_DAY = 3_000
"""The same for what an incident is nothing without: a day of lost answers."""

OUR_FAULT = "something went wrong on Tocsin's side; its log says what"


class StepFailure(FrozenModel):
    """Something that could not be done, and why: two halves of a sentence for the reporter."""

    trouble: str
    why: str = ""
    passing: bool = False
    """It was not refused: it may still be done when the side that failed is well again."""


class Steps:
    """Runs the steps of a workflow: each is done once, also across a crash, and recorded by its name.

    `returns` is always the type of what `act` answers, where it answers something: so it is written down.
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
        """Do one step, tried again while that may help; answers its failure instead of raising it.

        Waits for as long as Slack or our own files cannot be reached at all, and for `attempts` lost answers.
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
    ) -> Coroutine[Any, Any, T | StepFailure]:
        """Do one step as `run` does, where simply doing it again would do it twice.

        The last argument of `act` is True where an earlier attempt, or an earlier process, may have done it.
        """
        return self._run(name, lambda again: act(*args, again), on_failure, returns, attempts)

    async def _run(
        self,
        name: str,
        act: Callable[[bool], Awaitable[T]],
        on_failure: str,
        returns: Any,
        attempts: int,
    ) -> T | StepFailure:
        shape: TypeAdapter[T | StepFailure] = _shape(returns | StepFailure if returns else StepFailure | None)

        async def attempted(again: bool) -> Any:
            failure, backoff = StepFailure(trouble=on_failure, why=OUR_FAULT), Backoff(attempts)
            # One broken step must not take the others with it.
            async with best_effort(name):
                try:
                    while True:
                        try:
                            return shape.dump_python(await act(again), mode="json")
                        except Unavailable as error:
                            await backoff.wait(error)
                            # Also what could not be asked at its end may have been done in part.
                            again = True
                except (Refused, SlackRefused, Unavailable) as error:
                    failure = _failure(on_failure, error)
            return shape.dump_python(failure, mode="json")

        return shape.validate_python(await self._engine.step(name, attempted))

    async def record(self, name: str, act: Callable[[*Ts], Awaitable[T]], *args: *Ts, returns: Any) -> T:
        """Do one step whose failure is not answered: what `act` raises ends the workflow."""
        shape: TypeAdapter[T] = _shape(returns)

        async def recorded(_again: bool) -> Any:
            return shape.dump_python(await act(*args), mode="json")

        return shape.validate_python(await self._engine.step(name, recorded))


def _failure(on_failure: str, error: TocsinError) -> StepFailure:
    if isinstance(error, Refused):
        return StepFailure(trouble=error.sentence)
    if isinstance(error, SlackRefused):
        return StepFailure(trouble=on_failure, why=error.sentence)
    return StepFailure(trouble=on_failure, why=str(error).rstrip("."), passing=True)


@cache
def _shape(returns: Any) -> TypeAdapter[Any]:
    """Return the adapter that writes an answer down and reads it again; making one takes a while."""
    return TypeAdapter(returns)


def sentences(failures: Iterable[StepFailure]) -> list[str]:
    """Put the failures in words, without full stops; those with one reason together, so it is read once."""
    by_reason: dict[str, list[str]] = {}
    for failure in failures:
        by_reason.setdefault(failure.why, []).append(failure.trouble)
    return [
        f"{'; '.join(troubled)}: {why}" if why else "; ".join(troubled) for why, troubled in by_reason.items()
    ]
