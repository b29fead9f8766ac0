"""The frame of all pages: access, answers, and the filters of their templates; and the list of incidents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.templating import Jinja2Templates

from tocsin.incidents.errors import TocsinError
from tocsin.incidents.export import holders, nameless
from tocsin.incidents.model import Form, Incident, PersonId, Severity, Status, TimelineEntry
from tocsin.web.auth import Access, SignIn, Viewer
from tocsin.web.rich_text import safe_link
from tocsin.workflows.ports import Clock, IncidentBackend, Introduce

# The pages, as HTML for people and JSON for programs.

PAGE = 50
PART = 8_000
"""Fewest characters of a page that are rendered in one go."""

Endpoint = Callable[[Request], Awaitable[Response]]


SIGN_IN = "sign-in"
"""Query that leads to Slack and back to the same page; the link itself reveals nothing of the page."""


@dataclass(frozen=True)
class Link:
    """A link shown as a button; `slack` styles it as Slack's."""

    text: str
    url: str
    slack: bool = False


INTO_SLACK = Link("Sign in with Slack", f"?{SIGN_IN}", slack=True)


LONGEST_QUERY = 1_000
"""Characters of a query that outlast a sign-in: they travel in a cookie."""


def _address(request: Request) -> str:
    """Return the path and the query of a page, without what asks for the sign-in."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != SIGN_IN]
    query = urlencode(kept)
    return f"{request.url.path}?{query}" if kept and len(query) <= LONGEST_QUERY else request.url.path


def _into_slack(request: Request) -> Link:
    """Return the link into Slack and back to the same page with its query."""
    query = _address(request).partition("?")[2]
    return Link(INTO_SLACK.text, f"?{query}&{SIGN_IN}", slack=True) if query else INTO_SLACK


@dataclass(frozen=True)
class Pages:
    """Endpoints of the pages, one method for each route."""

    backend: IncidentBackend
    access: Access
    templates: Jinja2Templates
    clock: Clock
    slack_url: Callable[[str], str | None]
    introduce: Introduce
    sign_in: SignIn | None = None
    others: tuple[Link, ...] = ()
    """Links of the bar to pages for those who may look inside."""

    def require_access(self, endpoint: Callable[[Request, Viewer], Awaitable[Response]]) -> Endpoint:
        """Wrap an endpoint: readers without access get the sign-in page, and return here after signing in."""

        async def enter(request: Request) -> Response:
            if self.sign_in is not None and SIGN_IN in request.query_params:
                return self.sign_in.redirect(_address(request))
            try:
                viewer = await self.access.viewer(request)
            except TocsinError as error:
                return self.unavailable(request, error)
            return await endpoint(request, viewer) if viewer.may_enter else self.needs_token(request)

        return enter

    def not_found(self, request: Request) -> Response:
        """Respond 404, with the same bytes for an unknown incident as for a private one."""
        signed = self.viewer(request).signed is not None
        words = "There is no such page, or it is not for everyone."
        if signed:
            words = "There is no such page, or it is not for you."
        elif self.sign_in is None:
            words += " A private incident is in its own channel in Slack."
        links = [] if signed or self.sign_in is None else [INTO_SLACK]
        return self.plain(request, 404, "not_found", words, links)

    def needs_token(self, request: Request) -> Response:
        """Respond 401: a button to sign in with Slack if that is set up, else a sentence on the token."""
        words = "These pages need the API token, sent as “Authorization: Bearer …”."
        links: list[Link] = []
        heading = None
        if self.sign_in is not None and not wants_json(request):
            words, links, heading = (
                "Incidents are for members of the workspace.",
                [_into_slack(request)],
                "Sign in",
            )
        answer = self.plain(request, 401, "authentication_error", words, links, heading)
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    def not_signed_in(self, request: Request, status: int, sentence: str) -> Response:
        """Respond with the reason for which a sign-in failed."""
        again = Link("Sign in with Slack", "/sign-in", slack=True)
        return self.plain(request, status, "authentication_error", sentence, [again], "Not signed in")

    def installed(
        self, request: Request, status: int, heading: str, sentence: str, link: tuple[str, str] | None
    ) -> Response:
        """Respond with the result of an installation."""
        return self.plain(request, status, "install", sentence, [Link(*link)] if link else [], heading)

    def viewer(self, request: Request) -> Viewer:
        """Return the viewer found for this request; before that, one who can see what is public here."""
        found = getattr(request.state, "viewer", None)
        return found if isinstance(found, Viewer) else Viewer(public=self.access.is_open(request))

    def unavailable(self, request: Request, error: TocsinError) -> Response:
        return self.plain(request, 503, "api_error", str(error))

    def plain(
        self,
        request: Request,
        status: int,
        kind: str,
        sentence: str,
        links: Sequence[Link] = (),
        heading: str | None = None,
    ) -> Response:
        """Respond with one sentence and buttons, or as JSON in the shape of incident.io's errors."""
        if wants_json(request):
            error = {"code": kind, "message": sentence}
            return self.answer(JSONResponse({"type": kind, "status": status, "errors": [error]}, status))
        found = {"heading": heading or HTTPStatus(status).phrase, "sentence": sentence, "links": links}
        return self.html(request, "plain.html", found, status)

    async def introduced(self, incidents: Sequence[Incident], timeline: Sequence[TimelineEntry] = ()) -> bool:
        """Look up unknown names; True if more of these people have names now."""
        unknown: dict[str, list[PersonId]] = {}
        for incident in incidents:
            found = nameless([*holders(incident), *incident.members, *(entry.by for entry in timeline)])
            unknown.setdefault(incident.slack_team_id, []).extend(found)
        return any([await self.introduce(team, people) for team, people in unknown.items() if people])

    def html(self, request: Request, name: str, found: Mapping[str, Any], status: int = 200) -> Response:
        """Respond with a page; a long one is sent in parts."""
        others = self.others if self.access.may_look_inside(request) else ()
        # Which page it is stays unsaid where it is not shown: every refusal is the same.
        here = "" if name == "plain.html" else request.url.path
        signed = self.viewer(request).signed
        context = {**found, "now": self.clock(), "signed": signed, "others": others, "here": here}
        drawn = _parts(self.templates.get_template(name).generate({**context, "request": request}))
        first = next(drawn)
        if len(first) < PART:
            return self.answer(HTMLResponse(first, status))
        return self.answer(StreamingResponse(_one_by_one(first, drawn), status, media_type="text/html"))

    def answer(self, response: Response) -> Response:
        """Return the response with headers that keep it out of caches."""
        response.headers["Cache-Control"] = "no-store"
        response.headers["Vary"] = "Accept, Authorization" + (", Cookie" if self.sign_in else "")
        return response


def _parts(drawn: Iterable[str]) -> Iterator[str]:
    """Join pieces of a rendered page to parts of at least `PART` characters; the last may be shorter."""
    parts, size = list[str](), 0
    for piece in drawn:
        parts.append(piece)
        size += len(piece)
        if size >= PART:
            yield "".join(parts)
            parts, size = [], 0
    yield "".join(parts)


async def _one_by_one(first: str, others: Iterable[str]) -> AsyncIterator[str]:
    """Yield the parts of a long page, and let other tasks run between them.

    So the page begins to show at once, and requests from Slack do not wait until it is rendered.
    """
    yield first
    for part in others:
        yield part
        await asyncio.sleep(0)


def wants_json(request: Request) -> bool:
    """True if JSON is preferred to HTML, by the weights of the Accept header (RFC 9110, section 12.5.1)."""
    weights = _weights(request.headers.getlist("accept"))
    return weights.get("application/json", 0.0) > weights.get("text/html", 0.0)


def _weights(headers: Sequence[str]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for offer in ",".join(headers).split(","):
        kind, *parameters = (part.strip().lower() for part in offer.split(";"))
        weight = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        try:
            weights[kind] = float(weight)
        except ValueError:
            weights[kind] = 0.0
    return weights


# Template filters: links to channels, times, colours.

_OVER = frozenset({"closed", "declined", "merged", "canceled"})


def channel_link(incident: Incident, slack_url: str | None) -> str | None:
    """Return the address of the incident's channel; without the workspace's, one that Slack redirects."""
    if not incident.slack_channel_id:
        return None
    if slack_url:
        return safe_link(f"{slack_url.rstrip('/')}/archives/{quote(incident.slack_channel_id, safe='')}")
    if not incident.slack_team_id:
        return None
    where = urlencode({"team": incident.slack_team_id, "channel": incident.slack_channel_id})
    return f"https://slack.com/app_redirect?{where}"


def severity_tone(severity: Severity, form: Form) -> str:
    """Return `worst`, `mild` or `middle`, by the severity's rank among those that can be chosen now."""
    ranks = [known.rank for known in form.severities]
    if ranks and severity.rank >= max(ranks):
        return "worst"
    return "mild" if ranks and severity.rank <= min(ranks) else "middle"


def status_tone(status: Status) -> str:
    """Return `over`, `triage` or `live`."""
    if status.category in _OVER:
        return "over"
    return "triage" if status.category in {"triage", "paused"} else "live"


def in_utc(at: datetime) -> str:
    """Format a moment: `21 Nov 2026, 21:37`."""
    return at.astimezone(UTC).strftime("%-d %b %Y, %H:%M")
