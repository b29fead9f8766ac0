"""Reading of alerts for pages and for the API, which decide about what each reader may see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.incidents.alert_payloads import AlertSource
from tocsin.incidents.alerts import Alert
from tocsin.incidents.model import TeamId

MOST_OF_INCIDENT = 100
"""Alerts that an incident's page lists; the others are counted on its card."""


async def _none(after: str | None, limit: int, **wanted: Any) -> Sequence[Alert]:
    return ()


async def _nothing(alert_id: str) -> Alert | None:
    return None


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

    async def listed(self, incident_id: str) -> Sequence[Alert]:
        """Return the newest alerts of an incident, for its page."""
        return await self.page(None, MOST_OF_INCIDENT, incident_id=incident_id)


NO_ALERTS = AlertReader()
"""Reader where nothing takes in alerts."""
