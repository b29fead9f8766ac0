"""Words of a timeline and of a change: what people did, in the page, an export and the channel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.incidents import ANA, DAWN, LEAD, incident

from tocsin.incidents.model import (
    Automation,
    CustomField,
    FieldEntry,
    FieldValue,
    Form,
    Incident,
    Person,
    PersonId,
    Role,
    RoleAssignment,
    Severity,
    Status,
    TimelineEntry,
    display_name,
    key_actor,
)
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.timeline import deeds, items_of, kind_of
from tocsin.web.api.serializers import actor

BEN = Person(slack_user_id=PersonId("U0BEN"), name="Ben Okafor")
TRIAGE, FIXING, RESOLVED, CLOSED = (
    Status(id=name.lower(), name=name, category=category)
    for name, category in (
        ("Triage", "triage"),
        ("Fixing", "live"),
        ("Resolved", "closed"),
        ("Closed", "closed"),
    )
)
FORM = Form(
    statuses=(TRIAGE, FIXING, RESOLVED, CLOSED),
    roles=(LEAD, Role(id="scribe", name="Scribe")),
)


def told(*stored: tuple[str, str], form: Form | None = FORM, **now: Any) -> list[str]:
    """The sentences of a timeline of Ana's, an entry a minute, under the name *Checkout is slow*."""
    entries = [
        TimelineEntry(
            at=DAWN + timedelta(minutes=minute),
            by=ANA,
            verb=verb,
            text=text,
            key="declared" if verb == "declared" else "",
        )
        for minute, (verb, text) in enumerate(stored)
    ]
    return [item.sentence.removeprefix("Ana Torres ") for item in items_of(incident(**now), entries, form)]


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ([("gave an update:", "All well")], ["wrote an update: All well"]),
        ([("resolved it:", "Rolled back")], ["wrote an update: Rolled back"]),
        ([("noted:", "A lock")], ["noted: A lock"]),
        ([("set the status to", "Closed")], ["closed it"]),
        ([("set the status to", "Resolved")], ["closed it as Resolved"]),
        (
            [("set the status to", "Closed"), ("set the status to", "Fixing")],
            ["closed it", "reopened it as Fixing"],
        ),
        ([("accepted it as", "Fixing")], ["accepted it as Fixing"]),
        (
            [("set the status to", "Looking"), ("set the status to", "Fixing")],
            ["set the status to Looking", "set the status from Looking to Fixing"],
        ),
        (
            [("declared", "Checkout is slow (SEV3)"), ("set the severity to", "SEV1")],
            ["declared Checkout is slow (SEV3)", "set the severity from SEV3 to SEV1"],
        ),
        # Its name was another one: what stands in brackets may be a part of that.
        (
            [("declared", "Slow (EU)"), ("set the severity to", "SEV1")],
            ["declared Slow (EU)", "set the severity to SEV1"],
        ),
        ([("set Incident Lead to", "Ben Okafor")], ["gave Ben Okafor the role Incident Lead"]),
        (
            [("set Scribe to", "Ben Okafor"), ("took the role", "Scribe")],
            ["gave Ben Okafor the role Scribe", "took the role Scribe"],
        ),
        (
            [("set Region to", "EU"), ("set Region to", "US")],
            ["set Region to EU", "set Region from EU to US"],
        ),
        (
            [("set Region to", "E" * 61), ("set Region to", "US")],
            [f"set Region to {'E' * 61}", "set Region to US"],
        ),
        (
            [("set Region to", "EU"), ("emptied the field", "Region"), ("set Region to", "US")],
            ["set Region to EU", "emptied the field Region", "set Region to US"],
        ),
        (
            [("set the summary to", ""), ("set the call link to", "")],
            ["cleared the summary", "cleared the call link"],
        ),
        (
            [("set Scribe to", "Ben Okafor"), ("gave up the role", "Scribe"), ("gave up the role", "Scribe")],
            [
                "gave Ben Okafor the role Scribe",
                "took Ben Okafor out of the role Scribe",
                "cleared the role Scribe",
            ],
        ),
        (
            [("took the role", "Scribe"), ("gave up the role", "Scribe")],
            ["took the role Scribe", "gave up the role Scribe"],
        ),
        ([("made it private", "")], ["made it private"]),
        ([("took out", "Ben Okafor")], ["took Ben Okafor out"]),
        ([("invited", "Ben Okafor")], ["invited Ben Okafor"]),
        ([("merged it into", "INC-3")], ["merged it into INC-3"]),
        (
            [("set the summary to", "A"), ("set the summary to", "B")],
            ["set the summary to A", "set the summary to B"],
        ),
        ([("paged", "Database (PagerDuty)")], ["paged Database (PagerDuty)"]),
    ],
)
def test_the_timeline_says_what_people_did(stored: list[tuple[str, str]], words: list[str]) -> None:
    assert told(*stored) == words


def test_what_has_no_actor_was_the_bot_or_is_a_title() -> None:
    entries = [TimelineEntry(at=DAWN, verb=verb) for verb in ("archived the channel", "Brought over:")]
    assert [item.sentence for item in items_of(incident(), entries)] == [
        "Tocsin archived the channel",
        "Brought over:",
    ]


def test_an_api_key_is_named_alike_where_it_declared_and_where_it_acted() -> None:
    declared = Automation(kind="api_key", id="ci", name="ci")
    entry = TimelineEntry(at=DAWN, by=key_actor("ci"), verb="noted:", text="It is the cache")
    (told,) = items_of(incident(automation=declared), [entry])
    assert (
        told.sentence
        == f"{declared.label} noted: It is the cache"
        == "the API key “ci” noted: It is the cache"
    )


def test_a_person_who_calls_themselves_like_an_api_key_is_named_and_answered_as_a_person() -> None:
    posing = Person(slack_user_id=PersonId("U0POSER"), name="the key ci")
    assert display_name(posing) == "the key ci"
    assert actor(posing).api_key is None
    assert actor(key_actor("ci")).user is None


def test_a_field_with_the_name_of_a_role_is_a_field() -> None:
    entry = TimelineEntry(at=DAWN, by=ANA, verb="set Scribe to", text="Paper", key="k:custom_field_entries.1")
    assert items_of(incident(), [entry], FORM)[0].sentence == "Ana Torres set Scribe to Paper"


def test_each_entry_has_a_kind() -> None:
    kinds = {
        "gave an update:": "update",
        "resolved it:": "update",
        "updated": "update",
        "noted:": "note",
        "commented": "note",
        "sent alerts:": "alert",
        "added an action:": "task",
        "completed the follow-up:": "task",
        "decided against the action:": "task",
        "linked the issue of the follow-up:": "task",
        "Done, the follow-up:": "task",
        "set the status to": "change",
        "set the action to": "change",
        "paged": "change",
    }
    assert {verb: kind_of(TimelineEntry(at=DAWN, verb=verb)) for verb in kinds} == kinds


def region(*values: str) -> dict[str, Any]:
    field = CustomField(id="region", name="Region")
    answers = tuple(FieldValue(value_text=value) for value in values)
    return {"custom_field_entries": (FieldEntry(custom_field=field, values=answers),)}


def leads(person: Person | None) -> dict[str, Any]:
    return {"incident_role_assignments": (RoleAssignment(role=LEAD, assignee=person),)}


STATUS, MINOR = {"incident_status_id": "x"}, Severity(id="minor", name="Minor")
ROLE = {"incident_role_assignments": {"lead": None}}


@pytest.mark.parametrize(
    ("before", "after", "changed", "words"),
    [
        ({}, {"incident_status": CLOSED}, STATUS, "closed it"),
        ({"incident_status": CLOSED}, {"incident_status": FIXING}, STATUS, "reopened it as Fixing"),
        ({"incident_status": TRIAGE}, {}, STATUS, "accepted it as Fixing"),
        ({}, {"severity": MINOR}, {"severity_id": "x"}, "set the severity from Major to Minor"),
        ({"severity": None}, {}, {"severity_id": "x"}, "set the severity to Major"),
        ({"severity": None}, {}, {"name": "x"}, ""),
        (leads(None), leads(ANA), ROLE, "took the role Incident Lead"),
        (leads(ANA), leads(None), ROLE, "gave up the role Incident Lead"),
        (leads(ANA), leads(BEN), ROLE, "gave Ben Okafor the role Incident Lead (was Ana Torres)"),
        (leads(BEN), leads(None), ROLE, "took Ben Okafor out of the role Incident Lead"),
        ({}, {"name": "Slow"}, {"name": "x"}, "renamed it to Slow (was Checkout is slow)"),
        ({}, {"visibility": "private"}, {"visibility": "private"}, "made it private"),
        (region("EU"), region("US"), {"custom_field_entries": {"region": ()}}, "set Region from EU to US"),
        (region("EU"), region(), {"custom_field_entries": {"region": ()}}, "emptied the field Region"),
        ({}, {"incident_status": CLOSED}, {"incident_status_id": "x", "merged_into": "INC-3"}, ""),
    ],
)  # fmt: skip
def test_the_channel_reads_it_in_the_same_words(
    before: dict[str, Any], after: dict[str, Any], changed: dict[str, Any], words: str
) -> None:
    was: Incident = incident(**before)
    change = IncidentChange(key="k", by=ANA, at=DAWN, **changed)
    now = incident(**{**before, **after}) if after else incident()
    assert "; ".join(deeds(was, now, change)) == words
