"""A clock that leaves out what others take of the machine: who stands still with it answers nobody."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from tocsin.playground.clock import TurnableClock

_STOLEN = 8
"""Of the first line of /proc/stat, in ticks: time in which a virtual machine was ready and not let run."""


class FairClock(TurnableClock):
    """Waits as long as is asked for, and longer by what the machine's host took from it meanwhile."""

    async def sleep(self, seconds: float) -> None:
        until, stolen_before = self.now() + seconds, _stolen()
        while (left := until + _stolen() - stolen_before - self.now()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._turned.wait()


class PatientClock(TurnableClock):
    """Time that is waited for passes when a test turns it, and not while the machine is busy elsewhere."""

    async def sleep(self, seconds: float) -> None:
        until = self._ahead + seconds
        while self._ahead < until:
            await self._turned.wait()


def _stolen() -> float:
    """Seconds since the machine's start, of all its processors together; 0 where nothing tells."""
    try:
        total = Path("/proc/stat").read_text().splitlines()[0].split()
        return int(total[_STOLEN]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0
