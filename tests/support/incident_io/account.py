"""One account: what it is configured to ask, whom it knows, and its incidents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
STAMP = "2024-01-01T00:00:00Z"


def now() -> datetime:
    return datetime.now(UTC)


def _severity(key: str, rank: int, said: str) -> Json:
    stamps = {"created_at": STAMP, "updated_at": STAMP}
    return {"id": key, "name": key.title(), "description": said, "rank": rank, **stamps}


def _status(key: str, name: str, category: str, rank: int) -> Json:
    stamps = {"created_at": STAMP, "updated_at": STAMP}
    return {"id": key, "name": name, "description": "", "category": category, "rank": rank, **stamps}


def _type(key: str, name: str, **more: Any) -> Json:
    plain = {"description": "", "is_default": False, "private_incidents_only": False}
    stamps = {"created_at": STAMP, "updated_at": STAMP}
    return {"id": key, "name": name, "create_in_triage": "optional", **plain, **stamps, **more}


def _role(key: str, name: str, role_type: str) -> Json:
    texts = {"description": "", "instructions": "", "shortform": ""}
    stamps = {"created_at": STAMP, "updated_at": STAMP}
    return {"id": key, "name": name, "role_type": role_type, **texts, **stamps}


def _field(key: str, name: str, kind: str, **more: Any) -> Json:
    stamps = {"created_at": STAMP, "updated_at": STAMP}
    return {"id": key, "name": name, "description": "", "field_type": kind, **stamps, **more}


def _option(field_id: str, key: str, value: str, sort_key: int) -> Json:
    return {"id": key, "custom_field_id": field_id, "value": value, "sort_key": sort_key}


def _user(slack: str, name: str, email: str | None) -> Json:
    known = {"id": f"01USER{slack}", "name": name, "role": "responder", "slack_user_id": slack}
    return known | ({"email": email} if email else {})


@dataclass
class Account:
    """Lists as the API answers them; incidents as V2 objects, and what V1 says besides."""

    severities: list[Json] = field(
        default_factory=lambda: [
            _severity("minor", 0, "A nuisance"),
            _severity("major", 1, "Some cannot work"),
            _severity("critical", 2, "Most are affected"),
        ]
    )
    statuses: list[Json] = field(
        default_factory=lambda: [
            _status("triage", "Triage", "triage", 0),
            _status("investigating", "Investigating", "live", 1),
            _status("fixing", "Fixing", "live", 2),
            _status("monitoring", "Monitoring", "live", 3),
            _status("closed", "Closed", "closed", 4),
            # incident.io manages all but live and learning ones itself (API v2, incident statuses).
            _status("declined", "Declined", "declined", 5),
            _status("merged", "Merged", "merged", 6),
            _status("canceled", "Canceled", "canceled", 7),
        ]
    )
    types: list[Json] = field(
        default_factory=lambda: [
            _type("incident", "Incident", is_default=True),
            _type("security", "Security", private_incidents_only=True),
            _type("rumour", "Rumour", create_in_triage="always"),
        ]
    )
    roles: list[Json] = field(
        default_factory=lambda: [
            _role("reporter", "Reporter", "reporter"),
            _role("lead", "Incident Lead", "lead"),
            _role("communications", "Communications", "custom"),
        ]
    )
    fields: list[Json] = field(
        default_factory=lambda: [
            _field("affected_area", "Affected area", "multi_select"),
            _field("detected_by", "Detected by", "single_select"),
            _field("customers_affected", "Customers affected", "numeric"),
            _field("status_page", "Status page", "link"),
            _field("customer_or_ticket", "Customer or ticket", "text"),
            _field("team", "Team", "single_select", catalog_type_id="01TEAMS"),
        ]
    )
    options: list[Json] = field(
        default_factory=lambda: [
            _option("affected_area", "website", "Website", 1),
            _option("affected_area", "api", "API", 2),
            _option("affected_area", "payments", "Payments", 3),
            _option("detected_by", "customer", "Customer", 1),
            _option("detected_by", "alert", "Alert", 2),
        ]
    )
    entries: list[Json] = field(
        default_factory=lambda: [
            {"id": "01ENTRYCHECKOUT", "name": "Checkout crew", "aliases": ["checkout"], "external_id": "t-1"},
            {"id": "01ENTRYSEARCH", "name": "Search crew", "aliases": [], "external_id": "t-2"},
        ]
    )
    forms: list[Json] = field(default_factory=list)
    timestamps: list[Json] = field(
        default_factory=lambda: [
            {"id": "01REPORTED", "name": "Reported at", "rank": 1},
            {"id": "01IMPACT", "name": "Impact started at", "rank": 2},
            {"id": "01FIXED", "name": "Fixed at", "rank": 3},
        ]
    )
    """A timestamp may be added by an organisation; the others set themselves (Lifecycle, Timestamps)."""
    users: list[Json] = field(
        default_factory=lambda: [
            _user("U0ANA", "Ana Torres", "ana@example.com"),
            _user("U0BEN", "Ben Okafor", None),
        ]
    )
    team: str = "T0NORTH"
    key: str = "a-key"
    rights: list[str] = field(default_factory=lambda: ["viewer", "incident_creator", "incident_editor"])
    has_v1: bool = True
    dedupes: bool = True
    clock: Callable[[], datetime] = now
    incidents: list[Json] = field(default_factory=list)
    by_key: dict[str, Json] = field(default_factory=dict)
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The source message of an incident by its id, which no answer tells."""
    updates: list[Json] = field(default_factory=list)
    items: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    memberships: set[tuple[str, str]] = field(default_factory=set)
    """Members of private incidents: incident and user."""
    actions: list[Json] = field(default_factory=list)
    follow_ups: list[Json] = field(default_factory=list)
    made: Callable[[Json], None] = lambda incident: None
    """Hears of each new incident."""

    def now(self) -> str:
        return self.clock().isoformat().replace("+00:00", "Z")

    def knows(self, slack: str, name: str, email: str | None = None) -> None:
        """Have somebody known by their Slack id."""
        self.users.append(_user(slack, name, email))

    def incident(self, wanted: str) -> Json | None:
        """By id, or by the bare number of the reference (Incidents V2, Show)."""
        matching = (i for i in self.incidents if wanted in (i["id"], i["reference"].removeprefix("INC-")))
        return next(matching, None)

    def open_channel(self, incident: Json, channel: str, name: str) -> None:
        """The channel is there now; Slack's workspace has it under this id."""
        incident |= {"slack_channel_id": channel, "slack_channel_name": name}

    def as_v1(self, incident: Json) -> Json:
        """The same incident as V1 has it (Incidents V1, Show)."""
        gone = {"incident_status", "last_activity_at", "team_ids", "incident_timestamp_values"}
        gone |= {"duration_metrics"}
        category, name = incident["incident_status"]["category"], incident["incident_status"]["name"].lower()
        plain = {"triage": "triage", "closed": "closed", "declined": "declined"}
        plain |= {"merged": "closed", "canceled": "closed"}
        words = ("investigating", "fixing", "monitoring")
        status = plain.get(category, name if name in words else "investigating")
        mode = {"standard": "real"}.get(incident["mode"], incident["mode"])
        return {k: v for k, v in incident.items() if k not in gone} | {"status": status, "mode": mode}
