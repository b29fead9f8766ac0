"""Limit of requests for each key: incident.io's 1,200 a minute, counted by each replica for itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

A_MINUTE = 1200
"""Requests a minute (incident.io, Rate limits). A count over all replicas would cost a write at each request,
and what the limit protects is the replica that answers."""

MOST_WAIT = 1.0
"""Seconds that a request waits for its turn before it is refused, so that 20 of a key wait at most.

Clients that ask one thing after another, and give up at a 429 (such as incident.io's Singer tap), never meet
the limit at incident.io, where an answer takes longer than a turn. Here they are slowed down to it.
"""

_MANY = 10_000


@dataclass(frozen=True)
class Turn:
    """Answer of the limit to one request."""

    allowed: bool
    delay: float
    """Seconds after which an allowed request is answered, so that no key goes faster than its limit."""
    limit: int
    """Requests a minute."""
    remaining: int
    """Requests that are left at this moment."""
    full_in: float
    """Seconds until all of them are there again."""
    wait: int
    """Whole seconds until the next request is allowed; 0 if this one is."""

    def headers(self, now: float) -> dict[str, str]:
        """Return the headers of a response; `now` is the time of day in seconds since 1970."""
        told = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Used": str(self.limit - self.remaining),
            "X-RateLimit-Reset": str(math.ceil(now + self.full_in)),
        }
        return told if self.allowed else {**told, "Retry-After": str(self.wait)}


class RateLimit:
    """A bucket of 1,200 tokens for each key, to which 20 come back every second."""

    def __init__(self, time: Callable[[], float], a_minute: int = A_MINUTE) -> None:
        """`time` returns monotonic seconds."""
        self._time = time
        self._most = a_minute
        self._buckets: dict[str, tuple[float, float]] = {}
        """Tokens of each key, and the time at which it had them."""

    def take(self, key: str) -> Turn:
        """Take a token of this key, if it has one or gets one soon: then its bucket owes some."""
        now, each = self._time(), self._most / 60
        tokens, since = self._buckets.get(key, (float(self._most), now))
        tokens = min(float(self._most), tokens + (now - since) * each)
        delay = max(0.0, (1 - tokens) / each)
        allowed = round(delay, 3) <= MOST_WAIT
        tokens -= allowed
        self._buckets[key] = tokens, now
        if len(self._buckets) > _MANY:
            self._forget_full(now)
        wait = 0 if allowed else max(1, math.ceil(round(delay - MOST_WAIT, 3)))
        remaining, full_in = max(0, int(tokens)), (self._most - tokens) / each
        return Turn(allowed, delay if allowed else 0.0, self._most, remaining, full_in, wait)

    def _forget_full(self, now: float) -> None:
        self._buckets = {key: one for key, one in self._buckets.items() if now - one[1] < 60}
