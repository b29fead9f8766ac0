"""The composition root: everything that Tocsin is made of, built once from its settings."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.exc import SQLAlchemyError

from tocsin.config import Config, open_config
from tocsin.data_dir import api_token, data_dir, journal_url, kept_secret, only_one, open_backend, secret
from tocsin.health import Bot
from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import ChannelId, Form, Incident, Person, PersonId, TeamId
from tocsin.metrics import Metrics
from tocsin.settings import ConfigurationError, Settings
from tocsin.slack import routes
from tocsin.slack.app import build_app
from tocsin.slack.authorization import People
from tocsin.slack.context import Help, WorkspaceContext, WorkspaceRegistry, may_install
from tocsin.slack.exposure import Exposure
from tocsin.slack.gate import DisclosureGate
from tocsin.slack.http import HttpReceiver
from tocsin.slack.installations import DecryptionError, Installation, Installations, TokenCipher
from tocsin.slack.listeners.home import refresh_homes
from tocsin.slack.oauth import OAuthApp, OAuthFlow, TokenRotation
from tocsin.slack.routes import every_route
from tocsin.slack.socket_mode import SocketModeReceiver
from tocsin.slack.web_api import WebApi, open_session, request, web_client
from tocsin.slack.workspace import SlackOperator, SlackWorkspace
from tocsin.storage.database import root_message
from tocsin.storage.installations import SqlInstallationStore
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.storage.serialization import json_only
from tocsin.storage.slack_state import SqlSlackStateStore
from tocsin.storage.workflow_engine import DbosEngine, Workflow, forget_old_workflows
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.channels import ChannelOpener
from tocsin.workflows.declare import DeclareIncident
from tocsin.workflows.fallback_channel import FallbackChannel
from tocsin.workflows.form_cache import FormCache
from tocsin.workflows.ports import Alerts, Clock, IncidentBackend, Introduce
from tocsin.workflows.publish import DeclarationPublisher
from tocsin.workflows.queries import CurrentIncidents
from tocsin.workflows.registry import IncidentWorkflows, build_workflows
from tocsin.workflows.retry import retry

# Which workspaces the bot serves: that of its token, or all that installed it.

log = structlog.get_logger()
NewClient = Callable[[str | None], AsyncWebClient]


async def token_desks(
    made: Callable[[TeamId], WorkspaceContext], new_client: NewClient, token: str | None
) -> WorkspaceRegistry:
    """The desks of the one workspace, or organization, that a bot token is for.

    Waits for as long as Slack cannot be reached. Raises ConfigurationError when Slack refuses the token.
    """
    client = new_client(token)
    try:
        # Asked once, before anything is served.
        identity = await retry(request, client.auth_test, attempts=None)
    except SlackRefused as refusal:
        raise ConfigurationError(
            f"SLACK_BOT_TOKEN was refused by Slack ({refusal.code}); install the app again, copy its token."
        ) from None
    desks = WorkspaceRegistry(made, sole=True)
    desks.install(Installation.of_token(identity, token or ""))
    return desks


@asynccontextmanager
async def installed_desks(
    made: Callable[[TeamId], WorkspaceContext],
    new_client: NewClient,
    settings: Settings,
    url: str,
    clock: Clock,
) -> AsyncIterator[tuple[WorkspaceRegistry, OAuthFlow, TokenRotation]]:
    """The desks of all workspaces that installed the app, and what lets more of them in.

    `url` is the journal's. Raises ConfigurationError where what is kept cannot be read with the keys we have.
    """
    store = SqlInstallationStore(url)
    try:
        installations = Installations(store, TokenCipher(*settings.installation_keys))

        def placed_desk(team: TeamId) -> WorkspaceContext:
            return replace(made(team), check_uninstalled=partial(installing.check_uninstalled, team))

        desks = WorkspaceRegistry(placed_desk, placed=store.save_org)
        if not settings.installation_keys:
            log.warning("TOCSIN_INSTALLATION_KEY is not set: tokens of installations are kept in the clear")
        app = OAuthApp(settings.slack_client_id or "", secret(settings.slack_client_secret) or "", new_client)
        installing = OAuthFlow(app, installations, desks, teams=settings.teams, clock=clock)
        await _move_in(desks, installations, settings)
        rotation = TokenRotation(desks, installing, clock)
        rotating = asyncio.create_task(rotation.run())
        try:
            yield desks, installing, rotation
        finally:
            rotating.cancel()
            await asyncio.gather(rotating, return_exceptions=True)
    finally:
        store.close()


async def _move_in(desks: WorkspaceRegistry, installations: Installations, settings: Settings) -> None:
    try:
        desks.know(await installations.store.orgs())
        await installations.encrypt_stored()
        kept = await installations.all()
    except DecryptionError as broken:
        raise ConfigurationError(
            f"TOCSIN_INSTALLATION_KEY is not the key that the installation of {broken} was encrypted with: "
            "set that one, or both with the new one first and a comma between. Where they were not changed, "
            "somebody else wrote it: delete its row, and have it installed again."
        ) from None
    except Unavailable as error:
        raise ConfigurationError(f"TOCSIN_DATABASE_URL: {error}") from None
    for installation in kept:
        # Whoever is taken off the list is served no more.
        if may_install(installation, settings.teams):
            desks.install(installation)


def operator_in(desks: WorkspaceRegistry, channels: str | None) -> SlackOperator:
    """Where the operator is told: their channel, else whoever installed Tocsin first or owns the workspace.

    Raises Unavailable while Tocsin is installed nowhere.
    """
    if not desks.open:
        raise Unavailable("Tocsin is installed in no workspace yet.")
    for desk in desks.open:
        if channel := announced_in(desk.workspace.team_id, channels):
            return SlackOperator(desk.workspace, channel)
    first = desks.open[0]
    serving = desks.serving(first.workspace.team_id)
    installer = serving.installer if serving else None
    return SlackOperator(first.workspace, installer or first.people.owner)


def announced_in(team: str, channels: str | None) -> ChannelId | None:
    """The channel of this workspace among `T…/C…`, with commas between; one alone is that of the only one."""
    for entry in (channels or "").split(","):
        home, _, channel = entry.strip().rpartition("/")
        if channel and home in ("", team):
            return ChannelId(channel)
    return None


# What people can make happen, put together from the parts that this process has.

WorkspaceOf = Callable[[TeamId], SlackWorkspace]


class Parts(Protocol):
    """What the verbs need of the bot."""

    backend: IncidentBackend
    journal: DbosEngine
    metrics: Metrics
    alarms: OperatorAlerts
    memory: SqlKeyValueStore
    config: Config

    @property
    def clock(self) -> Clock: ...

    @property
    def introduce(self) -> Introduce: ...


Saw = Callable[[Incident], None]
"""Hears of each incident as its backend has just answered with it."""


def declaring(
    bot: Parts, workspace: WorkspaceOf, ledger: SqlSlackStateStore, announce: str | None, saw: Saw
) -> DeclareIncident:
    publishers: dict[str, DeclarationPublisher] = {}
    shelter = FallbackChannel(
        backend=bot.backend,
        workspace=workspace,
        state=ledger,
        engine=bot.journal,
        store=bot.memory,
        clock=bot.clock,
    )

    def publisher(team: TeamId) -> DeclarationPublisher:
        slack = workspace(team)
        if slack.team_id not in publishers:
            publishers[slack.team_id] = DeclarationPublisher(
                backend=bot.backend,
                workspace=slack,
                state=ledger,
                engine=bot.journal,
                announce=announced_in(slack.team_id, announce),
                opener=ChannelOpener(
                    backend=bot.backend,
                    workspace=slack,
                    state=ledger,
                    clock=bot.clock,
                    saw=saw,
                    shelter=shelter.found if bot.backend.is_remote else None,
                ),
            )
        return publishers[slack.team_id]

    return DeclareIncident(
        backend=bot.backend,
        state=ledger,
        engine=bot.journal,
        publisher=publisher,
        ended=bot.metrics.count_declaration,
        seen=bot.metrics.observe_reference,
        saw=saw,
        alerts=bot.alarms,
        shelter=shelter,
    )


def managed(
    bot: Parts,
    workspace: WorkspaceOf,
    ledger: SqlSlackStateStore,
    form: Callable[[], Awaitable[Form]],
    current: CurrentIncidents,
) -> IncidentWorkflows:
    return build_workflows(
        backend=bot.backend,
        engine=bot.journal,
        state=ledger,
        workspace=workspace,
        form=form,
        clock=bot.clock,
        alerts=bot.alarms,
        policy=bot.config.post_incident,
        current=current,
        introduce=bot.introduce,
    )


# How Slack's payloads come in when the bot asks for them itself.


async def socket_door(
    app: AsyncApp, app_token: str, client: AsyncWebClient, stack: AsyncExitStack
) -> SocketModeReceiver:
    door = SocketModeReceiver(app, app_token, client)
    await _connect(door)
    stack.push_async_callback(door.close)
    return door


async def _connect(socket: SocketModeReceiver) -> None:
    try:
        await socket.open()
    except SlackRefused as refusal:
        raise ConfigurationError(
            f"SLACK_APP_TOKEN was refused by Slack ({refusal.code}); copy it again from the app's settings, "
            "Basic Information, App-Level Tokens, with the scope connections:write."
        ) from None


# How the parts go together: folder, backend, journal, Slack, pages, each opened and closed in its turn.

__all__ = ["Bot", "connected", "data_dir", "opened"]

FINISH_SECONDS = 2.5
"""How long what is in hand may take when the process is told to stop; the rest goes on at the next start."""

FORM_SECONDS = 2.0


def _open_ledger(url: str) -> SqlSlackStateStore:
    try:
        json_only(url)
        return SqlSlackStateStore(url)
    except Unavailable as error:
        raise ConfigurationError(f"TOCSIN_DATABASE_URL: {error} Restore a backup.") from None
    except (OSError, ImportError, UnicodeDecodeError, sqlite3.Error, SQLAlchemyError) as error:
        raise ConfigurationError(
            f"TOCSIN_DATABASE_URL: the journal cannot be used ({root_message(error)}). Restore a backup."
        ) from None


@asynccontextmanager
async def opened(settings: Settings, folder: Path) -> AsyncIterator[Bot]:
    """The bot's own parts, before Slack is asked for anything."""
    async with AsyncExitStack() as stack:
        stack.enter_context(only_one(folder))
        config = open_config(settings)
        memory = SqlKeyValueStore(journal_url(settings, folder))
        stack.callback(memory.close)
        alarms = OperatorAlerts(memory)
        backend = await open_backend(settings, folder, operator=alarms)
        stack.push_async_callback(backend.close)
        journal = DbosEngine(journal_url(settings, folder))
        token, state_key = api_token(settings, folder), kept_secret(folder, "trip-key")
        yield Bot(backend, journal, token, state_key, memory, alarms, config)


@asynccontextmanager
async def connected(bot: Bot, settings: Settings, **slack: str) -> AsyncIterator[Bot]:
    """The bot, talking to Slack; unfinished declarations go on from here.

    Raises ConfigurationError when Slack refuses the token. Waits for as long as Slack cannot be reached.
    """
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session())
        base_url = slack.get("api_url") or settings.slack_api_url
        stack.callback((ledger := _open_ledger(bot.journal.url)).close)
        announce = settings.tocsin_announce_channel or slack.get("announce")
        kept_as = f"form:{settings.tocsin_backend}"
        forms, tasks = FormCache(bot.backend, bot.memory, kept_as, bot.alarms), bot.tasks

        def new_client(token: str | None) -> AsyncWebClient:
            return web_client(session, token=token, base_url=base_url)

        def made(team: TeamId) -> WorkspaceContext:
            calls = WebApi(bot.metrics.count_call)
            workspace = SlackWorkspace(new_client(None), clock=bot.clock, team_id=team, calls=calls)
            people, here = People(workspace, bot.backend), bot.config.for_team(team)
            desk = WorkspaceContext(
                declare, verbs, forms, workspace, people, tasks, bot.clock, here.rules, here.limits
            )
            desk.peer_teams = lambda: desks.peer_teams(team)
            desk.help = Help(routes.help_here(), routes.help_anywhere())
            desk.pages, desk.announce = settings.public_url, announced_in(team, announce)
            return _gated(desk, current, ledger, bot.alarms)

        def workspace_of(team: TeamId) -> SlackWorkspace:
            return desks.context_of(team).workspace

        current = CurrentIncidents(bot.backend)
        declare = declaring(bot, workspace_of, ledger, announce, current.observe)
        bot.verbs = verbs = managed(bot, workspace_of, ledger, forms.fetch, current)
        bot.desks = desks = await _desks(bot, settings, made, new_client, stack, slack.get("bot_token"))
        _go_on(bot, {**declare.workflows(), **verbs.workflows()}, workspace_of)
        stack.push_async_callback(bot.journal.close)
        await bot.alarms.load()
        stack.push_async_callback(tasks.finish, FINISH_SECONDS)
        await _kept_fresh(forms, stack)
        _kept_up(stack, bot.watch(ledger), forget_old_workflows(bot.journal, bot.clock), *verbs.watches())
        _kept_up(stack, refresh_homes(verbs.open_now, lambda: desks.open))
        await asyncio.gather(*(desk.greet() for desk in desks.open))
        await _reaching_the_operator(bot, desks, settings.tocsin_admin_channel, stack)
        bot.app = build_app(desks, new_client(None), bot.metrics)
        await _let_in(bot, bot.app, settings, slack.get("app_token"), new_client, stack)
        bot.problem = ""
        yield bot
        bot.problem = "Tocsin is stopping."


def _gated(
    desk: WorkspaceContext, current: CurrentIncidents, ledger: SqlSlackStateStore, operator: Alerts
) -> WorkspaceContext:
    """The desk, with a gate before everything that it sends about incidents."""
    exposure = Exposure(desk.workspace, ledger, operator, desk.tasks)
    at_hand = desk.workflows.open_now.find
    gate = DisclosureGate(
        current.find, at_hand, desk.workspace.channels, desk.people, desk.shared_channels, exposure.observe
    )
    desk.workspace.api.gate = gate.check
    return desk


def _go_on(
    bot: Bot, stories: Mapping[str, Workflow], workspace_of: Callable[[TeamId], SlackWorkspace]
) -> None:
    """Unfinished stories go on from here, with a backend that can ask who people are."""

    async def find_person(team: TeamId, person: PersonId) -> Person | None:
        return await workspace_of(team).users.person(person)

    bot.backend.set_directory(find_person)
    for verb, story in stories.items():
        bot.journal.register(verb, story)
    bot.journal.open()


async def _let_in(
    bot: Bot,
    app: AsyncApp,
    settings: Settings,
    app_token: str | None,
    new_client: NewClient,
    stack: AsyncExitStack,
) -> None:
    """Payloads come in from here on: over Socket Mode with an app token, else over HTTP."""
    bot.metrics.create_series(every_route())
    if app_token := app_token or secret(settings.slack_app_token):
        bot.socket = await socket_door(app, app_token, new_client(app_token), stack)
    else:
        bot.http = HttpReceiver(
            app,
            secret(settings.slack_signing_secret) or "",
            now=lambda: bot.clock().timestamp(),
            turned_away=bot.metrics.count_turned_away,
        )


def _kept_up(stack: AsyncExitStack, *watches: Coroutine[Any, Any, None]) -> None:
    """What goes on for as long as the bot does."""
    for watch in watches:
        stack.callback(asyncio.create_task(watch).cancel)


async def _desks(
    bot: Bot,
    settings: Settings,
    made: Callable[[TeamId], WorkspaceContext],
    new_client: NewClient,
    stack: AsyncExitStack,
    token: str | None,
) -> WorkspaceRegistry:
    """The desks of the workspace of our token, or of all that installed the app."""
    token = token or secret(settings.slack_bot_token)
    if token or not settings.installs:
        return await token_desks(made, new_client, token)
    desks, bot.oauth, bot.rotation = await stack.enter_async_context(
        installed_desks(made, new_client, settings, bot.journal.url, bot.clock)
    )
    return desks


async def _reaching_the_operator(
    bot: Bot, desks: WorkspaceRegistry, channels: str | None, stack: AsyncExitStack
) -> None:
    async def say(sentence: str, key: str, again: bool) -> None:
        await operator_in(desks, channels).say(sentence, key, again)

    _kept_up(stack, bot.alarms.keep_saying(say))


async def _kept_fresh(forms: FormCache, stack: AsyncExitStack) -> None:
    """Have the choices at hand before anybody asks, if the backend answers soon, and fresh from then on."""
    refreshing = asyncio.create_task(forms.keep_fresh())
    stack.callback(refreshing.cancel)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FORM_SECONDS):
            await forms.came.wait()
    if forms.now is None:
        await forms.load()
