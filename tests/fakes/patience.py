"""The one limit of every wait in a test: whatever must happen happens long before it, or never."""

from __future__ import annotations

from tocsin.playground.clock import TurnableClock

LIMIT = 120.0
"""Seconds; a machine that is busy with four other things does not reach it."""

_LONGER = 40.0


class PatientClock(TurnableClock):
    """Slack's three seconds last two minutes: not how fast this machine is, but what is done, is judged."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(_LONGER * seconds)
