"""Feed of changes in the workspace, to which the page and tests subscribe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from slack_emulator.model import Change


class Feed:
    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[Change | None]] = set()

    def announce(self, change: Change) -> None:
        for queue in self._listeners:
            queue.put_nowait(change)

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[Change]]:
        """Yield every change from now on; the iterator ends when the workspace closes."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield _drain(queue)
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        for queue in self._listeners:
            queue.put_nowait(None)


async def _drain(queue: asyncio.Queue[Change | None]) -> AsyncIterator[Change]:
    while (change := await queue.get()) is not None:
        yield change
