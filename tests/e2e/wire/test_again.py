"""Slack sends an event again when it heard nothing, under the same `event_id`: it is heeded once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from support.operated import free_port, operated
from support.patience import LIMIT
from support.slack import RunningWorkspace, running_workspace

from slack_emulator.delivery import Answer
from slack_emulator.manifest import Manifest
from slack_emulator.state import new_id
from tocsin.slack import routes

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["socket", "http"])
async def slack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningWorkspace]:
    http, folder, port = request.param == "http", tmp_path_factory.mktemp("tocsin"), free_port()
    manifest = routes.manifest(f"http://127.0.0.1:{port}" if http else None)
    async with (
        running_workspace(Manifest.from_dict(manifest)) as running,
        operated(running, folder, port, http=http) as bot,
    ):
        yield running
        assert await bot.stopped() == 0


def looking(slack: RunningWorkspace, person: str) -> dict[str, Any]:
    """Somebody opens Home (Slack, app_home_opened), in the envelope of Slack's Events API."""
    team = slack.workspace.state.team.id
    return {
        "type": "event_callback",
        "token": slack.app.verification_token,
        "team_id": team,
        "api_app_id": slack.app.app_id,
        "event_id": new_id("Ev"),
        "event_time": int(slack.clock.now()),
        "authorizations": [
            {"enterprise_id": None, "team_id": team, "user_id": slack.app.bot_user_id, "is_bot": True}
        ],
        "event": {"type": "app_home_opened", "user": slack.person(person), "tab": "home", "event_ts": "1.1"},
    }


async def sent(slack: RunningWorkspace, payload: dict[str, Any], retry: int = 0) -> Answer:
    """One delivery; a later one says which it is (Slack, Events API: X-Slack-Retry-Num, retry_attempt)."""
    reason = "http_timeout" if retry else None
    return await slack.workspace.delivery.deliver(
        slack.app, "events_api", payload, "event.app_home_opened", retry=retry, reason=reason
    )


def homes(slack: RunningWorkspace, person: str) -> int:
    """How often Home was drawn for somebody."""
    who = slack.person(person)
    return sum(r.method == "views.publish" and r.args["user_id"] == who for r in slack.workspace.requests)


async def drawn(slack: RunningWorkspace, person: str) -> None:
    await slack.workspace.heard(
        lambda r: r.method == "views.publish" and r.args["user_id"] == slack.person(person), 1, LIMIT
    )


async def test_an_event_that_comes_four_times_is_heeded_once(slack: RunningWorkspace) -> None:
    """Slack, Events API: tried again at once, after a minute and after five, with the same event_id."""
    event = looking(slack, "ana")
    together = await asyncio.gather(*(sent(slack, event, retry) for retry in range(3)))
    assert all(answer.ok for answer in together)
    await drawn(slack, "ana")
    assert (await sent(slack, event, 3)).ok
    # What comes after all of them is heeded after them.
    assert (await sent(slack, looking(slack, "ben"))).ok
    await drawn(slack, "ben")
    assert homes(slack, "ana") == 1


async def test_an_event_whose_first_delivery_was_lost_is_heeded_when_it_comes_again(
    slack: RunningWorkspace,
) -> None:
    assert (await sent(slack, looking(slack, "chloe"), 1)).ok
    await drawn(slack, "chloe")


async def test_what_comes_over_both_connections_is_heeded_once(slack: RunningWorkspace) -> None:
    """Slack, Socket Mode: any open connection may get a payload."""
    connections = slack.workspace.sockets.connections(slack.app.app_id)
    if len(connections) < 2:
        pytest.skip("Over HTTP there are no connections to choose from.")
    event = looking(slack, "darius")
    for retry, through in enumerate(connections):
        for other in connections:
            other.retiring = other is not through
        assert (await sent(slack, event, retry)).ok
    for connection in connections:
        connection.retiring = False
    await drawn(slack, "darius")
    assert (await sent(slack, looking(slack, "priya"))).ok
    await drawn(slack, "priya")
    assert homes(slack, "darius") == 1
