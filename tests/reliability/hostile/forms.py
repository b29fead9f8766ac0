"""Forms and incidents of an organisation that has more of everything than a window in Slack has room for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

from reliability.hostile.texts import hostile_incident, hostile_text
from tocsin.incidents.model import (
    CustomField,
    DurationMetric,
    ExternalIssue,
    FieldEntry,
    FieldOption,
    FieldValue,
    FollowUp,
    Form,
    Incident,
    IncidentTimestamp,
    IncidentType,
    Person,
    PersonId,
    Role,
    RoleAssignment,
    Severity,
    Status,
    TimelineEntry,
    TimestampValue,
)

Text = Callable[[int], str]
AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
CATEGORIES = ("triage", "live", "learning", "closed", "declined", "merged", "canceled")
FEW = (0, 1, 3, 40)
MANY = (0, 1, 3, 20, 100, 120)


def any_text(rng: Random) -> Text:
    """Texts of a backend's, which nobody cleaned: empty, blank, as long as there is room for, or hostile."""

    def text(most: int) -> str:
        return rng.choice(
            ("", "   ", "w" * most, "&" * most, hostile_text(rng, most), hostile_text(rng, most))
        )

    return text


def hostile_form(rng: Random, text: Text) -> Form:
    def each(make: Any, sizes: tuple[int, ...] = MANY, **more: Any) -> tuple[Any, ...]:
        return tuple(
            make(id=f"a{n}", name=text(300), description=text(600), **{k: v(n) for k, v in more.items()})
            for n in range(rng.choice(sizes))
        )

    return Form(
        severities=each(Severity, rank=int),
        statuses=each(Status, rank=int, category=lambda _: rng.choice(CATEGORIES)),
        incident_types=each(IncidentType),
        roles=each(Role, role_type=lambda n: "lead" if n == 0 else "custom"),
        custom_fields=tuple(_field(rng, text, n) for n in range(rng.choice(MANY))),
        incident_timestamps=each(IncidentTimestamp, rank=int),
        severity_required=rng.random() < 0.5,
        offers_private=rng.random() < 0.5,
        private_refusal=text(600) or "None here.",
        is_old=rng.random() < 0.2,
        as_of=AT,
    )


def _field(rng: Random, text: Text, number: int) -> CustomField:
    kind: Any = rng.choice(("text", "link", "numeric", "single_select", "multi_select"))
    chosen = kind.endswith("select")
    several = range(rng.choice(MANY) if chosen else 0)
    return CustomField(
        id=f"f{number}",
        name=text(400),
        description=text(1000),
        field_type=kind,
        required=rng.random() < 0.2,
        required_when=rng.choice((None, None, "closing")),
        options=tuple(FieldOption(id=f"o{n}", value=text(400)) for n in several),
        searched=chosen and rng.random() < 0.3,
    )


def answered_incident(rng: Random, text: Text, form: Form) -> Incident:
    """An incident with answers to that form, also some that it does not offer any more."""
    some = [field for field in form.custom_fields if rng.random() < 0.5]
    stamped = [stamp for stamp in form.incident_timestamps if rng.random() < 0.5]
    told: dict[str, Any] = {
        "severity": rng.choice((None, *form.severities)),
        "incident_type": rng.choice((None, *form.incident_types)),
        "custom_field_entries": tuple(
            FieldEntry(custom_field=field, values=_values(rng, text, field)) for field in some
        ),
        "incident_role_assignments": tuple(
            RoleAssignment(role=role, assignee=_person(rng, text)) for role in form.roles
        ),
        "incident_timestamp_values": tuple(
            TimestampValue(incident_timestamp=stamp, value=AT) for stamp in stamped
        ),
        "duration_metrics": tuple(
            DurationMetric(id=f"d{n}", name=text(200), value_seconds=rng.choice((None, 0, 10**9)))
            for n in range(rng.choice(FEW))
        ),
    }
    if form.statuses:
        told["incident_status"] = rng.choice(form.statuses)
    return hostile_incident(rng, text).model_copy(update=told)


def _values(rng: Random, text: Text, field: CustomField) -> tuple[FieldValue, ...]:
    if field.field_type.endswith("select"):
        gone = FieldOption(id="gone", value=text(400))
        several = rng.choice((1, 3, 20)) if field.field_type == "multi_select" else 1
        return tuple(FieldValue(value_option=rng.choice((gone, *field.options))) for _ in range(several))
    if field.field_type == "numeric":
        return (FieldValue(value_numeric=rng.choice(("12", "-2.50", "1e+06", "1e40", "about a dozen"))),)
    if field.field_type == "link":
        return (FieldValue(value_link=f"https://x.example/{'a' * rng.choice((1, 3500))}"),)
    return (FieldValue(value_text=text(5000)),)


def _person(rng: Random, text: Text) -> Person | None:
    return rng.choice((None, Person(slack_user_id=PersonId("U0ANA00001")), Person(name=text(200))))


def follow_ups(rng: Random, text: Text) -> tuple[FollowUp, ...]:
    return tuple(
        FollowUp(
            id=f"u{n}",
            incident_id="01",
            kind=rng.choice(("action", "follow_up")),
            text=text(2000),
            assignee=_person(rng, text),
            is_done=rng.random() < 0.3,
            created_at=AT,
            external_issue_reference=ExternalIssue(
                provider=text(50), issue_name=text(200), issue_permalink=f"https://x.example/{'a' * 2900}"
            ),
        )
        for n in range(rng.choice(FEW))
    )


def timeline(rng: Random, text: Text) -> tuple[TimelineEntry, ...]:
    return tuple(
        TimelineEntry(id=f"t{n}", at=AT, by=_person(rng, text), verb=text(200) or "noted", text=text(3000))
        for n in range(rng.choice(FEW))
    )
