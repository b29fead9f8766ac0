"""Reading of alerts for pages and for the API, which decide about what each reader may see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.incidents.alert_payloads import AlertSource
from tocsin.incidents.alerts import Alert
from tocsin.incidents.model import Incident, TeamId

LOOKED_AT = 5_000
"""Alerts that are looked at for one page: most may be hidden from its reader, or not what is asked for."""

INCIDENTS_LOOKED_AT = 250
"""Incidents that are looked up for one page."""

AT_ONCE = 500
"""Alerts that are read at once, after the first look."""

MOST_OF_INCIDENT = 100
"""Alerts that an incident's page lists; the others are counted on its card."""


async def _none(after: str | None, limit: int, **wanted: Any) -> Sequence[Alert]:
    return ()


async def _nothing(alert_id: str) -> Alert | None:
    return None


@dataclass(frozen=True)
class AlertPage:
    """A page of alerts that a reader may see, with their incidents."""

    seen: Sequence[tuple[Alert, Incident | None]] = ()
    after: str | None = None
    """Id after which the next page begins; None on the last one."""
    is_cut: bool = False
    """True if the page has room left, as so many alerts were looked at already."""


FindIncident = Callable[[str], Awaitable[Incident | None]]
MaySee = Callable[[Alert, Incident | None], bool]


@dataclass(frozen=True)
class AlertReader:
    """Alerts and their sources. Its functions raise Unavailable."""

    page: Callable[..., Awaitable[Sequence[Alert]]] = _none
    """Returns alerts newest first: those `after` an id, at most `limit`, by the filters of `AlertStore`."""
    find: Callable[[str], Awaitable[Alert | None]] = _nothing
    """Returns the alert with this id."""
    sources: Sequence[AlertSource] = ()

    @property
    def names(self) -> Mapping[str, str]:
        """Names of the sources by id."""
        return {source.id: source.name for source in self.sources}

    @property
    def teams(self) -> Mapping[str, TeamId]:
        """Workspaces of the sources by id; empty for a source of the only one."""
        return {source.id: source.team for source in self.sources}

    async def look(
        self,
        after: str | None,
        limit: int,
        find: FindIncident,
        may_see: MaySee,
        fits: Callable[[Alert], bool] = lambda alert: True,
        **wanted: Any,
    ) -> AlertPage:
        """Return a page of the alerts that fit and that its reader may see, at a bounded cost.

        `find` returns the incident of an alert; `wanted` are filters of `page`.
        """
        seen, known = list[tuple[Alert, Incident | None]](), dict[str, Incident | None]({"": None})
        looked, size = 0, limit + 1
        while looked < LOOKED_AT:
            batch = await self.page(after, size, **wanted)
            for alert in batch:
                if fits(alert):
                    if alert.incident_id not in known:
                        if len(known) > INCIDENTS_LOOKED_AT:
                            return AlertPage(seen, after, is_cut=True)
                        known[alert.incident_id] = await find(alert.incident_id)
                    if may_see(alert, known[alert.incident_id]):
                        if len(seen) == limit:
                            return AlertPage(seen, seen[-1][0].id)
                        seen.append((alert, known[alert.incident_id]))
                after = alert.id
            if len(batch) < size:
                return AlertPage(seen)
            looked, size = looked + len(batch), AT_ONCE
        return AlertPage(seen, after, is_cut=True)

    async def listed(self, incident_id: str) -> Sequence[Alert]:
        """Return the newest alerts of an incident, for its page."""
        return await self.page(None, MOST_OF_INCIDENT, incident_id=incident_id)


NO_ALERTS = AlertReader()
"""Reader where nothing takes in alerts."""
