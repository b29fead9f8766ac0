"""The page of alerts: what came, and what became of it, as far as its reader may see the incidents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tocsin.incidents.alert_reader import AlertReader
from tocsin.incidents.alerts import Alert
from tocsin.incidents.errors import TocsinError
from tocsin.incidents.model import Incident
from tocsin.web.auth import Viewer
from tocsin.web.pages import PAGE, Pages, wants_json


@dataclass(frozen=True)
class SeenAlert:
    """An alert with its source's name and its incident, which the reader may see."""

    alert: Alert
    source: str
    incident: Incident | None

    @property
    def became(self) -> str:
        """The reason in words for which it has no incident."""
        if self.alert.failure:
            return self.alert.failure
        if self.alert.do == "nothing":
            return "No rule makes an incident of it"
        return "Waiting for its incident" if self.alert.status == "firing" else "Resolved before it was seen"


def may_see(viewer: Viewer, reader: AlertReader, alert: Alert, incident: Incident | None) -> bool:
    """True if the reader may see the alert: as its incident, or as one that no incident will have."""
    if viewer.trusted:
        return True
    if alert.incident_id:
        return incident is not None and viewer.may_see(incident)
    if not alert.is_for_everybody:
        return False
    team, signed = reader.teams.get(alert.source), viewer.signed
    if viewer.public or not team or signed is None:
        return viewer.may_enter
    near = viewer.peer_teams(signed.team)
    return near is None or team in near


@dataclass(frozen=True)
class AlertPages:
    """Endpoint of the page `/alerts`."""

    pages: Pages
    reader: AlertReader

    async def alerts(self, request: Request, viewer: Viewer) -> Response:
        after = request.query_params.get("after") or None
        shown = partial(may_see, viewer, self.reader)
        try:
            page = await self.reader.look(after, PAGE, self.pages.backend.find, shown)
        except TocsinError as error:
            return self.pages.unavailable(request, error)
        names = self.reader.names
        seen = [
            SeenAlert(alert, names.get(alert.source, alert.source), incident) for alert, incident in page.seen
        ]
        if wants_json(request):
            records = [one.alert.model_dump(mode="json", exclude_none=True) for one in seen]
            meta = {"page_size": PAGE, **({"after": page.after} if page.after else {})}
            return self.pages.answer(JSONResponse({"alerts": records, "pagination_meta": meta}))
        found = {
            "seen": seen,
            "after": after,
            "next_page": page.after,
            "is_cut": page.is_cut,
            "has_sources": bool(names),
        }
        return self.pages.html(request, "alerts.html", found)
