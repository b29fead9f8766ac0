"""Rules that come to hold when an incident changes: what they add, and what stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
from support.incidents import incident

from tocsin.incidents.announcements import Announcement, AnnouncementRule, further_announcement
from tocsin.incidents.model import CustomField, FieldEntry, FieldValue, IncidentType, Severity, Status

MINOR, CRITICAL = Severity(id="minor", name="Minor"), Severity(id="critical", name="Critical", rank=2)
CLOSED, TRIAGE = (
    Status(id="closed", name="Closed", category="closed"),
    Status(id="triage", name="Triage", category="triage"),
)
OUTAGE = IncidentType(id="outage", name="Outage")
PAYMENTS = FieldEntry(
    custom_field=CustomField(id="area", name="Affected area"), values=(FieldValue(value_text="Payments"),)
)
RULES = (
    AnnouncementRule(channels=("C0ALL",)),
    AnnouncementRule(severities=("critical",), channels=("C0EXEC", "C0ALL"), invite=("@oncall",)),
    AnnouncementRule(incident_types=("Outage",), invite=("@oncall", "@web")),
    AnnouncementRule(custom_fields={"affected area": ("payments",)}, channels=("C0MONEY",)),
)


def added(before: dict[str, Any], after: dict[str, Any]) -> Announcement:
    return further_announcement(RULES, incident(**before), incident(**after))


@pytest.mark.parametrize(
    ("before", "after", "channels", "invite"),
    [
        ({"severity": MINOR}, {"severity": CRITICAL}, ("C0EXEC",), ("@oncall",)),
        ({"severity": CRITICAL}, {"severity": MINOR}, (), ()),
        ({"severity": CRITICAL}, {"severity": CRITICAL, "name": "Another"}, (), ()),
        ({"severity": CRITICAL}, {"severity": CRITICAL, "incident_type": OUTAGE}, (), ("@web",)),
        ({}, {"custom_field_entries": (PAYMENTS,)}, ("C0MONEY",), ()),
        ({"severity": None}, {"severity": CRITICAL, "visibility": "private"}, (), ()),
        ({"severity": MINOR}, {"severity": CRITICAL, "incident_status": CLOSED}, (), ()),
        ({"severity": MINOR}, {"severity": CRITICAL, "incident_status": TRIAGE}, (), ()),
        ({"incident_status": TRIAGE}, {"severity": CRITICAL}, ("C0ALL", "C0EXEC"), ("@oncall",)),
        ({"mode": "test"}, {"mode": "test", "severity": CRITICAL}, (), ()),
    ],
)
def test_a_change_is_announced_where_a_rule_has_come_to_hold(
    before: dict[str, Any], after: dict[str, Any], channels: tuple[str, ...], invite: tuple[str, ...]
) -> None:
    assert added(before, after) == Announcement(channels=channels, invite=invite)


def test_what_is_reopened_is_not_announced_anew() -> None:
    assert added({"severity": CRITICAL, "incident_status": CLOSED}, {"severity": CRITICAL}) == Announcement()
