"""Which workspaces the bot serves: that of its token, or all that installed it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import ChannelId, TeamId
from tocsin.keeping import secret
from tocsin.settings import ConfigurationError, Settings
from tocsin.slack.context import Desk, Desks, allowed
from tocsin.slack.installations import Installation, Installations, Seal, SealBroken
from tocsin.slack.oauth import Installing, OAuthApp, TokenRotation
from tocsin.slack.web_api import asked
from tocsin.slack.workspace import SlackOperator
from tocsin.storage.installations import SqlVault
from tocsin.workflows.ports import Clock
from tocsin.workflows.retry import patiently

log = structlog.get_logger()
NewClient = Callable[[str | None], AsyncWebClient]


async def token_desks(made: Callable[[TeamId], Desk], new_client: NewClient, token: str | None) -> Desks:
    """The desks of the one workspace, or organization, that a bot token is for.

    Waits for as long as Slack cannot be reached. Raises ConfigurationError when Slack refuses the token.
    """
    client = new_client(token)
    try:
        # Asked once, before anything is served.
        identity = await patiently(lambda _: asked(client.auth_test), again=False, attempts=None)
    except SlackRefused as refusal:
        raise ConfigurationError(
            f"SLACK_BOT_TOKEN was refused by Slack ({refusal.code}); install the app again, copy its token."
        ) from None
    desks = Desks(made, sole=True)
    desks.install(Installation.of_token(identity, token or ""))
    return desks


@asynccontextmanager
async def installed_desks(
    made: Callable[[TeamId], Desk], new_client: NewClient, settings: Settings, url: str, clock: Clock
) -> AsyncIterator[tuple[Desks, Installing, TokenRotation]]:
    """The desks of all workspaces that installed the app, and what lets more of them in.

    `url` is the journal's. Raises ConfigurationError where what is kept cannot be read with the keys we have.
    """
    vault = SqlVault(url)
    try:
        installations = Installations(vault, Seal(*settings.installation_keys))

        def placed_desk(team: TeamId) -> Desk:
            return replace(made(team), look_whether_gone=partial(installing.look_whether_gone, team))

        desks = Desks(placed_desk, placed=vault.place)
        if not settings.installation_keys:
            log.warning("TOCSIN_INSTALLATION_KEY is not set: tokens of installations are kept in the clear")
        app = OAuthApp(settings.slack_client_id or "", secret(settings.slack_client_secret) or "", new_client)
        installing = Installing(app, installations, desks, teams=settings.teams, clock=clock)
        await _move_in(desks, installations, settings)
        rotation = TokenRotation(desks, installing, clock)
        rotating = asyncio.create_task(rotation.go_on())
        try:
            yield desks, installing, rotation
        finally:
            rotating.cancel()
            await asyncio.gather(rotating, return_exceptions=True)
    finally:
        vault.close()


async def _move_in(desks: Desks, installations: Installations, settings: Settings) -> None:
    try:
        desks.know(await installations.vault.orgs())
        await installations.seal()
        kept = await installations.all()
    except SealBroken as broken:
        raise ConfigurationError(
            f"TOCSIN_INSTALLATION_KEY is not the key that the installation of {broken} was encrypted with: "
            "set that one, or both with the new one first and a comma between. Where they were not changed, "
            "somebody else wrote it: delete its row, and have it installed again."
        ) from None
    except Unavailable as error:
        raise ConfigurationError(f"TOCSIN_DATABASE_URL: {error}") from None
    for installation in kept:
        # Whoever is taken off the list is served no more.
        if allowed(installation, settings.teams):
            desks.install(installation)


def operator_in(desks: Desks, channels: str | None) -> SlackOperator:
    """Where the operator is told: their channel, else whoever installed Tocsin first or owns the workspace.

    Raises Unavailable while Tocsin is installed nowhere.
    """
    if not desks.open:
        raise Unavailable("Tocsin is installed in no workspace yet.")
    for desk in desks.open:
        if channel := announced_in(desk.workspace.team_id, channels):
            return SlackOperator(desk.workspace, channel)
    first = desks.open[0]
    serving = desks.serving(first.workspace.team_id)
    installer = serving.installer if serving else None
    return SlackOperator(first.workspace, installer or first.people.owner)


def announced_in(team: str, channels: str | None) -> ChannelId | None:
    """The channel of this workspace among `T…/C…`, with commas between; one alone is that of the only one."""
    for entry in (channels or "").split(","):
        home, _, channel = entry.strip().rpartition("/")
        if channel and home in ("", team):
            return ChannelId(channel)
    return None
