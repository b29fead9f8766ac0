"""The Starlette application: routes, templates, health and metrics, behind one middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from tocsin import __version__
from tocsin.incidents import export
from tocsin.incidents.alert_reader import NO_ALERTS, AlertReader
from tocsin.incidents.details import called, duration, further_details_of, seen_by
from tocsin.incidents.insights import InsightSource
from tocsin.incidents.model import PersonId, declarer, display_name
from tocsin.incidents.timestamps import metrics_of, set_times
from tocsin.incidents.tracker import issue_label
from tocsin.incidents.validation import FOLLOW_UP_WORDS, ago
from tocsin.web import pages
from tocsin.web.alert_pages import AlertPages
from tocsin.web.api.errors import PREFIXES, nowhere
from tocsin.web.auth import Access, PeerTeams, SignIn, alone
from tocsin.web.dashboard_links import DashboardLinks
from tocsin.web.incident_list import IncidentList
from tocsin.web.incident_page import IncidentPage, clock_time
from tocsin.web.insights import InsightPages
from tocsin.web.live import IncidentVersions, LiveUpdates
from tocsin.web.middleware import HEADERS, SecurityMiddleware
from tocsin.web.oauth import InstallPages
from tocsin.web.pages import Endpoint, Pages
from tocsin.web.plots import shown
from tocsin.web.rich_text import rich_text, safe_link
from tocsin.web.webhooks import LINKS, WebhookLog, WebhookPages
from tocsin.workflows.ports import Clock, IncidentBackend, Introduce

Ready = Callable[[], Sequence[str]]

WITHHELD = "What is wrong is told with the API token."

_HERE = Path(__file__).parent


def _now() -> datetime:
    return datetime.now(UTC)


async def _nobody(team: str, people: Iterable[PersonId]) -> bool:
    """Default for `introduce`: learn no names."""
    return False


def web_app(
    *,
    backend: IncidentBackend,
    api_token: str,
    hosts: Collection[str],
    public: bool,
    ready: Ready,
    registry: CollectorRegistry | None = None,
    slack_url: Callable[[str], str | None] = lambda team: None,
    introduce: Introduce = _nobody,
    clock: Clock = _now,
    sign_in: SignIn | None = None,
    install: InstallPages | None = None,
    peer_teams: PeerTeams = alone,
    events: Endpoint | None = None,
    any_host: Collection[str] = (),
    routes: Sequence[BaseRoute] = (),
    alerts: AlertReader = NO_ALERTS,
    webhooks: WebhookLog | None = None,
    insights: InsightSource | None = None,
    versions: IncidentVersions | None = None,
) -> Starlette:
    """Build the application for `hosts` (values of the Host header).

    Public incidents are open to this machine if `public`; everything else needs the token or a sign-in.
    `ready` returns the reasons for which the process cannot serve now, and `slack_url` the address of a known
    workspace. `introduce` looks up people's names before a page shows them. `sign_in` lets people in with
    Slack, `events` handles its requests. `routes` are served beside these; `any_host` are paths for any host.
    With `versions` the page of an open incident shows changes by itself.
    """
    sessions, refusal = (sign_in.sessions, sign_in.check_membership) if sign_in else (None, None)
    access, links = Access(api_token, public, sessions, refusal, peer_teams), LINKS if webhooks else ()
    pages = Pages(backend, access, _templates(), clock, slack_url, introduce, sign_in, links)
    return Starlette(
        routes=[
            *([Route("/slack/events", events, methods=["POST"])] if events else []),
            Route("/", _home),
            Route("/incidents", pages.require_access(IncidentList(pages).incidents)),
            *_incident_routes(pages, alerts, versions),
            *_overview_routes(pages, alerts, insights),
            *(sign_in.routes(pages.not_signed_in) if sign_in else []),
            *(install.routes(pages.installed) if install else []),
            *(WebhookPages(pages, webhooks).routes() if webhooks else []),
            *_operator_routes(pages, ready, registry),
            Mount("/static/incidents", StaticFiles(directory=_HERE / "static"), name="static"),
            *routes,
        ],
        middleware=[Middleware(SecurityMiddleware, hosts=hosts, any_host=any_host)],
        exception_handlers={HTTPException: _refused(pages), 500: _broken},
    )


def _operator_routes(pages: Pages, ready: Ready, registry: CollectorRegistry | None) -> list[Route]:
    """Return the probes and, with a registry, the metrics."""
    return [
        Route("/healthz", _healthz),
        Route("/readyz", _readyz(ready, pages.access)),
        *([Route("/metrics", _metrics(registry, pages))] if registry else []),
    ]


def _overview_routes(pages: Pages, alerts: AlertReader, insights: InsightSource | None) -> list[Route]:
    """Return the pages of figures and of alerts."""
    return [
        *(InsightPages(pages, insights).routes() if insights else []),
        Route("/alerts", pages.require_access(AlertPages(pages, alerts).alerts)),
    ]


def _incident_routes(pages: Pages, alerts: AlertReader, versions: IncidentVersions | None) -> list[Route]:
    """Return the page of an incident and, with `versions`, the events that keep it up to date."""
    page, enter = IncidentPage(pages, alerts, versions), pages.require_access
    live = LiveUpdates(pages, page.find, versions) if versions else None
    return [
        *DashboardLinks(pages, alerts).routes(),
        Route("/incidents/{reference}", enter(page.show)),
        *([Route("/incidents/{reference}/events", enter(live.events))] if live else []),
    ]


@cache
def _templates() -> Jinja2Templates:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        version=__version__,
        age=export.age,
        ago=ago,
        named=display_name,
        declarer=declarer,
        called=called,
        further_details=further_details_of,
        seen_by=seen_by,
        follow_up_words=FOLLOW_UP_WORDS,
        issue_label=issue_label,
        marks=export.marks,
        moment=export.moment,
        metrics_of=metrics_of,
        duration=duration,
        lasted=export.lasted,
        set_times=set_times,
        shown_cell=shown,
        in_utc=pages.in_utc,
        clock_time=clock_time,
        rich_text=rich_text,
        safe_link=safe_link,
        channel_link=pages.channel_link,
        severity_tone=pages.severity_tone,
        status_tone=pages.status_tone,
    )
    return Jinja2Templates(env=environment)


async def _home(request: Request) -> Response:
    return RedirectResponse("/incidents", 303)


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _readyz(ready: Ready, access: Access) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint `/readyz`.

    A probe needs the status alone. The reasons name files of this machine, so they are only for readers who
    may look inside.
    """

    async def answer(request: Request) -> Response:
        reasons = list(ready())
        if reasons and not access.may_look_inside(request):
            reasons = [WITHHELD]
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    return answer


def _metrics(registry: CollectorRegistry, pages: Pages) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if not pages.access.may_look_inside(request):
            return pages.needs_token(request)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return answer


def _refused(pages: Pages) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if request.url.path.startswith(PREFIXES):
            # A path with a line break in it is none that Starlette hands on.
            return nowhere(str(uuid4()))
        if error.status_code == 404:
            return pages.not_found(request)
        kind = "method_not_allowed" if error.status_code == 405 else "invalid_request_error"
        refusal = pages.plain(request, error.status_code, kind, f"{error.detail}.")
        refusal.headers.update(error.headers or {})
        return refusal

    return answer


async def _broken(request: Request, error: Exception) -> Response:
    # Starlette sends this answer outside the middleware, so it needs the middleware's headers here.
    return PlainTextResponse("Something went wrong here; the log says what.\n", 500, headers=HEADERS)
