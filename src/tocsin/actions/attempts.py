"""Steps that must not undo each other: each is tried patiently, and what it met is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tocsin.actions.best_effort import patiently
from tocsin.actions.ports import Journal
from tocsin.incidents.errors import Refused, SlackRefused, Unavailable
from tocsin.incidents.model import Frozen

T = TypeVar("T")
SLACK_ATTEMPTS = 8


class Trouble(Frozen):
    """Something that could not be done, in a sentence for the reporter."""

    trouble: str


async def attempt(
    journal: Journal, name: str, otherwise: str, act: Callable[[bool], Awaitable[T]], returns: Any = None
) -> T | Trouble:
    """One step of a story: what it answers, or the trouble it met after eight tries."""

    async def attempted(again: bool) -> T | Trouble:
        try:
            return await patiently(act, again=again, attempts=SLACK_ATTEMPTS)
        except Refused as refusal:
            return Trouble(trouble=refusal.sentence)
        except SlackRefused as refusal:
            return Trouble(trouble=f"{otherwise} (Slack: {refusal.code})")
        except Unavailable as error:
            return Trouble(trouble=f"{otherwise} ({error})")

    return await journal.step(name, attempted, returns | Trouble if returns else Trouble | None)
