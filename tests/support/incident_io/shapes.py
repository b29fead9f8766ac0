"""The documented request bodies, and what is wrong with one that was sent (Errors: 422, `source.field`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from support.incident_io.account import Account

Json = dict[str, Any]
Wrong = tuple[str, str, str]
"""A code, a sentence and the field, with dots."""

TEXT, FLAG, NUMBER = str, bool, int
PERSON = {"id": TEXT, "email": TEXT, "slack_user_id": TEXT}
VALUE = {
    "id": TEXT,
    "value_catalog_entry_id": TEXT,
    "value_link": TEXT,
    "value_numeric": TEXT,
    "value_option_id": TEXT,
    "value_text": TEXT,
    "value_timestamp": TEXT,
}
ENTRY = {"custom_field_id*": TEXT, "values*": [VALUE]}
PLAIN = {
    "idempotency_key*": TEXT,
    "visibility*": ("public", "private"),
    "name": TEXT,
    "summary": TEXT,
    "severity_id": TEXT,
    "incident_type_id": TEXT,
    "slack_team_id": TEXT,
    "custom_field_entries": [ENTRY],
}
ROLES_V1 = {"incident_role_id*": TEXT, "assignee*": PERSON}
ROLES_V2 = {"incident_role_id*": TEXT, "assignee": PERSON}
STAMPS = {"incident_timestamp_id*": TEXT, "value": TEXT}
CREATE_V1 = PLAIN | {
    "incident_role_assignments": [ROLES_V1],
    "mode": ("real", "test"),
    "status": ("triage", "investigating", "fixing", "monitoring", "closed", "declined"),
    "source_message_channel_id": TEXT,
    "source_message_timestamp": TEXT,
}
CREATE_V2 = PLAIN | {
    "incident_role_assignments": [ROLES_V2],
    "mode": ("standard", "retrospective", "test", "tutorial"),
    "incident_status_id": TEXT,
    "incident_timestamp_values": [STAMPS],
    "slack_channel_name_override": TEXT,
    "retrospective_incident_options": {
        "external_id": NUMBER,
        "postmortem_document_url": TEXT,
        "slack_channel_id": TEXT,
    },
}
EDIT = {
    "notify_incident_channel*": FLAG,
    "incident*": {
        "name": TEXT,
        "summary": TEXT,
        "severity_id": TEXT,
        "incident_status_id": TEXT,
        "call_url": TEXT,
        "slack_channel_name_override": TEXT,
        "custom_field_entries": [ENTRY],
        "incident_role_assignments": [ROLES_V2],
        "incident_timestamp_values": [STAMPS],
    },
}
UPDATE = {
    "idempotency_key*": TEXT,
    "incident_id*": TEXT,
    "message": TEXT,
    "to_incident_status_id": TEXT,
    "to_severity_id": TEXT,
}
ITEM = {
    "idempotency_key*": TEXT,
    "incident_id*": TEXT,
    "timestamp*": TEXT,
    "title*": TEXT,
    "description": TEXT,
}
RESOURCE = {
    "resource_type*": ("arbitrary_url", "slack_file"),
    "url": TEXT,
    "title": TEXT,
    "emoji": TEXT,
    "external_id": TEXT,
}
ATTACHMENT = {"incident_id*": TEXT, "resource*": RESOURCE}
MEMBERSHIP = {"incident_id*": TEXT, "user_id*": TEXT}
ACTION = {"incident_id*": TEXT, "description*": TEXT, "assignee_id": TEXT}
PROGRESS = ("completed", "not_doing", "outstanding")
ACTION_CHANGE = {"description*": TEXT, "status*": PROGRESS, "assignee_id": TEXT}
FOLLOW_UP = {"incident_id*": TEXT, "title*": TEXT, "description": TEXT, "assignee_id": TEXT}
FOLLOW_UP_CHANGE = {
    "title*": TEXT,
    "status*": PROGRESS,
    "description": TEXT,
    "assignee_id": TEXT,
    "assignee_team_id": TEXT,
    "follow_up_category_id": TEXT,
    "follow_up_priority_option_id": TEXT,
    "labels": [TEXT],
}


def wrongs(shape: Any, given: Any, at: str = "") -> Iterator[Wrong]:
    """What the documents do not allow: unknown names, null, other kinds, values that no enum has."""
    if isinstance(shape, dict):
        yield from _object(shape, given, at)
    elif isinstance(shape, list):
        if not isinstance(given, list):
            yield "invalid_type", "must be a list", at
            return
        for place, item in enumerate(given):
            yield from wrongs(shape[0], item, f"{at}.{place}")
    elif isinstance(shape, tuple):
        if given not in shape:
            yield "invalid_value", f"must be one of {', '.join(shape)}", at
    elif type(given) is not shape:
        yield "invalid_type", f"must be {shape.__name__}", at


def _object(shape: Json, given: Any, at: str) -> Iterator[Wrong]:
    if not isinstance(given, dict):
        yield "invalid_type", "must be an object", at
        return
    known = {name.rstrip("*"): inner for name, inner in shape.items()}
    for name, value in given.items():
        place = f"{at}.{name}" if at else name
        if name not in known:
            yield "unknown_field", f"{name} is not a known field", place
        else:
            yield from wrongs(known[name], value, place)
    for name in shape:
        if name.endswith("*") and name.rstrip("*") not in given:
            yield "is_required", f"{name.rstrip('*')} is required", f"{at}.{name}".strip(".").rstrip("*")


def unknown(account: Account, body: Json, *, creating: bool = True) -> Iterator[Wrong]:
    """References to what the account does not have, and answers that do not fit their field."""
    yield from _lookups(account, body, creating)
    yield from _unknown_timestamps(account, body)
    roles = {role["id"]: role for role in account.roles}
    known = {user["slack_user_id"] for user in account.users}
    emails = {user["email"] for user in account.users if "email" in user}
    for place, held in enumerate(body.get("incident_role_assignments") or ()):
        at = f"incident_role_assignments.{place}"
        role = roles.get(held["incident_role_id"])
        named = held.get("assignee") or {}
        slack, email = named.get("slack_user_id"), named.get("email")
        if role is None:
            yield "not_found", "That incident role does not exist", f"{at}.incident_role_id"
        elif role["role_type"] == "reporter" and not creating:
            yield "invalid_value", "The reporter can only be assigned when creating", f"{at}.incident_role_id"
        elif slack is not None and slack not in known:
            yield "not_found", "We could not find that Slack user", f"{at}.assignee.slack_user_id"
        elif email is not None and email not in emails:
            yield "not_found", "We could not find a user with that email", f"{at}.assignee.email"
    fields = {f["id"]: f for f in account.fields}
    for place, entry in enumerate(body.get("custom_field_entries") or ()):
        found = fields.get(entry["custom_field_id"])
        at = f"custom_field_entries.{place}"
        if found is None:
            yield "not_found", "That custom field does not exist", f"{at}.custom_field_id"
            continue
        for number, value in enumerate(entry["values"]):
            yield from _misfits(account, found, value, f"{at}.values.{number}")


def _unknown_timestamps(account: Account, body: Json) -> Iterator[Wrong]:
    known = {timestamp["id"] for timestamp in account.timestamps}
    for place, given in enumerate(body.get("incident_timestamp_values") or ()):
        if given["incident_timestamp_id"] not in known:
            at = f"incident_timestamp_values.{place}.incident_timestamp_id"
            yield "not_found", "That incident timestamp does not exist", at


def _lookups(account: Account, body: Json, creating: bool) -> Iterator[Wrong]:
    lists = {
        "severity_id": account.severities,
        "incident_type_id": account.types,
        "incident_status_id": account.statuses,
        "to_severity_id": account.severities,
        "to_incident_status_id": account.statuses,
    }
    for name, listed in lists.items():
        if name in body and body[name] not in {item["id"] for item in listed}:
            yield "not_found", f"There is no such {name.removesuffix('_id').replace('_', ' ')}", name
    triage = body.get("status") == "triage" or body.get("incident_status_id") == "triage"
    if creating and "severity_id" not in body and not triage:
        yield "is_required", "A severity is required to open an incident", "severity_id"
    chosen = body.get("incident_type_id") or next((t["id"] for t in account.types if t["is_default"]), None)
    private = any(t["private_incidents_only"] for t in account.types if t["id"] == chosen)
    if creating and private and body.get("visibility") != "private":
        yield "invalid_value", "Incidents of this type are always private", "visibility"


def _misfits(account: Account, found: Json, value: Json, at: str) -> Iterator[Wrong]:
    kind = found["field_type"]
    wanted = {"text": "value_text", "link": "value_link", "numeric": "value_numeric"}.get(kind)
    if wanted is None:
        wanted = "value_catalog_entry_id" if found.get("catalog_type_id") else "value_option_id"
    if set(value) != {wanted}:
        yield "invalid_value", f"A {kind} field takes {wanted}", at
        return
    options = {o["id"] for o in account.options if o["custom_field_id"] == found["id"]}
    if wanted == "value_option_id" and value[wanted] not in options:
        yield "not_found", "That option does not exist", f"{at}.value_option_id"
    if wanted == "value_catalog_entry_id" and value[wanted] not in {e["id"] for e in account.entries}:
        yield "not_found", "That catalog entry does not exist", f"{at}.value_catalog_entry_id"
