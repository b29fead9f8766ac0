"""Incidents in rows and records, and how what people wrote stands in them: the same for every backend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tocsin.incidents.model import (
    SOMEBODY,
    FieldEntry,
    Incident,
    Person,
    PersonId,
    TimelineEntry,
    display_name,
)
from tocsin.incidents.rules import cleaned, in_words

COLUMNS = ("Reference", "Name", "Severity", "Status", "Lead", "Age")


def age(since: datetime, now: datetime) -> str:
    """How long ago, in the largest whole unit: `now`, `5 min`, `3 h`, `12 d`."""
    passed = max(now - since, timedelta())
    if passed < timedelta(minutes=1):
        return "now"
    if passed < timedelta(hours=1):
        return f"{passed // timedelta(minutes=1)} min"
    if passed < timedelta(days=2):
        return f"{passed // timedelta(hours=1)} h"
    return f"{passed // timedelta(days=1)} d"


def nameless(people: Iterable[Person | None]) -> list[PersonId]:
    """Those of whom only the Slack id is known, each once."""
    ids = (person.slack_user_id for person in people if person is not None and not person.name)
    return list(dict.fromkeys(filter(None, ids)))


def holders(incident: Incident) -> list[Person | None]:
    """The reporter, and whoever holds a role."""
    return [incident.creator, *(held.assignee for held in incident.incident_role_assignments)]


def marks(incident: Incident) -> tuple[str, ...]:
    """What sets an incident apart: `private`, and its mode where that is not the standard one."""
    return ("private",) * incident.is_private + (incident.mode,) * (incident.mode != "standard")


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def as_rows(incidents: Iterable[Incident], now: datetime) -> Iterator[tuple[str, ...]]:
    """One row of `COLUMNS` for each incident, safe to print on a terminal."""
    for incident in incidents:
        name = incident.name + "".join(f" [{mark}]" for mark in marks(incident))
        severity = incident.severity.name if incident.severity else ""
        row = (incident.reference, name, severity, incident.incident_status.name, display_name(incident.lead))
        yield (*(cleaned(cell) for cell in row), age(incident.created_at, now))


def as_record(incident: Incident, timeline: Sequence[TimelineEntry] | None = None) -> dict[str, Any]:
    """The incident with the field names of incident.io's V2 object, ready for JSON.

    Source: incident.io, Incidents V2, Show. The source message has the names of V1's create payload, since
    V2 has none; `timeline` is our own.
    """
    plain = incident.model_dump(mode="json", exclude={"source", "creator", "custom_field_entries"})
    source = incident.source
    record = plain | {
        "creator": {"user": as_user(incident.creator)},
        "incident_role_assignments": [
            {
                "role": assignment.role.model_dump(),
                **({"assignee": as_user(assignment.assignee)} if assignment.assignee else {}),
            }
            for assignment in incident.incident_role_assignments
        ],
        "custom_field_entries": [_field_entry(entry) for entry in incident.custom_field_entries],
        "source_message_channel_id": source.channel if source else None,
        "source_message_timestamp": source.timestamp if source else None,
        "source_message_permalink": source.permalink if source else None,
        "created_at": moment(incident.created_at),
        "updated_at": moment(incident.updated_at),
        "closed_at": moment(incident.closed_at) if incident.closed_at else None,
    }
    record = {key: value for key, value in record.items() if value is not None}
    if timeline is not None:
        record["timeline"] = [as_happening(entry) for entry in timeline]
    return record


def facts(incident: Incident) -> list[tuple[str, str]]:
    """What there is to know at a glance, as label and value, without what is empty."""
    apart = in_words(marks(incident))
    listed = [
        ("Status", incident.incident_status.name),
        ("Severity", incident.severity.name if incident.severity else ""),
        ("Type", incident.incident_type.name if incident.incident_type else ""),
        ("Marked", apart),
        ("Declared", f"{moment(incident.created_at)} by {display_name(incident.creator) or SOMEBODY}"),
        *((held.role.name, display_name(held.assignee)) for held in incident.incident_role_assignments),
        ("Channel", f"#{incident.slack_channel_name}" if incident.slack_channel_name else ""),
        ("Source message", (incident.source.permalink or "") if incident.source else ""),
        *((entry.custom_field.name, answers(entry)) for entry in incident.custom_field_entries),
        ("Permalink", incident.permalink or ""),
    ]
    return [(label, value) for label, value in listed if value]


def answers(entry: FieldEntry) -> str:
    """The answers to one custom field, in words."""
    return in_words(value.shown for value in entry.values)


def as_written(text: str) -> str:
    """Text that Markdown shows as it is: on one line, no markup, no HTML."""
    one_line = cleaned(text)
    if re.fullmatch(r"https?://[^\s<>]+", one_line):
        return f"<{one_line}>"
    escaped = re.sub(r"([\\`*_\[\]<>#|~!&])", r"\\\1", one_line)
    # A number is a list only before a space, and only its full stop can be escaped (CommonMark 2.4, 5.2).
    return re.sub(r"^(\s*\d*)([-+=]|(?<=\d)[.)](?=\s|$))", r"\1\\\2", escaped)


def as_user(person: Person) -> dict[str, str]:
    """Somebody, as incident.io's objects name people."""
    return {
        "name": display_name(person),
        **person.model_dump(exclude_none=True, include={"slack_user_id", "email"}),
    }


def _field_entry(entry: FieldEntry) -> dict[str, Any]:
    return {
        "custom_field": entry.custom_field.model_dump(exclude={"required", "searched"}, exclude_none=True),
        "values": [value.model_dump(exclude_none=True) for value in entry.values],
    }


def as_happening(entry: TimelineEntry) -> dict[str, Any]:
    """One entry of the timeline, ready for JSON."""
    by = {"actor": {"user": as_user(entry.by)}} if entry.by else {}
    return {"timestamp": moment(entry.at), **by, "verb": entry.verb, "text": entry.text}
