"""A refusal of incident.io's, brought to the fields of our form by the index in what was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tocsin.backends.incident_io.troubles import Rejected, Wrong
from tocsin.incidents.errors import Refused

_ASSIGNEE = re.compile(r"incident_role_assignments\.(\d+)\.assignee(?:\.\w+)?")
_INDEXED = re.compile(r"(custom_field_entries|incident_role_assignments)\.(\d+)(?:\..*)?")
_IDS = {"custom_field_entries": "custom_field_id", "incident_role_assignments": "incident_role_id"}
OURS = frozenset({"name", "summary", "severity_id", "incident_type_id", "visibility", "mode"})
STATUS = {"status": "incident_status_id", "to_incident_status_id": "incident_status_id"}
STATUS |= {"to_severity_id": "severity_id", "incident.severity_id": "severity_id"}


def stranger(rejected: Rejected, body: Mapping[str, Any]) -> int | None:
    """Which role assignment names somebody whom incident.io does not know."""
    if rejected.status != 422:
        return None
    for wrong in rejected.wrong:
        found = _ASSIGNEE.fullmatch(wrong.path)
        if found and int(found[1]) < len(body.get("incident_role_assignments") or ()):
            return int(found[1])
    return None


def refusal(rejected: Rejected, body: Mapping[str, Any], reporter_role: str | None = None) -> Refused:
    """The refusal with a sentence for each field of the form; what has no field there is the sentence."""
    fields: dict[str, str] = {}
    rest: list[str] = []
    for wrong in rejected.wrong:
        field = field_of(wrong, body)
        if field and field != f"incident_role_assignments.{reporter_role}":
            fields[field] = " ".join(filter(None, [fields.get(field), wrong.said]))
        else:
            rest.append(wrong.said)
    said = " ".join(filter(None, rest))
    if not said:
        said = "incident.io refused some fields." if fields else str(rejected)
    return Refused(said, fields)


def field_of(wrong: Wrong, body: Mapping[str, Any]) -> str | None:
    """The block of our form that an error belongs to: an index is that of what was sent."""
    path = STATUS.get(wrong.path, wrong.path).removeprefix("incident.")
    if path in OURS or path in STATUS.values():
        return path
    found = _INDEXED.fullmatch(path)
    if found is None:
        return None
    sent, place = body.get(found[1]) or [], int(found[2])
    if place >= len(sent):
        return None
    return f"{found[1]}.{sent[place][_IDS[found[1]]]}"
