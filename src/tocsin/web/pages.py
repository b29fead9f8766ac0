"""The pages of incidents, as HTML for people and JSON for programs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.templating import Jinja2Templates

from tocsin.actions.ports import Backend, Clock
from tocsin.incidents.errors import TocsinError
from tocsin.incidents.listing import as_record
from tocsin.incidents.model import Incident
from tocsin.web.access import Access

PAGE = 50

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Pages:
    """Each method answers one route."""

    backend: Backend
    access: Access
    templates: Jinja2Templates
    clock: Clock
    slack_url: Callable[[str], str | None]
    introduce: Callable[[Incident], Awaitable[None]]

    async def incidents(self, request: Request) -> Response:
        if not self.access.may_enter(request):
            return self.needs_token(request)
        after = request.query_params.get("after") or None
        try:
            listed, more = await self._page(request, after)
            form = await self.backend.form()
        except TocsinError as trouble:
            return self.unavailable(request, trouble)
        last = listed[-1].id if more and listed else None
        if wants_json(request):
            records = [as_record(incident) for incident in listed]
            meta = {"page_size": PAGE, **({"after": last} if last else {})}
            return self._answer(JSONResponse({"incidents": records, "pagination_meta": meta}))
        found = {
            "open_ones": [i for i in listed if i.incident_status.is_open],
            "over": [i for i in listed if not i.incident_status.is_open],
            "form": form,
            "after": after,
            "next_page": last,
        }
        return self._html(request, "incidents.html", found)

    async def incident(self, request: Request) -> Response:
        if not self.access.may_enter(request):
            return self.needs_token(request)
        try:
            incident = await self.backend.find(request.path_params["reference"])
            if incident is None or not self.access.may_see(request, incident):
                return self.not_found(request)
            await self.introduce(incident)
            incident = await self.backend.find(incident.id) or incident
            timeline = await self.backend.timeline(incident.id)
            form = await self.backend.form()
        except TocsinError as trouble:
            return self.unavailable(request, trouble)
        if wants_json(request):
            return self._answer(JSONResponse({"incident": as_record(incident, timeline)}))
        found = {
            "incident": incident,
            "timeline": timeline,
            "form": form,
            "slack_url": self.slack_url(incident.slack_team_id),
        }
        return self._html(request, "incident.html", found)

    def not_found(self, request: Request) -> Response:
        """The same for what is unknown and for what is private, to the byte."""
        return self.plain(request, 404, "not_found", "There is no such page, or it is not for everyone.")

    def needs_token(self, request: Request) -> Response:
        words = "These pages need the API token, sent as “Authorization: Bearer …”."
        answer = self.plain(request, 401, "authentication_error", words)
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    def unavailable(self, request: Request, trouble: TocsinError) -> Response:
        return self.plain(request, 503, "api_error", str(trouble))

    def plain(self, request: Request, status: int, kind: str, sentence: str) -> Response:
        """One sentence, in the shape of incident.io's errors where JSON is wanted."""
        if wants_json(request):
            error = {"code": kind, "message": sentence}
            return self._answer(JSONResponse({"type": kind, "status": status, "errors": [error]}, status))
        found = {"heading": HTTPStatus(status).phrase, "sentence": sentence}
        return self._html(request, "plain.html", found, status)

    async def _page(self, request: Request, after: str | None) -> tuple[list[Incident], bool]:
        """The next incidents that this reader may see, and whether there are more after them."""
        seen: list[Incident] = []
        while len(seen) <= PAGE:
            batch = await self.backend.incidents(after=after, limit=PAGE + 1)
            seen += [incident for incident in batch if self.access.may_see(request, incident)]
            if len(batch) <= PAGE:
                break
            after = batch[-1].id
        return seen[:PAGE], len(seen) > PAGE

    def _html(self, request: Request, name: str, found: Mapping[str, Any], status: int = 200) -> Response:
        context = {**found, "now": self.clock()}
        return self._answer(self.templates.TemplateResponse(request, name, context, status))

    def _answer(self, response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        response.headers["Vary"] = "Accept, Authorization"
        return response


def wants_json(request: Request) -> bool:
    """Whether JSON is preferred to HTML, by the weights of the Accept header (RFC 9110, section 12.5.1)."""
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
