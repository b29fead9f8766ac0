"""A Slack workspace on a free port of this machine, in the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from slack_sdk.errors import SlackApiError

from fakes.clock import fitting_clock
from slack_emulator.clock import TurnableClock
from slack_emulator.manifest import Manifest
from slack_emulator.model import InstalledApp
from slack_emulator.page import Authentication
from slack_emulator.seed import seed
from slack_emulator.server import served
from slack_emulator.store import Store
from slack_emulator.workspace import Workspace


@dataclass
class RunningWorkspace:
    workspace: Workspace
    app: InstalledApp
    url: str
    clock: TurnableClock

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    @property
    def address(self) -> str:
        """The address that lets a browser in."""
        return address_of(self.workspace)

    @property
    def bot_token(self) -> str:
        return self.app.bot_token

    @property
    def app_token(self) -> str:
        return self.app.app_token

    @property
    def signing_secret(self) -> str:
        return self.app.signing_secret

    def person(self, name: str) -> str:
        return self.workspace.person_by_name(name).id

    def channel(self, name: str) -> str:
        return self.workspace.channel_by_name(name).id


def address_of(workspace: Workspace) -> str:
    """The address that lets a browser in to this workspace's pages."""
    return Authentication(workspace.state.page_token).address(workspace.base_url)


@asynccontextmanager
async def browsing(workspace: Workspace) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without a screen, which was let in and follows no link."""
    async with httpx.AsyncClient(base_url=workspace.base_url, trust_env=False, verify=False) as browser:
        assert (await browser.get(address_of(workspace))).status_code == 303
        yield browser


@asynccontextmanager
async def running_workspace(
    manifest: Manifest, *, store: Path | None = None, advice: str = ""
) -> AsyncIterator[RunningWorkspace]:
    """The seeded workspace with one app installed; with `store`, what a file already keeps is there again.

    People: ana (owner), ben (admin), chloe, darius, priya, gus (guest), tom (deactivated).
    Channels: general, alerts, incidents, haulpartner, leads (private: ana, ben). The bot is in none.
    """
    clock = fitting_clock()
    workspace = Workspace(store=Store(store) if store else None, clock=clock)
    if not workspace.people():
        seed(workspace, advice=advice)
    app = workspace.install(manifest)
    async with served(workspace) as url:
        yield RunningWorkspace(workspace, app, url, clock)


@contextmanager
def refused(code: str) -> Iterator[None]:
    """What is asked inside is refused by Slack with this code."""
    with pytest.raises(SlackApiError) as caught:
        yield
    assert caught.value.response["error"] == code
