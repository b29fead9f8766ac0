"""Signing in where a workspace left, a day went by, Slack knew nothing, or the pages are on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from support.estate import (
    AWAY,
    AWAY_ADMIN,
    CANARY,
    HOME,
    HOME_ADMIN,
    Lobby,
    lobby,
    private_incident,
    public_pages,
)

from slack_emulator.models import Enterprise
from tocsin.web.oauth import MOST_UNCONFIRMED, UNCONFIRMED_SECONDS

ANA, CHLOE = f"{HOME}/U0ANA00001", f"{HOME}/U0CHLOE003"


@pytest_asyncio.fixture
async def street(tmp_path: Path) -> AsyncIterator[Lobby]:
    """Pages of the test's own on an address that others can reach, with the app in both workspaces."""
    async with public_pages(tmp_path / "data") as running:
        yield running


async def test_people_of_a_workspace_that_is_not_served_are_refused(street: Lobby) -> None:
    away = street.of(AWAY)
    street.estate.uninstall(away.workspace, street.app.app_id)
    await away.workspace.heard("event.app_uninstalled")
    _, back = await street.sign_in(AWAY_ADMIN)
    assert back.status_code == 403
    assert "does not serve the workspace" in back.text


async def test_an_organization_is_not_taken_for_a_workspace_of_the_same_id(tmp_path: Path) -> None:
    async with lobby(tmp_path / "data", tocsin_host="0.0.0.0", tocsin_teams=HOME) as street:
        await street.install(HOME_ADMIN)
        street.estate.org = Enterprise(HOME, "Named like a workspace")
        _, back = await street.sign_in(AWAY_ADMIN)
        assert back.status_code == 403
        assert "does not serve the workspace" in back.text


@pytest.mark.parametrize(
    ("begin", "done", "method"),
    [
        ("/sign-in", "/sign-in/done", "openid.connect.token"),
        ("/slack/install", "/slack/oauth_redirect", "oauth.v2.access"),
    ],
)
async def test_who_comes_back_with_nothing_that_slack_knows_asks_slack_only_so_often(
    street: Lobby, begin: str, done: str, method: str
) -> None:
    asked = len(street.of(HOME).calls(method))
    statuses, browser = [], street.browser()
    for _ in range(MOST_UNCONFIRMED + 5):
        state = parse_qs(urlsplit((await browser.get(begin)).headers["location"]).query)["state"][0]
        statuses.append((await browser.get(f"{done}?code=made-up&state={state}")).status_code)
    assert len(street.of(HOME).calls(method)) - asked == MOST_UNCONFIRMED
    assert set(statuses[MOST_UNCONFIRMED:]) == {503}
    street.clock.turn(UNCONFIRMED_SECONDS + 1)
    _, back = await street.sign_in(CHLOE)
    assert back.status_code == 303


async def test_a_session_ends_after_a_working_day(street: Lobby) -> None:
    browser, _ = await street.sign_in(CHLOE)
    assert (await browser.get("/incidents")).status_code == 200
    street.clock.turn(12 * 3600 + 1)
    assert (await browser.get("/incidents")).status_code == 401


async def test_on_loopback_a_private_incident_opens_for_its_reporter_who_signs_in(tmp_path: Path) -> None:
    async with lobby(tmp_path / "data") as running:
        await running.install(HOME_ADMIN)
        await private_incident(running)
        hidden, unknown = [await running.browser().get(f"/incidents/INC-{n}") for n in (1, 9)]
        assert (hidden.status_code, hidden.content) == (404, unknown.content)
        assert "Sign in with Slack" in hidden.text
        browser, back = await running.sign_in(ANA, "/incidents/INC-1")
        assert CANARY in (await browser.get(back.headers["location"])).text
