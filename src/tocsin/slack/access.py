"""What Slack lets us do, asked of Slack itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.slack.calls import Answer, asked


@dataclass(frozen=True)
class Access:
    """Who a bot token is, what it may do, and what time it is at Slack's (aware, to the second)."""

    team: str
    team_id: str
    bot: str
    scopes: frozenset[str] | None
    at: datetime | None


async def fetch_access(client: AsyncWebClient) -> Access:
    """Ask about the client's token (Slack, auth.test: granted scopes are in the `x-oauth-scopes` header).

    Raises Unavailable when Slack cannot be asked and SlackRefused when it refuses the token.
    """
    headers: dict[str, str] = {}

    async def auth_test() -> Any:
        answer = await client.auth_test()
        headers.update({name.lower(): value for name, value in answer.headers.items()})
        return answer

    identity = await asked(auth_test)
    granted = headers.get("x-oauth-scopes")
    return Access(
        team=str(identity.get("team") or identity.get("team_id") or ""),
        team_id=str(identity.get("team_id") or ""),
        bot=str(identity.get("user") or identity.get("user_id") or ""),
        scopes=None if granted is None else frozenset(filter(None, map(str.strip, granted.split(",")))),
        at=_moment(headers),
    )


async def fetch_socket_address(client: AsyncWebClient, app_token: str) -> str:
    """An address for Socket Mode, which is not used (Slack, apps.connections.open). Raises as above."""

    async def apps_connections_open() -> Any:
        return await client.apps_connections_open(app_token=app_token)

    return str((await asked(apps_connections_open)).get("url") or "")


async def fetch_channel(client: AsyncWebClient, channel: str) -> Answer:
    """A channel as the bot sees it (Slack, conversations.info takes an id, no name). Raises as above."""
    answer = await asked(client.conversations_info, channel=channel)
    found: Answer = answer.get("channel") or {}
    return found


def _moment(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return None
