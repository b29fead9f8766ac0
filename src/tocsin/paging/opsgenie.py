"""Opsgenie: Alert API, by the alert's alias."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tocsin.incidents.model import Person
from tocsin.incidents.paging import Acknowledgement, PageEvent
from tocsin.paging.client import PagingClient
from tocsin.workflows.ports import Clock

URL = "https://api.opsgenie.com"
MESSAGE_LIMIT, DESCRIPTION_LIMIT, USER_LIMIT, DETAILS_LIMIT = 130, 15_000, 100, 8_000
"""Characters of an alert's fields (Opsgenie, Alert API, Create Alert)."""

KEY_PATTERN = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
"""Form of the API key of an integration."""

BY_ALIAS = "identifierType=alias"


class Opsgenie:
    """One API integration of Opsgenie; `team` is notified if the key is not a team's own."""

    def __init__(self, alerts: PagingClient, team: str | None, clock: Clock) -> None:
        self._alerts = alerts
        self._team = team
        self._clock = clock

    async def send(self, event: PageEvent) -> None:
        """Create, acknowledge or close the alert. Raises as `PagingClient.post`."""
        path = {
            "trigger": "/v2/alerts",
            "acknowledge": f"/v2/alerts/{event.key}/acknowledge?{BY_ALIAS}",
            "resolve": f"/v2/alerts/{event.key}/close?{BY_ALIAS}",
        }[event.action]
        body = alert(event, self._team) if event.action == "trigger" else _actor(event)
        await self._alerts.post(path, json.dumps(body).encode())

    async def acknowledgement(self, key: str) -> Acknowledgement | None:
        """Return by whom and when the alert was acknowledged or closed; None if it was not."""
        answer = await self._alerts.fetch(f"/v2/alerts/{key}", {"identifierType": "alias"}) or {}
        data = answer.get("data")
        if not isinstance(data, dict) or not (data.get("acknowledged") or data.get("status") == "closed"):
            return None
        report = data.get("report")
        report = report if isinstance(report, dict) else {}
        by = report.get("acknowledgedBy") or report.get("closedBy") or data.get("owner")
        return Acknowledgement(by=Person(name=str(by) if by else None), at=self._time(data.get("updatedAt")))

    def _time(self, said: object) -> datetime:
        """Return the time of the alert's last change; the present if it cannot be read."""
        try:
            at = datetime.fromisoformat(str(said))
        except ValueError:
            return self._clock()
        return at if at.tzinfo else at.replace(tzinfo=UTC)


def alert(event: PageEvent, team: str | None) -> dict[str, Any]:
    """Return the body of a request that creates an alert."""
    link = f"\n{event.permalink}" if event.permalink else ""
    body: dict[str, Any] = {
        "message": event.summary[:MESSAGE_LIMIT],
        "alias": event.key,
        "description": f"{event.summary}{link}"[:DESCRIPTION_LIMIT],
        "entity": event.reference[:MESSAGE_LIMIT],
        "priority": "P1",
        **_actor(event),
    }
    details = {"Incident": event.permalink or event.reference, **event.details}
    if sum(len(name) + len(value) for name, value in details.items()) <= DETAILS_LIMIT:
        body["details"] = details
    if team is not None:
        body["responders"] = [{"name": team, "type": "team"}]
    return body


def _actor(event: PageEvent) -> dict[str, str]:
    return {"source": "Tocsin", **({"user": event.by[:USER_LIMIT]} if event.by else {})}
