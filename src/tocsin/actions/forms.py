"""The form's choices, kept at hand so that opening it asks nobody."""

from __future__ import annotations

import asyncio

from tocsin.actions.best_effort import best_effort
from tocsin.actions.ports import Backend
from tocsin.incidents.model import Form

REFRESH_SECONDS = 60.0


class FormCache:
    """The choices as of the last refresh; usable while the backend is down."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.now: Form | None = None
        self.came = asyncio.Event()

    async def fetch(self) -> Form:
        """The choices, asked for now if they never were. Raises Unavailable when they never came."""
        if self.now is None:
            await self.refresh()
        assert self.now is not None
        return self.now

    async def refresh(self) -> None:
        self.now = await self._backend.form()
        self.came.set()

    async def keep_fresh(self) -> None:
        """Refresh for ever, once a minute; what fails is tried again at the next turn."""
        while True:
            async with best_effort("refresh the form"):
                await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS)
