"""One-shot tickets for Socket Mode, and how long to pause between attempts to get connected."""

from __future__ import annotations

import asyncio
import random

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import Unavailable
from tocsin.slack.calls import asked, told

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.5, 10.0, 1.7


def pause_after(failures: int) -> float:
    """Seconds until the next attempt: five failures take less than ten, and later ones ten each at most.

    Jitter keeps those who lost Slack together from coming back together.
    """
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(failures - 1, 20))
    return longest * random.uniform(0.5, 1.0)


class Tickets:
    """Tickets for one app, asked for one at a time.

    Slack, apps.connections.open: limited to about one call a minute. What it asks with `Retry-After` is
    waited out by everybody who wants a ticket.
    """

    def __init__(self, client: AsyncWebClient, app_token: str) -> None:
        self._client = client
        self._app_token = app_token
        self._turn = asyncio.Lock()
        self._opens_at = 0.0

    async def fetch(self) -> str:
        """An address that is good for one connection. Raises Unavailable or SlackRefused."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            await asyncio.sleep(self._opens_at - loop.time())
            try:
                answer = await asked(self._client.apps_connections_open, app_token=self._app_token)
            except Unavailable as error:
                if error.retry_after is not None:
                    self._opens_at = loop.time() + error.retry_after
                raise
            return told(answer, "url")
