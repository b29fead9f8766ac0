"""An incident as any backend may tell it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tocsin.incidents.model import Incident, Person, PersonId, Role, RoleAssignment, Severity, Status

DAWN = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
ANA = Person(slack_user_id=PersonId("U0ANA"), name="Ana Torres")
LEAD = Role(id="lead", name="Incident Lead", role_type="lead")


def incident(**changes: Any) -> Incident:
    plain = {
        "id": "01KJ3ZQ6R0ABCDEFGHJKMNPQRS",
        "reference": "INC-12",
        "name": "Checkout is slow",
        "severity": Severity(id="major", name="Major", rank=1),
        "incident_status": Status(id="fixing", name="Fixing", rank=2),
        "permalink": "http://127.0.0.1:8080/incidents/INC-12",
        "creator": ANA,
        "incident_role_assignments": (RoleAssignment(role=LEAD, assignee=ANA),),
        "created_at": DAWN,
        "updated_at": DAWN,
    }
    return Incident(**{**plain, **changes})
