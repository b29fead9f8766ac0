"""Who in this process waits to hear what became of what they asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tocsin.incidents.errors import Unavailable

T = TypeVar("T")

LONGEST_ANSWER = 3.0
"""An answer that is not written out within so many seconds is too late for Slack, and not waited for."""


@dataclass
class Waiting(Generic[T]):
    """One order that somebody may be waiting for."""

    outcome: asyncio.Future[T]
    answers: list[asyncio.Event] = field(default_factory=list)
    """One for each press that came to this process, set once its answer has been written out."""

    late: bool = False
    """The person was told *saved* before the outcome was known."""

    seen: Callable[[float], None] = lambda seconds: None
    """Hears how long it took until the person could see the outcome."""

    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    private: bool = False
    """Somebody who waits has ticked *private*, which may have come too late to make it so."""

    counted: bool = True
    """How long it took may be counted: how many private incidents there are is told to nobody."""

    shown: int = -1
    """How many had their answer when the window was last brought up to date; -1 when we never did so."""

    @property
    def waited(self) -> bool:
        """Whether the outcome comes after the answer: it was late, or an earlier process was asked."""
        return self.late or not self.answers

    @property
    def has_latecomers(self) -> bool:
        """Whether an answer may have come into the window since it was brought up to date."""
        return self.shown < len(self.answers)

    def visible(self) -> None:
        """The person can see it now; heard once, and only in the process that they pressed in."""
        if self.answers and self.counted:
            self.seen(asyncio.get_running_loop().time() - self.began)
        self.seen = lambda seconds: None

    async def read(self) -> None:
        """Until everybody who pressed has the answer."""
        for answer in list(self.answers):
            await asyncio.wait({asyncio.ensure_future(answer.wait())}, timeout=LONGEST_ANSWER)

    def tell(self, outcome: T) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    async def heard(self, seconds: float) -> T | None:
        """The outcome, if it is known within so many seconds."""
        done, _ = await asyncio.wait({self.outcome}, timeout=seconds)
        return self.outcome.result() if done else None


class WaitingRoom(Generic[T]):
    """Everybody who waits, by key; pressing the same modal again joins the same wait."""

    def __init__(self, seen: Callable[[float], None] = lambda seconds: None) -> None:
        self._waiting: dict[str, Waiting[T]] = {}
        self._seen = seen
        self._saving: set[asyncio.Task[tuple[str, Waiting[T]]]] = set()

    def enter(self, key: str) -> Waiting[T]:
        if key not in self._waiting:
            self._waiting[key] = Waiting(asyncio.get_running_loop().create_future(), seen=self._seen)
        return self._waiting[key]

    async def saved(
        self, key: str, save: Coroutine[Any, Any, tuple[str, Waiting[T]]], patience: float
    ) -> tuple[str, Waiting[T]]:
        """What `save` answers within `patience` seconds: the key it was saved under, and its wait.

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
