"""A method of Slack's that is limited, in time that passes only when everybody waits for it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from tocsin.incidents.errors import Unavailable
from tocsin.slack.rate_limiter import Priority, RateLimiter

T = TypeVar("T")


async def in_turn(
    limiter: RateLimiter,
    bucket: Hashable,
    priority: Priority,
    call: Callable[[], Awaitable[T]],
    *,
    user: str = "",
) -> T:
    """Make a call in its turn, as often as it is told to slow down."""
    turn = limiter.enqueue(bucket, priority, user=user)
    while True:
        async with turn:
            return await call()


@dataclass
class TurnedTime:
    """Time that passes only when everybody waits for it."""

    now: float = 0.0
    sleepers: list[tuple[float, int, asyncio.Future[None]]] = field(default_factory=list)
    slept: int = 0

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        waking = asyncio.get_running_loop().create_future()
        heapq.heappush(self.sleepers, (self.now + max(seconds, 0.0), self.slept, waking))
        await waking

    async def run(self, *tasks: asyncio.Task[None]) -> None:
        while not all(task.done() for task in tasks):
            for _ in range(10):
                await asyncio.sleep(0)
            if self.sleepers:
                at, _, waking = heapq.heappop(self.sleepers)
                self.now = max(self.now, at)
                if not waking.done():
                    waking.set_result(None)
        await asyncio.gather(*tasks)


@dataclass
class LimitedMethod:
    """A method that allows so many calls in each second, and takes a while to answer."""

    time: TurnedTime
    a_second: int
    calls: int = 0
    delivered: list[str] = field(default_factory=list)
    seconds: dict[int, int] = field(default_factory=dict)

    async def call(self, what: str) -> str:
        self.calls += 1
        await self.time.sleep(0.01)
        second = int(self.time.now)
        if self.seconds.get(second, 0) >= self.a_second:
            raise Unavailable("Slack asks us to slow down.", retry_after=second + 1 - self.time.now)
        self.seconds[second] = self.seconds.get(second, 0) + 1
        self.delivered.append(what)
        return what


async def paced(a_second: int, posts: list[tuple[str, Priority]]) -> LimitedMethod:
    """What came of posts that were all sent in one moment."""
    time = TurnedTime()
    method = LimitedMethod(time, a_second)
    limiter = RateLimiter(now=lambda: time.now, sleep=time.sleep)

    async def post(what: str, priority: Priority) -> None:
        assert await in_turn(limiter, "chat.postMessage", priority, lambda: method.call(what)) == what

    await time.run(*(asyncio.create_task(post(what, priority)) for what, priority in posts))
    return method
