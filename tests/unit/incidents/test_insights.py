"""Figures about incidents: what is counted, and medians that are near enough."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tocsin.incidents.insight_tables import Figures, busiest, figures
from tocsin.incidents.insights import (
    Chosen,
    CountedDays,
    Facts,
    FieldNames,
    Names,
    added,
    bucket,
    days_of,
    only,
    quantile,
    read_day,
    written_day,
)
from tocsin.incidents.model import TeamId

MONDAY = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MARCH = Chosen(date(2026, 3, 2), date(2026, 3, 15))
NAMES = Names(
    severities={"minor": "Minor", "critical": "Critical"},
    types={"incident": "Incident", "security": "Security"},
    roles={"lead": "Incident Lead", "communications": "Communications Lead"},
    fields={"area": FieldNames("Affected area", {"api": "API", "web": "Website"})},
    durations={"time_to_fix": "Time to fix"},
)


def facts(days: int = 0, hours: int = 0, **changes: Any) -> Facts:
    plain = {"category": "closed", "severity": "minor", "type": "incident", "seconds_open": 3600}
    return Facts(**{**plain, "declared_at": MONDAY + timedelta(days=days, hours=hours), **changes})


def figures_of(*found: Facts, chosen: Chosen = MARCH) -> Figures:
    counted = CountedDays(days_of(found), NAMES)
    return figures(counted, chosen, {"U1": "Ana Torres"}, date(2026, 4, 15))


def rows(found: Figures, table: str) -> list[tuple[Any, ...]]:
    wanted = found.table(table)
    return list(wanted.rows) if wanted is not None else []


def test_incidents_are_counted_by_week_and_severity_worst_first() -> None:
    found = figures_of(facts(), facts(6, severity="critical"), facts(7), facts(8))
    table = found.table("by-time")
    assert table is not None
    assert table.columns == ("Week of", "Critical", "Minor", "All")
    assert table.rows == (("2 Mar 2026", 1, 1, 2), ("9 Mar 2026", 0, 2, 2))
    long = figures_of(facts(), chosen=Chosen(date(2024, 12, 20), date(2026, 3, 15)))
    months = long.table("by-time")
    assert months is not None
    assert (months.columns[0], len(months.rows)) == ("Month", 16)
    assert months.rows[-1][0] == "Mar 2026"
    assert months.rows[-1][-1] == 1


def test_what_was_no_incident_is_counted_apart_and_in_no_other_figure() -> None:
    others = [facts(category=category) for category in ("triage", "declined", "merged", "canceled")]
    test = facts(mode="test", holders=(("lead", "U1"),), options=(("area", "api"),))
    found = figures_of(facts(category="live", seconds_open=None), facts(), test, *others)
    assert (found.counted, found.open, found.closed) == (2, 1, 1)
    assert dict(found.apart) == {"Test": 1, "In triage": 1, "Declined": 1, "Merged": 1, "Canceled": 1}
    assert rows(found, "people") == []
    assert found.table("field-area") is None


def test_hours_and_days_follow_the_declaration_and_not_what_was_entered_in_retrospect() -> None:
    found = figures_of(facts(), facts(4, 12), facts(5, mode="retrospective"))
    hours = {row[0]: row[1] for row in rows(found, "hours") if row[1]}
    assert hours == {"09:00": 1, "21:00": 1}
    days = {row[0]: row[1] for row in rows(found, "weekdays") if row[1]}
    assert days == {"Monday": 1, "Friday": 1}
    assert found.counted == 3


def test_the_load_is_told_by_person_and_role_with_its_time_and_without_the_reporter() -> None:
    held = (("lead", "U1"), ("communications", "U2"), ("reporter", "U3"))
    found = figures_of(facts(holders=held), facts(1, holders=(("lead", "U1"),), seconds_open=7200))
    assert rows(found, "people") == [
        ("Ana Torres", "Incident Lead", 2, timedelta(hours=3)),
        ("U2", "Communications Lead", 1, timedelta(hours=1)),
    ]
    assert busiest(added(days_of([facts(holders=held)]).values(), MARCH), NAMES) == ["U1", "U2"]


def test_follow_ups_are_overdue_thirty_days_after_they_were_added() -> None:
    added_on = (date(2026, 3, 16), False), (date(2026, 3, 17), False), (date(2026, 3, 2), True)
    found = figures_of(facts(follow_ups=added_on))
    assert rows(found, "follow-ups") == [("Done", 1), ("Open", 2), ("Of these, overdue", 1)]


def test_options_and_types_are_counted_by_name_and_filters_take_what_they_name() -> None:
    several = facts(options=(("area", "api"), ("area", "web")), type="security")
    found = [several, facts(options=(("area", "api"),)), facts(severity="critical", type="security")]
    every = figures_of(*found)
    assert rows(every, "field-area") == [("API", 2), ("Website", 1)]
    assert rows(every, "types") == [("Security", 2), ("Incident", 1)]
    assert figures_of(*found, chosen=Chosen(MARCH.first, MARCH.last, "critical")).counted == 1
    assert figures_of(*found, chosen=Chosen(MARCH.first, MARCH.last, "minor", "security")).counted == 1


def test_the_spread_of_a_duration_is_told_of_all_and_of_each_severity() -> None:
    fixed = [facts(durations={"time_to_fix": 60 * minutes}) for minutes in (10, 20, 30, 40)]
    worst = facts(severity="critical", durations={"time_to_fix": 6000})
    found = rows(figures_of(*fixed, worst), "durations")
    told = {row[:3] for row in found if row[0] == "Time to fix"}
    assert told == {("Time to fix", "All", 5), ("Time to fix", "Critical", 1), ("Time to fix", "Minor", 4)}
    quarter, median, three, most = next(row[3:] for row in found if row[1] == "All")
    for value, minutes in ((quarter, 20), (median, 30), (three, 40), (most, 100)):
        assert abs(value / timedelta(minutes=minutes) - 1) <= 0.01


@pytest.mark.parametrize("seed", range(3))
def test_a_quantile_is_within_one_percent_of_the_exact_one(seed: int) -> None:
    chance = random.Random(seed)
    seconds = sorted(max(1, int(chance.lognormvariate(8, 3))) for _ in range(501))
    buckets = Counter(map(bucket, seconds))
    for part in (0.25, 0.5, 0.75, 0.9):
        exact = seconds[-(-int(part * 100) * len(seconds) // 100) - 1]
        found = quantile(buckets, part)
        assert found is not None
        assert abs(found.total_seconds() - exact) <= max(0.5, exact * 0.01 + 0.5)
    assert quantile({}, 0.5) is None
    assert quantile({bucket(0): 1}, 0.5) == timedelta()


def test_a_day_is_read_as_it_was_written_and_split_by_workspace() -> None:
    north = facts(team="T0NORTH", holders=(("lead", "Zoë, the “lead”"),), durations={"time_to_fix": 9})
    (day,) = days_of([north, facts(team="T0SOUTH")]).values()
    assert read_day(written_day(day)) == day
    assert {cell[0] for cell in only(day, frozenset([TeamId("T0NORTH")]))} == {"T0NORTH"}
    for odd in ("", "{}x", "[[1]]", '[["a","b","c",[["n","x"]]]]'):
        with pytest.raises(ValueError, match="no counts of a day"):
            read_day(odd)


@pytest.mark.parametrize(
    ("zone", "hours", "weekdays", "note"),
    [
        ("UTC", {"09:00": 1, "23:00": 1}, {"Monday": 1, "Saturday": 1}, "in UTC;"),
        ("Europe/Berlin", {"10:00": 1, "01:00": 1}, {"Monday": 1, "Sunday": 1}, "in Europe/Berlin;"),
        ("America/New_York", {"04:00": 1, "19:00": 1}, {"Monday": 1, "Saturday": 1}, "in America/New_York;"),
        (
            "Asia/Kolkata",
            {"15:00": 1, "05:00": 1},
            {"Monday": 1, "Sunday": 1},
            "in Asia/Kolkata to within half an hour;",
        ),
    ],
)
def test_hours_and_days_of_the_week_are_those_that_the_clocks_of_a_time_zone_showed(
    zone: str, hours: dict[str, int], weekdays: dict[str, int], note: str
) -> None:
    """On a Monday in winter at 9:30 and on a Saturday in summer at 23:30 UTC."""
    chosen = Chosen(date(2026, 3, 2), date(2026, 4, 15))
    summer = MONDAY + timedelta(days=33, hours=14)
    assert summer.isoformat() == "2026-04-04T23:30:00+00:00"
    counted = CountedDays(days_of([facts(), facts(33, 14)]), NAMES)
    found = figures(counted, chosen, {}, date(2026, 4, 15), ZoneInfo(zone) if zone != "UTC" else UTC)
    assert {name: times for name, times in rows(found, "hours") if times} == hours
    assert {name: times for name, times in rows(found, "weekdays") if times} == weekdays
    table = found.table("hours")
    assert table is not None
    assert note in table.note
