"""Clock of a workspace: the machine's own, or one that a test can advance."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch, by which things expire here."""

    def date(self) -> float:
        """Seconds since the epoch, for others to read: they compare it with a clock of their own."""

    async def sleep(self, seconds: float) -> None:
        """Return once `now()` is that many seconds later."""


class TurnableClock:
    """The machine's clock plus an offset; advancing it wakes the sleepers that are due."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._turned = asyncio.Event()

    def now(self) -> float:
        return time.time() + self._ahead

    def date(self) -> float:
        return self.now()

    def turn(self, seconds: float) -> None:
        self._ahead += seconds
        self._turned.set()
        self._turned = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            turned = self._turned
            try:
                async with asyncio.timeout(left):
                    await turned.wait()
            except TimeoutError:
                return
