"""The running bot: what it is made of, whether it is well, and the pages that it shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from slack_bolt.app.async_app import AsyncApp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tocsin.config import Config
from tocsin.data_dir import now, secret
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import PersonId, TeamId
from tocsin.incidents.permissions import Membership
from tocsin.metrics import Metrics
from tocsin.settings import Settings
from tocsin.slack.context import Tasks, WorkspaceRegistry
from tocsin.slack.http import EVENTS, HttpReceiver
from tocsin.slack.oauth import OAuthFlow, TokenRotation
from tocsin.slack.socket_mode import SocketModeReceiver
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.storage.slack_state import SqlSlackStateStore
from tocsin.storage.workflow_engine import DbosEngine
from tocsin.web.app import web_app
from tocsin.web.auth import Sessions, SessionUser, SignIn, alone
from tocsin.web.middleware import own_hosts, own_origins
from tocsin.web.oauth import InstallPages, OAuthStates, OpenId
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.ports import Clock, IncidentBackend
from tocsin.workflows.registry import IncidentWorkflows

WATCH_SECONDS = 5.0
"""How often our own files are looked at."""

LOST_SECONDS = 60.0
"""How long Slack may be out of reach before the operator is told."""

LOST = (
    "No connection to Slack has been open for a minute, so nothing can be declared. Tocsin goes on trying; "
    "look at the network to wss-primary.slack.com, and whether Socket Mode is still on for the app."
)

RENEW = "Install the app again, set SLACK_BOT_TOKEN to its bot token, and start Tocsin again."
RENEW_IN = "Have an admin of {} install Tocsin again."


@dataclass
class Bot:
    """The running bot, as far as whoever serves it must know."""

    backend: IncidentBackend
    journal: DbosEngine
    token: str
    state_key: str
    """Signs what a browser keeps while somebody is at Slack. Nothing else is made with it."""
    memory: SqlKeyValueStore
    alarms: OperatorAlerts
    config: Config
    tasks: Tasks = field(default_factory=Tasks)
    app: AsyncApp | None = None
    socket: SocketModeReceiver | None = None
    http: HttpReceiver | None = None
    desks: WorkspaceRegistry | None = None
    verbs: IncidentWorkflows | None = None
    oauth: OAuthFlow | None = None
    rotation: TokenRotation | None = None
    metrics: Metrics = field(default_factory=Metrics)
    clock: Clock = now
    problem: str = "Slack has not been reached yet."
    unwell: Sequence[str] = ()
    """What was wrong with our own files when we last looked."""

    def pages(self, settings: Settings, port: int) -> Starlette:
        def address() -> str:
            return settings.public_url

        over_http = settings.slack_app_token is None and settings.slack_signing_secret is not None

        trips = OAuthStates(self.state_key.encode(), secure=address().startswith("https:"), clock=self.clock)
        return web_app(
            backend=self.backend,
            api_token=self.token,
            hosts=own_hosts(port, settings.tocsin_public_url),
            public=settings.is_on_loopback,
            ready=self.not_ready,
            registry=self.metrics.registry,
            slack_url=self._slack_url,
            introduce=self.introduce,
            clock=self.clock,
            sign_in=self._sign_in(settings, trips, port),
            install=InstallPages(trips, lambda: self.oauth, address) if settings.installs else None,
            peer_teams=self._near,
            events=self._events if over_http else None,
            any_host=() if settings.tocsin_public_url else (EVENTS,),
        )

    async def _events(self, request: Request) -> Response:
        """What Slack sends; before we can take it, Slack is told to come again."""
        if self.http is None:
            return PlainTextResponse("not yet", 503, headers={"Retry-After": "1"})
        return await self.http.answer(request)

    def _sign_in(self, settings: Settings, trips: OAuthStates, port: int) -> SignIn | None:
        """Where there is an app to sign in to."""
        client_id, client_secret = settings.slack_client_id, secret(settings.slack_client_secret)
        if not client_id or not client_secret:
            return None
        return SignIn(
            OpenId(client_id, client_secret, settings.slack_api_url),
            Sessions(self.memory, secure=trips.secure, clock=self.clock),
            trips,
            check_membership=self._refusal,
            public_url=lambda: settings.public_url,
            origins=own_origins(port, settings.tocsin_public_url),
        )

    async def _refusal(self, signed: SessionUser) -> str:
        """Why somebody who signed in may not read; empty for a member of a workspace that we serve."""
        desk = await self.desks.find(TeamId(signed.team), signed.org) if self.desks is not None else None
        if desk is None:
            return "Tocsin does not serve the workspace that you signed in with."
        membership = await desk.people.membership(signed.person)
        if membership is Membership.UNKNOWN:
            raise Unavailable("Slack cannot say who you are just now; try again in a moment.")
        if membership.is_guest:
            return "Incidents are for members of the workspace; guests cannot read them here."
        return "" if membership is Membership.MEMBER else "Incidents are for members of the workspace."

    def _near(self, team: str) -> frozenset[TeamId] | None:
        """The workspaces whose incidents people of this one may see."""
        return self.desks.peer_teams(TeamId(team)) if self.desks is not None else alone(team)

    async def introduce(self, team: str, people: Iterable[PersonId]) -> bool:
        """Find out what people of a workspace are called; whether the backend knows more names now."""
        if self.desks is None:
            return False
        return await self.desks.context_of(TeamId(team)).people.introduce(people)

    def _slack_url(self, team: str) -> str | None:
        return self.desks.context_of(TeamId(team)).workspace.home_url if self.desks is not None else None

    async def settled(self) -> None:
        """Until nothing is in hand: no work after an acknowledgement, no story that has not ended."""
        await self.tasks.settled()
        await self.journal.settled()

    def not_ready(self) -> Sequence[str]:
        """Why nothing can be declared right now; nothing when all is well."""
        if self.problem:
            return [self.problem]
        reasons = [*self.unwell, self.journal.problem]
        if self.desks is not None and self.oauth is None:
            # Where there are many, one that refuses us does not keep the others from declaring.
            reasons += [desk.workspace.api.problem for desk in self.desks.open]
        if self.socket is not None and not self.socket.is_open:
            reasons.append("No connection to Slack is open.")
        return list(dict.fromkeys(filter(None, reasons)))

    async def watch(self, ledger: SqlSlackStateStore) -> None:
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
        for desk in self.desks.open if self.desks is not None else ():
            refused, about, todo = desk.workspace.api.problem, "token", RENEW
            if self.oauth is not None:
                about, todo = f"token of {desk.workspace.team_id}", RENEW_IN.format(desk.workspace.team_id)
            self.alarms.observe(about, f"{refused} {todo}" if refused else "", after=0.0)
        lost = self.socket is not None and not self.socket.is_open
        self.alarms.observe("socket", LOST if lost else "", after=LOST_SECONDS)

    async def _keeps_incidents(self) -> None:
        # While a hosted backend is out of reach, what is declared is saved.
        if not self.backend.is_remote:
            await self.backend.remember_people(())
            await self.backend.incidents(limit=1)

    async def _count_pending(self) -> None:
        self.metrics.set_pending(len(await self.journal.unfinished()))
