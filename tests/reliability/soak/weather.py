"""Slack on a bad day: a fifth of all calls is limited, some answers are lost, connections come and go."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable

from support.patience import LIMIT

from slack_emulator.faults import Fault, Faults
from slack_emulator.socket_mode import Connection, Sockets

LIMITED, LOST, BROKEN = 0.20, 0.02, 0.01
NO_WEATHER = frozenset({"auth.test", "apps.connections.open"})


class Weather(Faults):
    """Each call meets what the dice say; `met` counts it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._dice = random.Random(seed)
        self.met: Counter[str] = Counter()

    def next_for(self, method: str) -> Fault | None:
        if method in NO_WEATHER:
            return None
        thrown = self._dice.random()
        self.met["calls"] += 1
        if thrown < LIMITED:
            self.met["429"] += 1
            return Fault(retry_after=1, status=429)
        if thrown < LIMITED + LOST:
            self.met["reset"] += 1
            return Fault(reset=True, after_effect=self._dice.random() < 0.5)
        if thrown < LIMITED + LOST + BROKEN:
            self.met["500"] += 1
            return Fault(status=500, after_effect=self._dice.random() < 0.5)
        return None


async def refreshing(
    sockets: Sockets, app_id: str, turn: Callable[[int], Awaitable[None]], met: Counter[str]
) -> None:
    """Until cancelled, have a connection replaced at each turn, every other with a warning before."""
    asked: set[Connection] = set()

    def fresh() -> list[Connection]:
        return [c for c in sockets.connections(app_id) if not c.retiring and c not in asked]

    while True:
        await turn(met["refresh"] + 1)
        await sockets.until(lambda: len(fresh()) >= 2, LIMIT)
        oldest = fresh()[0]
        asked.add(oldest)
        if met["refresh"] % 2:
            await sockets.refresh(app_id, "warning", only=[oldest])
            await sockets.until(lambda: len(fresh()) >= 2, LIMIT)
        await sockets.refresh(app_id, only=[oldest])
        met["refresh"] += 1
