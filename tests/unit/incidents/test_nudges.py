"""Nudges: what a rule asks for, of which incident, when, and how seldom."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from support.incidents import ANA, DAWN, incident

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Severity, Status, TimelineEntry
from tocsin.incidents.nudges import (
    ALL,
    NudgeLog,
    NudgePolicy,
    NudgeRule,
    SentNudge,
    Snoozes,
    in_words,
    next_nudge,
    parse_snooze,
)

UNTOUCHED, AWAKE = NudgeLog(), Snoozes()
NOBODY: dict[str, Any] = {"incident_role_assignments": ()}
RULES = NudgePolicy(
    rules=(
        NudgeRule(when="no_lead", after=timedelta(minutes=10)),
        NudgeRule(when="no_update", after=timedelta(minutes=30), severities=("critical",)),
        NudgeRule(when="no_update", after=timedelta(hours=2)),
        NudgeRule(when="stale", after=timedelta(days=3)),
    )
)


def minutes(count: float) -> datetime:
    return DAWN + timedelta(minutes=count)


def sent(kind: str, *at: float) -> NudgeLog:
    log = NudgeLog()
    for minute in at:
        nudge = SentNudge(kind=kind, at=minutes(minute), key=str(minute), since=DAWN, is_done=True)
        log = log.with_sent(nudge)
    return log


def entry(verb: str, minute: float) -> TimelineEntry:
    return TimelineEntry(at=minutes(minute), by=ANA, verb=verb)


def due(
    log: NudgeLog = UNTOUCHED,
    *timeline: TimelineEntry,
    policy: NudgePolicy = RULES,
    snoozes: Snoozes = AWAKE,
    promised: bool = False,
    **what: Any,
) -> tuple[str, float] | None:
    """The kind of the next nudge, and after how many minutes it is due."""
    found = next_nudge(policy, incident(**what), timeline, log, snoozes, promised=promised)
    return found and (found[1].kind, (found[0] - DAWN).total_seconds() / 60)


def test_what_has_no_lead_is_nudged_about_first_and_what_has_one_for_its_update() -> None:
    assert due(**NOBODY) == ("no_lead", 10)
    assert due() == ("no_update", 120)


def test_the_first_rule_that_fits_the_severity_counts() -> None:
    assert due(severity=Severity(id="critical", name="Critical")) == ("no_update", 30)
    assert due(severity=None) == ("no_update", 120)


@pytest.mark.parametrize("verb", ["gave an update:", "set the status to", "set the severity to", "updated"])
def test_an_update_is_waited_for_anew_after_each(verb: str) -> None:
    assert due(UNTOUCHED, entry(verb, 50)) == ("no_update", 170)
    assert due(UNTOUCHED, entry("noted:", 50)) == ("no_update", 120)


def test_a_promised_update_is_asked_for_by_its_own_reminder() -> None:
    assert due(promised=True) == ("stale", 3 * 1440)
    assert due(sent("next_update", 60)) == ("no_update", 180)


def test_a_lead_that_was_given_up_is_waited_for_anew() -> None:
    assert due(UNTOUCHED, entry("gave up the role", 50), **NOBODY) == ("no_lead", 60)


def test_what_changed_or_was_noted_is_not_stale() -> None:
    only = NudgePolicy(rules=RULES.rules[-1:])
    assert due(policy=only, updated_at=minutes(40)) == ("stale", 3 * 1440 + 40)
    assert due(UNTOUCHED, entry("noted:", 50), policy=only) == ("stale", 3 * 1440 + 50)


@pytest.mark.parametrize(
    "what",
    [
        {"incident_status": Status(id="closed", name="Closed", category="closed")},
        {"incident_status": Status(id="declined", name="Declined", category="declined")},
        {"incident_status": Status(id="triage", name="Triage", category="triage")},
        {"incident_status": Status(id="paused", name="Paused", category="paused")},
        {"mode": "test"},
    ],
)
def test_nothing_is_asked_about_what_has_ended_waits_or_is_a_test(what: dict[str, Any]) -> None:
    assert due(**what, **NOBODY) is None


def test_a_nudge_that_changes_nothing_is_repeated_each_time_after_twice_as_long() -> None:
    only = NudgePolicy(rules=RULES.rules[:1])
    assert due(sent("no_lead", 10), policy=only, **NOBODY) == ("no_lead", 30)
    assert due(sent("no_lead", 10, 30), policy=only, **NOBODY) == ("no_lead", 70)


def test_the_waits_begin_anew_once_what_was_asked_for_was_given() -> None:
    only = NudgePolicy(rules=RULES.rules[2:3])
    assert due(sent("no_update", 120), policy=only) == ("no_update", 360)
    assert due(sent("no_update", 120), entry("gave an update:", 200), policy=only) == ("no_update", 320)


def test_two_nudges_are_ten_minutes_apart() -> None:
    critical = {"severity": Severity(id="critical", name="Critical")}
    assert due(sent("no_lead", 25), **critical) == ("no_update", 35)


def test_an_incident_is_nudged_about_so_often_a_day_and_no_more() -> None:
    policy = NudgePolicy(rules=RULES.rules[:1], most_a_day=2)
    assert due(sent("no_lead", 10, 30), policy=policy, **NOBODY) == ("no_lead", 10 + 1440)
    assert not NudgePolicy(rules=RULES.rules, most_a_day=0).is_on


def test_a_snooze_holds_for_its_kind_or_for_all() -> None:
    assert due(snoozes=Snoozes(until={ALL: minutes(500)})) == ("no_update", 500)
    assert due(snoozes=Snoozes(until={"no_update": minutes(9000)})) == ("stale", 3 * 1440)
    assert due(snoozes=Snoozes(until={"no_lead": minutes(500)})) == ("no_update", 120)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("2 hours", 120), ("2h", 120), ("for an hour", 60), ("90 min", 90), ("1 week", 10080), ("Off.", 0)],
)
def test_a_length_of_time_is_read_as_people_write_it(typed: str, meant: int) -> None:
    assert parse_snooze(typed) == meant


@pytest.mark.parametrize(
    "typed", ["soon", "2", "2 years", "0 minutes", "5 weeks", "-1 hours", "99999999 h", ""]
)
def test_what_is_no_length_of_time_is_refused_in_words(typed: str) -> None:
    with pytest.raises(Refused, match=r"Say for how long|Choose between a minute and 4 weeks"):
        parse_snooze(typed)


def test_minutes_are_told_in_the_largest_unit_that_fits() -> None:
    assert [in_words(n) for n in (1, 90, 60, 1440, 10080)] == [
        "1 minute",
        "90 minutes",
        "1 hour",
        "1 day",
        "1 week",
    ]
