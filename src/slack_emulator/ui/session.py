"""The session of a page: the acting user, and the protection of its requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from jinja2 import Environment
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slack_emulator.models import Channel, Outcome, Refused
from slack_emulator.ui.authentication import Authentication, TokenRequired
from slack_emulator.ui.html import environment
from slack_emulator.ui.messages import seen_channel
from slack_emulator.ui.regions import Location, Notices, RegionRenderer, changed_regions
from slack_emulator.workspace import Workspace

# Context of a request to the page: the workspace, the acting user, and the response.

COOKIE = "playground_person"
ELSEWHERE = Location("other")
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass
class Session:
    workspace: Workspace
    advice: str = ""
    """Hint for a new user, on the page that has no channel open."""
    env: Environment = field(default_factory=environment)
    notices: Notices = field(default_factory=Notices)

    def acting(self, request: Request) -> str:
        """Return the acting user: the cookie's, else the first active one; "" in an empty workspace."""
        people = [p for p in self.workspace.people() if not p.is_bot and not p.deleted]
        wanted = request.cookies.get(COOKIE, "")
        return wanted if any(p.id == wanted for p in people) else people[0].id if people else ""

    def channel(self, request: Request) -> Channel | None:
        return seen_channel(self.workspace, self.acting(request), request.path_params["channel"])

    def renderer(self, request: Request, location: Location) -> RegionRenderer:
        return RegionRenderer(self.workspace, self.env, self.notices, self.acting(request), location)

    def answer(
        self, request: Request, location: Location, template: str, status: int = 200, **context: object
    ) -> Response:
        """Return the whole page, or for an htmx request only the regions that changed in the meantime."""
        renderer = self.renderer(request, location)
        headers = {"cache-control": "no-store", "vary": "HX-Request, Cookie"}
        if request.headers.get("hx-request"):
            marks = request.headers.get("x-have", "").split(",")
            have = dict(mark.split(":", 1) for mark in marks if ":" in mark)
            body = changed_regions(renderer.regions(), have)
            return HTMLResponse(body, 200 if body else 204, headers=headers)
        return HTMLResponse(renderer.page(template, **context), status, headers=headers)

    def missing(self, request: Request) -> Response:
        return self.answer(
            request,
            ELSEWHERE,
            "welcome.html",
            404,
            title="Not found",
            showing="main",
            heading="There is nothing here",
            sentence="This channel, thread or app does not exist, or you can't see it.",
        )

    def done(self, request: Request, outcome: Outcome, goto: str = "") -> Response:
        """Answer a change with 204, or with 422 and a notice for the user; `goto` opens another page."""
        if not outcome.ok:
            self.notices.add(self.acting(request), outcome)
            return Response(status_code=422)
        return Response(status_code=204, headers={"HX-Redirect": goto} if goto else {})


def refused(no: Refused) -> Outcome:
    return Outcome(False, no.error, message="; ".join(no.messages))


def see_other(url: str) -> Response:
    return RedirectResponse(url, status_code=303)


# Protection of the page: only on loopback, only with the token, only from itself, under a strict CSP.

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' https: http: data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# Not `no-referrer`: with it, a browser sends "Origin: null" with a form.
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
FORM_GOES_TO = "x-form-goes-to"
"""Header by which a page names the origin that its form redirects to: the CSP must allow that one, too."""

_SAFE = frozenset({"GET", "HEAD"})


def host_of(authority: str) -> str:
    """Return the host name of a Host header, lower case, without port; "" if the header is malformed."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


def refusal(method: str, headers: Headers) -> str:
    """Return the reason to refuse a request, or "".

    Refuses host names other than loopback, and changes that a page of another origin sends.
    """
    host = headers.get("host", "")
    if host_of(host) not in LOOPBACK:
        return "This workspace answers on this machine only: open it as localhost."
    if method not in _SAFE and urlsplit(headers.get("origin", "")).netloc != host:
        return "This change was not asked for by the workspace's own page."
    return ""


class PageProtection:
    """ASGI middleware that refuses requests with 403 and adds security headers to every response."""

    def __init__(self, app: ASGIApp, authentication: Authentication) -> None:
        self.app = TokenRequired(app, authentication)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if (goal := headers.get(FORM_GOES_TO)) is not None:
                    del headers[FORM_GOES_TO]
                    policy = POLICY.replace("form-action 'self'", f"form-action 'self' {goal}")
                    headers["content-security-policy"] = policy
            await send(message)

        reason = refusal(scope["method"], Headers(scope=scope))
        app = PlainTextResponse(reason, status_code=403) if reason else self.app
        await app(scope, receive, send_guarded)
