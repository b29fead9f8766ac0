"""The web application: pages, health and metrics, behind one guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
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

from tocsin.actions.ports import Backend, Clock
from tocsin.incidents import listing
from tocsin.incidents.model import Incident
from tocsin.incidents.rules import ago
from tocsin.web import showing
from tocsin.web.access import Access
from tocsin.web.guard import HEADERS, Guard
from tocsin.web.pages import Pages

Ready = Callable[[], Sequence[str]]

_HERE = Path(__file__).parent


def _now() -> datetime:
    return datetime.now(UTC)


async def _nobody(incident: Incident) -> None:
    """Nobody to ask."""


def web_app(
    *,
    backend: Backend,
    api_token: str,
    hosts: Collection[str],
    public: bool,
    ready: Ready,
    registry: CollectorRegistry | None = None,
    slack_url: Callable[[str], str | None] = lambda team: None,
    introduce: Callable[[Incident], Awaitable[None]] = _nobody,
    clock: Clock = _now,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """Pages for `hosts` (values of the Host header), each behind the token unless `public`.

    `ready` says why the process cannot serve now, nothing when it can. `slack_url` says the address of a
    workspace once it is known; its channels open under `/archives/`. `introduce` finds out
    what an incident's people are called before a page shows them. `routes` are served beside ours, behind
    the same guard.
    """
    pages = Pages(backend, Access(api_token, public), _templates(), clock, slack_url, introduce)
    return Starlette(
        routes=[
            Route("/", _home),
            Route("/incidents", pages.incidents),
            Route("/incidents/{reference}", pages.incident),
            Route("/healthz", _healthz),
            Route("/readyz", _readyz(ready)),
            *([Route("/metrics", _metrics(registry, pages))] if registry else []),
            Mount("/static/incidents", StaticFiles(directory=_HERE / "static"), name="static"),
            *routes,
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={HTTPException: _refused(pages), 500: _broken},
    )


def _templates() -> Jinja2Templates:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        age=listing.age,
        ago=ago,
        named=listing.named,
        marks=listing.marks,
        moment=listing.moment,
        in_utc=showing.in_utc,
        with_links=showing.with_links,
        safe_link=showing.safe_link,
        channel_link=showing.channel_link,
        severity_tone=showing.severity_tone,
        status_tone=showing.status_tone,
    )
    return Jinja2Templates(env=environment)


async def _home(request: Request) -> Response:
    return RedirectResponse("/incidents", 303)


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _readyz(ready: Ready) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        reasons = list(ready())
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    return answer


def _metrics(registry: CollectorRegistry, pages: Pages) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        if not pages.access.may_enter(request):
            return pages.needs_token(request)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return answer


def _refused(pages: Pages) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
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
