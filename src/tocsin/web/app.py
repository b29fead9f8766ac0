"""The web application: pages, health and metrics, behind one guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

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

from tocsin.incidents import export
from tocsin.incidents.model import PersonId, display_name
from tocsin.incidents.validation import ago
from tocsin.web import pages
from tocsin.web.auth import Access, Near, SignIn, alone
from tocsin.web.middleware import HEADERS, Guard
from tocsin.web.oauth import InstallPages
from tocsin.web.pages import Endpoint, Pages
from tocsin.workflows.ports import Clock, IncidentBackend, Introduce

Ready = Callable[[], Sequence[str]]

WITHHELD = "What is wrong is told with the API token."

_HERE = Path(__file__).parent


def _now() -> datetime:
    return datetime.now(UTC)


async def _nobody(team: str, people: Iterable[PersonId]) -> bool:
    """Nobody to ask."""
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
    near: Near = alone,
    events: Endpoint | None = None,
    any_host: Collection[str] = (),
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """Pages for `hosts` (values of the Host header), each behind the token unless `public`.

    `ready` says why the process cannot serve now, nothing when it can. `slack_url` says the address of a
    workspace once it is known; its channels open under `/archives/`. `introduce` finds out
    what people are called before a page shows them. `sign_in` lets people in with Slack,
    `install` lets workspaces have the app, and `near` says whose incidents they see.
    `events` takes what Slack sends. `routes` are served beside ours, behind the same guard; `any_host` are
    paths that are known under names which nobody has told us.
    """
    sessions, refusal = (sign_in.sessions, sign_in.refusal) if sign_in else (None, None)
    access = Access(api_token, public, sessions, refusal, near)
    pages = Pages(backend, access, _templates(), clock, slack_url, introduce, sign_in)
    return Starlette(
        routes=[
            *([Route("/slack/events", events, methods=["POST"])] if events else []),
            Route("/", _home),
            Route("/incidents", pages.entered(pages.incidents)),
            Route("/incidents/{reference}", pages.entered(pages.incident)),
            *(sign_in.routes(pages.not_signed_in) if sign_in else []),
            *(install.routes(pages.installed) if install else []),
            Route("/healthz", _healthz),
            Route("/readyz", _readyz(ready, access)),
            *([Route("/metrics", _metrics(registry, pages))] if registry else []),
            Mount("/static/incidents", StaticFiles(directory=_HERE / "static"), name="static"),
            *routes,
        ],
        middleware=[Middleware(Guard, hosts=hosts, any_host=any_host)],
        exception_handlers={HTTPException: _refused(pages), 500: _broken},
    )


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
        age=export.age,
        ago=ago,
        named=display_name,
        marks=export.marks,
        moment=export.moment,
        in_utc=pages.in_utc,
        with_links=pages.with_links,
        with_code=pages.with_code,
        passages=pages.passages,
        safe_link=pages.safe_link,
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
    """A probe needs the status alone; reasons name files of this machine, and are for who may look inside."""

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
        if error.status_code == 404:
            return pages.not_found(request)
        kind = "method_not_allowed" if error.status_code == 405 else "invalid_request_error"
        refusal = pages.plain(request, error.status_code, kind, f"{error.detail}.")
        refusal.headers.update(error.headers or {})
        return refusal

    return answer


async def _broken(request: Request, error: Exception) -> Response:
    # This answer is sent outside the guard, so it carries the guard's headers itself.
    return PlainTextResponse("Something went wrong here; the log says what.\n", 500, headers=HEADERS)
