"""A Bolt app connected to the workspace over Socket Mode, as a real one would be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from slack_bolt.adapter.socket_mode.websockets import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from slack_emulator.testing import Slack


def bolt_app(slack: Slack) -> AsyncApp:
    # Without a name, Bolt searches the call stack for one, which takes a tenth of a second.
    return AsyncApp(name="a bot", client=AsyncWebClient(token=slack.bot_token, base_url=slack.api_url))


@asynccontextmanager
async def connected(slack: Slack, app: AsyncApp) -> AsyncIterator[AsyncApp]:
    """Until left, the app answers what people do in the workspace."""
    handler = AsyncSocketModeHandler(app, slack.app_token)
    await handler.connect_async()
    await slack.workspace.sockets.connected(slack.app.app_id)
    try:
        yield app
    finally:
        await handler.close_async()
