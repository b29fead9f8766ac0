"""Pytest fixtures: `pytest_plugins = ["slack_emulator.pytest_plugin"]` in a conftest.py gives `slack`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from slack_emulator.clock import TurnableClock
from slack_emulator.manifest import Manifest
from slack_emulator.testing import Slack, running_slack


@pytest.fixture
def slack_manifest() -> Manifest:
    """The app's manifest: override this fixture, for example with `Manifest.from_yaml(path.read_text())`."""
    pytest.fail("Override the fixture slack_manifest: return your app's Manifest.", pytrace=False)


@pytest.fixture
def slack_seed() -> Path | None:
    """Path of a seed file; None for the sample workspace. Override this fixture for another workspace."""
    return None


@pytest.fixture
def slack_clock() -> TurnableClock:
    """The workspace's clock: `slack.clock.turn(4)` lets Slack's three seconds pass."""
    return TurnableClock()


@pytest_asyncio.fixture
async def slack(
    slack_manifest: Manifest, slack_seed: Path | None, slack_clock: TurnableClock
) -> AsyncIterator[Slack]:
    """A new workspace with the app installed, for one test."""
    async with running_slack(slack_manifest, seed_file=slack_seed, clock=slack_clock) as running:
        yield running
