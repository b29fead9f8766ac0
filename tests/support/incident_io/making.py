"""Incidents made and changed, as the API would answer them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from support.incident_io.account import STAMP, Account

Json = dict[str, Any]
KEY_ACTOR = {"api_key": {"id": "01KEY", "name": "Tocsin"}}


def make(account: Account, body: Json) -> Json:
    """The incident, once for each key: a repeat answers with the first one."""
    earlier = account.by_key.get(body["idempotency_key"])
    if earlier is not None and account.dedupes:
        return earlier
    number = len(account.incidents) + 1
    at = account.now()
    status = body.get("status") or body.get("incident_status_id") or "investigating"
    incident = {
        "id": f"01HZ{number:022d}",
        "reference": f"INC-{number}",
        "permalink": f"https://app.incident.io/incidents/{number}",
        "name": body.get("name", f"Incident {number}"),
        "visibility": body["visibility"],
        "mode": {"real": "standard"}.get(body.get("mode", "standard"), body.get("mode", "standard")),
        "created_at": at,
        "updated_at": at,
        "last_activity_at": at,
        "creator": KEY_ACTOR,
        "slack_team_id": body.get("slack_team_id", account.team),
        "slack_channel_id": "",
        "team_ids": [],
        "custom_field_entries": [_entry(account, e) for e in body.get("custom_field_entries", ())],
        "incident_role_assignments": [],
        "incident_timestamp_values": [],
    }
    kind = body.get("incident_type_id") or next((t["id"] for t in account.types if t["is_default"]), None)
    chosen = {"incident_status": (account.statuses, status), "incident_type": (account.types, kind)}
    chosen["severity"] = (account.severities, body.get("severity_id"))
    for name, (listed, wanted) in chosen.items():
        found = next((item for item in listed if item["id"] == wanted), None)
        if found is not None:
            incident[name] = found
    if body.get("summary"):
        incident["summary"] = body["summary"]
    assign(account, incident, body.get("incident_role_assignments", ()))
    stamp(account, incident, body.get("incident_timestamp_values", ()))
    if incident["mode"] != "retrospective":
        stamp(account, incident, [{"incident_timestamp_id": "01REPORTED", "value": at}])
    account.incidents.append(incident)
    account.by_key[body["idempotency_key"]] = incident
    if body.get("source_message_channel_id"):
        where = (body["source_message_channel_id"], body["source_message_timestamp"])
        account.sources[incident["id"]] = where
    if incident["mode"] != "retrospective":
        # No channel is made for what is declared in retrospect (Incidents V2, Create).
        account.made(incident)
    return incident


def edit(account: Account, incident: Json, body: Json) -> None:
    incident |= {name: body[name] for name in ("name", "summary", "call_url") if name in body}
    for name, listed in (("severity", account.severities), ("incident_status", account.statuses)):
        if f"{name}_id" in body:
            incident[name] = next(item for item in listed if item["id"] == body[f"{name}_id"])
    assign(account, incident, body.get("incident_role_assignments", ()))
    if body.get("incident_status_id") == "monitoring" and "01FIXED" not in _stamped(incident):
        stamp(account, incident, [{"incident_timestamp_id": "01FIXED", "value": account.now()}])
    stamp(account, incident, body.get("incident_timestamp_values", ()))
    entries = {e["custom_field"]["id"]: e for e in incident["custom_field_entries"]}
    for given in body.get("custom_field_entries", ()):
        entries[given["custom_field_id"]] = _entry(account, given)
    incident["custom_field_entries"] = list(entries.values())
    incident["updated_at"] = incident["last_activity_at"] = account.now()


def assign(account: Account, incident: Json, given: Any) -> None:
    held = {h["role"]["id"]: h for h in incident["incident_role_assignments"]}
    for one in given:
        role = next(r for r in account.roles if r["id"] == one["incident_role_id"])
        named = one.get("assignee") or {}
        user = next((u for u in account.users if named and named.items() <= u.items()), None)
        held[role["id"]] = {"role": role, **({"assignee": user} if user else {})}
    incident["incident_role_assignments"] = list(held.values())


def stamp(account: Account, incident: Json, given: Any) -> None:
    """Set timestamps, or clear those without a value, and measure the one duration again."""
    held = _stamped(incident)
    for one in given:
        held[one["incident_timestamp_id"]] = one.get("value")
    incident["incident_timestamp_values"] = [
        {
            "incident_timestamp": known,
            **({"value": {"value": held[known["id"]]}} if held.get(known["id"]) else {}),
        }
        for known in account.timestamps
    ]
    metric: Json = {"duration_metric": {"id": "01TTF", "name": "Time to fix"}, "status": "timestamps_missing"}
    start, end = (held.get(one) for one in ("01IMPACT", "01FIXED"))
    if start and end:
        passed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
        metric |= {"value_seconds": int(passed.total_seconds()), "status": "success"}
    incident["duration_metrics"] = [metric]


def _stamped(incident: Json) -> dict[str, str | None]:
    values = incident["incident_timestamp_values"]
    return {one["incident_timestamp"]["id"]: (one.get("value") or {}).get("value") for one in values}


def _entry(account: Account, given: Json) -> Json:
    found = next(f for f in account.fields if f["id"] == given["custom_field_id"])
    options = [o for o in account.options if o["custom_field_id"] == found["id"]]
    info = {name: found[name] for name in ("id", "name", "description", "field_type")}
    values = []
    for value in given["values"]:
        told = {k: v for k, v in value.items() if k in ("value_text", "value_link", "value_numeric")}
        if option := value.get("value_option_id"):
            told["value_option"] = next(o for o in options if o["id"] == option)
        if entry := value.get("value_catalog_entry_id"):
            told["value_catalog_entry"] = next(e for e in account.entries if e["id"] == entry)
        values.append(told)
    return {"custom_field": {**info, "options": options}, "values": values}


def catalog_type() -> Json:
    return {"id": "01TEAMS", "name": "Team", "type_name": 'Custom["Team"]', "created_at": STAMP}
