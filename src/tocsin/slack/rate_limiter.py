"""Rate limiter for calls to Slack: waits out each 429, and sends the most urgent calls first.

Equally urgent calls take turns by person (start-time fair queueing), so that a person with few calls does not
wait behind one with many.

Slack's limits are per method, and for posts per channel as well, and some of them are not published. So
nothing is slowed down beforehand: calls that share a limit form a bucket, which runs a few of them side by
side until Slack answers 429. Then it pauses for as long as Slack asked (Retry-After), and goes on at the rate
that Slack was seen to allow.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from tocsin.incidents.errors import TocsinError, Unavailable

SIDE_BY_SIDE = 4
"""Calls of one bucket in flight at once; no more than these are wasted when a limit is first met."""

CAREFUL_SECONDS = 300.0
"""Seconds for which a bucket keeps its learnt rate after the last 429."""


CHANCE_SECONDS = 60.0
"""Seconds within which two 429s are no coincidence (Slack, rate limits: the lowest is one a minute)."""

FLAKY, FLAKY_SHARE = 6, 0.08
"""Number of 429s at a learnt rate, and their share of the calls, that rule the rate out as the cause."""

FLAKY_SECONDS = 120.0
FLAKY_SIDE_BY_SIDE = 16
"""Calls in flight while 429s do not depend on the rate: the bucket pauses as asked, and goes on."""

RATE_SHARE = 0.3
"""Share of 429s meanwhile above which the rate may be their cause after all."""


MOST_BUCKETS = 1000
"""Buckets that are kept. Each channel has buckets of its own, and most are never needed again."""


class Priority(IntEnum):
    """Priority of a call, the most urgent first."""

    ANSWER = 0
    CARD = 1
    ANNOUNCEMENT = 2
    BACKGROUND = 3


class _QueuePosition(NamedTuple):
    """Position of a call in the queue of its bucket; the lowest goes first."""

    priority: int
    turn: int
    """Rank among the person's waiting calls: each person's first goes before any person's second."""
    number: int


@dataclass
class _Bucket:
    """Bucket of calls that share a limit."""

    waiting: list[tuple[_QueuePosition, asyncio.Future[None]]] = field(default_factory=list)
    turn: dict[int, int] = field(default_factory=dict)
    """Present turn, by priority: a call that comes now does not go before calls that wait already."""
    last: dict[tuple[int, str], int] = field(default_factory=dict)
    """Turn of the last waiting call, by priority and person."""
    timer: asyncio.Future[None] | None = None
    """Timer for the time at which the bucket opens; one is enough for all waiting calls."""
    in_flight: int = 0
    opens_at: float = 0.0
    interval: float = 0.0
    counted_from: float = 0.0
    allowed: int = 0
    refused_at: float = -CAREFUL_SECONDS

    allowed_at_rate: int = 0
    """Calls that were allowed at the learnt rate; `refused_at_rate` counts those refused at it."""
    refused_at_rate: int = 0
    flaky_until: float = 0.0
    flaky_allowed: int = 0
    flaky_refused: int = 0

    def position(self, priority: int, user: str, number: int) -> _QueuePosition:
        """Return the position of a call that has just come."""
        turn = max(self.turn.get(priority, 0), self.last.get((priority, user), -1) + 1)
        self.last[priority, user] = turn
        return _QueuePosition(priority, turn, number)

    def leave(self, position: _QueuePosition, user: str) -> None:
        """Note that the call at this position does not wait any more."""
        if self.last.get((position.priority, user)) == position.turn:
            del self.last[position.priority, user]

    def may_start(self, now: float) -> bool:
        most = FLAKY_SIDE_BY_SIDE if now < self.flaky_until else 1 if self.interval else SIDE_BY_SIDE
        return self.in_flight < most and now >= self.opens_at

    @property
    def is_idle(self) -> bool:
        return not self.in_flight and not self.waiting

    def on_success(self) -> None:
        self.allowed += 1
        self.flaky_allowed += 1
        self.allowed_at_rate += bool(self.interval)

    def may_be_dropped(self, now: float) -> bool:
        """True if the bucket is not in use, and has learnt nothing that a later call needs."""
        remembers = self.interval or now < self.flaky_until or now - self.refused_at < CHANCE_SECONDS
        return self.is_idle and not remembers

    def on_start(self, now: float) -> None:
        if self.interval and now - self.refused_at > CAREFUL_SECONDS:
            self.interval = 0.0
        if not self.allowed and not self.in_flight:
            self.counted_from = now
        self.in_flight += 1
        self.opens_at = max(self.opens_at, now + self.interval)

    def slow_down(self, started: float, now: float, seconds: float) -> None:
        """Pause for so many seconds; learn a rate from the first of the calls that were refused together.

        The rate is what was allowed in the time that the limit covered, and a little less, to stay clear of
        the limit. A further 429 means that this is still too fast, unless 429s keep coming at any rate. If
        nothing had been allowed before, and the last 429 was more than a minute ago, the rate is not the
        cause: the pause is only waited out.
        """
        self.flaky_refused += 1
        if started > self.refused_at and now >= self.flaky_until:
            self.refused_at_rate += bool(self.interval)
            tried = self.allowed_at_rate + self.refused_at_rate
            if self.refused_at_rate >= FLAKY and self.refused_at_rate >= FLAKY_SHARE * tried:
                self.interval, self.allowed_at_rate, self.refused_at_rate = 0.0, 0, 0
                self._set_flaky(now)
            elif self._is_still_flaky(now):
                self._set_flaky(now)
            elif self.interval:
                # A bucket with longer pauses than Slack asks for is not too fast, whatever the cause is.
                self.interval = max(self.interval, min(self.interval * 1.1, seconds))
            elif self.allowed or now - self.refused_at < CHANCE_SECONDS:
                learnt = 1.02 * (now + seconds - self.counted_from) / max(self.allowed, 1)
                # Slack allows one more call after this pause, so that it never asks for a much slower rate.
                self.interval = min(learnt, 2 * max(seconds, 1.0))
            self.allowed = 0
            self.refused_at = now
        self.opens_at = max(self.opens_at, now + seconds)

    def _set_flaky(self, now: float) -> None:
        self.flaky_until, self.flaky_allowed, self.flaky_refused = now + FLAKY_SECONDS, 0, 0

    def _is_still_flaky(self, now: float) -> bool:
        """True if about as many calls were refused as before, while the bucket was not slowed down."""
        share = self.flaky_refused / (self.flaky_allowed + self.flaky_refused)
        was_flaky = self.flaky_until > 0 and now - self.flaky_until < FLAKY_SECONDS
        return was_flaky and FLAKY_SHARE <= share <= RATE_SHARE


class Turn:
    """Turn of one call: `async with` waits for it, and suppresses a 429, so that the caller repeats the call.

    A call that is repeated keeps its position.
    """

    def __init__(self, limiter: RateLimiter, bucket: Hashable, position: _QueuePosition, user: str) -> None:
        self._limiter = limiter
        self._name = bucket
        self._position = position
        self._user = user

    async def __aenter__(self) -> None:
        self._bucket = await self._limiter.start(self._name, self._position, self._user)
        self._started = self._limiter.now()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        return self._limiter.end(self._name, self._bucket, self._started, error)


class RateLimiter:
    """Rate limiter of one workspace. `now` and `sleep` are in seconds, and a test may replace them."""

    def __init__(
        self,
        *,
        now: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.now = now or (lambda: asyncio.get_running_loop().time())
        self._sleep = sleep
        self._buckets: dict[Hashable, _Bucket] = {}
        self._order = itertools.count()

    def enqueue(self, bucket: Hashable, priority: Priority, *, user: str = "") -> Turn:
        """Return the turn of a call that has just come; `user` is the id of the person it is for."""
        position = self._bucket(bucket).position(int(priority), user, next(self._order))
        return Turn(self, bucket, position, user)

    @property
    def bucket_count(self) -> int:
        """Number of buckets that are kept."""
        return len(self._buckets)

    def _bucket(self, name: Hashable) -> _Bucket:
        """Return the bucket of this name; if there are too many, half of the unused ones are dropped."""
        if name not in self._buckets and len(self._buckets) >= MOST_BUCKETS:
            now = self.now()
            idle = [
                known for known, bucket in self._buckets.items() if bucket.is_idle and now >= bucket.opens_at
            ]
            for known in idle[: MOST_BUCKETS // 2]:
                del self._buckets[known]
        return self._buckets.setdefault(name, _Bucket())

    async def start(self, name: Hashable, position: _QueuePosition, user: str) -> _Bucket:
        """Wait for the turn of the call at this position; returns the bucket that it runs in."""
        bucket = self._bucket(name)
        try:
            await self._wait(bucket, position)
        finally:
            bucket.leave(position, user)
        return bucket

    def end(self, name: Hashable, bucket: _Bucket, started: float, error: BaseException | None) -> bool:
        """Learn from the outcome of a call; returns True if it was a 429."""
        pause = error.retry_after if isinstance(error, Unavailable) else None
        if pause is not None:
            bucket.slow_down(started, self.now(), pause)
        elif error is None or isinstance(error, TocsinError):
            # With any other answer, the rate was not too fast.
            bucket.on_success()
        bucket.in_flight -= 1
        self._pump(bucket)
        if bucket.may_be_dropped(self.now()):
            self._buckets.pop(name, None)
        return pause is not None

    async def _wait(self, bucket: _Bucket, position: _QueuePosition) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(bucket.waiting, (position, mine))
        self._pump(bucket)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                bucket.in_flight -= 1
                self._pump(bucket)
            raise

    def _pump(self, bucket: _Bucket) -> None:
        now = self.now()
        while bucket.waiting and bucket.may_start(now):
            position, called = heapq.heappop(bucket.waiting)
            if not called.done():
                bucket.turn[position.priority] = max(bucket.turn.get(position.priority, 0), position.turn)
                bucket.on_start(now)
                called.set_result(None)
        if bucket.waiting and now < bucket.opens_at and bucket.timer is None:
            bucket.timer = asyncio.ensure_future(self._wake(bucket, bucket.opens_at - now))

    async def _wake(self, bucket: _Bucket, seconds: float) -> None:
        await self._sleep(seconds)
        # The bucket may open later by now; in that case `_pump` sets another timer.
        bucket.timer = None
        self._pump(bucket)
