"""HTTP server of a workspace: Slack's APIs and the page in one app, in the running event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from slack_emulator import page
from slack_emulator.estate import Estate
from slack_emulator.socket_mode import TRANSPORT
from slack_emulator.wire import wire_routes
from slack_emulator.workspace import Workspace

KEEP_ALIVE_SECONDS = 75


def playground_app(
    workspace: Workspace | Estate, authentication: page.Authentication | None = None
) -> Starlette:
    """Return the app with Slack's APIs and the page; of several workspaces, only the first has a page."""
    estate = workspace if isinstance(workspace, Estate) else Estate([workspace])
    authentication = authentication or page.Authentication(estate.first.state.page_token)
    pages = [*page.consent_routes(estate, authentication), *page.routes(estate.first, authentication)]
    return Starlette(routes=[*wire_routes(estate), *pages])


class _WebSocket(WebSocketsSansIOProtocol):
    """WebSocket protocol whose TCP transport the application can reach, to freeze the connection."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            reachable: Any = self.scope["extensions"]
            reachable[TRANSPORT] = self.transport


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leaving = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the process that runs the event loop handles Ctrl-C."""
        yield

    async def main_loop(self) -> None:
        """Wait for the end, in place of uvicorn's own loop, which polls ten times a second."""
        await self.leaving.wait()


def listening_on(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket; `port=0` takes a free port. Raises OSError if the port is taken."""
    # asyncio disables Nagle's algorithm only if the socket names its protocol; else answers take 40 ms more.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


@asynccontextmanager
async def served(workspace: Workspace | Estate, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve until the block ends, on a free port for `port=0`; yield the URL, also set as `base_url`.

    Raises OSError if the port is taken. Closes the workspace at the end.
    """
    listening = listening_on(host, port)
    workspace.base_url = f"http://{host}:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        playground_app(workspace),
        ws=_WebSocket,
        lifespan="off",
        log_level="warning",
        log_config=None,
        timeout_graceful_shutdown=2,
        # Longer than HTTP clients keep idle connections, so that none is closed while a client reuses it.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    several = workspace.workspaces if isinstance(workspace, Estate) else [workspace]
    for one in several:
        one.scheduled.resume()
    try:
        yield workspace.base_url
    finally:
        for one in several:
            await one.hang_up()
        server.leaving.set()
        await serving
        listening.close()
        for one in several:
            await one.close()
