"""Serves the bot and its pages until a signal ends it: `tocsin run` and `tocsin playground`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from tocsin.web.http_protocol import LimitedProtocol

GRACE_SECONDS = 2
KEEP_ALIVE_SECONDS = 75


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the front door, which has more to stop than this server."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; `port` 0 takes a free one. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=512)
    # asyncio's own loop leaves Nagle's algorithm on for such sockets: each kept-alive answer 40 ms late.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


@asynccontextmanager
async def serving(app: ASGIApp, listening: socket.socket) -> AsyncIterator[None]:
    """Answer on the socket until left; requests in hand have two seconds to end."""
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="websockets-sansio",
        lifespan="off",
        log_level="warning",
        # What uvicorn says then goes through the log that hides secrets, as all else does.
        log_config=None,
        server_header=False,
        # Who asks and where we are known is settled by signatures and settings, never by what a header says.
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        # Longer than who calls keeps an idle connection: none is closed under a call that has just begun.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
        listening.close()
