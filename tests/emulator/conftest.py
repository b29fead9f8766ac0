"""A running workspace with an app in it, and a client with the app's token."""

from __future__ import annotations

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.clock import fitting_clock
from support.manifests import manifest
from support.open_form import OpenForm

from slack_emulator.clock import TurnableClock
from slack_emulator.manifest import Manifest
from slack_emulator.pytest_plugin import slack, slack_seed
from slack_emulator.testing import Slack

__all__ = ["slack", "slack_seed"]


@pytest.fixture
def slack_manifest() -> Manifest:
    return manifest()


@pytest.fixture
async def slack_clock() -> TurnableClock:
    return fitting_clock()


@pytest.fixture
def client(slack: Slack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def form(slack: Slack, client: AsyncWebClient) -> OpenForm:
    return OpenForm(slack, client)
