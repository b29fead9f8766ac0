"""An event loop whose time can be turned forward, so that nobody waits for a retry's pause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
GLANCE_SECONDS = 0.01
TURN_SECONDS = 0.5
LONGEST_SECONDS = 60.0


class TurnableLoop(asyncio.SelectorEventLoop):
    """The machine's monotonic time plus whatever it was turned by; sockets and threads are as ever."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


async def hurried(doing: Coroutine[Any, Any, T], may_turn: Callable[[], bool] = lambda: True) -> T:
    """What `doing` answers; while it only waits, time is turned forward.

    `may_turn` says whether nothing is under way that a jump in time would make late. RuntimeError after a
    minute on the wall's clock.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TurnableLoop)
    task, began = asyncio.ensure_future(doing), time.monotonic()
    try:
        while not (await asyncio.wait({task}, timeout=GLANCE_SECONDS))[0]:
            if may_turn():
                loop.ahead += TURN_SECONDS
            if time.monotonic() - began > LONGEST_SECONDS:
                raise RuntimeError("nothing moves any more")
        return await task
    finally:
        task.cancel()
