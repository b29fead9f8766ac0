"""Signed webhook: events for a service of one's own, as the Standard Webhooks specification says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any, Final

from tocsin.incidents.paging import PageEvent
from tocsin.paging.client import PagingClient
from tocsin.workflows.ports import Clock

PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64
"""Bytes of a signing key (Standard Webhooks, Signature scheme)."""

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
        id_, stamp = f"{event.key}_{event.action}", str(int(self._clock().timestamp()))
        headers = {
            "webhook-id": id_,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(self._key, id_, stamp, body),
        }
        await self._receiver.post("", body, headers)


def content(event: PageEvent) -> dict[str, Any]:
    """Return the event with its type, time and data."""
    data = event.model_dump(mode="json", exclude={"action", "at", "key"})
    return {
        "type": TYPES[event.action],
        "timestamp": event.at.isoformat(),
        "data": {"key": event.key, **data},
    }


def signature(key: bytes, id_: str, stamp: str, body: bytes) -> str:
    """Return the value of the header `webhook-signature`."""
    signed = hmac.new(key, f"{id_}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def signing_key(secret: str) -> bytes | None:
    """Return the bytes of a `whsec_` secret; None if it is no such secret."""
    if not secret.startswith(PREFIX):
        return None
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return None
    return key if SHORTEST_KEY <= len(key) <= LONGEST_KEY else None
