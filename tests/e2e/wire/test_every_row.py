"""Every row of `routes.py` has a journey over the wire, and the running bot says that it was that row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.devrev import running_org
from support.estate import Lobby, lobby
from support.operated import figures, free_port, handled, operated
from support.slack import running_workspace

from e2e.wire.every import BESIDE_DEVREV, CONFIG, EVERY, FILES, HERE, INSTALLED, followed, of_kind
from e2e.wire.journey import Journey, over
from e2e.wire.rows import ROWS
from slack_emulator.manifest import Manifest
from tocsin.slack import routes
from tocsin.slack.listeners.verbs import VerbSpec

__all__ = ["CONFIG"]

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]

OF_EACH_KIND = {route.partition(" ")[0]: route for route in HERE}


@pytest.mark.parametrize("way", ["socket"], indirect=True)
@pytest.mark.parametrize("route", of_kind("view", "event", "shortcut", "suggestion"))
async def test_the_row_does_what_it_says(way: Journey, route: str) -> None:
    await followed(way, route)


@pytest.mark.parametrize("way", ["http"], indirect=True)
@pytest.mark.parametrize("route", sorted(OF_EACH_KIND.values()))
async def test_a_row_of_each_kind_does_what_it_says_over_http_too(way: Journey, route: str) -> None:
    """What is behind a route knows nothing of the way in."""
    await followed(way, route)


@pytest.mark.parametrize("route", sorted(BESIDE_DEVREV))
async def test_the_row_of_another_backend_does_what_it_says(tmp_path: Path, route: str) -> None:
    async with (
        running_org() as (org, url),
        running_workspace(Manifest.from_dict(routes.manifest())) as slack,
        operated(
            slack,
            tmp_path,
            free_port(),
            TOCSIN_BACKEND="devrev",
            DEVREV_URL=url,
            DEVREV_TOKEN=org.token,
        ) as bot,
    ):
        journey = over(slack, bot, False)
        await ROWS[route](journey)
        assert await bot.answered(route, 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lobby]:
    async with lobby(tmp_path_factory.mktemp("installed") / "data") as running:
        yield running


@pytest.mark.parametrize("route", sorted(INSTALLED))
async def test_the_row_of_an_installed_app_does_what_it_says(installed: Lobby, route: str) -> None:
    before = handled(await figures(installed.url))
    await ROWS[route](installed)
    assert handled(await figures(installed.url))[route] > before[route]


async def test_there_is_a_journey_for_every_row_and_a_row_for_every_journey() -> None:
    assert sorted(ROWS) == sorted(EVERY)
    assert {journey.__module__ for journey in ROWS.values()} == {file.__name__ for file in FILES}


async def test_the_running_bot_counts_everything_that_routes_can_lead_to() -> None:
    tables = [found for name, found in vars(routes).items() if name.isupper() and isinstance(found, dict)]
    rows = [entry for table in tables for entry in table.values()]
    led_to = [one for one in rows if callable(one) or isinstance(one, VerbSpec) or hasattr(one, "listener")]
    assert len(led_to) == len(EVERY)
