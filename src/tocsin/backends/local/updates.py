"""Updates of incidents: what each change of a status or a severity, or each message, made of an incident.

The timeline has the same in words. An update has the choices by id, and an id of its own (incident.io,
Incident Updates V2).
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any

from tocsin.backends.local.connection import Row, SqlConnection
from tocsin.backends.local.create import ulid
from tocsin.backends.local.queries import person_in, readable, written
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import FrozenModel, Person
from tocsin.incidents.requests import IncidentChange


class Update(FrozenModel):
    """One update, with the status and the severity that the incident had afterwards."""

    id: str
    incident_id: str
    at: datetime
    by: Person | None = None
    message: str = ""
    incident_status_id: str
    severity_id: str | None = None
    merged_into_incident_id: str | None = None


_INSERT = """
INSERT INTO incident_updates (id, incident_id, idempotency_key, timestamp, actor_slack_user_id, actor_name,
    actor_email, message, incident_status_id, severity_id, merged_into_incident_id)
SELECT ?, i.id, ?, ?, ?, ?, ?, ?, s.id, v.id, (SELECT m.id FROM incidents m WHERE m.reference = ?)
FROM incidents i JOIN incident_statuses s ON s.id = i.incident_status_id
LEFT JOIN severities v ON v.id = i.severity_id
WHERE i.id = ?
"""
_UPDATES = """
SELECT u.id, u.incident_id, u.timestamp, u.message, u.incident_status_id, u.severity_id,
    u.actor_slack_user_id, COALESCE(p.name, u.actor_name) AS actor_name,
    COALESCE(p.email, u.actor_email) AS actor_email,
    m.id AS merged_into_id
FROM incident_updates u {join} incidents i ON i.id = u.incident_id
LEFT JOIN incidents m ON m.id = u.merged_into_incident_id {merged_seen}
LEFT JOIN people p ON p.slack_user_id = u.actor_slack_user_id
WHERE {conditions} ORDER BY u.id DESC LIMIT ?
"""

_MERGED_INTO = """
SELECT merged_into_incident_id FROM incident_updates
WHERE incident_id = ? AND merged_into_incident_id IS NOT NULL ORDER BY id DESC LIMIT 1
"""

UNKNOWN_CURSOR = "There is no update with this id to go on after."


_VERSION = """
SELECT i.updated_at, i.alerts, i.slack_channel_name,
    (SELECT COUNT(*) FROM incident_timeline_items t WHERE t.incident_id = i.id) AS entries,
    (SELECT MAX(t.id) FROM incident_timeline_items t WHERE t.incident_id = i.id) AS last_entry,
    (SELECT COUNT(*) FROM follow_ups f WHERE f.incident_id = i.id) AS tasks,
    (SELECT MAX(f.updated_at) FROM follow_ups f WHERE f.incident_id = i.id) AS task_updated_at
FROM incidents i WHERE i.id = ?
"""


def version_of(db: SqlConnection, incident_id: str) -> str | None:
    """Return a hash that is another one when the incident, its timeline or its tasks have changed."""
    row = next(iter(db.query(_VERSION, [incident_id])), None)
    return sha256(repr(sorted(row.items())).encode()).hexdigest()[:16] if row is not None else None


def add_update(db: SqlConnection, incident_id: str, change: IncidentChange, now: datetime) -> None:
    """Record the update of a change that was made, in its transaction.

    An incident whose status is not there, since its row was edited by hand, has its timeline alone.
    """
    by = change.by
    db.execute(
        _INSERT,
        [
            ulid(now),
            change.key,
            written(change.at),
            by.slack_user_id,
            by.name,
            by.email,
            change.message,
            change.merged_into,
            incident_id,
        ],
    )


def read_updates(
    db: SqlConnection, *, incident_id: str | None, sees_private: bool, after: str | None, limit: int
) -> list[Update]:
    """Return updates, newest first, of one incident or of all. Raises Refused for an unknown cursor."""
    conditions, parameters = list[str](), list[Any]()
    if not sees_private:
        conditions.append(f"{db.is_public} = 1")
    if incident_id is not None:
        conditions.append("u.incident_id = ?")
        parameters.append(incident_id)
    if after is not None:
        if not _read(db, [*conditions, "u.id = ?"], [*parameters, after], sees_private, 1):
            raise Refused(UNKNOWN_CURSOR, {"after": UNKNOWN_CURSOR})
        conditions.append("u.id < ?")
        parameters.append(after)
    return _read(db, conditions, parameters, sees_private, limit)


def merged_into(db: SqlConnection, incident_id: str) -> str | None:
    """Return the id of the incident that an incident was last merged into; None if it never was."""
    row = next(iter(db.query(_MERGED_INTO, [incident_id])), None)
    return str(row["merged_into_incident_id"]) if row is not None else None


def update_of_change(db: SqlConnection, key: str) -> Update | None:
    """Return the update that the change with this key made; None if it made none."""
    return next(iter(_read(db, ["u.idempotency_key = ?"], [key], True, 1)), None)


def _read(
    db: SqlConnection, conditions: list[str], parameters: list[Any], sees_private: bool, limit: int
) -> list[Update]:
    query = _UPDATES.format(
        conditions=" AND ".join(conditions) or "TRUE",
        join=db.join_in_order,
        merged_seen="" if sees_private else "AND m.visibility = 'public'",
    )
    return [_update(readable(row)) for row in db.query(query, [*parameters, limit])]


def _update(row: Row) -> Update:
    return Update(
        id=row["id"],
        incident_id=row["incident_id"],
        at=row["timestamp"],
        by=person_in(row, "actor"),
        message=row["message"],
        incident_status_id=row["incident_status_id"],
        severity_id=row["severity_id"],
        merged_into_incident_id=row["merged_into_id"],
    )
