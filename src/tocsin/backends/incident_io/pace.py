"""How often incident.io is asked: less often than it allows, and what somebody waits for goes first."""

from __future__ import annotations

import asyncio

from tocsin.actions.ports import loop_time

PER_MINUTE = 1080
"""incident.io, Rate limits: 1200 requests a minute for each API key; with a full bucket this makes 1180."""

AT_ONCE = 100
KEPT_FREE = 20
"""Of those, what only an incident's creation may use."""


class Pace:
    """A bucket of permissions that fills steadily; whoever finds it empty waits, one behind the other."""

    def __init__(self, per_minute: float = PER_MINUTE, at_once: float = AT_ONCE) -> None:
        self._rate = per_minute / 60
        self._most = at_once
        self._left = at_once
        self._looked = loop_time()
        self._held_until = 0.0
        self._line = asyncio.Lock()

    async def turn(self, *, urgent: bool = False) -> None:
        """Wait until a request may be sent."""
        if urgent:
            await self._take(0.0, 0.0)
            return
        async with self._line:
            await self._take(min(KEPT_FREE, self._most / 2), self._held_until)

    def hold(self, seconds: float) -> None:
        """Nothing but what is urgent is sent for so many seconds: incident.io asked for it."""
        self._held_until = max(self._held_until, loop_time() + seconds)

    async def _take(self, floor: float, held_until: float) -> None:
        """One permission, once there are more of them than `floor`."""
        now = loop_time()
        self._left = min(self._most, self._left + (now - self._looked) * self._rate)
        self._looked = now
        wait = max(held_until - now, (floor + 1 - self._left) / self._rate)
        self._left -= 1
        if wait > 0:
            await asyncio.sleep(wait)
