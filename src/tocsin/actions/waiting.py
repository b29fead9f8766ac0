"""Who in this process waits to hear what became of a declaration."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class Waiting(Generic[T]):
    """One declaration that somebody may be waiting for."""

    outcome: asyncio.Future[T]
    acknowledged: asyncio.Event | None = None
    """Set once the answer to the person has been written out; None when nobody in this process asked."""

    late: bool = False
    """The person was told *saved* before the outcome was known."""

    def tell(self, outcome: T) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    async def heard(self, seconds: float) -> T | None:
        """The outcome, if it is known within so many seconds."""
        done, _ = await asyncio.wait({self.outcome}, timeout=seconds)
        return self.outcome.result() if done else None


class WaitingRoom(Generic[T]):
    """Everybody who waits, by key; pressing the same modal again joins the same wait."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting[T]] = {}

    def enter(self, key: str) -> Waiting[T]:
        if key not in self._waiting:
            self._waiting[key] = Waiting(asyncio.get_running_loop().create_future())
        return self._waiting[key]

    def leave(self, key: str) -> None:
        self._waiting.pop(key, None)
