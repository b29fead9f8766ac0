"""A Slack workspace on a free port of this machine, in the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
from slack_sdk.errors import SlackApiError

from slack_emulator.manifest import Manifest
from slack_emulator.state import Store
from slack_emulator.testing import Slack, running_slack
from slack_emulator.ui import Authentication
from slack_emulator.workspace import Workspace
from support.clock import fitting_clock


class RunningWorkspace(Slack):
    """A workspace as the bot's tests speak of it: ids of people and channels by their names."""

    def person(self, name: str) -> str:
        return self.user_id(name)

    def channel(self, name: str) -> str:
        return self.channel_id(name)


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
    kept = Store(store) if store else None
    async with running_slack(manifest, clock=fitting_clock(), store=kept, advice=advice) as slack:
        yield RunningWorkspace(slack.workspace, slack.app, slack.url, slack.clock)


@contextmanager
def refused(code: str) -> Iterator[None]:
    """What is asked inside is refused by Slack with this code."""
    with pytest.raises(SlackApiError) as caught:
        yield
    assert caught.value.response["error"] == code
