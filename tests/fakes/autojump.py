"""An event loop on virtual time, as Trio's MockClock with an autojump: waiting costs nothing, and is exact.

Time stands still while this process computes, however busy the machine is. Once nothing is left to do but to
wait for the next timer, time jumps to it. Inside `passing()` time passes as the machine's does: what is
waited for then is outside the loop, and may take a while. While a thread of a pool works time passes slower
still, so that no deadline is missed where a busy machine keeps that thread waiting.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

THRESHOLD_SECONDS = 0.001
"""Real seconds in which nothing was readable before time jumps, for threads that are not the loop's own."""

SLOWNESS = 10.0
"""Real seconds of a thread's work for each second that passes."""


class AutojumpLoop(asyncio.SelectorEventLoop):
    """Begins at zero seconds; everything in it that asks the loop's time has one and the same time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._outside = self._threads = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now

    @property
    def rate(self) -> float:
        """Seconds that pass for each of the machine's; 0 if nothing outside the loop is waited for."""
        if self._outside:
            return 1.0
        return 1.0 / SLOWNESS if self._threads else 0.0

    def pass_by(self, seconds: float) -> None:
        self._now += seconds

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Inside, time passes as the machine's does: another process or thread is waited for."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._came_back)
        return future

    def _make_socket_transport(self, sock: socket.socket, *args: Any, **named: Any) -> Any:
        # asyncio leaves Nagle's algorithm on where a socket names no protocol: then the kernel keeps what was
        # written for up to 40 ms, and time would jump over it.
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return super()._make_socket_transport(sock, *args, **named)  # type: ignore[misc]

    def _came_back(self, _: asyncio.Future[Any]) -> None:
        self._threads -= 1


@contextmanager
def passing() -> Iterator[None]:
    """Inside, the running loop's time passes as the machine's does, whatever kind of loop it is."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, AutojumpLoop):
        with loop.passing():
            yield
    else:
        yield


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would wait, time passes or jumps instead."""

    def __init__(self, loop: AutojumpLoop) -> None:
        super().__init__()
        self._loop = loop
        self._there, self._back = _over_loopback()

    def close(self) -> None:
        self._there.close()
        self._back.close()
        super().close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if rate := self._loop.rate:
            began = time.monotonic()
            events = super().select(timeout / rate)
            self._loop.pass_by(min((time.monotonic() - began) * rate, timeout))
            return events
        events = super().select(THRESHOLD_SECONDS) or self._arrived()
        if not events:
            self._loop.pass_by(timeout)
        return events

    def _arrived(self) -> list[tuple[selectors.SelectorKey, int]]:
        """What was on its way: a busy kernel hands on what was sent earlier before what is sent now."""
        self._there.send(b".")
        self._back.recv(1)
        return super().select(0)


def _over_loopback() -> tuple[socket.socket, socket.socket]:
    """A connection to ourselves, whose bytes go the way of all others."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = socket.create_connection(server.getsockname())
        back, _ = server.accept()
    there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return there, back
