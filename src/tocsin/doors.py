"""How Slack's payloads come in when the bot asks for them itself."""

from __future__ import annotations

from contextlib import AsyncExitStack

from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.settings import ConfigurationError
from tocsin.slack.socket_mode import SocketDoor


async def socket_door(
    app: AsyncApp, app_token: str, client: AsyncWebClient, stack: AsyncExitStack
) -> SocketDoor:
    door = SocketDoor(app, app_token, client)
    await _connect(door)
    stack.push_async_callback(door.close)
    return door


async def _connect(socket: SocketDoor) -> None:
    try:
        await socket.open()
    except SlackRefused as refusal:
        raise ConfigurationError(
            f"SLACK_APP_TOKEN was refused by Slack ({refusal.code}); copy it again from the app's settings, "
            "Basic Information, App-Level Tokens, with the scope connections:write."
        ) from None
