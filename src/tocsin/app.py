"""The composition root: everything that Tocsin is made of, built once from its settings.

`open_resources` opens files and databases, `open_app` builds every object from them without asking Slack for
anything, and `connected` starts it all: it asks Slack, resumes workflows, and takes payloads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette

from tocsin.config import Config, open_config
from tocsin.data_dir import (
    data_dir,
    journal_url,
    lasting_secret,
    now,
    only_one,
    open_backend,
    open_database,
    secret,
)
from tocsin.health import Health
from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import Person, PersonId, TeamId
from tocsin.incidents.permissions import Membership
from tocsin.metrics import Metrics
from tocsin.settings import ConfigurationError, Settings
from tocsin.slack import routes
from tocsin.slack.app import build_app
from tocsin.slack.authorization import People
from tocsin.slack.context import Help, Tasks, WorkspaceContext, WorkspaceContexts
from tocsin.slack.exposure import Exposure
from tocsin.slack.gate import DisclosureGate
from tocsin.slack.http import EVENTS, HttpReceiver
from tocsin.slack.installations import DecryptionError, Installation, Installations, TokenCipher
from tocsin.slack.listeners.home import refresh_homes
from tocsin.slack.oauth import OAuthApp, OAuthFlow, TokenRotation, UninstallCheck
from tocsin.slack.registry import WorkspaceRegistry, channel_in, may_install
from tocsin.slack.routes import every_route
from tocsin.slack.shared_channels import SharedChannels
from tocsin.slack.socket_mode import SocketModeReceiver
from tocsin.slack.web_api import WebApi, open_session, request, web_client
from tocsin.slack.workspace import SlackOperator, SlackWorkspace
from tocsin.storage.database import Database
from tocsin.storage.installations import SqlInstallationStore
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.storage.postgresql import is_postgresql
from tocsin.storage.replicas import Replicas
from tocsin.storage.slack_state import SqlSlackStateStore
from tocsin.storage.workflow_engine import FORMAT, DbosEngine, forget_old_workflows, keep_workflows_going
from tocsin.web.app import web_app
from tocsin.web.auth import Sessions, SessionUser, SignIn
from tocsin.web.middleware import own_hosts, own_origins
from tocsin.web.oauth import InstallPages, OAuthStates, OpenId
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.channels import ChannelOpener
from tocsin.workflows.declare import DeclareIncident
from tocsin.workflows.fallback_channel import FallbackChannel
from tocsin.workflows.form_cache import FormCache
from tocsin.workflows.ports import Clock, IncidentBackend
from tocsin.workflows.publish import DeclarationPublisher
from tocsin.workflows.queries import CurrentIncidents
from tocsin.workflows.registry import IncidentWorkflows, build_workflows
from tocsin.workflows.retry import retry

log = structlog.get_logger()
NewClient = Callable[[str | None], AsyncWebClient]
PeopleOf = Callable[[SlackWorkspace], People]
SharedChannelsOf = Callable[[SlackWorkspace], SharedChannels]

FINISH_SECONDS = 2.5
"""Seconds for running requests to end when the process is to stop; the rest resumes at the next start."""

FORM_SECONDS = 2.0
"""Seconds that a start waits for the backend's choices; else the form opens with those of last time."""


@dataclass
class Resources:
    """Files, databases and the backend: everything that is opened before Slack is asked for anything."""

    settings: Settings
    config: Config
    database: Database
    backend: IncidentBackend
    engine: DbosEngine
    key_value: SqlKeyValueStore
    replicas: Replicas
    alerts: OperatorAlerts
    api_token: str
    state_key: str
    """Signs the OAuth state that a browser keeps while its user is at Slack. Signs nothing else."""
    clock: Clock = now
    metrics: Metrics = field(default_factory=Metrics)
    tasks: Tasks = field(default_factory=Tasks)


@asynccontextmanager
async def open_resources(settings: Settings, folder: Path) -> AsyncIterator[Resources]:
    """Open the files and databases in this data folder, and the backend. Raises ConfigurationError."""
    async with AsyncExitStack() as stack:
        url = journal_url(settings, folder)
        if not is_postgresql(url):
            stack.enter_context(only_one(data_dir(folder)))
        config = open_config(settings)
        database = open_database(url)
        stack.callback(database.close)
        key_value, replicas = SqlKeyValueStore(database), Replicas(database, FORMAT)
        alerts = OperatorAlerts(key_value)
        backend = await open_backend(settings, folder, store=key_value, operator=alerts)
        stack.push_async_callback(backend.close)
        yield Resources(
            settings=settings,
            config=config,
            database=database,
            backend=backend,
            engine=DbosEngine(database, replicas),
            key_value=key_value,
            replicas=replicas,
            alerts=alerts,
            api_token=settings.api_token or await lasting_secret(key_value, folder, "api-token"),
            state_key=await lasting_secret(key_value, folder, "trip-key"),
        )


@dataclass(frozen=True)
class OAuth:
    """Installation in several workspaces: the flow, the rotation of tokens, and where they are stored."""

    flow: OAuthFlow
    rotation: TokenRotation
    installations: Installations


@dataclass(frozen=True)
class App:
    """Everything that Tocsin is made of. It does nothing before it is `connected`."""

    resources: Resources
    new_client: NewClient
    forms: FormCache
    registry: WorkspaceRegistry
    people_of: PeopleOf
    declare: DeclareIncident
    workflows: IncidentWorkflows
    contexts: WorkspaceContexts
    bolt: AsyncApp
    receiver: SocketModeReceiver | HttpReceiver
    oauth: OAuth | None
    """None where the bot token of one workspace is in the settings."""
    health: Health

    async def settled(self) -> None:
        """Return once no request is being worked on and no workflow is unfinished."""
        await self.resources.tasks.settled()
        await self.resources.engine.settled()

    def pages(self) -> Starlette:
        """Return the web application; it answers before Slack can be reached."""
        parts, settings = self.resources, self.resources.settings
        states = OAuthStates(
            parts.state_key.encode(), secure=settings.public_url.startswith("https:"), clock=parts.clock
        )
        return web_app(
            backend=parts.backend,
            api_token=parts.api_token,
            hosts=own_hosts(settings.tocsin_port, settings.tocsin_public_url),
            public=settings.is_on_loopback,
            ready=self.health.not_ready,
            registry=parts.metrics.registry,
            slack_url=self._slack_url,
            introduce=partial(_introduce, self.registry, self.people_of),
            clock=parts.clock,
            sign_in=self._sign_in(states),
            install=self._install_pages(states) if settings.installs else None,
            peer_teams=lambda team: self.registry.peer_teams(TeamId(team)),
            events=self.receiver.answer if isinstance(self.receiver, HttpReceiver) else None,
            any_host=() if settings.tocsin_public_url else (EVENTS,),
        )

    def _install_pages(self, states: OAuthStates) -> InstallPages:
        def flow() -> OAuthFlow | None:
            return self.oauth.flow if self.oauth is not None and self.health.is_started else None

        return InstallPages(states, flow, lambda: self.resources.settings.public_url)

    def _sign_in(self, states: OAuthStates) -> SignIn | None:
        """Return the sign-in with Slack; None where the settings name no app to sign in to."""
        settings = self.resources.settings
        client_id, client_secret = settings.slack_client_id, secret(settings.slack_client_secret)
        if not client_id or not client_secret:
            return None
        return SignIn(
            OpenId(client_id, client_secret, settings.slack_api_url),
            Sessions(self.resources.key_value, secure=states.secure, clock=self.resources.clock),
            states,
            check_membership=self._refusal,
            public_url=lambda: settings.public_url,
            origins=own_origins(settings.tocsin_port, settings.tocsin_public_url),
        )

    async def _refusal(self, signed: SessionUser) -> str:
        """Return why a person who signed in may not read; empty for a member of a workspace that we serve."""
        workspace = await self.registry.find(TeamId(signed.team), signed.org)
        if workspace is None:
            return "Tocsin does not serve the workspace that you signed in with."
        membership = await self.people_of(workspace).membership(signed.person)
        if membership is Membership.UNKNOWN:
            raise Unavailable("Slack cannot say who you are just now; try again in a moment.")
        if membership.is_guest:
            return "Incidents are for members of the workspace; guests cannot read them here."
        return "" if membership is Membership.MEMBER else "Incidents are for members of the workspace."

    def _slack_url(self, team: str) -> str | None:
        if not self.registry.installations:
            return None
        return self.registry.workspace_of(TeamId(team)).home_url


@asynccontextmanager
async def open_app(parts: Resources) -> AsyncIterator[App]:
    """Build the app. Nothing is asked of Slack. Raises ConfigurationError if the database cannot be used."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session())
        state = SqlSlackStateStore(parts.database)
        store = None
        if parts.settings.installs and not parts.settings.slack_bot_token:
            store = _open_installation_store(parts)
        yield _build(parts, partial(_new_client, session, parts.settings), state, store)


def _build(
    parts: Resources, new_client: NewClient, state: SqlSlackStateStore, store: SqlInstallationStore | None
) -> App:
    """Build every object, from the clients of workspaces over workflows to listeners."""
    settings = parts.settings
    forms = FormCache(parts.backend, parts.key_value, f"form:{settings.tocsin_backend}", parts.alerts)
    current = CurrentIncidents(parts.backend, partial(parts.replicas.tell, "incident"))
    people_of, channels_of = cache(partial(_people_of, parts)), cache(_shared_channels_of)
    new_workspace = NewWorkspace(parts, new_client, state, current, people_of, channels_of)
    if store is None:
        registry = WorkspaceRegistry(new_workspace, sole=True)
    else:
        registry = WorkspaceRegistry(new_workspace, save_org=store.save_org)
    declare = _build_declare(parts, registry, state, current)
    parts.replicas.hearers["incident"] = current.hear
    workflows = build_workflows(
        backend=parts.backend,
        engine=parts.engine,
        state=state,
        workspace=registry.workspace_of,
        form=forms.fetch,
        clock=parts.clock,
        alerts=parts.alerts,
        policy=parts.config.post_incident,
        current=current,
        introduce=partial(_introduce, registry, people_of),
        leads=(lambda: parts.replicas.is_leader) if parts.database.is_shared else None,
    )
    oauth_app = OAuthApp(
        settings.slack_client_id or "", secret(settings.slack_client_secret) or "", new_client
    )
    check = UninstallCheck(oauth_app, store, registry) if store is not None else None
    new_context = NewContext(parts, forms, registry, people_of, channels_of, declare, workflows, check)
    contexts = WorkspaceContexts(registry, new_context)
    bolt = build_app(contexts, new_client(None), parts.metrics)
    receiver = _build_receiver(parts, bolt, new_client)
    return App(
        resources=parts,
        new_client=new_client,
        forms=forms,
        registry=registry,
        people_of=people_of,
        declare=declare,
        workflows=workflows,
        contexts=contexts,
        bolt=bolt,
        receiver=receiver,
        oauth=_build_oauth(parts, oauth_app, store, contexts) if store is not None else None,
        health=Health(parts.backend, parts.engine, state, registry, receiver, parts.alerts, parts.metrics),
    )


@dataclass(frozen=True)
class NewWorkspace:
    """Factory of the clients of workspaces, each with a gate before everything that it sends."""

    parts: Resources
    new_client: NewClient
    state: SqlSlackStateStore
    current: CurrentIncidents
    people_of: PeopleOf
    channels_of: SharedChannelsOf

    def __call__(self, team: TeamId) -> SlackWorkspace:
        """Return the client of this workspace; it can call Slack once it has entered."""
        parts = self.parts
        calls = WebApi(parts.metrics.count_call)
        workspace = SlackWorkspace(self.new_client(None), clock=parts.clock, team_id=team, calls=calls)
        exposure = Exposure(workspace, self.state, parts.alerts, parts.tasks)
        calls.gate = DisclosureGate(
            self.current.find,
            self.current.open_now.find,
            workspace.channels,
            self.people_of(workspace),
            self.channels_of(workspace),
            exposure.observe,
        ).check
        return workspace


@dataclass(frozen=True)
class NewContext:
    """Factory of the contexts of workspaces."""

    parts: Resources
    forms: FormCache
    registry: WorkspaceRegistry
    people_of: PeopleOf
    channels_of: SharedChannelsOf
    declare: DeclareIncident
    workflows: IncidentWorkflows
    check_uninstalled: UninstallCheck | None

    def __call__(self, workspace: SlackWorkspace) -> WorkspaceContext:
        """Return the context of this workspace."""
        parts, team = self.parts, workspace.team_id
        rules = parts.config.for_team(team)
        context = WorkspaceContext(
            declare=self.declare,
            workflows=self.workflows,
            forms=self.forms,
            workspace=workspace,
            people=self.people_of(workspace),
            shared_channels=self.channels_of(workspace),
            tasks=parts.tasks,
            clock=parts.clock,
            rules=rules.rules,
            limits=rules.limits,
            help=Help(routes.help_here(), routes.help_anywhere()),
            pages=parts.settings.public_url,
            peer_teams=partial(self.registry.peer_teams, team),
            announce=channel_in(team, parts.settings.tocsin_announce_channel),
        )
        if self.check_uninstalled is not None:
            context.check_uninstalled = partial(self.check_uninstalled, team)
        return context


def _people_of(parts: Resources, workspace: SlackWorkspace) -> People:
    return People(workspace, parts.backend)


def _shared_channels_of(workspace: SlackWorkspace) -> SharedChannels:
    return SharedChannels(workspace.channels.readership)


def _new_client(session: Any, settings: Settings, token: str | None) -> AsyncWebClient:
    return web_client(session, token=token, base_url=settings.slack_api_url)


async def _introduce(
    registry: WorkspaceRegistry,
    people_of: PeopleOf,
    team: str,
    people: Iterable[PersonId],
) -> bool:
    """Look up the names of a workspace's people; True if the backend knows more names now."""
    if not registry.installations:
        return False
    return await people_of(registry.workspace_of(TeamId(team))).introduce(people)


def _open_installation_store(parts: Resources) -> SqlInstallationStore:
    if not parts.settings.installation_keys:
        log.warning("TOCSIN_INSTALLATION_KEY is not set: tokens of installations are kept in the clear")
    return SqlInstallationStore(parts.database, partial(parts.replicas.tell, "installation"))


def _build_oauth(
    parts: Resources, app: OAuthApp, store: SqlInstallationStore, contexts: WorkspaceContexts
) -> OAuth:
    installations = Installations(store, TokenCipher(*parts.settings.installation_keys))
    flow = OAuthFlow(app, installations, contexts, teams=parts.settings.teams, clock=parts.clock)
    return OAuth(flow, TokenRotation(contexts.registry, flow, parts.clock), installations)


def _build_declare(
    parts: Resources, registry: WorkspaceRegistry, state: SqlSlackStateStore, current: CurrentIncidents
) -> DeclareIncident:
    shelter = FallbackChannel(
        backend=parts.backend,
        workspace=registry.workspace_of,
        state=state,
        engine=parts.engine,
        store=parts.key_value,
        clock=parts.clock,
    )

    @cache
    def publisher_in(workspace: SlackWorkspace) -> DeclarationPublisher:
        return DeclarationPublisher(
            backend=parts.backend,
            workspace=workspace,
            state=state,
            engine=parts.engine,
            announce=channel_in(workspace.team_id, parts.settings.tocsin_announce_channel),
            opener=ChannelOpener(
                backend=parts.backend,
                workspace=workspace,
                state=state,
                clock=parts.clock,
                saw=current.observe,
                shelter=shelter.found if parts.backend.is_remote else None,
            ),
        )

    return DeclareIncident(
        backend=parts.backend,
        state=state,
        engine=parts.engine,
        publisher=lambda team: publisher_in(registry.workspace_of(team)),
        ended=parts.metrics.count_declaration,
        seen=parts.metrics.observe_reference,
        saw=current.observe,
        alerts=parts.alerts,
        shelter=shelter,
    )


def _build_receiver(
    parts: Resources, bolt: AsyncApp, new_client: NewClient
) -> SocketModeReceiver | HttpReceiver:
    """Return the receiver of payloads: over Socket Mode if there is an app token, else over HTTP."""
    parts.metrics.create_series(every_route())
    if app_token := secret(parts.settings.slack_app_token):
        return SocketModeReceiver(bolt, app_token, new_client(app_token))
    return HttpReceiver(
        bolt,
        secret(parts.settings.slack_signing_secret) or "",
        now=lambda: parts.clock().timestamp(),
        turned_away=parts.metrics.count_turned_away,
    )


@asynccontextmanager
async def connected(app: App) -> AsyncIterator[None]:
    """Start the app: ask Slack where it is installed, resume unfinished workflows, take payloads.

    Raises ConfigurationError if Slack refuses a token. Waits for as long as Slack cannot be reached.
    """
    parts = app.resources
    async with AsyncExitStack() as stack:
        if app.oauth is None:
            await _enter_sole_workspace(app)
        else:
            await _enter_installed_workspaces(app.registry, app.oauth.installations, parts.settings)
            await stack.enter_async_context(_going_on(parts.replicas.lead(app.oauth.rotation.run)))
        await _join_replicas(app, stack)
        _resume_workflows(app)
        parts.replicas.take_over = parts.engine.take_over
        stack.push_async_callback(parts.engine.close)
        await parts.alerts.load()
        stack.push_async_callback(parts.tasks.finish, FINISH_SECONDS)
        await _keep_forms_fresh(app.forms, stack)
        _keep_going(
            stack,
            parts.replicas.keep_beating(),
            keep_workflows_going(parts.engine),
            app.health.watch(),
            app.workflows.watching.keep_watch(),
            parts.replicas.lead(partial(forget_old_workflows, parts.engine, parts.clock)),
            *map(parts.replicas.lead, app.workflows.leaders_loops),
            refresh_homes(app.workflows.open_now, lambda: app.contexts.open),
        )
        await asyncio.gather(*(context.greet() for context in app.contexts.open))
        _keep_going(stack, parts.replicas.lead(partial(_say_alerts, app)))
        await _open_receiver(app.receiver)
        stack.push_async_callback(app.receiver.close)
        app.health.problem = ""
        yield
        app.health.problem = "Tocsin is stopping."


async def _enter_sole_workspace(app: App) -> None:
    """Enter the workspace, or the organization, of the bot token in the settings."""
    token = secret(app.resources.settings.slack_bot_token)
    try:
        identity = await retry(request, app.new_client(token).auth_test, attempts=None)
    except SlackRefused as refusal:
        raise ConfigurationError(
            f"SLACK_BOT_TOKEN was refused by Slack ({refusal.code}); install the app again, copy its token."
        ) from None
    app.registry.install(Installation.of_token(identity, token or ""))


async def _enter_installed_workspaces(
    registry: WorkspaceRegistry, installations: Installations, settings: Settings
) -> None:
    """Enter every workspace that installed the app. Raises ConfigurationError if a key does not fit."""
    try:
        registry.know_orgs(await installations.store.orgs())
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
        # A workspace that was taken off the list is served no more.
        if may_install(installation, settings.teams):
            registry.install(installation)


@asynccontextmanager
async def _going_on(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run this in the background, and end it before going on."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _join_replicas(app: App, stack: AsyncExitStack) -> None:
    """Become one of the replicas that share the database; without others, do nothing."""
    replicas, engine = app.resources.replicas, app.resources.engine
    replicas.on_death = engine.abandon
    app.resources.alerts.relay = replicas.relay_alert
    replicas.hearers |= {"alert": app.resources.alerts.hear, "installation": partial(_learn, app)}
    stack.push_async_callback(replicas.leave)
    await replicas.join()


async def _learn(app: App, _: str) -> None:
    """Learn where Tocsin is installed now, since another replica changed that."""
    if app.oauth is None:
        return
    registry, installations = app.registry, app.oauth.installations
    registry.know_orgs(await installations.store.orgs())
    kept = {one.home: one for one in await installations.all()}
    for known in registry.installations:
        if known.home not in kept:
            registry.uninstall(known)
    for one in kept.values():
        if may_install(one, app.resources.settings.teams):
            registry.install(one)


async def _say_alerts(app: App) -> None:
    if app.resources.database.is_shared:
        await app.resources.alerts.load()
    await app.resources.alerts.keep_saying(partial(_tell_operator, app))


def _resume_workflows(app: App) -> None:
    """Start the workflow engine, with a backend that can ask Slack for the names of people."""

    async def find_person(team: TeamId, person: PersonId) -> Person | None:
        return await app.registry.workspace_of(team).users.person(person)

    engine = app.resources.engine
    app.resources.backend.set_directory(find_person)
    for verb, workflow in {**app.declare.workflows(), **app.workflows.workflows()}.items():
        engine.register(verb, workflow)
    engine.open()


async def _open_receiver(receiver: SocketModeReceiver | HttpReceiver) -> None:
    try:
        await receiver.open()
    except SlackRefused as refusal:
        raise ConfigurationError(
            f"SLACK_APP_TOKEN was refused by Slack ({refusal.code}); copy it again from the app's settings, "
            "Basic Information, App-Level Tokens, with the scope connections:write."
        ) from None


def _keep_going(stack: AsyncExitStack, *work: Coroutine[Any, Any, None]) -> None:
    """Run these in the background until the stack is closed."""
    for one in work:
        stack.callback(asyncio.create_task(one).cancel)


async def _keep_forms_fresh(forms: FormCache, stack: AsyncExitStack) -> None:
    """Fetch the form's choices now, if the backend answers soon, and refresh them from then on."""
    _keep_going(stack, forms.keep_fresh())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FORM_SECONDS):
            await forms.came.wait()
    if forms.now is None:
        await forms.load()


async def _tell_operator(app: App, sentence: str, key: str, again: bool) -> None:
    await _operator_of(app).say(sentence, key, again)


def _operator_of(app: App) -> SlackOperator:
    """Return the operator: their channel, else the person who installed Tocsin, or owns the workspace.

    Raises Unavailable while Tocsin is installed nowhere.
    """
    installed = app.registry.installed
    if not installed:
        raise Unavailable("Tocsin is installed in no workspace yet.")
    for workspace in installed:
        if channel := channel_in(workspace.team_id, app.resources.settings.tocsin_admin_channel):
            return SlackOperator(workspace, channel)
    first = installed[0]
    serving = app.registry.serving(first.team_id)
    installer = serving.installer if serving else None
    return SlackOperator(first, installer or app.people_of(first).owner)
