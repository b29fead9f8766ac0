"""Clocks for a workspace in tests: on the event loop's time, or patient with processes on a busy machine."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from fakes.autojump import AutojumpLoop
from tocsin.playground.clock import TurnableClock

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
    """Goes with the machine's time, and makes everybody wait longer: only what is turned passes at once."""

    async def sleep(self, seconds: float) -> None:
        began, ahead = time.monotonic(), self._ahead

        def left() -> float:
            return seconds - (self._ahead - ahead) - (time.monotonic() - began) / PATIENCE

        while left() > 0:
            turned = self._turned
            with suppress(TimeoutError):
                async with asyncio.timeout(left() * PATIENCE):
                    await turned.wait()


def fitting_clock() -> TurnableClock:
    """The clock for the running loop."""
    return LoopClock() if isinstance(asyncio.get_running_loop(), AutojumpLoop) else PatientClock()
