"""Clocks for a workspace in tests, by which no machine is too busy for Slack's three seconds."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from slack_emulator.clock import TurnableClock
from support.autojump import AutojumpLoop

PATIENCE = 20.0
"""Slack's three seconds last a minute where another process is waited for."""


class LoopClock(TurnableClock):
    """Goes with the running loop's time: what lasts three seconds at Slack lasts exactly three."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._began = time.time() - self._loop.time()

    def now(self) -> float:
        return self._began + self._loop.time() + self._ahead


class PatientClock(TurnableClock):
    """Goes slower than the machine's clock; only what a test turns passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.time()

    def now(self) -> float:
        return self._began + (time.time() - self._began) / PATIENCE + self._ahead

    def date(self) -> float:
        return time.time() + self._ahead

    async def sleep(self, seconds: float) -> None:
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left * PATIENCE):
                    await self._turned.wait()


class StillClock(TurnableClock):
    """Makes nobody wait for Slack but while a test turns it; the date goes with the machine's."""

    async def sleep(self, seconds: float) -> None:
        until = self._ahead + seconds
        while self._ahead < until:
            await self._turned.wait()


def fitting_clock() -> TurnableClock:
    """The clock for the running loop."""
    return LoopClock() if isinstance(asyncio.get_running_loop(), AutojumpLoop) else PatientClock()
