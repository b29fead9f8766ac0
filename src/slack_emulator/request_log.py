"""Log of all requests in order, which a test can count or wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from slack_emulator.clock import Clock
from slack_emulator.models import Json, Request

MOST_KEPT = 20_000
"""Requests kept, at most; a workspace may run for weeks."""

Wanted = str | Callable[[Request], bool]


class RequestLog:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._news = asyncio.Event()
        self.requests: list[Request] = []
        self.most_kept = MOST_KEPT
        self.unkept: frozenset[str] = frozenset()
        """Methods whose responses are too long to keep."""

    def begin(self, request: Request) -> Request:
        self.requests.append(request)
        del self.requests[: -self.most_kept]
        self._tell()
        return request

    def finish(self, request: Request, *, ok: bool, error: str | None, response: Json | None) -> None:
        request.ok, request.error = ok, error
        request.response = None if request.method in self.unkept else response
        request.took = self._clock.now() - request.at
        request.finished = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def matching(self, wanted: Wanted) -> list[Request]:
        return [r for r in self.requests if (r.method == wanted if isinstance(wanted, str) else wanted(r))]

    async def wait_finished(self, wanted: Wanted, count: int = 1, timeout: float = 120.0) -> list[Request]:  # noqa: ASYNC109
        """Return the finished requests that match, once there are `count` of them.

        Raises TimeoutError, with the requests there were instead, after `timeout` seconds of the event loop.
        """
        return await self._once(lambda r: r.finished, wanted, count, timeout)

    async def wait_begun(self, wanted: Wanted, count: int = 1, timeout: float = 120.0) -> list[Request]:  # noqa: ASYNC109
        """Return the requests that match, finished or not, once there are `count` of them."""
        return await self._once(lambda r: True, wanted, count, timeout)

    async def _once(
        self, ready: Callable[[Request], bool], wanted: Wanted, count: int, patience: float
    ) -> list[Request]:
        try:
            async with asyncio.timeout(patience):
                while len(found := [r for r in self.matching(wanted) if ready(r)]) < count:
                    await self._news.wait()
        except TimeoutError:
            heard = ", ".join(r.method for r in self.requests) or "nothing"
            raise TimeoutError(f"waited {patience} s for {count} x {wanted}; heard: {heard}") from None
        return found

    def clear(self) -> None:
        self.requests.clear()
