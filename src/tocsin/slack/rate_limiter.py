"""No faster than Slack lets us: who was asked to slow down waits, the most urgent first, and nobody is lost.

Of what is equally urgent one call for each person goes after another (start-time fair queueing), so that who
asks for little does not wait behind who asks for much.

Slack's limits are per method, and for posts per channel as well, and some of them are not published. So
nothing is slowed down beforehand: a lane takes a few calls side by side until Slack answers 429. Then it
stands still for as long as Slack asked (Retry-After), and goes on at the rate that Slack was seen to allow.
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
"""Calls of one lane under way at once; no more than these are wasted when a limit is first met."""

CAREFUL_SECONDS = 300.0
"""How long a lane keeps to the rate it has learnt after the last 429."""


CHANCE_SECONDS = 60.0
"""Two refusals within so many seconds are no chance (Slack, rate limits: the shortest is one a minute)."""

MOODY, MOODY_SHARE = 6, 0.08
"""So many refusals, and such a share of the calls, at a rate that was allowed: it is not our rate."""

MOODY_SECONDS = 120.0
MOODY_SIDE_BY_SIDE = 16
"""What is refused whatever the rate only stands still for as long as it was asked to, and then goes on."""

RATE_SHARE = 0.3
"""Where more of the calls than that were refused meanwhile, it may be our rate after all."""


MOST_LANES = 1000
"""Each channel has lanes of its own, and most are never needed again."""


class Urgency(IntEnum):
    """What goes first when not all can go."""

    ANSWER = 0
    CARD = 1
    ANNOUNCEMENT = 2
    FURNITURE = 3


class _Place(NamedTuple):
    """Where a call stands in the row of its lane; the least goes first."""

    urgency: int
    turn: int
    """Of its person's calls that wait, the how manieth: everybody's first goes before anybody's second."""
    number: int


@dataclass
class _Lane:
    """Calls that share a limit."""

    waiting: list[tuple[_Place, asyncio.Future[None]]] = field(default_factory=list)
    turn: dict[int, int] = field(default_factory=dict)
    """By urgency, whose turn it is: who comes now does not go before who waits already."""
    last: dict[tuple[int, str], int] = field(default_factory=dict)
    """By urgency and person, the turn of the last of their calls that wait."""
    alarm: asyncio.Future[None] | None = None
    """Rings when the lane opens; one is enough for all who wait."""
    under_way: int = 0
    opens_at: float = 0.0
    interval: float = 0.0
    counted_from: float = 0.0
    allowed: int = 0
    refused_at: float = -CAREFUL_SECONDS

    kept_to: int = 0
    """How many calls were allowed at the rate that was learnt, and how many refused at it."""
    refused_at_rate: int = 0
    moody_until: float = 0.0
    moody_allowed: int = 0
    moody_refused: int = 0

    def place(self, urgency: int, whose: str, number: int) -> _Place:
        """The place of a call that has just come."""
        turn = max(self.turn.get(urgency, 0), self.last.get((urgency, whose), -1) + 1)
        self.last[urgency, whose] = turn
        return _Place(urgency, turn, number)

    def left(self, place: _Place, whose: str) -> None:
        """The call at this place waits no more."""
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
        """Whether nobody needs it, and it knows nothing that the next one should know."""
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
        """Stand still for so many seconds; learn from the first of the calls that were refused together.

        The rate is what was allowed in the time that the limit covered, and a little less, so as not to run
        along the limit's edge. Meeting the limit again means being too fast all the same, unless it is met
        again and again, however slow we are. Where nothing had been allowed before, it was no rate of ours
        that was refused: that is only waited out, once a minute.
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
                # Who already pauses longer than was asked for is not too fast, whatever else the trouble is.
                self.interval = max(self.interval, min(self.interval * 1.1, seconds))
            elif self.allowed or now - self.refused_at < CHANCE_SECONDS:
                learnt = 1.02 * (now + seconds - self.counted_from) / max(self.allowed, 1)
                # After a pause of so long one more is allowed: nothing asks us to go slower than that.
                self.interval = min(learnt, 2 * max(seconds, 1.0))
            self.allowed = 0
            self.refused_at = now
        self.opens_at = max(self.opens_at, now + seconds)

    def _is_moody(self, now: float) -> None:
        self.moody_until, self.moody_allowed, self.moody_refused = now + MOODY_SECONDS, 0, 0

    def _is_still_moody(self, now: float) -> bool:
        """Whether as many were refused as before, for a while in which nobody went slowly."""
        share = self.moody_refused / (self.moody_allowed + self.moody_refused)
        was_moody = self.moody_until > 0 and now - self.moody_until < MOODY_SECONDS
        return was_moody and MOODY_SHARE <= share <= RATE_SHARE


class Turn:
    """The turn of one call: `async with` waits for it, and swallows a 429, so that the call is made again.

    A call that was told to slow down keeps its place.
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
    """The lanes of one workspace. `now` and `sleep` are in seconds, and a test may turn them."""

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
        """The place in its lane of a call that has just come; `whose` is the id of the person it is for."""
        place = self._lane(lane).place(int(urgency), whose, next(self._order))
        return Turn(self, lane, place, whose)

    @property
    def known(self) -> int:
        """How many lanes are remembered."""
        return len(self._lanes)

    def _lane(self, name: Hashable) -> _Lane:
        """The lane of this name; where there are many, half of those that nobody needs are forgotten."""
        if name not in self._lanes and len(self._lanes) >= MOST_LANES:
            now = self.now()
            idle = [known for known, lane in self._lanes.items() if lane.is_idle and now >= lane.opens_at]
            for known in idle[: MOST_LANES // 2]:
                del self._lanes[known]
        return self._lanes.setdefault(name, _Lane())

    async def start(self, name: Hashable, place: _Place, whose: str) -> _Lane:
        """Wait for the turn of the call at this place, and answer the lane that it has begun in."""
        lane = self._lane(name)
        try:
            await self._wait(lane, place)
        finally:
            lane.left(place, whose)
        return lane

    def end(self, name: Hashable, lane: _Lane, started: float, error: BaseException | None) -> bool:
        """Learn from how a call ended; True where Slack only asked us to slow down."""
        pause = error.retry_after if isinstance(error, Unavailable) else None
        if pause is not None:
            lane.slow_down(started, self.now(), pause)
        elif error is None or isinstance(error, TocsinError):
            # Whatever else the answer was, our rate was none too fast.
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
        # It may open later now than it did then; another alarm is armed in that case.
        lane.alarm = None
        self._pump(lane)
