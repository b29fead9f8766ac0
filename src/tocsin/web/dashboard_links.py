"""Addresses of incident.io's dashboard, to which tools link that were made for it.

Backstage's plugin puts them below the address that `GET /v1/identity` answers: *Declare incident*, *View all
alerts*, and the details of an alert (incident.io, Backstage plugin). Its links to incidents and to filtered
lists are the addresses that Tocsin's pages have anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tocsin.incidents.alert_reader import AlertReader
from tocsin.incidents.errors import TocsinError
from tocsin.web.alert_pages import may_see
from tocsin.web.auth import Viewer
from tocsin.web.pages import Pages

ALERTS = "/alerts"
HEADING = "Declare an incident"
HOW = "Type /incident in any channel of Slack, or choose “Declare incident” in the menu of a message."


@dataclass(frozen=True)
class DashboardLinks:
    """Endpoints of those addresses."""

    pages: Pages
    reader: AlertReader

    def routes(self) -> list[Route]:
        """Return the routes; `/incidents/create` has to stand before the page of an incident."""
        enter = self.pages.require_access
        return [
            Route("/incidents/create", enter(self.declare)),
            Route("/on-call/alerts", enter(self.alerts)),
            Route("/on-call/alerts/{id}/details", enter(self.alert)),
        ]

    async def declare(self, request: Request, viewer: Viewer) -> Response:
        """Say where incidents are declared."""
        return self.pages.plain(request, 200, "declare", HOW, heading=HEADING)

    async def alerts(self, request: Request, viewer: Viewer) -> Response:
        """Send the reader to the page of alerts."""
        return self.pages.answer(RedirectResponse(ALERTS, 303))

    async def alert(self, request: Request, viewer: Viewer) -> Response:
        """Send the reader to the alert's incident, or, without one that they may see, to the alerts."""
        try:
            alert = await self.reader.find(request.path_params["id"])
            incident_id = alert.incident_id if alert else ""
            incident = await self.pages.backend.find(incident_id) if incident_id else None
        except TocsinError as error:
            return self.pages.unavailable(request, error)
        if alert is None or incident is None or not may_see(viewer, self.reader, alert, incident):
            return self.pages.answer(RedirectResponse(ALERTS, 303))
        return self.pages.answer(RedirectResponse(f"/incidents/{quote(incident.reference, safe='')}", 303))
