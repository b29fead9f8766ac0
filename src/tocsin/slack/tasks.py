"""Work that goes on after the acknowledgement, kept until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tocsin.workflows.retry import best_effort


class Tasks:
    """A registry of our own: Bolt and asyncio both forget tasks that nobody holds."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, doing: str, work: Coroutine[Any, Any, Any]) -> None:
        """Start work that nobody waits for; what goes wrong in it is written down."""

        async def run() -> None:
            async with best_effort(doing):
                await work

        task = asyncio.create_task(run(), name=doing)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def settled(self) -> None:
        """Until nothing is in hand."""
        while self._running:
            await asyncio.wait(self._running)

    async def finish(self, seconds: float) -> None:
        """Wait for what is in hand, at most so many seconds."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
