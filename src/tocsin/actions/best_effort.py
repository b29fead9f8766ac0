"""The one place that catches Exception, and how long we try before we give up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog

from tocsin.incidents.errors import OutcomeUnknown, TocsinError, Unavailable

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
