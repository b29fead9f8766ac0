"""The outbox: events for webhooks, written in the transaction of the change that they tell of.

So a process that is killed has written both or neither, and a repeat of the change writes neither again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.queries import written
from tocsin.incidents.model import FollowUp, Incident, PersonId
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.webhooks import (
    CREATED,
    GRANTED,
    REVOKED,
    STATUS_UPDATED,
    UPDATED,
    Subscription,
    compact,
    event_type,
    membership_body,
)

_INSERT_EVENT = """
INSERT INTO webhook_events
    (webhook_id, incident_id, idempotency_key, event, resource_id, was_private, body, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (incident_id, idempotency_key, event) DO NOTHING
"""
_INSERT_DELIVERY = """
INSERT INTO webhook_deliveries (event_id, endpoint, incident_id, state, since, due_at, is_next)
SELECT e.id, ?, e.incident_id, 'pending', e.created_at, e.created_at, CASE WHEN EXISTS (
    SELECT 1 FROM webhook_deliveries q
    WHERE q.endpoint = ? AND q.state = 'pending' AND q.incident_id = e.incident_id) THEN 0 ELSE 1 END
FROM webhook_events e WHERE e.webhook_id = ?
"""


@dataclass(frozen=True)
class EventBodies:
    """The bodies of events, as JSON objects: of the API, which the local backend knows nothing of."""

    incident: Callable[[SqlConnection, Incident], dict[str, Any]]
    status: Callable[[SqlConnection, Incident, str, str | None], dict[str, Any]]
    """Of a changed status: the incident, the id of the status before, and the message of the update."""
    task: Callable[[FollowUp, datetime], dict[str, Any]]


class Outbox:
    """Writer of events, within the transactions of others. Without subscriptions it writes nothing.

    `read` returns an incident by its id as it is in the transaction; `new_id` an id for this moment.
    """

    def __init__(
        self,
        subscriptions: Sequence[Subscription],
        bodies: EventBodies | None,
        read: Callable[[SqlConnection, str], Incident],
        new_id: Callable[[datetime], str],
    ) -> None:
        self._subscriptions = tuple(subscriptions) if bodies is not None else ()
        self._bodies = bodies
        self._read = read
        self._new_id = new_id

    def created(self, db: SqlConnection, incident_id: str, key: str, now: datetime) -> None:
        """Tell of a declared incident."""
        self._tell(db, CREATED, incident_id, key, now)

    def updated(self, db: SqlConnection, incident_id: str, key: str, now: datetime) -> None:
        """Tell of an incident that differs from before."""
        self._tell(db, UPDATED, incident_id, key, now)

    def changed(
        self, db: SqlConnection, incident_id: str, change: IncidentChange, earlier_status: str, now: datetime
    ) -> None:
        """Tell of a change, and of its new status if it has one."""
        if self._bodies is None or not self._subscriptions:
            return
        bodies, incident = self._bodies, self._read(db, incident_id)
        self._add(db, UPDATED, incident, change.key, now, partial(bodies.incident, db, incident))
        if incident.incident_status.id != earlier_status:
            body = partial(bodies.status, db, incident, earlier_status, change.message)
            self._add(db, STATUS_UPDATED, incident, change.key, now, body)

    def membership(
        self, db: SqlConnection, incident_id: str, change: IncidentChange, person: PersonId, now: datetime
    ) -> None:
        """Tell that a person may see a private incident, or no longer."""
        if self._subscriptions:
            event = GRANTED if person in change.invited else REVOKED
            body = partial(membership_body, incident_id, person, change.by)
            self._add(db, event, self._read(db, incident_id), f"{change.key}:{person}", now, body)

    def task(self, db: SqlConnection, follow_up: FollowUp, did: str, key: str, now: datetime) -> None:
        """Tell of an action or a follow-up that was `created` or `updated`."""
        if self._bodies is not None and self._subscriptions:
            incident, body = self._read(db, follow_up.incident_id), partial(self._bodies.task, follow_up, now)
            event = f"{follow_up.kind}_{did}_v1"
            self._add(db, event, incident, key, now, body, resource=follow_up.id)

    def _tell(self, db: SqlConnection, event: str, incident_id: str, key: str, now: datetime) -> None:
        if self._bodies is not None and self._subscriptions:
            incident = self._read(db, incident_id)
            self._add(db, event, incident, key, now, partial(self._bodies.incident, db, incident))

    def _add(
        self,
        db: SqlConnection,
        event: str,
        incident: Incident,
        key: str,
        now: datetime,
        body: Callable[[], dict[str, Any]],
        *,
        resource: str = "",
    ) -> None:
        """Write the event, and its way to each endpoint that wants it. Of what is private, ids alone."""
        name = event_type(event, is_private=incident.is_private)
        wanted = [one.name for one in self._subscriptions if name in one.events]
        if not wanted:
            return
        webhook_id = f"msg_{self._new_id(now)}"
        tells = not incident.is_private or event in {GRANTED, REVOKED}
        row = [
            webhook_id,
            incident.id,
            key,
            event,
            resource or incident.id,
            int(incident.is_private),
            compact(body()) if tells else None,
            written(now),
        ]
        db.execute(_INSERT_EVENT, row)
        for endpoint in wanted:
            db.execute(_INSERT_DELIVERY, [endpoint, endpoint, webhook_id])
