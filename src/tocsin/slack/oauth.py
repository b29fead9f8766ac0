"""Installation by OAuth, and rotation of tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import Refused, SlackRefused
from tocsin.slack.context import WorkspaceContexts
from tocsin.slack.installations import Installation, Installations, InstallationStore
from tocsin.slack.manifest import SCOPES
from tocsin.slack.registry import WorkspaceRegistry, may_install
from tocsin.slack.web_api import TOKEN_ERRORS, Answer, request, require
from tocsin.workflows.retry import best_effort

# Tocsin is installed in a workspace: Slack's code becomes a token, and the token opens its context.

log = structlog.get_logger()

NOT_MEANT = (
    "This Tocsin is not meant for {name}: whoever runs it has not listed {home} in TOCSIN_TEAMS. "
    "Nothing was kept, and Tocsin has left again."
)


class OAuthApp:
    """Credentials of the app for OAuth, at Slack or at a stand-in."""

    def __init__(self, client_id: str, client_secret: str, client: Callable[[str | None], AsyncWebClient]):
        """Create the app; `client` makes a Web API client for a token."""
        self.id, self._secret, self.client = client_id, client_secret, client

    @property
    def credentials(self) -> dict[str, str]:
        return {"client_id": self.id, "client_secret": self._secret}

    @property
    def site(self) -> str:
        """Origin of Slack's own pages: the host of its API."""
        parts = urlsplit(self.client(None).base_url)
        return f"{parts.scheme}://{parts.netloc}"


class OAuthFlow:
    """OAuth flow, from Slack's page of consent to a workspace that is served."""

    def __init__(
        self,
        app: OAuthApp,
        installations: Installations,
        contexts: WorkspaceContexts,
        *,
        teams: Collection[str],
        clock: Callable[[], datetime],
    ) -> None:
        self._app = app
        self._installations = installations
        self._contexts = contexts
        self._teams = teams
        self._clock = clock

    def consent_url(self, state: str, redirect_uri: str) -> str:
        """Return the URL of the page where an admin consents (Slack, "Installing with OAuth").

        Optional scopes are among the others: the app's manifest says which of them an admin may leave out.
        """
        asked_for = {
            "client_id": self._app.id,
            "scope": ",".join(SCOPES),
            "state": state,
            "redirect_uri": redirect_uri,
        }
        return f"{self._app.site}/oauth/v2/authorize?{urlencode(asked_for)}"

    async def finish(self, code: str, redirect_uri: str) -> tuple[str, str]:
        """Exchange the code and serve its workspace; returns the workspace's name and URL.

        Raises Refused if this workspace is not to be served, SlackRefused and Unavailable.
        """
        client = self._app.client(None)
        answer = await request(
            client.oauth_v2_access, **self._app.credentials, code=code, redirect_uri=redirect_uri
        )
        installation = _installed(answer, self._clock())
        if not may_install(installation, self._teams):
            await self._revoke(installation)
            raise Refused(
                NOT_MEANT.format(name=installation.name or "that workspace", home=installation.home)
            )
        # Asked once, and kept: nothing of it changes while the installation lasts.
        identity = await request(self._app.client(installation.bot_token).auth_test)
        url = str(identity.get("url") or "")
        installation = installation.model_copy(
            update={"url": url, "bot_id": str(identity.get("bot_id") or "")}
        )
        await self._installations.save(installation)
        self._contexts.registry.install(installation)
        if installation.team_id:
            context = self._contexts.context_of(installation.team_id)
            context.tasks.begin("learn names", context.greet())
        log.info("installed", home=installation.home, name=installation.name)
        return installation.name or installation.home, url

    async def _revoke(self, installation: Installation) -> None:
        async with best_effort("give back a token that is not meant for us"):
            await request(self._app.client(installation.bot_token).auth_revoke)

    async def refresh(self, installation: Installation) -> None:
        """Get a new token in place of one that expires; the old one is valid until then.

        Raises SlackRefused and Unavailable. Source: Slack, "Using token rotation".
        """
        answer = await request(
            self._app.client(None).oauth_v2_access,
            **self._app.credentials,
            grant_type="refresh_token",
            refresh_token=installation.refresh_token,
        )
        fresh = installation.model_copy(update=_tokens(answer, self._clock()))
        # In use before it is written down: the refresh token that we had is spent, whatever the disk says.
        self._contexts.registry.install(fresh)
        await self._installations.save(fresh)


class UninstallCheck:
    """Removes the installation of a workspace whose token Slack does not take any more."""

    def __init__(self, app: OAuthApp, store: InstallationStore, registry: WorkspaceRegistry) -> None:
        self._app = app
        self._store = store
        self._registry = registry

    async def __call__(self, team: str) -> None:
        """Ask Slack if the token of this workspace is still valid; if not, remove the installation."""
        installation = self._registry.serving(team)
        if installation is None:
            return
        try:
            await request(self._app.client(installation.bot_token).auth_test)
        except SlackRefused as refusal:
            if refusal.code in TOKEN_ERRORS:
                await self._store.mark_uninstalled(installation.home)
                self._registry.uninstall(installation)
                log.info("uninstalled", home=installation.home, name=installation.name)


def _installed(answer: Answer, now: datetime) -> Installation:
    """Parse the answer of oauth.v2.access. Raises OutcomeUnknown if a required value is missing."""
    team, enterprise = answer.get("team") or {}, answer.get("enterprise") or {}
    wide = answer.get("is_enterprise_install") is True
    where: dict[str, Any] = {
        "is_enterprise_install": wide,
        "team_id": "" if wide else require(answer, "team", "id"),
        "enterprise_id": require(answer, "enterprise", "id") if wide else str(enterprise.get("id") or ""),
        "name": str((enterprise if wide else team).get("name") or ""),
        "app_id": str(answer.get("app_id") or ""),
        "bot_user_id": require(answer, "bot_user_id"),
        "installer": str((answer.get("authed_user") or {}).get("id") or ""),
    }
    return Installation.model_validate({**where, **_tokens(answer, now)})


def _tokens(answer: Answer, now: datetime) -> dict[str, Any]:
    seconds = answer.get("expires_in")
    return {
        "bot_token": require(answer, "access_token"),
        "refresh_token": str(answer.get("refresh_token") or ""),
        "expires_at": now + timedelta(seconds=float(seconds)) if seconds else None,
    }


# Tokens that expire are replaced in time (Slack, "Using token rotation": one lives for twelve hours).

BEFORE = timedelta(hours=2)
"""Time before its end at which a token is replaced: enough for an outage, while the old one is valid."""

ROTATION_SECONDS = 60.0


class TokenRotation:
    """Rotation of tokens; looks every minute which of them are due."""

    def __init__(self, registry: WorkspaceRegistry, flow: OAuthFlow, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._flow = flow
        self._clock = clock

    async def rotate_due(self) -> None:
        """Replace the tokens that are due; a failed replacement is repeated at the next look."""
        soon = self._clock() + BEFORE
        for installation in self._registry.installations:
            if not installation.refresh_token or installation.expires_at is None:
                continue
            if installation.expires_at > soon:
                continue
            async with best_effort(f"renew the token of {installation.home}"):
                try:
                    await self._flow.refresh(installation)
                except SlackRefused as refusal:
                    log.error(
                        "Slack gives no new token; have an admin install Tocsin again.",
                        home=installation.home,
                        why=refusal.sentence,
                    )

    async def run(self) -> None:
        while True:
            await self.rotate_due()
            await asyncio.sleep(ROTATION_SECONDS)
