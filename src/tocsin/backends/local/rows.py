"""Incidents read back from their rows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from sqlite_utils import Database

from tocsin.backends.local.lenient import readable
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import (
    SOMEBODY,
    CustomField,
    FieldEntry,
    FieldOption,
    FieldValue,
    Incident,
    IncidentType,
    Person,
    Role,
    RoleAssignment,
    Severity,
    SourceMessage,
    Status,
    TimelineEntry,
)
from tocsin.incidents.transitions import VERBS

Row = dict[str, Any]

_GIVEN = re.compile(r"<@[UW][A-Z0-9]+>|[UW][A-Z0-9]{8,}")
"""Whom a role was given to, as it is kept, and as earlier versions did."""

_INCIDENTS = """
SELECT i.*,
    COALESCE(p.name, i.creator_name) AS by_name, COALESCE(p.email, i.creator_email) AS by_email,
    v.name AS severity_name, v.description AS severity_description, v.rank AS severity_rank,
    s.name AS status_name, s.description AS status_description, s.category AS status_category,
    s.rank AS status_rank,
    t.name AS type_name, t.description AS type_description, t.is_default AS type_is_default,
    t.private_incidents_only AS type_private_only
FROM incidents i
JOIN incident_statuses s ON s.id = i.incident_status_id
LEFT JOIN severities v ON v.id = i.severity_id
LEFT JOIN incident_types t ON t.id = i.incident_type_id
LEFT JOIN people p ON p.slack_user_id = i.creator_slack_user_id
"""

BY_ID = _INCIDENTS + "WHERE i.id = ?"
BY_NUMBER = _INCIDENTS + "WHERE i.number = ?"
BY_NUMBERS = _INCIDENTS + "WHERE i.number IN ({marks}) ORDER BY i.number DESC"
NEWEST = _INCIDENTS + "ORDER BY i.number DESC LIMIT ?"
OLDER_THAN = (
    _INCIDENTS + "WHERE i.number < (SELECT number FROM incidents WHERE id = ?) ORDER BY i.number DESC LIMIT ?"
)

_ROLES = """
SELECT a.incident_id, a.assignee_slack_user_id,
    COALESCE(p.name, a.assignee_name) AS assignee_name, COALESCE(p.email, a.assignee_email) AS assignee_email,
    r.id, r.name, r.description, r.instructions, r.role_type, r.shortform
FROM incident_role_assignments a
JOIN incident_roles r ON r.id = a.incident_role_id
LEFT JOIN people p ON p.slack_user_id = a.assignee_slack_user_id
WHERE a.incident_id IN ({marks})
ORDER BY r.rowid
"""

_ENTRIES = """
SELECT e.incident_id, e.value_text, e.value_link, e.value_numeric, e.value_option_id,
    o.value AS option_value, o.sort_key AS option_sort_key,
    f.id, f.name, f.description, f.field_type, f.required
FROM custom_field_entries e
JOIN custom_fields f ON f.id = e.custom_field_id
LEFT JOIN custom_field_options o ON o.custom_field_id = e.custom_field_id AND o.id = e.value_option_id
WHERE e.incident_id IN ({marks})
ORDER BY f.rank, f.id, e.position
"""

_TIMELINE = """
SELECT l.timestamp, l.verb, l.text, l.actor_slack_user_id,
    COALESCE(p.name, l.actor_name) AS actor_name, COALESCE(p.email, l.actor_email) AS actor_email,
    given.name AS given_name
FROM incident_timeline_items l
LEFT JOIN people p ON p.slack_user_id = l.actor_slack_user_id
LEFT JOIN people given ON given.slack_user_id = trim(l.text, '<@>')
WHERE l.incident_id = ? ORDER BY l.timestamp, l.id
"""


def written(at: datetime) -> str:
    """A moment as it is kept: RFC 3339 in UTC, always as long, so that text sorts as time does."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def written_after(previous: datetime, now: datetime) -> str:
    """Return now, or the moment after the previous one if the clock was set back since.

    So a change is never older than the one before it. After the last year there is no moment.
    """
    is_set_back = now <= previous and previous.year < datetime.max.year
    return written(previous + timedelta(microseconds=1) if is_set_back else now)


def incident_row(db: Database, incident_id: str) -> dict[str, Any]:
    """Return the incident's own row, its last change as a time. Raises Refused where there is none."""
    found = next(iter(db.query("SELECT * FROM incidents WHERE id = ?", [incident_id])), None)
    if found is None:
        raise Refused("That incident is not here any more.")
    return {**found, "updated_at": readable(found)["updated_at"]}


def incidents(db: Database, query: str, parameters: Sequence[Any], public_url: str) -> list[Incident]:
    """The incidents that one of this module's queries finds, with their roles and custom fields."""
    found = [readable(row) for row in db.query(query, parameters)]
    ids = [row["id"] for row in found]
    roles = _by_incident(db, _ROLES, ids)
    entries = _by_incident(db, _ENTRIES, ids)
    return [_incident(row, roles[row["id"]], entries[row["id"]], public_url) for row in found]


def timeline(db: Database, incident_id: str) -> list[TimelineEntry]:
    """What happened, oldest first."""
    return [
        TimelineEntry(at=row["timestamp"], by=_person(row, "actor"), verb=row["verb"], text=_text(row))
        for row in map(readable, db.query(_TIMELINE, [incident_id]))
    ]


def _text(row: Row) -> str:
    """What happened in words; somebody who was given a role is kept by id, and read by name."""
    text, verb = str(row["text"]), str(row["verb"])
    if not _GIVEN.fullmatch(text) or not verb.startswith("set ") or verb in VERBS.values():
        return text
    return str(row["given_name"] or SOMEBODY)


def _by_incident(db: Database, query: str, ids: Sequence[str]) -> defaultdict[str, list[Row]]:
    grouped: defaultdict[str, list[Row]] = defaultdict(list)
    if ids:
        for row in map(readable, db.query(query.format(marks=", ".join("?" * len(ids))), ids)):
            grouped[row["incident_id"]].append(row)
    return grouped


def _incident(row: Row, roles: Sequence[Row], entries: Sequence[Row], public_url: str) -> Incident:
    creator = Person(slack_user_id=row["creator_slack_user_id"], name=row["by_name"], email=row["by_email"])
    return Incident(
        **{field: row[field] for field in Incident.model_fields if field in row},
        permalink=f"{public_url.rstrip('/')}/incidents/{quote(row['reference'], safe='')}",
        severity=_severity(row),
        incident_status=Status(
            id=row["incident_status_id"],
            name=row["status_name"],
            description=row["status_description"],
            category=row["status_category"],
            rank=row["status_rank"],
        ),
        incident_type=_type(row),
        source=_source(row),
        creator=creator,
        incident_role_assignments=tuple(
            RoleAssignment(role=Role(**role), assignee=_person(role, "assignee")) for role in roles
        ),
        custom_field_entries=tuple(_entries(entries)),
    )


def _severity(row: Row) -> Severity | None:
    if row["severity_id"] is None:
        return None
    return Severity(
        id=row["severity_id"],
        name=row["severity_name"],
        description=row["severity_description"],
        rank=row["severity_rank"],
    )


def _type(row: Row) -> IncidentType | None:
    if row["incident_type_id"] is None:
        return None
    return IncidentType(
        id=row["incident_type_id"],
        name=row["type_name"],
        description=row["type_description"],
        is_default=row["type_is_default"],
        private_incidents_only=row["type_private_only"],
    )


def _source(row: Row) -> SourceMessage | None:
    if row["source_message_channel_id"] is None:
        return None
    return SourceMessage(
        channel=row["source_message_channel_id"],
        timestamp=row["source_message_timestamp"],
        permalink=row["source_message_permalink"],
    )


def _person(row: Row, prefix: str) -> Person | None:
    values = {field: row[f"{prefix}_{field}"] for field in ("slack_user_id", "name", "email")}
    return Person(**values) if any(values.values()) else None


def _entries(rows: Iterable[Row]) -> Iterable[FieldEntry]:
    answers: dict[str, tuple[CustomField, list[FieldValue]]] = {}
    for row in rows:
        _, values = answers.setdefault(row["id"], (CustomField(**row), []))
        values.append(_value(row))
    for field, values in answers.values():
        yield FieldEntry(custom_field=field, values=tuple(values))


def _value(row: Row) -> FieldValue:
    option = None
    if row["value_option_id"] is not None:
        option = FieldOption(
            id=row["value_option_id"], value=row["option_value"], sort_key=row["option_sort_key"]
        )
    return FieldValue(
        value_text=row["value_text"],
        value_link=row["value_link"],
        value_numeric=row["value_numeric"],
        value_option=option,
    )
