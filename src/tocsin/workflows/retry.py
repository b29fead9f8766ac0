"""Retries with backoff, and one workflow step whose failure is returned instead of raised."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog

from tocsin.incidents.errors import OutcomeUnknown, Refused, SlackRefused, TocsinError, Unavailable
from tocsin.incidents.model import Frozen
from tocsin.workflows.ports import Journal

# The one place that catches Exception, and how long we try before we give up.

T = TypeVar("T")
log = structlog.get_logger()

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0


@asynccontextmanager
async def best_effort(doing: str) -> AsyncIterator[list[BaseException]]:
    """Whatever goes wrong inside is written down and goes no further.

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


async def patiently(act: Callable[[bool], Awaitable[T]], *, again: bool, attempts: int | None) -> T:
    """What `act` answers, tried until it is available.

    Where nobody can be reached it waits for ever. Where answers get lost it gives up after `attempts` of
    them, or never when None: that may be the fault of this one request. Waits as long as the other side asks
    (`retry_after`), else twice as long each time, from half a second to 30 s with jitter, so that many who
    wait do not all come back at once. `act` is told whether an earlier attempt may have got somewhere.
    """
    tried = lost = 0
    while True:
        tried += 1
        try:
            return await act(again)
        except Unavailable as error:
            lost += isinstance(error, OutcomeUnknown)
            if attempts is not None and lost >= attempts:
                raise
            # Also what could not be asked at its end may have been done in part.
            again = True
            await asyncio.sleep(_wait(tried, error.retry_after))


def _wait(tried: int, asked: float | None) -> float:
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(tried - 1, 10))
    spread = random.uniform(0.5, 1.0)
    return longest * spread if asked is None else asked + 0.2 * spread


async def without_end(act: Callable[[], Awaitable[T]], doing: str) -> T:
    """What `act` answers in the end: what was promised is given up for nothing but a refusal.

    What nobody foresaw is written down, and tried again as if it had been foreseen.
    """

    async def foreseen(_: bool) -> T:
        expected: TocsinError | None = None
        async with best_effort(doing):
            try:
                return await act()
            except TocsinError as error:
                expected = error
        raise expected or Unavailable("Something went wrong on Tocsin's side.")

    return await patiently(foreseen, again=False, attempts=None)


# Steps that must not undo each other: each is tried patiently, and what it met is told.

SLACK_ATTEMPTS = 8
"""Lost answers in a row, about two minutes of them, after which the rest goes on without this step."""

ALL_DAY = 3_000
"""The same for what an incident is nothing without: a day of lost answers."""

OUR_FAULT = "something went wrong on Tocsin's side; its log says what"


class Trouble(Frozen):
    """Something that could not be done, and why: two halves of a sentence for the reporter."""

    trouble: str
    why: str = ""
    passing: bool = False
    """Nobody said no: it may still be done when whoever failed is well again."""


async def attempt(
    journal: Journal,
    name: str,
    otherwise: str,
    act: Callable[[bool], Awaitable[T]],
    returns: Any = None,
    attempts: int = SLACK_ATTEMPTS,
) -> T | Trouble:
    """One step of a story: what it answers, or the trouble it met.

    Waits for as long as Slack or our own files cannot be reached at all, and for `attempts` lost answers.
    """

    async def attempted(again: bool) -> T | Trouble:
        async with best_effort(name):
            try:
                return await patiently(act, again=again, attempts=attempts)
            except Refused as refusal:
                return Trouble(trouble=refusal.sentence)
            except SlackRefused as refusal:
                return Trouble(trouble=otherwise, why=refusal.sentence)
            except Unavailable as error:
                return Trouble(trouble=otherwise, why=str(error).rstrip("."), passing=True)
        # One broken step must not take the others with it.
        return Trouble(trouble=otherwise, why=OUR_FAULT)

    return await journal.step(name, attempted, returns | Trouble if returns else Trouble | None)


def sentences(troubles: Iterable[Trouble]) -> list[str]:
    """The troubles in words, without full stops; those with one reason together, so that it is read once."""
    by_reason: dict[str, list[str]] = {}
    for trouble in troubles:
        by_reason.setdefault(trouble.why, []).append(trouble.trouble)
    return [
        f"{'; '.join(troubled)}: {why}" if why else "; ".join(troubled) for why, troubled in by_reason.items()
    ]
