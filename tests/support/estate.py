"""Two workspaces of one Slack, an app that they may install, and the bot that they install it from."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from slack_emulator.clock import TurnableClock
from slack_emulator.manifest import Manifest
from slack_emulator.models import InstalledApp
from slack_emulator.organization import Organization
from support.bot import RunningBot
from support.declarations import declaration
from support.first_files import copied_into, first_journal, new_incidents, poll_often
from support.slack import RunningWorkspace
from support.two_workspaces import AWAY, AWAY_ADMIN, GUEST, HOME, HOME_ADMIN, ORG, registered, served_estate
from tocsin.app import open_app
from tocsin.data_dir import folder_of
from tocsin.incidents.model import Incident, Person, PersonId
from tocsin.resources import open_resources
from tocsin.server import listen, serving
from tocsin.settings import read_settings
from tocsin.slack import routes
from tocsin.start import connected

__all__ = [
    "AWAY",
    "AWAY_ADMIN",
    "CANARY",
    "GUEST",
    "HOME",
    "HOME_ADMIN",
    "ORG",
    "Lobby",
    "heading",
    "lobby",
    "private_incident",
    "public_pages",
    "served_estate",
]

CANARY = "Canary 7f3a"


@dataclass
class Lobby:
    """The bot's address, with words for what an admin does in their browser."""

    estate: Organization
    app: InstalledApp
    bot: RunningBot
    clock: TurnableClock
    settings: Any
    browsers: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.bot.url

    def browser(self) -> httpx.AsyncClient:
        """A browser of its own, which follows no link by itself."""
        browser = httpx.AsyncClient(base_url=self.url, trust_env=False, verify=False)
        self.browsers.append(browser)
        return browser

    def of(self, team: str) -> RunningBot:
        """The same bot, seen from one of the workspaces."""
        workspace = next(w for w in self.estate.workspaces if w.state.team.id == team)
        (app,) = [a for a in workspace.apps() if a.app_id == self.app.app_id] or [self.app]
        slack = RunningWorkspace(workspace, app, self.estate.base_url, self.clock)
        return replace(self.bot, slack=slack)

    async def agree(self, browser: httpx.AsyncClient, url: str, who: str, **decided: str) -> httpx.Response:
        """Agree at Slack, and come back with what Slack gives along."""
        return await browser.get(await self.way_back(browser, url, who, **decided))

    async def way_back(self, browser: httpx.AsyncClient, url: str, who: str, **decided: str) -> str:
        """The address that Slack sends somebody back to."""
        await browser.get(self.bot.slack.address)
        page = await browser.get(url)
        assert page.status_code == 200, page.text
        given = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        action = url.partition("?")[0]
        ticked = dict.fromkeys(re.findall(r'name="(grant [^"]+)" value="1" checked', page.text), "1")
        form = {**given, **ticked, "as": who, "decision": "allow", **decided}
        form = {name: value for name, value in form.items() if value}
        sent = await browser.post(action, data=form, headers={"Origin": origin})
        assert sent.status_code == 303, sent.text
        return sent.headers["location"]

    async def install(self, who: str, **decided: str) -> httpx.Response:
        """An admin installs the app from the bot's own address."""
        browser = self.browser()
        begun = await browser.get("/slack/install")
        assert begun.status_code == 303, begun.text
        return await self.agree(browser, begun.headers["location"], who, **decided)

    async def sign_in(self, who: str, path: str = "/incidents") -> tuple[httpx.AsyncClient, httpx.Response]:
        """Somebody presses *Sign in with Slack*: their browser, and where the way back leads."""
        browser = self.browser()
        begun = await browser.get(f"{path}{'&' if '?' in path else '?'}sign-in")
        assert begun.status_code == 303, begun.text
        return browser, await self.agree(browser, begun.headers["location"], who)

    async def incident(self, name: str) -> Incident:
        found = await self.bot.backend.incidents(limit=50)
        return next(incident for incident in found if incident.name == name)


def heading(page: httpx.Response) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page.text)
    return found[1] if found else ""


def app_for(estate: Organization, url: str, *, org: bool, rotates: bool) -> InstalledApp:
    """The app in this Slack, with its addresses at `url`; made when there is none."""
    declared = routes.manifest(url, org=org)
    declared["settings"]["token_rotation_enabled"] = rotates
    return registered(estate, Manifest.from_dict(declared))


@asynccontextmanager
async def lobby(
    folder: Path,
    *,
    org: bool = False,
    rotates: bool = False,
    estate: Organization | None = None,
    **settings: Any,
) -> AsyncIterator[Lobby]:
    """The bot with client id and secret and no bot token; in a fresh Slack, or in the one that is given."""
    async with AsyncExitStack() as stack:
        listening = listen("127.0.0.1", 0)
        port = listening.getsockname()[1]
        if estate is None:
            estate = await stack.enter_async_context(served_estate(org=org))
        app = app_for(estate, f"http://127.0.0.1:{port}", org=org, rotates=rotates)
        clock = estate.first.clock
        assert isinstance(clock, TurnableClock)
        given = {
            "tocsin_data_dir": folder,
            "tocsin_port": port,
            "tocsin_public_url": f"http://127.0.0.1:{port}",
            "slack_client_id": app.client_id,
            "slack_client_secret": app.client_secret,
            "slack_signing_secret": app.signing_secret,
            "slack_api_url": f"{estate.base_url}/api/",
            "tocsin_teams": f"{HOME}, {AWAY}, {ORG.id}",
        }
        read = read_settings(**{**given, **settings})
        copied_into(folder, await first_journal())
        await new_incidents(folder / "incidents.db")
        parts = await stack.enter_async_context(open_resources(read, folder_of(read)))
        parts.replicas.clock = asyncio.get_running_loop().time
        parts.clock = lambda: datetime.fromtimestamp(clock.now(), UTC)
        poll_often(parts.engine)
        bot = await stack.enter_async_context(open_app(parts))
        await stack.enter_async_context(serving(bot.pages(), listening))
        await stack.enter_async_context(connected(bot))
        first = RunningWorkspace(estate.first, app, estate.base_url, clock)
        running = Lobby(estate, app, RunningBot(bot, first, folder, read.public_url), clock, read)
        yield running
        for browser in running.browsers:
            await browser.aclose()


@asynccontextmanager
async def public_pages(folder: Path) -> AsyncIterator[Lobby]:
    """The pages on an address that others can reach, with the app in both workspaces."""
    async with lobby(folder, tocsin_host="0.0.0.0") as running:
        await running.install(HOME_ADMIN)
        await running.install(AWAY_ADMIN)
        yield running


async def private_incident(street: Lobby, team: str = HOME, lead: str | None = None) -> None:
    """INC-1, declared by Ana in one of the workspaces."""
    roles = {"lead": lead} if lead else {}
    await street.bot.backend.create(
        declaration(
            name=CANARY,
            visibility="private",
            reporter=Person(slack_user_id=PersonId("U0ANA00001"), name="Ana"),
            incident_role_assignments=roles,
        ).model_copy(update={"slack_team_id": team})
    )
