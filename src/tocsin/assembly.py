"""How the parts go together: folder, backend, journal, Slack, pages, each opened and closed in its turn."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette

from tocsin.actions.alarming import Alarms
from tocsin.actions.best_effort import patiently
from tocsin.actions.declare import VERB
from tocsin.actions.forms import FormCache
from tocsin.actions.ports import Backend, Clock
from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import PersonId
from tocsin.journal.durable import DurableJournal, cause
from tocsin.journal.ledger import SqlLedger
from tocsin.journal.memory import SqlMemory
from tocsin.keeping import api_token, data_dir, journal_url, now, only_one, open_backend, secret
from tocsin.settings import ConfigurationError, Settings
from tocsin.slack.app import build_app
from tocsin.slack.calls import Calls, asked, open_session, web_client
from tocsin.slack.desk import Desk
from tocsin.slack.http import HttpDoor
from tocsin.slack.operator import SlackOperator
from tocsin.slack.people import People
from tocsin.slack.socket import SocketDoor
from tocsin.slack.tasks import Tasks
from tocsin.slack.workspace import SlackWorkspace
from tocsin.verbs import declaring, managed
from tocsin.web.app import web_app
from tocsin.web.guard import own_hosts
from tocsin.web.meters import Meters

__all__ = ["Bot", "connected", "data_dir", "opened"]

FINISH_SECONDS = 2.5
"""How long what is in hand may take when the process is told to stop; the rest goes on at the next start."""

FORM_SECONDS = 2.0

LOST_SECONDS = 60.0
"""How long Slack may be out of reach before the operator is told."""

WATCH_SECONDS = 5.0
"""How often our own files are looked at."""

LOST = (
    "No connection to Slack has been open for a minute, so nothing can be declared. Tocsin goes on trying; "
    "look at the network to wss-primary.slack.com, and whether Socket Mode is still on for the app."
)

log = structlog.get_logger()


def _open_ledger(url: str) -> SqlLedger:
    try:
        return SqlLedger(url)
    except (OSError, ImportError, UnicodeDecodeError, sqlite3.Error, SQLAlchemyError) as error:
        raise ConfigurationError(
            f"TOCSIN_DATABASE_URL: the journal cannot be used ({cause(error)}). Restore a backup."
        ) from None


@dataclass
class Bot:
    """The running bot, as far as whoever serves it must know."""

    backend: Backend
    journal: DurableJournal
    token: str
    memory: SqlMemory
    alarms: Alarms
    tasks: Tasks = field(default_factory=Tasks)
    app: AsyncApp | None = None
    socket: SocketDoor | None = None
    http: HttpDoor | None = None
    slack_url: str | None = None
    people: People | None = None
    calls: Calls | None = None
    meters: Meters = field(default_factory=Meters)
    clock: Clock = now
    trouble: str = "Slack has not been reached yet."
    unwell: Sequence[str] = ()
    """What was wrong with our own files when we last looked."""

    def pages(self, settings: Settings, port: int) -> Starlette:
        return web_app(
            backend=self.backend,
            api_token=self.token,
            hosts=own_hosts(port, settings.tocsin_public_url),
            public=settings.is_on_loopback,
            ready=self.not_ready,
            registry=self.meters.registry,
            slack_url=lambda: self.slack_url,
            introduce=self._introduce,
            clock=self.clock,
        )

    async def _introduce(self, people: Iterable[PersonId]) -> None:
        if self.people is not None:
            await self.people.introduce(people)

    async def settled(self) -> None:
        """Until nothing is in hand: no work after an acknowledgement, no story that has not ended."""
        await self.tasks.settled()
        await self.journal.settled()

    def not_ready(self) -> Sequence[str]:
        """Why nothing can be declared right now; nothing when all is well."""
        if self.trouble:
            return [self.trouble]
        reasons = list(dict.fromkeys(filter(None, [*self.unwell, self.journal.trouble])))
        if self.calls is not None and self.calls.trouble:
            reasons.append(self.calls.trouble)
        if self.socket is not None and not self.socket.is_open:
            reasons.append("No connection to Slack is open.")
        return reasons

    async def watch(self, ledger: SqlLedger) -> None:
        """Look every few seconds whether something could be declared now, and what is pending."""
        while True:
            reasons = []
            for look in (ledger.beat, self._keeps_incidents, self._count_pending):
                try:
                    async with asyncio.timeout(WATCH_SECONDS):
                        await look()
                except Unavailable as error:
                    reasons.append(str(error))
                except TimeoutError:
                    reasons.append("Tocsin's files did not answer in time.")
            self.unwell = tuple(dict.fromkeys(reasons))
            self._watch_slack()
            await asyncio.sleep(WATCH_SECONDS)

    def _watch_slack(self) -> None:
        refused = self.calls.trouble if self.calls is not None else ""
        todo = "Install the app again, set SLACK_BOT_TOKEN to its bot token, and start Tocsin again."
        self.alarms.seen("token", f"{refused} {todo}" if refused else "", after=0.0)
        lost = self.socket is not None and not self.socket.is_open
        self.alarms.seen("socket", LOST if lost else "", after=LOST_SECONDS)

    async def _keeps_incidents(self) -> None:
        await self.backend.remember_people(())
        await self.backend.incidents(limit=1)

    async def _count_pending(self) -> None:
        self.meters.pending(len(await self.journal.unfinished()))


@asynccontextmanager
async def opened(settings: Settings, folder: Path) -> AsyncIterator[Bot]:
    """The bot's own parts, before Slack is asked for anything."""
    async with AsyncExitStack() as stack:
        stack.enter_context(only_one(folder))
        memory = SqlMemory(journal_url(settings, folder))
        stack.callback(memory.close)
        alarms = Alarms(memory)
        backend = await open_backend(settings, folder, operator=alarms)
        stack.push_async_callback(backend.close)
        journal = DurableJournal(journal_url(settings, folder))
        token = api_token(settings, folder)
        yield Bot(backend=backend, journal=journal, token=token, memory=memory, alarms=alarms)


@asynccontextmanager
async def connected(bot: Bot, settings: Settings, **slack: str) -> AsyncIterator[Bot]:
    """The bot, talking to Slack; unfinished declarations go on from here.

    Raises ConfigurationError when Slack refuses the token. Waits for as long as Slack cannot be reached.
    """
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session())
        token = slack.get("bot_token") or secret(settings.slack_bot_token)
        base_url = slack.get("api_url") or settings.slack_api_url
        client = web_client(session, token=token, base_url=base_url)
        identity = await _identity(client)
        bot.calls = Calls(bot.meters.called)
        workspace = SlackWorkspace(client, clock=bot.clock, identity=identity, calls=bot.calls)
        ledger = _open_ledger(bot.journal.url)
        stack.callback(ledger.close)
        announce = settings.tocsin_announce_channel or slack.get("announce")
        declare = declaring(bot, workspace, ledger, announce)
        kept_as = f"form:{settings.tocsin_backend}"
        forms, tasks = FormCache(bot.backend, bot.memory, kept_as, bot.alarms), bot.tasks
        verbs = managed(bot, workspace, ledger, forms.fetch)
        for verb, story in {VERB: declare.story, **verbs.stories()}.items():
            bot.journal.tells(verb, story)
        bot.journal.open()
        stack.push_async_callback(bot.journal.close)
        stack.push_async_callback(tasks.finish, FINISH_SECONDS)
        await _kept_fresh(forms, stack)
        _kept_up(stack, bot.watch(ledger), verbs.remind.keep_watch())
        bot.people = People(workspace, bot.backend)
        await bot.people.greet()
        await _reaching_the_operator(bot, workspace, settings, stack)
        desk = Desk(
            declare=declare,
            managing=verbs,
            forms=forms,
            workspace=workspace,
            people=bot.people,
            tasks=tasks,
            clock=bot.clock,
        )
        bot.slack_url = workspace.home_url
        bot.app = build_app(desk, client, dict(identity))
        app_token = slack.get("app_token") or secret(settings.slack_app_token)
        if app_token:
            connecting = web_client(session, token=app_token, base_url=base_url)
            bot.socket = await _socket_door(bot.app, app_token, connecting, stack)
        else:
            bot.http = HttpDoor(bot.app, secret(settings.slack_signing_secret) or "")
        bot.trouble = ""
        yield bot
        bot.trouble = "Tocsin is stopping."


def _kept_up(stack: AsyncExitStack, *watches: Coroutine[Any, Any, None]) -> None:
    """What goes on for as long as the bot does."""
    for watch in watches:
        stack.callback(asyncio.create_task(watch).cancel)


async def _reaching_the_operator(
    bot: Bot, workspace: SlackWorkspace, settings: Settings, stack: AsyncExitStack
) -> None:
    assert bot.people is not None
    operator = SlackOperator(workspace, settings.tocsin_admin_channel or bot.people.owner)
    await bot.alarms.recall()
    saying = asyncio.create_task(bot.alarms.keep_saying(operator.say))
    stack.callback(saying.cancel)


async def _socket_door(
    app: AsyncApp, app_token: str, client: AsyncWebClient, stack: AsyncExitStack
) -> SocketDoor:
    door = SocketDoor(app, app_token, client)
    await _connect(door)
    stack.push_async_callback(door.close)
    return door


async def _identity(client: AsyncWebClient) -> Mapping[str, Any]:
    """Who the token makes us; asked once, before anything is served."""
    try:
        return await patiently(lambda _: asked(client.auth_test), again=False, attempts=None)
    except SlackRefused as refusal:
        raise ConfigurationError(
            f"SLACK_BOT_TOKEN was refused by Slack ({refusal.code}); install the app again, copy its token."
        ) from None


async def _connect(socket: SocketDoor) -> None:
    try:
        await socket.open()
    except SlackRefused as refusal:
        raise ConfigurationError(
            f"SLACK_APP_TOKEN was refused by Slack ({refusal.code}); copy it again from the app's settings, "
            "Basic Information, App-Level Tokens, with the scope connections:write."
        ) from None


async def _kept_fresh(forms: FormCache, stack: AsyncExitStack) -> None:
    """Have the choices at hand before anybody asks, if the backend answers soon, and fresh from then on."""
    refreshing = asyncio.create_task(forms.keep_fresh())
    stack.callback(refreshing.cancel)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FORM_SECONDS):
            await forms.came.wait()
    if forms.now is None:
        await forms.recall()
