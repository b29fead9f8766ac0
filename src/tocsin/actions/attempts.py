"""Steps that must not undo each other: each is tried patiently, and what it met is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from tocsin.actions.best_effort import best_effort, patiently
from tocsin.actions.ports import Journal
from tocsin.incidents.errors import Refused, SlackRefused, Unavailable
from tocsin.incidents.model import Frozen

T = TypeVar("T")

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
