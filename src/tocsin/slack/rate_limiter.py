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

MOODY, MOODY_SHARE = 6, 0.08
"""Number of 429s at a learnt rate, and their share of the calls, that rule the rate out as the cause."""

MOODY_SECONDS = 120.0
MOODY_SIDE_BY_SIDE = 16
"""Calls in flight while 429s do not depend on the rate: the bucket pauses as asked, and goes on."""

RATE_SHARE = 0.3
"""Share of 429s meanwhile above which the rate may be their cause after all."""


MOST_LANES = 1000
"""Buckets that are kept. Each channel has buckets of its own, and most are never needed again."""


class Urgency(IntEnum):
    """Priority of a call, the most urgent first."""

    ANSWER = 0
    CARD = 1
    ANNOUNCEMENT = 2
    FURNITURE = 3


class _Place(NamedTuple):
    """Position of a call in the queue of its bucket; the lowest goes first."""

    urgency: int
    turn: int
    """Rank among the person's waiting calls: each person's first goes before any person's second."""
    number: int


@dataclass
class _Lane:
    """Bucket of calls that share a limit."""

    waiting: list[tuple[_Place, asyncio.Future[None]]] = field(default_factory=list)
    turn: dict[int, int] = field(default_factory=dict)
    """Present turn, by urgency: a call that comes now does not go before calls that wait already."""
    last: dict[tuple[int, str], int] = field(default_factory=dict)
    """Turn of the last waiting call, by urgency and person."""
    alarm: asyncio.Future[None] | None = None
    """Timer for the time at which the bucket opens; one is enough for all waiting calls."""
    under_way: int = 0
    opens_at: float = 0.0
    interval: float = 0.0
    counted_from: float = 0.0
    allowed: int = 0
    refused_at: float = -CAREFUL_SECONDS

    kept_to: int = 0
    """Calls that were allowed at the learnt rate; `refused_at_rate` counts those refused at it."""
    refused_at_rate: int = 0
    moody_until: float = 0.0
    moody_allowed: int = 0
    moody_refused: int = 0

    def place(self, urgency: int, whose: str, number: int) -> _Place:
        """Return the position of a call that has just come."""
        turn = max(self.turn.get(urgency, 0), self.last.get((urgency, whose), -1) + 1)
        self.last[urgency, whose] = turn
        return _Place(urgency, turn, number)

    def left(self, place: _Place, whose: str) -> None:
        """Note that the call at this position does not wait any more."""
        if self.last.get((place.urgency, whose)) == place.turn:
            del self.last[place.urgency, whose]

    def may_start(self, now: float) -> bool:
        most = MOODY_SIDE_BY_SIDE if now < self.moody_until else 1 if self.interval else SIDE_BY_SIDE
        return self.under_way < most and now >= self.opens_at

    @property
    def is_idle(self) -> bool:
        return not self.under_way and not self.waiting

    def went_well(self) -> None:
        self.allowed += 1
        self.moody_allowed += 1
        self.kept_to += bool(self.interval)

    def is_forgettable(self, now: float) -> bool:
        """True if the bucket is not in use, and has learnt nothing that a later call needs."""
        remembers = self.interval or now < self.moody_until or now - self.refused_at < CHANCE_SECONDS
        return self.is_idle and not remembers

    def started(self, now: float) -> None:
        if self.interval and now - self.refused_at > CAREFUL_SECONDS:
            self.interval = 0.0
        if not self.allowed and not self.under_way:
            self.counted_from = now
        self.under_way += 1
        self.opens_at = max(self.opens_at, now + self.interval)

    def slow_down(self, started: float, now: float, seconds: float) -> None:
        """Pause for so many seconds; learn a rate from the first of the calls that were refused together.

        The rate is what was allowed in the time that the limit covered, and a little less, to stay clear of
        the limit. A further 429 means that this is still too fast, unless 429s keep coming at any rate. If
        nothing had been allowed before, and the last 429 was more than a minute ago, the rate is not the
        cause: the pause is only waited out.
        """
        self.moody_refused += 1
        if started > self.refused_at and now >= self.moody_until:
            self.refused_at_rate += bool(self.interval)
            tried = self.kept_to + self.refused_at_rate
            if self.refused_at_rate >= MOODY and self.refused_at_rate >= MOODY_SHARE * tried:
                self.interval, self.kept_to, self.refused_at_rate = 0.0, 0, 0
                self._is_moody(now)
            elif self._is_still_moody(now):
                self._is_moody(now)
            elif self.interval:
                # A bucket with longer pauses than Slack asks for is not too fast, whatever the trouble is.
                self.interval = max(self.interval, min(self.interval * 1.1, seconds))
            elif self.allowed or now - self.refused_at < CHANCE_SECONDS:
                learnt = 1.02 * (now + seconds - self.counted_from) / max(self.allowed, 1)
                # Slack allows one more call after this pause, so that it never asks for a much slower rate.
                self.interval = min(learnt, 2 * max(seconds, 1.0))
            self.allowed = 0
            self.refused_at = now
        self.opens_at = max(self.opens_at, now + seconds)

    def _is_moody(self, now: float) -> None:
        self.moody_until, self.moody_allowed, self.moody_refused = now + MOODY_SECONDS, 0, 0

    def _is_still_moody(self, now: float) -> bool:
        """True if about as many calls were refused as before, while the bucket was not slowed down."""
        share = self.moody_refused / (self.moody_allowed + self.moody_refused)
        was_moody = self.moody_until > 0 and now - self.moody_until < MOODY_SECONDS
        return was_moody and MOODY_SHARE <= share <= RATE_SHARE


class Turn:
    """Turn of one call: `async with` waits for it, and suppresses a 429, so that the caller repeats the call.

    A call that is repeated keeps its position.
    """

    def __init__(self, pace: Pace, lane: Hashable, place: _Place, whose: str) -> None:
        self._pace = pace
        self._name = lane
        self._place = place
        self._whose = whose

    async def __aenter__(self) -> None:
        self._lane = await self._pace.start(self._name, self._place, self._whose)
        self._started = self._pace.now()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        return self._pace.end(self._name, self._lane, self._started, error)


class Pace:
    """Rate limiter of one workspace. `now` and `sleep` are in seconds, and a test may replace them."""

    def __init__(
        self,
        *,
        now: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.now = now or (lambda: asyncio.get_running_loop().time())
        self._sleep = sleep
        self._lanes: dict[Hashable, _Lane] = {}
        self._order = itertools.count()

    def place(self, lane: Hashable, urgency: Urgency, *, whose: str = "") -> Turn:
        """Return the turn of a call that has just come; `whose` is the id of the person it is for."""
        place = self._lane(lane).place(int(urgency), whose, next(self._order))
        return Turn(self, lane, place, whose)

    @property
    def known(self) -> int:
        """Number of buckets that are kept."""
        return len(self._lanes)

    def _lane(self, name: Hashable) -> _Lane:
        """Return the bucket of this name; if there are too many, half of the unused ones are dropped."""
        if name not in self._lanes and len(self._lanes) >= MOST_LANES:
            now = self.now()
            idle = [known for known, lane in self._lanes.items() if lane.is_idle and now >= lane.opens_at]
            for known in idle[: MOST_LANES // 2]:
                del self._lanes[known]
        return self._lanes.setdefault(name, _Lane())

    async def start(self, name: Hashable, place: _Place, whose: str) -> _Lane:
        """Wait for the turn of the call at this position; returns the bucket that it runs in."""
        lane = self._lane(name)
        try:
            await self._wait(lane, place)
        finally:
            lane.left(place, whose)
        return lane

    def end(self, name: Hashable, lane: _Lane, started: float, error: BaseException | None) -> bool:
        """Learn from the outcome of a call; returns True if it was a 429."""
        pause = error.retry_after if isinstance(error, Unavailable) else None
        if pause is not None:
            lane.slow_down(started, self.now(), pause)
        elif error is None or isinstance(error, TocsinError):
            # With any other answer, the rate was not too fast.
            lane.went_well()
        lane.under_way -= 1
        self._pump(lane)
        if lane.is_forgettable(self.now()):
            self._lanes.pop(name, None)
        return pause is not None

    async def _wait(self, lane: _Lane, place: _Place) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(lane.waiting, (place, mine))
        self._pump(lane)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                lane.under_way -= 1
                self._pump(lane)
            raise

    def _pump(self, lane: _Lane) -> None:
        now = self.now()
        while lane.waiting and lane.may_start(now):
            place, called = heapq.heappop(lane.waiting)
            if not called.done():
                lane.turn[place.urgency] = max(lane.turn.get(place.urgency, 0), place.turn)
                lane.started(now)
                called.set_result(None)
        if lane.waiting and now < lane.opens_at and lane.alarm is None:
            lane.alarm = asyncio.ensure_future(self._wake(lane, lane.opens_at - now))

    async def _wake(self, lane: _Lane, seconds: float) -> None:
        await self._sleep(seconds)
        # The bucket may open later by now; in that case `_pump` sets another timer.
        lane.alarm = None
        self._pump(lane)
