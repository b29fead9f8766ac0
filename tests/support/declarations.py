"""Declarations to try backends and pages with, and a clock that only moves when read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tocsin.incidents.model import FieldOption, FieldValue, Person, PersonId, SourceMessage
from tocsin.incidents.requests import Declaration

ANA = Person(slack_user_id=PersonId("U0ANA"), name="Ana Torres", email="ana@example.com")
BEN = Person(slack_user_id=PersonId("U0BEN"), name="Ben Okafor")
DAWN = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


class Ticking:
    """A clock that moves one second forward each time it is read."""

    def __init__(self, start: datetime = DAWN) -> None:
        self.now = start

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def declaration(key: str = "key-1", **changes: Any) -> Declaration:
    """A plain declaration by Ana."""
    plain = {"name": "Checkout is slow", "severity_id": "major", "reporter": ANA, "at": DAWN}
    return Declaration(**{**plain, "key": key, **changes})


def full_declaration(key: str = "key-full", **changes: Any) -> Declaration:
    """A declaration with everything the default catalogue can ask."""
    return declaration(
        key,
        **{
            "summary": "Payments take 40 s.\nSince the deploy of 21:05.",
            "severity_id": "critical",
            "incident_type_id": "incident",
            "slack_team_id": "T0NORTH",
            "incident_role_assignments": {"lead": BEN.slack_user_id},
            "custom_field_entries": {
                "affected_area": (
                    FieldValue(value_option=FieldOption(id="api", value="API", sort_key=2)),
                    FieldValue(value_option=FieldOption(id="payments", value="Payments", sort_key=3)),
                ),
                "detected_by": (
                    FieldValue(value_option=FieldOption(id="customer", value="Customer", sort_key=1)),
                ),
                "customers_affected": (FieldValue(value_numeric="1200.5"),),
                "status_page": (FieldValue(value_link="https://status.example.com/1"),),
                "customer_or_ticket": (FieldValue(value_text="ZD-1881"),),
            },
            "source": SourceMessage(
                channel="C0ALERTS",
                timestamp="1772334000.000100",
                permalink="https://northwind.slack.com/archives/C0ALERTS/p1772334000000100",
            ),
            **changes,
        },
    )
