"""Socket Mode over real sockets: refused, refreshed, dropped, frozen, and never wedged."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient
from support.bot import RunningBot, running_bot
from support.slack import RunningWorkspace, running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import Outcome
from slack_emulator.socket_mode import CONNECTION_LIMIT, Connection, Sockets
from tocsin.incidents.errors import SlackRefused
from tocsin.slack import routes
from tocsin.slack.app import ACK_TRACKER
from tocsin.slack.context import AckTracker
from tocsin.slack.socket_mode import (
    CONNECTIONS,
    LONGEST_PAUSE,
    PING_SECONDS,
    PONG_SECONDS,
    SocketModeReceiver,
    pause_after,
)
from tocsin.slack.web_api import open_session, web_client

OPEN = "apps.connections.open"
BUSY_MACHINE = 30.0
"""Seconds for what takes one on a machine that has time for us."""

Listener = Callable[..., Awaitable[None]]


@dataclass
class Stand:
    """The workspace, and an app behind our door that counts what reaches it and says it back."""

    slack: RunningWorkspace
    app: AsyncApp
    door: SocketModeReceiver
    heard: Counter[str] = field(default_factory=Counter)
    deliveries: list[AckTracker] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """What begins with `hold` is answered once this is set."""

    @property
    def sockets(self) -> Sockets:
        return self.slack.workspace.sockets

    @property
    def id(self) -> str:
        return self.slack.app.app_id

    async def listen(self, ack: Any, command: dict[str, Any], context: dict[str, Any]) -> None:
        self.heard[command["text"]] += 1
        self.news.set()
        self.deliveries.append(context[ACK_TRACKER])
        if command["text"].startswith("hold"):
            await self.held.wait()
        await ack(text=command["text"])

    async def type(self, text: str) -> Outcome:
        workspace = self.slack.workspace
        return await workspace.command(
            self.slack.person("ana"), self.slack.channel("general"), f"/incident {text}"
        )

    def typing(self, text: str) -> asyncio.Task[Outcome]:
        return asyncio.create_task(self.type(text))

    async def came(self, text: str) -> None:
        """Until the app has been asked this."""
        async with asyncio.timeout(BUSY_MACHINE):
            while not self.heard[text]:
                self.news.clear()
                await self.news.wait()

    @property
    def fresh(self) -> list[Connection]:
        return [c for c in self.sockets.connections(self.id) if not c.retiring and not c.frozen]

    async def full(self) -> None:
        """Until there are two connections that nothing is wrong with, and the app knows of one."""
        await self.sockets.until(lambda: len(self.fresh) >= CONNECTIONS, BUSY_MACHINE)


@pytest.fixture
async def slack() -> AsyncIterator[RunningWorkspace]:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as running:
        yield running


def bolt(slack: RunningWorkspace) -> AsyncApp:
    async def authorize(**_: Any) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=None, bot_token=slack.bot_token)

    return AsyncApp(
        name="answers",
        client=AsyncWebClient(token=slack.bot_token, base_url=slack.api_url),
        authorize=authorize,
        process_before_response=True,
        signing_secret="none",
    )


@pytest.fixture
async def stand(slack: RunningWorkspace) -> AsyncIterator[Stand]:
    app = bolt(slack)
    async with open_session() as session:
        client = web_client(session, token=None, base_url=slack.api_url)
        stand = Stand(slack, app, SocketModeReceiver(app, slack.app_token, client))
        app.command("/incident")(stand.listen)
        yield stand
        stand.held.set()
        await stand.door.close()


@pytest.fixture
async def connected(stand: Stand) -> Stand:
    await stand.door.open()
    await stand.full()
    return stand


async def test_the_plain_aiohttp_client_wedges_on_a_ticket_that_was_used_up(slack: RunningWorkspace) -> None:
    """Not about us: it shows why we have a client of our own, of which the next test asks the same."""
    sockets = slack.workspace.sockets
    silent = logging.getLogger("plain")
    silent.setLevel(logging.CRITICAL)
    plain = AsyncSocketModeHandler(bolt(slack), slack.app_token, logger=silent, ping_interval=0.05)
    await plain.connect_async()
    await sockets.connected(slack.app.app_id)
    sockets.refuse_next(1)
    sockets.drop(slack.app.app_id)
    await sockets.until(lambda: sockets.turned_away >= 5, BUSY_MACHINE)
    await plain.close_async()
    assert sockets.count(slack.app.app_id) == 0
    asked = [request for request in slack.workspace.requests if request.method == OPEN]
    assert len(asked) == 2


async def test_ours_is_back_soon_after_five_refusals(connected: Stand) -> None:
    sockets = connected.sockets
    before = sockets.connections(connected.id)
    sockets.refuse_next(5)
    sockets.drop(connected.id)
    await sockets.left(before)
    await sockets.connected(connected.id)
    assert sockets.turned_away == 5
    assert (await connected.type("again")).ok


def test_five_failures_are_over_in_ten_seconds_and_no_pause_is_longer_than_that() -> None:
    for _ in range(200):
        assert sum(pause_after(failures) for failures in range(1, 6)) < 10
    assert max(pause_after(failures) for failures in range(1, 2000)) <= LONGEST_PAUSE


async def test_a_day_of_refreshes_loses_nothing_and_answers_nothing_twice(connected: Stand) -> None:
    refreshes, texts = 100, [("hold " if n % 2 else "") + f"number {n}" for n in range(200)]
    refreshing = asyncio.create_task(day(connected, refreshes))
    outcomes: list[asyncio.Task[Outcome]] = []
    for text in texts:
        outcomes.append(connected.typing(text))
        await connected.came(text)
    asked = await refreshing
    connected.held.set()
    assert [o.error for o in await asyncio.gather(*outcomes) if not o.ok] == []
    assert connected.heard == Counter(texts)
    assert (len(asked), connected.sockets.turned_away) == (refreshes, 0)


async def day(stand: Stand, refreshes: int) -> set[Connection]:
    """Slack replaces one connection after the other, with and without a warning; then held answers go out."""
    asked: set[Connection] = set()
    for turn in range(refreshes):
        await stand.sockets.until(lambda: len(set(stand.fresh) - asked) >= CONNECTIONS, BUSY_MACHINE)
        oldest = next(c for c in stand.fresh if c not in asked)
        asked.add(oldest)
        if turn % 2:
            await stand.sockets.refresh(stand.id, "warning", only=[oldest])
            await stand.sockets.until(lambda: len(set(stand.fresh) - asked) >= CONNECTIONS, BUSY_MACHINE)
        await stand.sockets.refresh(stand.id, only=[oldest])
        stand.held.set()
        stand.held = asyncio.Event()
    return asked


async def test_an_answer_goes_out_over_the_connection_that_is_being_refreshed(connected: Stand) -> None:
    outcome = connected.typing("hold this")
    await connected.came("hold this")
    asked = await connected.sockets.refresh(connected.id)
    await connected.full()
    connected.held.set()
    assert (await outcome).ok
    await connected.sockets.left(asked)


async def test_a_delivery_knows_when_its_answer_is_out(connected: Stand) -> None:
    outcome = connected.typing("hold this")
    await connected.came("hold this")
    (delivery,) = connected.deliveries
    assert not delivery.acknowledged.is_set()
    connected.held.set()
    await outcome
    await asyncio.wait_for(delivery.acknowledged.wait(), BUSY_MACHINE)


async def test_connections_that_were_warned_do_not_pile_up(connected: Stand) -> None:
    warned: set[Connection] = set()
    for _ in range(20):
        await connected.sockets.until(lambda: bool(set(connected.fresh) - warned), BUSY_MACHINE)
        chosen = next(c for c in connected.fresh if c not in warned)
        warned.add(chosen)
        await connected.sockets.refresh(connected.id, "warning", only=[chosen])
    await connected.sockets.until(lambda: len(set(connected.fresh) - warned) == CONNECTIONS, BUSY_MACHINE)
    assert connected.sockets.turned_away == 0
    assert connected.sockets.count(connected.id) < CONNECTION_LIMIT


async def test_a_connection_that_died_silently_is_noticed_by_its_missed_pong(connected: Stand) -> None:
    connected.sockets.freeze(connected.id)
    frozen = connected.sockets.connections(connected.id)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await connected.full()
    slack_is_slow = BUSY_MACHINE / 10
    assert loop.time() - began < PING_SECONDS + PONG_SECONDS + slack_is_slow
    connected.sockets.thaw(connected.id)
    await connected.sockets.left(frozen)
    assert (await connected.type("again")).ok


async def test_slack_may_be_away_in_every_way_and_come_back(connected: Stand) -> None:
    workspace = connected.slack.workspace
    before = connected.sockets.connections(connected.id)
    workspace.faults.plan(OPEN, Fault(status=503), Fault(error="internal_error"))
    connected.sockets.refuse_next(2)
    connected.sockets.drop(connected.id)
    await connected.sockets.left(before)
    await connected.full()
    assert (await connected.type("again")).ok


async def test_a_limit_on_tickets_is_waited_out(connected: Stand) -> None:
    workspace = connected.slack.workspace
    workspace.clear()
    workspace.faults.plan(OPEN, Fault(retry_after=2))
    connected.sockets.drop(connected.id)
    limited, after, *_ = await workspace.heard(OPEN, 3, BUSY_MACHINE)
    assert not limited.ok
    assert after.at - limited.at >= 2
    await connected.full()


async def test_a_full_house_is_waited_for(stand: Stand) -> None:
    client = AsyncWebClient(base_url=stand.slack.api_url)
    others = []
    for _ in range(CONNECTION_LIMIT):
        url = (await client.apps_connections_open(app_token=stand.slack.app_token))["url"]
        others.append(await websockets.connect(url))
    opening = asyncio.create_task(stand.door.open())
    await stand.sockets.until(lambda: stand.sockets.turned_away >= 3, BUSY_MACHINE)
    assert not stand.door.is_open
    for other in others:
        await other.close()
    await asyncio.wait_for(opening, BUSY_MACHINE)
    await stand.full()
    assert (await stand.type("again")).ok


async def test_a_switched_off_socket_mode_is_tried_again(connected: Stand) -> None:
    asked = await connected.sockets.refresh(connected.id, "link_disabled")
    await connected.sockets.left(asked)
    await connected.full()


async def test_a_token_that_slack_refuses_is_said_at_once(slack: RunningWorkspace) -> None:
    async with open_session() as session:
        client = web_client(session, token=None, base_url=slack.api_url)
        door = SocketModeReceiver(bolt(slack), "xapp-of-nobody", client)
        with pytest.raises(SlackRefused, match="invalid_auth"):
            await door.open()


async def test_what_is_delivered_again_is_answered_again(connected: Stand) -> None:
    await connected.type("once")
    payload = connected.slack.workspace.requests[-1].args
    answer = await connected.slack.workspace.delivery.deliver(
        connected.slack.app, "slash_commands", payload, "again", retry=1, reason="timeout"
    )
    assert answer.response == {"text": "once"}


async def test_who_hangs_up_answers_what_is_in_hand_and_takes_nothing_more(connected: Stand) -> None:
    in_hand = connected.typing("hold this")
    await connected.came("hold this")
    closing = asyncio.create_task(connected.door.close())
    too_late = connected.typing("too late")
    await connected.slack.workspace.begun(lambda request: request.args.get("text") == "too late")
    connected.held.set()
    assert (await in_hand).ok
    await asyncio.wait_for(closing, BUSY_MACHINE)
    await connected.sockets.disconnected(connected.id)
    connected.slack.clock.turn(3.1)
    assert not (await too_late).ok
    assert connected.heard["too late"] == 0


@pytest.fixture
async def tocsin(tmp_path: Path, slack: RunningWorkspace) -> AsyncIterator[RunningBot]:
    async with running_bot(tmp_path, slack) as bot:
        yield bot


async def readiness(bot: RunningBot) -> int:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        return (await client.get(f"{bot.url}/readyz")).status_code


async def test_readiness_follows_slack(tocsin: RunningBot) -> None:
    sockets, app_id = tocsin.workspace.sockets, tocsin.slack.app.app_id
    await sockets.connected(app_id, CONNECTIONS)
    assert await readiness(tocsin) == 200
    sockets.refuse_next(1000)
    sockets.freeze(app_id)
    frozen = sockets.connections(app_id)
    # Both have noticed their loss once so many others were asked for.
    await sockets.until(lambda: sockets.turned_away > CONNECTIONS, 10)
    assert await readiness(tocsin) == 503
    sockets.thaw(app_id)
    await sockets.left(frozen)
    sockets.refuse_next(0)
    await sockets.connected(app_id, CONNECTIONS, BUSY_MACHINE)
    await tocsin.type_command("ana", "general", "/incident checkout is slow")
    assert await readiness(tocsin) == 200
