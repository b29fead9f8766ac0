"""An event loop on virtual time, as Trio's MockClock with an autojump: waiting costs nothing, and is exact.

Time stands still while this process computes, however busy the machine is. Once nothing is left to do but to
wait for the next timer, time jumps to it. What is meant for a pool's thread is waited for on the spot, and
takes no time either. Inside `passing()` time passes as the machine's does, and threads work beside the loop:
what is waited for then is outside it, and may take a while. Inside `threads_beside()` it does so only while
such a thread works.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio.to_thread

_this_cpu = ctypes.CDLL(None).sched_getcpu if sys.platform == "linux" else lambda: 0


class AutojumpLoop(asyncio.SelectorEventLoop):
    """Begins at zero seconds; everything in it that asks the loop's time has one and the same time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._outside = 0
        self._beside = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now

    @property
    def jumps(self) -> bool:
        """True if nothing outside the loop is waited for."""
        return not self._outside

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

    @contextmanager
    def threads_beside(self) -> Iterator[None]:
        """Inside, a pool's threads work beside the loop, and time passes as the machine's while one does."""
        self._beside += 1
        try:
            yield
        finally:
            self._beside -= 1

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        if self._outside or self._beside:
            future = super().run_in_executor(executor, func, *args)
            self._outside += 1
            future.add_done_callback(self._came_back)
            return future
        future = self.create_future()
        try:
            # A pool of its own may be there for its threads' sake: SQLite keeps a connection to its thread.
            future.set_result(executor.submit(func, *args).result() if executor else func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _make_socket_transport(self, sock: socket.socket, *args: Any, **named: Any) -> Any:
        # asyncio leaves Nagle's algorithm on where a socket names no protocol: then the kernel keeps what was
        # written for up to 40 ms, and time would jump over it.
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return super()._make_socket_transport(sock, *args, **named)  # type: ignore[misc]

    def _came_back(self, _: asyncio.Future[Any]) -> None:
        self._outside -= 1


@contextmanager
def passing() -> Iterator[None]:
    """Inside, the running loop's time passes as the machine's does, whatever kind of loop it is."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, AutojumpLoop):
        with loop.passing():
            yield
    else:
        yield


@contextmanager
def threads_beside() -> Iterator[None]:
    """Inside, a thread may wait for another one or for the running loop, whose time jumps when none works."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, AutojumpLoop)
    with loop.threads_beside():
        yield


_in_thread = anyio.to_thread.run_sync


async def _on_the_spot(func: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """What Starlette asks anyio's threads for, such as to read a file: see `run_in_executor`."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, AutojumpLoop) and loop.jumps:
        return func(*args)
    return await _in_thread(func, *args, **named)


anyio.to_thread.run_sync = _on_the_spot


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would wait, time passes or jumps instead."""

    def __init__(self, loop: AutojumpLoop) -> None:
        super().__init__()
        self._loop = loop
        self._loopback = _Loopback()

    def close(self) -> None:
        self._loopback.close()
        super().close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loopback.note_cpu()
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if not self._loop.jumps:
            began = time.monotonic()
            events = super().select(timeout)
            self._loop.pass_by(min(time.monotonic() - began, timeout))
            return events
        events = super().select(0)
        if not events:
            self._loopback.flush()
            events = super().select(0)
        if not events:
            self._loop.pass_by(timeout)
        return events


class _Loopback:
    """The loopback interface: whatever was sent through it can be waited for.

    The kernel hands on what a processor sent in the order in which it was sent, and usually at once. On a
    busy machine it leaves that to a thread of its own (ksoftirqd), whose turn may come much later.
    """

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._sender = socket.create_connection(server.getsockname())
            self._receiver, _ = server.accept()
        self._sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._cpus: set[int] = set()

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()

    def note_cpu(self) -> None:
        """Note which processor runs this thread, which sends from it."""
        self._cpus.add(_this_cpu())

    def flush(self) -> None:
        """Wait for all that this thread sent, by sending one byte more from each processor that it ran on."""
        self.note_cpu()
        if len(self._cpus) > 1:
            allowed = os.sched_getaffinity(0)
            for cpu in self._cpus & allowed:
                os.sched_setaffinity(0, {cpu})
                self._send_one()
            os.sched_setaffinity(0, allowed)
            self._cpus.clear()
        else:
            self._send_one()

    def _send_one(self) -> None:
        self._sender.send(b".")
        self._receiver.recv(1)
