"""Phases of an incident: how long it had each status."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from support.incidents import ANA, DAWN, incident

from tocsin.incidents.model import Status, TimelineEntry
from tocsin.incidents.permissions import Verb
from tocsin.incidents.phases import phases_of

STATUSES = {
    name: Status(id=name.lower(), name=name, category=category)
    for name, category in {
        "Triage": "triage",
        "Investigating": "live",
        "Fixing": "live",
        "Monitoring": "live",
        "Closed": "closed",
        "Declined": "declined",
    }.items()
}


def minute(count: float) -> datetime:
    return DAWN + timedelta(minutes=count)


def entry(said: str) -> TimelineEntry:
    """`5 Fixing` after five minutes; `5 accepted Investigating` out of triage; `5 noted …` is none."""
    at, _, name = said.partition(" ")
    verb = Verb.ACCEPT.timeline if name.startswith("accepted ") else Verb.STATUS.timeline
    verb = Verb.NOTE.timeline if name.startswith("noted ") else verb
    text = name.removeprefix("accepted ").removeprefix("noted ")
    return TimelineEntry(at=minute(float(at)), by=ANA, verb=verb, text=text)


@pytest.mark.parametrize(
    ("has", "timeline", "phases"),
    [
        ("Investigating", [], "Investigating 60*"),
        ("Triage", ["5 noted Fixing"], "Triage 60*"),
        ("Fixing", ["10 Fixing"], "Investigating 10, Fixing 50*"),
        ("Monitoring", ["9 accepted Fixing", "20 Monitoring"], "Triage 9, Fixing 11, Monitoring 40*"),
        ("Closed", ["10 Fixing", "30 Closed"], "Investigating 10, Fixing 20"),
        ("Fixing", ["10 Closed", "30 Fixing"], "Open 10, Closed 20, Fixing 30*"),
        # It was in triage or not, and was closed: nobody can say which.
        ("Declined", ["12 Declined"], "Open 12"),
        # Out of order, twice the same, at once, before it was declared, and still to come.
        ("Monitoring", ["20 Monitoring", "10 Fixing"], "Investigating 10, Fixing 10, Monitoring 40*"),
        ("Fixing", ["5 Fixing", "9 Fixing"], "Investigating 5, Fixing 55*"),
        ("Monitoring", ["5 Fixing", "5 Monitoring"], "Investigating 5, Monitoring 55*"),
        ("Fixing", ["-5 Fixing"], "Fixing 60*"),
        ("Fixing", ["90 Fixing"], "Investigating 60*"),
        # Set at the hosted backend: the timeline does not know when.
        ("Monitoring", ["10 Fixing"], "Open 60*"),
        ("Fixing", ["10 Chasing", "20 Fixing"], "Open 10, Chasing 10, Fixing 40*"),
    ],
)
def test_an_incident_had_one_status_after_the_other(has: str, timeline: list[str], phases: str) -> None:
    of = incident(incident_status=STATUSES[has], created_at=DAWN)
    found = phases_of(of, [entry(one) for one in timeline], minute(60), STATUSES.values())
    lasting = [f"{one.name} {one.lasted / timedelta(minutes=1):g}{'*' * one.is_current}" for one in found]
    assert ", ".join(lasting) == phases
    assert [one.began for one in found[1:]] == [one.ended for one in found[:-1]]


def test_what_was_over_when_it_was_declared_has_no_phases() -> None:
    over = {"incident_status": STATUSES["Closed"], "created_at": DAWN, "closed_at": minute(5)}
    assert phases_of(incident(mode="retrospective", **over), [], minute(60)) == ()
    (one,) = phases_of(incident(**over), [], minute(60))
    assert (one.name, one.lasted) == ("Open", timedelta(minutes=5))
    assert phases_of(incident(**over | {"closed_at": DAWN}), [], minute(60)) == ()


def test_a_phase_has_the_category_of_its_status() -> None:
    of = incident(incident_status=STATUSES["Fixing"], created_at=DAWN)
    timeline = [entry("10 accepted Investigating"), entry("20 Closed"), entry("30 Fixing")]
    found = phases_of(of, timeline, minute(60), STATUSES.values())
    assert [one.category for one in found] == ["triage", "live", "closed", "live"]
