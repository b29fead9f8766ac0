"""The composition root: everything that Tocsin is made of, built once from its settings.

`tocsin.resources` opens files and databases, `open_app` builds every object from them without asking Slack
for anything, and `tocsin.start` then starts it all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette

from tocsin.alerting import Alerting, build_alerting
from tocsin.backends.local import LocalBackend
from tocsin.data_dir import secret
from tocsin.health import Health
from tocsin.incidents.alert_reader import AlertReader
from tocsin.incidents.announcements import AnnouncementRule
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.insights import InsightSource
from tocsin.incidents.model import PersonId, TeamId
from tocsin.incidents.permissions import Membership
from tocsin.resources import Resources
from tocsin.settings import Settings
from tocsin.slack import routes
from tocsin.slack.api_workspaces import api_workspaces
from tocsin.slack.app import build_app
from tocsin.slack.authorization import People
from tocsin.slack.context import Help, WorkspaceContext, WorkspaceContexts
from tocsin.slack.exposure import Exposure
from tocsin.slack.gate import DisclosureGate
from tocsin.slack.http import EVENTS, HttpReceiver
from tocsin.slack.installations import Installations, TokenCipher
from tocsin.slack.oauth import OAuthApp, OAuthFlow, TokenRotation, UninstallCheck
from tocsin.slack.registry import WorkspaceRegistry, channel_in
from tocsin.slack.routes import every_route
from tocsin.slack.shared_channels import SharedChannels
from tocsin.slack.socket_mode import SocketModeReceiver
from tocsin.slack.web_api import WebApi, open_session, web_client
from tocsin.slack.workspace import SlackWorkspace
from tocsin.storage.installations import SqlInstallationStore
from tocsin.storage.keys import SqlKeyStore
from tocsin.storage.slack_state import SqlSlackStateStore
from tocsin.web.api.endpoints import ApiServices
from tocsin.web.api.errors import PREFIXES
from tocsin.web.api.rate_limit import RateLimit
from tocsin.web.api.server import ApiServer
from tocsin.web.api.table import ENDPOINTS
from tocsin.web.app import web_app
from tocsin.web.auth import Sessions, SessionUser, SignIn
from tocsin.web.live import IncidentVersions, cached_versions
from tocsin.web.middleware import own_hosts, own_origins
from tocsin.web.oauth import InstallPages, OAuthStates, OpenId
from tocsin.web.webhooks import WebhookLog
from tocsin.workflows.api import KeyRequests
from tocsin.workflows.channels import ChannelOpener
from tocsin.workflows.checklists import Checklists
from tocsin.workflows.declare import DeclareIncident
from tocsin.workflows.digest import Digests
from tocsin.workflows.fallback_channel import FallbackChannel
from tocsin.workflows.followups import FollowUps
from tocsin.workflows.form_cache import FormCache
from tocsin.workflows.insights import ListedInsights
from tocsin.workflows.nudges import Nudger, NudgeStore, SnoozeNudges
from tocsin.workflows.paging import PageDispatcher, Paging
from tocsin.workflows.ports import loop_time
from tocsin.workflows.publish import DeclarationPublisher
from tocsin.workflows.queries import CurrentIncidents, OpenIncidentsCache
from tocsin.workflows.registry import IncidentWorkflows, ReadyWorkflows, WorkflowPorts, build_workflows
from tocsin.workflows.self_test import SelfTest
from tocsin.workflows.tasks import AddTasks

log = structlog.get_logger()
NewClient = Callable[[str | None], AsyncWebClient]
PeopleOf = Callable[[SlackWorkspace], People]
SharedChannelsOf = Callable[[SlackWorkspace], SharedChannels]


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
    alerting: Alerting

    async def settled(self) -> None:
        """Return once no request is being worked on and no workflow is unfinished."""
        await self.resources.tasks.settled()
        await self.resources.engine.settled()

    def key_requests(self) -> KeyRequests:
        """Return the requests of API keys. Raises Unavailable before workflows can be started."""
        if not self.health.is_started:
            raise Unavailable("Tocsin is starting. Try again in a moment.")
        return KeyRequests(
            backend=self.resources.backend,
            declare=self.declare,
            workflows=self.workflows,
            form=self.forms.fetch,
            workspaces=api_workspaces(self.contexts),
            clock=self.resources.clock,
        )

    def pages(self) -> Starlette:
        """Return the web application; it answers before Slack can be reached."""
        parts, settings = self.resources, self.resources.settings
        states = OAuthStates(
            parts.state_key.encode(),
            parts.key_value.claim,
            secure=settings.public_url.startswith("https:"),
            clock=parts.clock,
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
            any_host=(*PREFIXES, *(() if settings.tocsin_public_url else (EVENTS,))),
            alerts=self.alerting.reader,
            routes=[
                self.alerting.events.route,
                *_build_api(parts, self.key_requests, self.alerting.reader).routes(),
            ],
            webhooks=_webhook_log(parts),
            insights=_insights(parts),
            versions=_versions(parts, self.workflows.open_now),
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
    forms = _build_forms(parts)
    current = CurrentIncidents(parts.backend, partial(parts.replicas.tell, "incident"))
    people_of, channels_of = cache(partial(_people_of, parts)), cache(_shared_channels_of)
    new_workspace = NewWorkspace(parts, new_client, state, current, people_of, channels_of)
    if store is None:
        registry = WorkspaceRegistry(new_workspace, sole=True)
    else:
        registry = WorkspaceRegistry(new_workspace, save_org=store.save_org)
    add_tasks, follow_ups = _build_tasks(parts, registry, state, forms)
    declare = _build_declare(parts, registry, state, current, add_tasks)
    parts.replicas.hearers["incident"] = current.hear
    workflows = _build_workflows(parts, registry, state, current, forms, people_of, add_tasks, follow_ups)
    oauth_app = _build_oauth_app(parts.settings, new_client)
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
        alerting=build_alerting(parts, registry, declare, workflows, forms),
    )


def _build_forms(parts: Resources) -> FormCache:
    kept_as = f"form:{parts.settings.tocsin_backend}"
    forms = FormCache(parts.backend, parts.key_value, kept_as, parts.alerts, parts.config.triage_defaults)
    if isinstance(parts.backend, LocalBackend):
        _show_changed_choices(parts, parts.backend, forms)
    return forms


def _show_changed_choices(parts: Resources, backend: LocalBackend, forms: FormCache) -> None:
    """Show a change of severities, statuses, roles or fields in the forms of all replicas."""

    async def hear(_: str) -> None:
        # Not awaited: other news wait behind this.
        parts.tasks.begin("refresh the form", forms.refresh_soon())

    def tell() -> None:
        parts.replicas.tell("choices", "")
        parts.tasks.begin("refresh the form", forms.refresh_soon())

    parts.replicas.hearers["choices"] = hear
    backend.catalogue.changed = tell


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
            calls=rules.call_rules,
            limits=rules.limits,
            use_this_channel=rules.channels.use_this_channel,
            help=Help(routes.help_here(), routes.help_anywhere()),
            pages=parts.settings.public_url,
            peer_teams=partial(self.registry.peer_teams, team),
            assigned_to=parts.backend.assigned_to if isinstance(parts.backend, LocalBackend) else None,
            announce=channel_in(team, parts.settings.tocsin_announce_channel),
        )
        if self.check_uninstalled is not None:
            context.check_uninstalled = partial(self.check_uninstalled, team)
        return context


def _rules_of(parts: Resources, team: TeamId) -> tuple[AnnouncementRule, ...]:
    """Return the announcement rules of a workspace, the channel for all public incidents among them."""
    announce = channel_in(team, parts.settings.tocsin_announce_channel)
    always = (AnnouncementRule(channels=(announce,)),) if announce else ()
    return (*always, *parts.config.for_team(team).rules)


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


def _build_oauth_app(settings: Settings, new_client: NewClient) -> OAuthApp:
    return OAuthApp(settings.slack_client_id or "", secret(settings.slack_client_secret) or "", new_client)


def _build_oauth(
    parts: Resources, app: OAuthApp, store: SqlInstallationStore, contexts: WorkspaceContexts
) -> OAuth:
    installations = Installations(store, TokenCipher(*parts.settings.installation_keys))
    flow = OAuthFlow(app, installations, contexts, teams=parts.settings.teams, clock=parts.clock)
    return OAuth(flow, TokenRotation(contexts.registry, flow, parts.clock), installations)


def _build_tasks(
    parts: Resources, registry: WorkspaceRegistry, state: SqlSlackStateStore, forms: FormCache
) -> tuple[AddTasks, FollowUps]:
    config, workspace = parts.config, registry.workspace_of
    checklists = Checklists(
        parts.backend, state, workspace, forms.fetch, config.task_policy, config.issue_tracker
    )
    add = AddTasks(parts.backend, parts.engine, state, workspace, forms.fetch, checklists, parts.clock)
    return add, FollowUps(
        backend=parts.backend, engine=parts.engine, state=state, workspace=workspace, checklists=checklists
    )


def _build_declare(
    parts: Resources,
    registry: WorkspaceRegistry,
    state: SqlSlackStateStore,
    current: CurrentIncidents,
    add_tasks: AddTasks,
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
                names=parts.config.channel_names,
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
        names=parts.config.channel_names,
        add_tasks=add_tasks,
    )


def _build_workflows(
    parts: Resources,
    registry: WorkspaceRegistry,
    state: SqlSlackStateStore,
    current: CurrentIncidents,
    forms: FormCache,
    people_of: PeopleOf,
    add_tasks: AddTasks,
    follow_ups: FollowUps,
) -> IncidentWorkflows:
    workspace, nudge_store = registry.workspace_of, NudgeStore(parts.key_value)
    policy, count = parts.config.nudge_policy, parts.metrics.count_nudge
    nudger = Nudger(
        parts.backend, state, workspace, parts.clock, policy, nudge_store, current.open_now, count
    )
    return build_workflows(
        WorkflowPorts(parts.backend, parts.engine, state, workspace, parts.clock, parts.alerts),
        form=forms.fetch,
        policy=parts.config.post_incident,
        names=parts.config.channel_names,
        current=current,
        introduce=partial(_introduce, registry, people_of),
        rules_of=partial(_rules_of, parts),
        ready=ReadyWorkflows(
            nudger=nudger,
            snooze=SnoozeNudges(parts.backend, parts.engine, state, workspace, nudge_store, nudger),
            add_tasks=add_tasks,
            follow_ups=follow_ups,
            paging=_build_paging(parts, registry, state, current),
            self_test=_build_self_test(parts, registry, state, current, forms),
            digests=_build_digests(parts, registry),
        ),
        leads=(lambda: parts.replicas.is_leader) if parts.database.is_shared else None,
    )


def _build_digests(parts: Resources, registry: WorkspaceRegistry) -> Digests:
    shared = parts.settings.tocsin_public_url
    return Digests(
        parts.backend,
        parts.engine,
        registry.workspace_of,
        _insights(parts),
        lambda: parts.config.digests_in([workspace.team_id for workspace in registry.installed]),
        registry.peer_teams,
        parts.alerts,
        parts.clock,
        f"{shared.rstrip('/')}/insights" if shared else "",
    )


def _build_self_test(
    parts: Resources,
    registry: WorkspaceRegistry,
    state: SqlSlackStateStore,
    current: CurrentIncidents,
    forms: FormCache,
) -> SelfTest:
    return SelfTest(
        backend=parts.backend,
        engine=parts.engine,
        state=state,
        store=parts.key_value,
        workspace=registry.workspace_of,
        form=forms.fetch,
        names=parts.config.channel_names,
        saw=current.observe,
    )


def _build_paging(
    parts: Resources, registry: WorkspaceRegistry, state: SqlSlackStateStore, current: CurrentIncidents
) -> Paging:
    dispatcher = PageDispatcher(
        targets=parts.targets,
        backend=parts.backend,
        state=state,
        workspace=registry.workspace_of,
        clock=parts.clock,
        alerts=parts.alerts,
        count=parts.metrics.count_page,
    )
    return Paging(parts.engine, dispatcher, current.open_now.find)


def _webhook_log(parts: Resources) -> WebhookLog | None:
    """Return what the page of webhooks shows; None where none are configured."""
    if parts.webhooks is None:
        return None
    kept, settings = parts.webhooks.deliveries, parts.settings
    origins = own_origins(settings.tocsin_port, settings.tocsin_public_url)
    return WebhookLog(kept.newest, kept.find, kept.send_again, origins)


def _insights(parts: Resources) -> InsightSource:
    """Return the counts of incidents: stored ones, or those of the newest of a hosted backend's list."""
    if isinstance(parts.backend, LocalBackend):
        return parts.backend.insights
    return ListedInsights(parts.backend).source


def _versions(parts: Resources, open_now: OpenIncidentsCache) -> IncidentVersions:
    """Return how open pages learn of changes: from the database, or from the cache of a hosted backend."""
    if isinstance(parts.backend, LocalBackend):
        return IncidentVersions(parts.backend.version, parts.backend.find)
    return cached_versions(open_now.find)


def _build_api(parts: Resources, requests: Callable[[], KeyRequests], alerts: AlertReader) -> ApiServer:
    """Return the server of the API; where a hosted backend keeps the incidents, it only says so."""
    services = None
    if isinstance(parts.backend, LocalBackend):
        services = ApiServices(parts.backend, parts.clock, parts.settings.public_url, requests, alerts)
    return ApiServer(
        ENDPOINTS,
        services,
        find_key=SqlKeyStore(parts.database).find,
        operator_token=parts.api_token,
        clock=parts.clock,
        limit=RateLimit(loop_time),
        count=parts.metrics.count_api_request,
        product={"incident_io": "incident.io", "devrev": "DevRev"}.get(parts.settings.tocsin_backend, ""),
    )


def _build_receiver(
    parts: Resources, bolt: AsyncApp, new_client: NewClient
) -> SocketModeReceiver | HttpReceiver:
    """Return the receiver of payloads: over Socket Mode if there is an app token, else over HTTP."""
    parts.metrics.export_routes(every_route())
    if app_token := secret(parts.settings.slack_app_token):
        return SocketModeReceiver(bolt, app_token, new_client(app_token))
    return HttpReceiver(
        bolt,
        secret(parts.settings.slack_signing_secret) or "",
        now=lambda: parts.clock().timestamp(),
        turned_away=parts.metrics.count_turned_away,
    )
