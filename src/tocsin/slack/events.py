"""What happens in the workspace, each thing once: Slack sends an event again until it was acknowledged."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from tocsin.incidents.errors import TocsinError, Unavailable

log = structlog.get_logger()

KEPT = 20_000
KEPT_SECONDS = 15 * 60.0
"""Slack tries again at once, after a minute, and after five (Slack, Events API: retries)."""

PATIENCE = 2.5


class Heard:
    """The events of the last quarter of an hour by their id, which stays the same when one is sent again."""

    def __init__(self) -> None:
        self._heard: OrderedDict[str, tuple[float, asyncio.Task[None]]] = OrderedDict()

    async def once(self, event_id: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do the work, unless it was done for this id; who comes meanwhile waits for the same end.

        Raises what the work raises, and forgets the id then, so that Slack's next try is a new one. Raises
        Unavailable after two and a half seconds, while the work goes on.
        """
        self._forget()
        if event_id not in self._heard:
            self._heard[event_id] = asyncio.get_running_loop().time(), asyncio.create_task(work())
        task = self._heard[event_id][1]
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            # Slack may not come again before it ends: then nobody else hears how.
            task.remove_done_callback(_note_failure)
            task.add_done_callback(_note_failure)
            raise Unavailable("It takes longer than Slack waits.")
        if task.cancelled() or task.exception() is not None:
            self._heard.pop(event_id, None)
        task.result()

    def _forget(self) -> None:
        """What Slack does not send again; never what is still being worked on."""
        oldest = asyncio.get_running_loop().time() - KEPT_SECONDS
        while self._heard:
            at, task = next(iter(self._heard.values()))
            if not task.done() or (at > oldest and len(self._heard) < KEPT):
                return
            self._heard.popitem(last=False)


def _note_failure(task: asyncio.Task[None]) -> None:
    """Write down what became of an event that took longer than Slack waits, where it failed."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, TocsinError):
        log.warning("not done", doing="what an event asked for", because=str(error))
    elif error is not None:
        log.error("failed", doing="what an event asked for", exc_info=error)
