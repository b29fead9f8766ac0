"""When a weekly digest is due, in its own zone, and what it counts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from support.incidents import incident

from tocsin.incidents.digest import DigestRule, digest_of, overdue, week_until
from tocsin.incidents.insights import CountedDays, Facts, Names, days_of
from tocsin.rules import read_rules
from tocsin.settings import ConfigurationError
from tocsin.slack.views.digest import digest_message


@pytest.mark.parametrize(
    ("on", "zone", "now", "due"),
    [
        ("monday 09:00", "Europe/Berlin", "2026-03-02T07:59", "2026-02-23T08:00"),
        ("monday 09:00", "Europe/Berlin", "2026-03-02T08:00", "2026-03-02T08:00"),
        ("Monday 9:00", "Europe/Berlin", "2026-03-30T12:00", "2026-03-30T07:00"),
        ("sunday 02:30", "Europe/Berlin", "2026-03-29T12:00", "2026-03-29T01:30"),
        ("monday 00:30", "Asia/Tokyo", "2026-03-01T16:00", "2026-03-01T15:30"),
        ("friday 17:00", "UTC", "2026-03-05T00:00", "2026-02-27T17:00"),
    ],
)
def test_a_digest_is_due_at_its_time_on_the_clocks_of_its_zone(
    on: str, zone: str, now: str, due: str
) -> None:
    rule = DigestRule(channel="C1", on=on, zone=zone)
    found = rule.last_due(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_it_tells_of_the_seven_days_before_and_of_what_is_overdue() -> None:
    chosen = week_until(datetime(2026, 3, 9, 8, tzinfo=UTC))
    assert (chosen.first, chosen.last) == (date(2026, 3, 2), date(2026, 3, 8))
    monday = datetime(2026, 3, 2, 9, tzinfo=UTC)
    late = ((date(2026, 2, 7), False), (date(2026, 2, 8), False), (date(2026, 1, 1), True))
    found = days_of(
        [
            Facts(monday, "closed", severity="a", durations={"fix": 3600}, follow_ups=late),
            Facts(monday + timedelta(days=6), "live", severity="b"),
            Facts(monday, "closed", mode="test", severity="b"),
        ]
    )
    names = Names(
        severities={"a": "Minor", "b": "Major"}, durations={"detect": "Detect", "fix": "Time to fix"}
    )
    week = CountedDays(found, names)
    digest = digest_of(week, week, chosen, (), "")
    assert (digest.declared, digest.open, digest.overdue) == (2, 1, 1)
    assert digest.by_severity == (("Major", 1), ("Minor", 1))
    assert digest.lasted is not None
    assert (digest.lasted[0], abs(digest.lasted[1].total_seconds() - 3600) < 36) == ("Time to fix", True)
    assert overdue(week, date(2026, 3, 10)) == 2


def test_it_says_when_more_happened_than_is_counted_and_its_notification_counts_no_nothing() -> None:
    chosen = week_until(datetime(2026, 3, 9, 8, tzinfo=UTC))
    whole = CountedDays({}, Names())
    said, _ = digest_message(digest_of(whole, whole, chosen, (incident(),), ""))
    assert said == ":calendar: *No incidents declared from 2 Mar to 8 Mar*. Open now: 1"
    for week, year in (
        (CountedDays({}, Names(), missing=1), whole),
        (CountedDays({}, Names(), cut=(chosen.first,)), whole),
        (CountedDays({}, Names(), newest=5000), whole),
        (whole, CountedDays({}, Names(), missing=9)),
    ):
        _, blocks = digest_message(digest_of(week, year, chosen, (), ""))
        assert "Some days are not counted in full." in str(blocks[-1].to_dict())


def test_a_rule_that_cannot_be_is_refused_at_the_start_with_what_to_write() -> None:
    for entry, sentence in {
        'channel = "incidents"': "give a channel's id, which begins with C",
        'channel = "C1X"\non = "mondays"': "give a day of the week and a time, such as 'monday 09:00'",
        'channel = "C1X"\non = "monday 24:00"': "give a day of the week and a time",
        'channel = "C1X"\nzone = "Berlin"': "give a time zone of the IANA database, such as 'Europe/Berlin'",
        'channel = "C1X"\nat = "09:00"': "at",
    }.items():
        values = dict(line.replace('"', "").split(" = ") for line in entry.split("\n"))
        with pytest.raises(ConfigurationError, match="digests") as refused:
            read_rules({"digests": [values]})
        assert sentence in str(refused.value)
