"""Signed webhook: events for a service of one's own, as the Standard Webhooks specification says."""

from __future__ import annotations

import json
from typing import Any, Final

from tocsin.incidents.paging import PageEvent
from tocsin.paging.client import PagingClient
from tocsin.webhooks.signing import signed_headers
from tocsin.workflows.ports import Clock

TYPES: Final = {
    "trigger": "page.triggered",
    "acknowledge": "page.acknowledged",
    "resolve": "page.resolved",
}


class Webhook:
    """One receiver of signed events."""

    def __init__(self, receiver: PagingClient, key: bytes, clock: Clock) -> None:
        self._receiver = receiver
        self._key = key
        self._clock = clock

    async def send(self, event: PageEvent) -> None:
        """Send an event. Each attempt has the time at which it is signed, and the same `webhook-id`."""
        body = json.dumps(content(event), separators=(",", ":")).encode()
        id_ = f"{event.key}_{event.action}"
        headers = signed_headers([self._key], id_, self._clock().timestamp(), body)
        await self._receiver.post("", body, headers)


def content(event: PageEvent) -> dict[str, Any]:
    """Return the event with its type, time and data."""
    data = event.model_dump(mode="json", exclude={"action", "at", "key"})
    return {
        "type": TYPES[event.action],
        "timestamp": event.at.isoformat(),
        "data": {"key": event.key, **data},
    }
