"""While incident.io refuses our key, it is asked seldom: a few requests, then a pause, then a few again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tocsin.actions.ports import loop_time
from tocsin.incidents.errors import Unavailable

AT_ONCE = 5
"""Requests in flight before the first is known to be let in: if all are refused, that is all for a while."""

CLOSED_SECONDS = 10.0
AGAIN_SECONDS = (15.0, 45.0)


class Shut(Unavailable):
    """incident.io answered 401 (`is_key`) or 403; asked again within a minute."""

    is_key = False
    errand = ""
    """What the operator must do about a right that is missing; of the key itself, `operator` says it."""

    @classmethod
    def of_key(cls) -> Shut:
        shut = cls(
            "incident.io refuses our API key.",
            retry_after=random.uniform(*AGAIN_SECONDS),
            operator="incident.io refuses INCIDENT_IO_API_KEY (401). Make a key under Settings, API keys, "
            "set it, and start Tocsin again; what was declared meanwhile is saved and then sent.",
        )
        shut.is_key = True
        return shut

    @classmethod
    def of_right(cls, request: str, said: str) -> Shut:
        shut = cls(
            f"incident.io does not let our API key do this{f': {said}' if said else '.'}",
            retry_after=random.uniform(*AGAIN_SECONDS),
        )
        shut.errand = (
            f"incident.io does not let INCIDENT_IO_API_KEY do this: {request} (403). Make a key with "
            "the rights in `tocsin docs incident_io`; what was declared meanwhile is saved and then sent."
        )
        return shut


@dataclass
class Door:
    """One kind of request, or, for all of them, the key itself."""

    is_open: bool = False
    closed_until: float = 0.0
    why: Shut | None = None
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def check(self) -> None:
        left = self.closed_until - loop_time()
        if self.why is not None and left > 0:
            again = Shut(str(self.why), retry_after=left + 1, operator=self.why.operator)
            again.is_key = self.why.is_key
            raise again

    def shut(self, why: Shut) -> None:
        self.is_open, self.why, self.closed_until = False, why, loop_time() + CLOSED_SECONDS

    @asynccontextmanager
    async def through(self) -> AsyncIterator[None]:
        """Go through; until it is known to be open, few at a time, and nobody while it is shut."""
        self.check()
        if self.is_open:
            yield
            return
        async with self.turns:
            self.check()
            yield
