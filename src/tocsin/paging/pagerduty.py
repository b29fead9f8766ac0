"""PagerDuty: Events API v2, and the REST API to read acknowledgements with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tocsin.incidents.model import Person
from tocsin.incidents.paging import Acknowledgement, PageEvent
from tocsin.paging.client import PagingClient

EVENTS_URL = "https://events.pagerduty.com"
REST_URL = "https://api.pagerduty.com"
SUMMARY_LIMIT = 1024
"""Characters of `payload.summary` (PagerDuty, Events API v2)."""

KEY_PATTERN = r"[A-Za-z0-9]{32}"
"""Form of an integration key (PagerDuty, Events API v2: `routing_key` has 32 characters)."""


class PagerDuty:
    """One integration of a PagerDuty service; `rest` is None without a token of the REST API."""

    def __init__(self, events: PagingClient, routing_key: str, rest: PagingClient | None) -> None:
        self._events = events
        self._routing_key = routing_key
        self._rest = rest

    async def send(self, event: PageEvent) -> None:
        """Send an event to `/v2/enqueue`. Raises as `PagingClient.post`."""
        await self._events.post("/v2/enqueue", json.dumps(enqueued(event, self._routing_key)).encode())

    async def acknowledgement(self, key: str) -> Acknowledgement | None:
        """Return by whom and when this page was acknowledged, from the REST API; None if it was not."""
        if self._rest is None:
            return None
        answer = await self._rest.fetch("/incidents", {"incident_key": key, "limit": "1"}) or {}
        incidents = answer.get("incidents")
        return _acknowledged(incidents[0]) if isinstance(incidents, list) and incidents else None


def enqueued(event: PageEvent, routing_key: str) -> dict[str, Any]:
    """Return the body of a request to `/v2/enqueue`."""
    body: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": event.action,
        "dedup_key": event.key,
    }
    if event.action != "trigger":
        return body
    payload: dict[str, Any] = {
        "summary": event.summary[:SUMMARY_LIMIT],
        "severity": "critical",
        "source": f"Tocsin {event.reference}",
        "timestamp": event.at.isoformat(),
    }
    if event.details:
        payload["custom_details"] = event.details
    body |= {"payload": payload, "client": "Tocsin"}
    if event.permalink:
        body |= {
            "client_url": event.permalink,
            "links": [{"href": event.permalink, "text": f"Open {event.reference}"}],
        }
    return body


def _acknowledged(incident: Mapping[str, Any]) -> Acknowledgement | None:
    """Read the first of an incident's `acknowledgements`, or its resolution, as the REST API gives them."""
    given = incident.get("acknowledgements")
    first = given[0] if isinstance(given, list) and given else {}
    by, at = first.get("acknowledger"), first.get("at")
    if not at and incident.get("status") in {"acknowledged", "resolved"}:
        by, at = incident.get("last_status_change_by"), incident.get("last_status_change_at")
    name = by.get("summary") if isinstance(by, dict) else None
    try:
        return Acknowledgement(by=Person(name=name or None), at=datetime.fromisoformat(at)) if at else None
    except (ValueError, TypeError):
        return None
