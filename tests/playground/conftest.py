"""A running workspace with an app in it, and a client with the app's token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fakes.manifests import manifest
from fakes.open_form import OpenForm
from fakes.slack import RunningWorkspace, running_workspace
from slack_sdk.web.async_client import AsyncWebClient


@pytest.fixture
async def slack() -> AsyncIterator[RunningWorkspace]:
    async with running_workspace(manifest()) as running:
        yield running


@pytest.fixture
def client(slack: RunningWorkspace) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def form(slack: RunningWorkspace, client: AsyncWebClient) -> OpenForm:
    return OpenForm(slack, client)
