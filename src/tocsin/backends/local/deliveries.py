"""Deliveries of webhooks: what is due, what became of it, and for how long it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tocsin.backends.local.connection import Row, SqlConnection
from tocsin.backends.local.postgresql import PostgresqlDatabase
from tocsin.backends.local.queries import written
from tocsin.backends.local.sqlite import IncidentFile
from tocsin.incidents.webhooks import DAY, WebhookDelivery

KEPT = timedelta(days=30)
"""Time for which the log keeps an event."""

# A later event of the same incident waits until the one before it has come to its end.
_IS_FIRST = """NOT EXISTS (
    SELECT 1 FROM webhook_deliveries q
    WHERE q.endpoint = d.endpoint AND q.state = 'pending' AND q.incident_id = d.incident_id
        AND q.event_id < d.event_id)
"""
_DUE = f"""
SELECT d.event_id, d.incident_id FROM webhook_deliveries d
WHERE d.endpoint = ? AND d.state = 'pending' AND d.is_next = 1 AND d.due_at <= ? AND {_IS_FIRST}
ORDER BY d.due_at, d.event_id LIMIT ?
"""
_MARK_NEXT = """
UPDATE webhook_deliveries SET is_next = 1 WHERE endpoint = ? AND event_id = (
    SELECT MIN(q.event_id) FROM webhook_deliveries q
    WHERE q.endpoint = ? AND q.state = 'pending' AND q.incident_id = ?)
"""
_MARK_ALL = f"""
UPDATE webhook_deliveries SET is_next = 1 WHERE (event_id, endpoint) IN (
    SELECT d.event_id, d.endpoint FROM webhook_deliveries d
    WHERE d.state = 'pending' AND d.is_next = 0 AND {_IS_FIRST})
"""
_DELIVERIES = """
SELECT d.event_id, d.endpoint, d.state, d.attempts, d.since, d.due_at, d.status, d.answer, d.tried_at,
    e.webhook_id, e.event, e.incident_id, e.resource_id, e.body, e.created_at, i.reference,
    CASE WHEN e.was_private = 1 OR i.visibility <> 'public' THEN 1 ELSE 0 END AS is_private
FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id
JOIN incidents i ON i.id = e.incident_id
"""
_UPDATE = """
UPDATE webhook_deliveries SET state = ?, attempts = ?, due_at = ?, status = ?, answer = ?, tried_at = ?
WHERE event_id = ? AND endpoint = ? AND state = 'pending' AND since = ?
"""
_AGAIN = """
UPDATE webhook_deliveries SET state = 'pending', is_next = 1, attempts = 0, since = ?, due_at = ?
WHERE event_id = ?
"""
_OVERDUE = """
UPDATE webhook_deliveries SET state = 'failed', answer = 'it was not sent for a day'
WHERE state = 'pending' AND due_at < ?
"""

OF_ALL = 1 << 62


class Deliveries:
    """Store of deliveries in the local backend's database. Its methods raise Unavailable."""

    def __init__(self, database: IncidentFile | PostgresqlDatabase) -> None:
        self._database = database

    async def due(self, endpoint: str, now: datetime, limit: int) -> Sequence[tuple[int, str]]:
        """Return deliveries to be made now, longest due first: the event and its incident, one of each."""

        def read(db: SqlConnection) -> list[tuple[int, str]]:
            rows = db.execute(_DUE, [endpoint, written(now), limit]).fetchall()
            return [(row[0], row[1]) for row in rows]

        return await self._database.run(read)

    async def find(self, event_id: int, endpoint: str) -> WebhookDelivery | None:
        """Return a delivery as it is now, with the visibility that its incident has now."""
        found = await self._listed(
            f"{_DELIVERIES} WHERE d.event_id = ? AND d.endpoint = ?", event_id, endpoint
        )
        return next(iter(found), None)

    async def of_webhook(self, webhook_id: str) -> Sequence[WebhookDelivery]:
        """Return all deliveries of the event with this `webhook-id`."""
        return await self._listed(f"{_DELIVERIES} WHERE e.webhook_id = ? ORDER BY d.endpoint", webhook_id)

    async def newest(
        self, limit: int, before: int | None = None, private: bool = True
    ) -> Sequence[WebhookDelivery]:
        """Return the newest deliveries, of events below `before` alone; without `private`, of public ones."""
        seen = "" if private else " AND e.was_private = 0 AND i.visibility = 'public'"
        query = f"{_DELIVERIES} WHERE d.event_id < ?{seen} ORDER BY d.event_id DESC, d.endpoint LIMIT ?"
        return await self._listed(query, OF_ALL if before is None else before, limit)

    async def count_pending(self, endpoint: str) -> int:
        """Return the number of deliveries that are still to be made to this endpoint."""
        query = "SELECT COUNT(*) FROM webhook_deliveries WHERE endpoint = ? AND state = 'pending'"
        return int(await self._database.run(lambda db: db.execute(query, [endpoint]).fetchone()[0]))

    async def save(self, delivery: WebhookDelivery) -> None:
        """Record what became of an attempt, unless the event is to be sent again since the attempt began."""
        values: list[Any] = [
            delivery.state,
            delivery.attempts,
            written(delivery.due_at),
            delivery.status,
            delivery.answer,
            written(delivery.tried_at) if delivery.tried_at else None,
            delivery.event_id,
            delivery.endpoint,
            written(delivery.since),
        ]

        def write(db: SqlConnection) -> None:
            # The events of an incident are written under the same lock: none misses that it is the next one.
            with db.transaction(delivery.incident_id):
                db.execute(_UPDATE, values)
                if delivery.state != "pending":
                    endpoint = delivery.endpoint
                    db.execute(_MARK_NEXT, [endpoint, endpoint, delivery.incident_id])

        await self._database.run(write)

    async def send_again(self, event_id: int, endpoint: str | None, now: datetime) -> int:
        """Have an event sent again, to one endpoint or to all that it was for; return their number."""
        only = " AND endpoint = ?" if endpoint is not None else ""
        values = [written(now), written(now), event_id, *([endpoint] if endpoint is not None else [])]
        return int(await self._database.run(lambda db: db.execute(f"{_AGAIN}{only}", values).rowcount))

    async def disable(self, endpoint: str, url: str, now: datetime) -> None:
        """Send no more to an endpoint at this address, until it is enabled or has another address."""

        def write(db: SqlConnection) -> None:
            with db.transaction("webhook endpoints"):
                db.execute("DELETE FROM webhook_endpoints WHERE name = ?", [endpoint])
                row = [endpoint, _hashed(url), written(now)]
                db.execute("INSERT INTO webhook_endpoints VALUES (?, ?, ?)", row)

        await self._database.run(write)

    async def enable(self, endpoint: str) -> bool:
        """Send to an endpoint again; False if it was not disabled."""
        query = "DELETE FROM webhook_endpoints WHERE name = ?"
        return bool(await self._database.run(lambda db: db.execute(query, [endpoint]).rowcount))

    async def is_disabled(self, endpoint: str, url: str) -> bool:
        """True if the endpoint at this address said that it wants nothing any more."""
        query = "SELECT 1 FROM webhook_endpoints WHERE name = ? AND address = ?"
        values = [endpoint, _hashed(url)]
        return await self._database.run(lambda db: db.execute(query, values).fetchone() is not None)

    async def mark_next(self) -> None:
        """Find what is next of each incident, as a replica of an earlier version does not write it down."""
        await self._database.run(lambda db: db.execute(_MARK_ALL) and None)

    async def tidy(self, now: datetime) -> None:
        """Give up what nothing was tried with for a day, and forget what is older than the log is long.

        Such deliveries are for an endpoint that is disabled, or that the configuration names no more.
        """

        def write(db: SqlConnection) -> None:
            with db.transaction("webhook log"):
                db.execute(_OVERDUE, [written(now - 2 * DAY)])
                db.execute(_MARK_ALL)
                old = written(now - KEPT)
                for table, column in (("webhook_deliveries", "event_id"), ("webhook_events", "id")):
                    db.execute(
                        f"DELETE FROM {table} WHERE {column} IN"
                        " (SELECT id FROM webhook_events WHERE created_at < ?)",
                        [old],
                    )

        await self._database.run(write)

    async def _listed(self, query: str, *values: Any) -> Sequence[WebhookDelivery]:
        return await self._database.run(lambda db: [_delivery(row) for row in db.query(query, values)])


def _delivery(row: Row) -> WebhookDelivery:
    return WebhookDelivery.model_validate(row)


def _hashed(url: str) -> str:
    """Return a hash of the address, in which there may be a secret."""
    return hashlib.sha256(url.encode()).hexdigest()
