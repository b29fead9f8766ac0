"""Socket Mode: two connections, so that a refresh drops nothing, and a watch over both."""

from __future__ import annotations

import asyncio
import logging
from time import time

from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.adapter.socket_mode.internals import build_headers
from slack_bolt.adapter.socket_mode.websockets import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.websockets import SocketModeClient
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.actions.best_effort import best_effort
from tocsin.slack.app import DELIVERY
from tocsin.slack.desk import Delivery

CONNECTIONS = 2
WATCH_SECONDS = 1.0
LONGEST_PAUSE = 10.0


class Connection(AsyncSocketModeHandler):
    """One connection; each payload carries its delivery, which knows when the answer has been written."""

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]
        started, delivery = time(), Delivery()
        request = AsyncBoltRequest(
            mode="socket_mode", body=req.payload, headers=build_headers(req), context={DELIVERY: delivery}
        )
        response = await self.app.async_dispatch(request)
        await send_async_response(client, req, response, started)
        delivery.acknowledged.set()


class SocketDoor:
    """Payloads come in over Socket Mode."""

    def __init__(self, app: AsyncApp, app_token: str, web_client: AsyncWebClient) -> None:
        quiet = logging.getLogger("tocsin.socket")
        self._connections = [
            Connection(app, app_token, logger=quiet, web_client=web_client) for _ in range(CONNECTIONS)
        ]
        self._watches: list[asyncio.Task[None]] = []
        self._standing: set[SocketModeClient] = set()

    async def open(self) -> None:
        """Connect, and stay connected until `close`; answers once the first connection stands."""
        standing = asyncio.Event()
        self._watches = [asyncio.create_task(self._watch(c.client, standing)) for c in self._connections]
        await standing.wait()

    @property
    def is_open(self) -> bool:
        """Whether a connection stood when we last looked, at most a few seconds ago."""
        return bool(self._standing)

    async def close(self) -> None:
        for watch in self._watches:
            watch.cancel()
        for connection in self._connections:
            await connection.client.close()  # type: ignore[no-untyped-call]

    async def _watch(self, client: SocketModeClient, standing: asyncio.Event) -> None:
        """Look every second; a lost connection gets a fresh ticket, later and later while Slack refuses.

        `apps.connections.open` may be limited to once a minute, so refusals are met with longer pauses.
        """
        pause = WATCH_SECONDS
        while True:
            if not await _stands(client):
                self._standing.discard(client)
                async with best_effort("connect to Slack") as failed:
                    await client.connect_to_new_endpoint()
                pause = min(pause * 2, LONGEST_PAUSE) if failed else WATCH_SECONDS
            if await _stands(client):
                self._standing.add(client)
                standing.set()
            await asyncio.sleep(pause)


async def _stands(client: SocketModeClient) -> bool:
    return client.current_session is not None and await client.is_connected()
