"""Times as people type them in their own zone, their order, and the durations between them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from support.declarations import ANA
from support.incidents import incident

from tocsin.config import IncidentConfig, IncidentConfigError
from tocsin.incidents.errors import Refused
from tocsin.incidents.export import IncidentReport, as_csv, as_document, lasted, report_record
from tocsin.incidents.model import DurationMetric, Form, Incident, IncidentTimestamp, TimestampValue
from tocsin.incidents.requests import DeclareRequest, IncidentChange
from tocsin.incidents.timestamps import (
    match_timestamp,
    measure,
    odd_order,
    parse_time,
    set_by,
    told_in,
    zone_named,
)
from tocsin.incidents.transitions import describe_change, validate_change
from tocsin.incidents.updates import summary_of
from tocsin.incidents.validation import card_destinations, validate_declaration

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 4, 13, 0, tzinfo=UTC)
"""A Wednesday, 14:00 in Berlin."""

FORM = IncidentConfig().form()


def at(text: str, now: datetime = NOW, zone: str = "Europe/Berlin") -> str:
    """The moment that somebody in a zone means, in UTC."""
    found = parse_time(text, now, zone_named(zone)).at
    assert found is not None
    return f"{found:%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", "2026-03-04 13:00:00"),
        ("20 minutes ago", "2026-03-04 12:40:00"),
        ("90 min ago", "2026-03-04 11:30:00"),
        ("an hour ago", "2026-03-04 12:00:00"),
        ("half an hour ago", "2026-03-04 12:30:00"),
        ("1h 20m ago", "2026-03-04 11:40:00"),
        ("2 hours and 5 minutes ago", "2026-03-04 10:55:00"),
        ("13:05", "2026-03-04 12:05:00"),
        ("at 13:05.", "2026-03-04 12:05:00"),
        ("13:05:30", "2026-03-04 12:05:30"),
        ("13h05", "2026-03-04 12:05:00"),
        ("1:05 pm", "2026-03-04 12:05:00"),
        ("12am", "2026-03-03 23:00:00"),
        ("noon", "2026-03-04 11:00:00"),
        ("yesterday 23:40", "2026-03-03 22:40:00"),
        ("23:40 yesterday", "2026-03-03 22:40:00"),
        ("Yesterday at 11:40 p.m.", "2026-03-03 22:40:00"),
        ("today 09:15", "2026-03-04 08:15:00"),
        ("monday 9:15am", "2026-03-02 08:15:00"),
        ("last wednesday 13:00", "2026-02-25 12:00:00"),
        ("2 days ago at 14:05", "2026-03-02 13:05:00"),
        ("1 march 10:00", "2026-03-01 09:00:00"),
        ("March 1st, 10:00", "2026-03-01 09:00:00"),
        ("31 dec 23:59", "2025-12-31 22:59:00"),
        ("28 Feb 2025 noon", "2025-02-28 11:00:00"),
        ("2026-03-01 14:05", "2026-03-01 13:05:00"),
        ("2026-03-01T14:05Z", "2026-03-01 14:05:00"),
        ("2026-03-01T14:05:09.123+05:30", "2026-03-01 08:35:09"),
        ("12:05 UTC", "2026-03-04 12:05:00"),
        ("08:05 UTC-4", "2026-03-04 12:05:00"),
    ],
)
def test_a_time_is_read_as_people_type_it_in_their_zone(text: str, meant: str) -> None:
    assert at(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "5",
        "20 min",
        "yesterday",
        "25:00",
        "13:61",
        "2026-02-30 10:00",
        "31 june 10:00",
        "14:05 CET",
    ],
)
def test_what_is_no_time_is_answered_with_how_to_write_one(text: str) -> None:
    with pytest.raises(Refused, match="yesterday 23:40"):
        parse_time(text, NOW, BERLIN)


def test_a_time_of_day_that_is_still_to_come_is_refused_and_not_taken_for_yesterdays() -> None:
    with pytest.raises(
        Refused, match=r"still to come where you are \(Europe/Berlin, UTC\+01:00\).*yesterday 14:05"
    ):
        parse_time("14:05", NOW, BERLIN)
    assert at("14:05", zone="Asia/Tokyo") == "2026-03-04 05:05:00"


def test_a_day_is_the_day_of_who_typed_it() -> None:
    late = datetime(2026, 3, 4, 23, 30, tzinfo=UTC)
    assert at("yesterday 23:40", late) == "2026-03-04 22:40:00"
    assert at("yesterday 23:40", late, "America/New_York") == "2026-03-04 04:40:00"


def test_a_time_that_the_clocks_left_out_is_refused_with_the_one_that_was_meant() -> None:
    after = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
    with pytest.raises(Refused, match=r"No clock showed 02:30 on 2026-03-29.*Did you mean 03:30"):
        parse_time("02:30", after, BERLIN)
    assert at("03:30", after) == "2026-03-29 01:30:00"
    # Elapsed time does not care for clocks: three hours before 04:30 it was 00:30.
    assert at("3 hours ago", datetime(2026, 3, 29, 2, 30, tzinfo=UTC)) == "2026-03-28 23:30:00"


def test_a_time_that_came_twice_is_the_first_and_the_second_has_its_offset() -> None:
    after = datetime(2026, 10, 25, 12, 0, tzinfo=UTC)
    typed = parse_time("02:30", after, BERLIN)
    assert typed.at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    written = typed.note.partition("write ")[2].rstrip(".")
    assert written == "2026-10-25 02:30 UTC+01:00"
    assert at(written, after) == "2026-10-25 01:30:00"


def test_a_time_can_be_taken_out_again() -> None:
    assert parse_time("clear", NOW, BERLIN).at is None


def test_the_answer_names_the_zone_with_its_offset_on_that_day() -> None:
    assert told_in(NOW, BERLIN) == "Wed 4 Mar 2026, 14:00 (Europe/Berlin, UTC+01:00)"
    assert told_in(NOW + timedelta(days=60), BERLIN).endswith("15:00 (Europe/Berlin, UTC+02:00)")
    assert told_in(NOW, zone_named("No/Where")) == "Wed 4 Mar 2026, 13:00 (UTC)"


def test_a_timestamp_is_known_by_the_beginning_of_its_name() -> None:
    for text in (
        "impact started yesterday 23:40",
        "Impact yesterday 23:40",
        "impact started: yesterday 23:40",
    ):
        timestamp, rest = match_timestamp(text, FORM)
        assert (timestamp.id, rest) == ("impact_started", "yesterday 23:40")
    with pytest.raises(Refused, match="Impact started, Detected"):
        match_timestamp("outs in checkout", FORM)


# Changes.


def over(**values: datetime) -> Incident:
    """An incident with these timestamps, and the durations between them."""
    listed = tuple(
        TimestampValue(incident_timestamp=one, value=values[one.id])
        for one in FORM.incident_timestamps
        if one.id in values
    )
    metrics = measure(IncidentConfig().duration_rules, listed)
    return incident(incident_timestamp_values=listed, duration_metrics=metrics)


def changing(
    values: dict[str, datetime | None], form: Form = FORM, before: Incident | None = None
) -> IncidentChange:
    asked = IncidentChange(key="1", by=ANA, at=NOW, incident_timestamp_values=values, zone="Europe/Berlin")
    return validate_change(asked, before or over(), form)


def test_a_time_that_is_still_to_come_or_not_kept_is_an_error_of_its_field() -> None:
    with pytest.raises(Refused) as refused:
        changing(
            {"fixed": NOW + timedelta(hours=1), "gone": NOW, "detected": datetime(1999, 1, 1, tzinfo=UTC)}
        )
    assert {field: said.split(":")[0] for field, said in refused.value.fields.items()} == {
        "incident_timestamp_values.fixed": "That is still to come",
        "incident_timestamp_values.gone": "That time is not kept here any more. Leave it empty.",
        "incident_timestamp_values.detected": "That is too long ago",
    }


def test_a_time_that_is_set_already_is_no_change() -> None:
    before = over(fixed=NOW)
    with pytest.raises(Refused, match="Nothing would change"):
        changing({"fixed": NOW, "detected": None}, before=before)


def test_a_backend_without_times_says_so() -> None:
    with pytest.raises(Refused, match="It keeps none"):
        changing({"fixed": NOW}, Form(lacks={"time": "It keeps none."}))


def test_who_asked_reads_the_time_in_their_zone_and_that_the_order_is_odd() -> None:
    before, after = over(detected=NOW), over(detected=NOW, fixed=NOW - timedelta(hours=1))
    said = describe_change(before, after, changing({"fixed": NOW - timedelta(hours=1)}, before=before))
    assert "Fixed is Wed 4 Mar 2026, 13:00 (Europe/Berlin, UTC+01:00)." in said
    assert said.endswith("Look again: Fixed is before Detected.")
    cleared = describe_change(after, before, changing({"fixed": None}, before=after))
    assert cleared.endswith("Fixed is not set any more.")


def test_an_odd_order_that_was_there_before_is_not_said_again() -> None:
    values = over(impact_started=NOW, detected=NOW - timedelta(hours=1), fixed=NOW).incident_timestamp_values
    assert odd_order(values, {"fixed"}) == ""
    assert odd_order(values, {"impact_started"}) == "Look again: Detected is before Impact started."


# Configuration.


def test_each_status_sets_its_time_and_only_the_close_is_set_anew() -> None:
    rules = IncidentConfig().timestamp_rules
    assert set_by(rules, "declared", ()) == ("reported",)
    assert set_by(rules, "lead", ()) == ("acknowledged",)
    assert set_by(rules, "fixing", ()) == ("identified",)
    assert set_by(rules, "monitoring", ()) == ("fixed",)
    assert set_by(rules, "closed", ()) == ("fixed", "closed")
    assert set_by(rules, "closed", {"fixed", "closed"}) == ("closed",)


def test_the_defaults_fit_statuses_that_they_do_not_know() -> None:
    config = IncidentConfig.from_toml(
        "statuses = [{ name = 'Open' }, { name = 'Done', category = 'closed' }]"
    )
    assert [one.name for one in config.form().incident_timestamps][:2] == ["Impact started", "Detected"]
    assert set_by(config.timestamp_rules, "open", ()) == ()


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[[incident_timestamps]]\nname = 'Up'\nset_when = 'monitring'", "there is no 'monitring'"),
        ("[[duration_metrics]]\nname = 'Down'\nstart = 'impact'\nend = 'fixed'", "there is no 'impact'"),
        (
            "[[duration_metrics]]\nname = 'Down'\nstart = 'impact_started'",
            r"duration_metrics\[1\].end: is needed",
        ),
        ("[[incident_timestamps]]\nname = 'Up'\nkeeps = 'all'", r"incident_timestamps\[1\].keeps"),
    ],
)
def test_a_slip_in_the_timestamps_is_named(toml: str, problem: str) -> None:
    with pytest.raises(IncidentConfigError, match=problem):
        IncidentConfig.from_toml(toml)


# Durations.


def test_a_duration_begins_at_the_first_timestamp_that_is_set() -> None:
    known = {one.name: one for one in over(reported=NOW, fixed=NOW + timedelta(hours=2)).duration_metrics}
    assert known["Time to fix"].seconds == 7200
    assert known["Time to detect"].status == "timestamps_missing"
    earlier = over(impact_started=NOW - timedelta(hours=1), reported=NOW, fixed=NOW + timedelta(hours=2))
    assert [one.seconds for one in earlier.duration_metrics] == [3600, None, 10_800]


def test_a_duration_that_would_be_negative_is_none() -> None:
    odd = over(reported=NOW, acknowledged=NOW - timedelta(minutes=1)).duration_metrics
    assert [(one.status, one.seconds) for one in odd if one.id == "time_to_acknowledge"] == [
        ("invalid_timestamps", None)
    ]


def test_a_duration_that_no_longer_matches_its_timestamps_is_not_told() -> None:
    assert DurationMetric(id="1", name="Lasted", value_seconds=60, status="calculating").seconds is None


def test_times_and_durations_are_in_every_export_and_in_the_closing_summary() -> None:
    report = IncidentReport(incident=over(impact_started=NOW, fixed=NOW + timedelta(minutes=90)))
    assert "- **Impact started**: 2026\\-03-04T13:00:00Z" in as_document(report)
    assert "- **Time to fix**: 1 h 30 min" in as_document(report)
    record = report_record(report)
    assert record["incident_timestamp_values"][0] == {
        "incident_timestamp": {"id": "impact_started", "name": "Impact started", "rank": 0},
        "value": {"value": "2026-03-04T13:00:00Z"},
    }
    assert record["duration_metrics"][-1] == {
        "duration_metric": {"id": "time_to_fix", "name": "Time to fix"},
        "value_seconds": 5400,
        "status": "success",
    }
    assert "Impact started: 2026-03-04T13:00:00Z; Fixed: 2026-03-04T14:30:00Z,Time to fix: 5400" in as_csv(
        [report.incident]
    )
    assert ("Time to fix", "1 h 30 min") in summary_of(report.incident, (), ()).went


# What is declared in retrospect.


def test_what_is_over_needs_a_time_that_has_passed() -> None:
    asked = DeclareRequest(name="x", severity_id="major", mode="retrospective")
    with pytest.raises(Refused) as refused:
        validate_declaration(asked, FORM, NOW)
    assert list(refused.value.fields) == ["incident_timestamp_values.impact_started"]
    times = {"fixed": NOW + timedelta(days=1)}
    with pytest.raises(Refused) as refused:
        validate_declaration(asked.model_copy(update={"incident_timestamp_values": times}), FORM, NOW)
    assert list(refused.value.fields) == ["incident_timestamp_values.fixed"]


def test_what_is_over_starts_in_no_triage_whatever_was_chosen_before() -> None:
    times = {"fixed": NOW - timedelta(hours=1)}
    asked = DeclareRequest(name="x", severity_id="major", status="triage", incident_timestamp_values=times)
    assert validate_declaration(asked, FORM, NOW).status == "triage"
    over_already = asked.model_copy(update={"mode": "retrospective"})
    assert validate_declaration(over_already, FORM, NOW).status is None


def test_what_is_over_lasted_from_the_first_of_its_times() -> None:
    one = over(impact_started=NOW - timedelta(hours=3), fixed=NOW - timedelta(hours=1))
    one = one.model_copy(
        update={"mode": "retrospective", "created_at": NOW, "closed_at": NOW - timedelta(hours=1)}
    )
    assert lasted(one) == timedelta(hours=2)


def test_what_is_over_is_announced_nowhere_and_its_card_goes_to_who_declared_it() -> None:
    one = incident(mode="retrospective", visibility="public")
    spots = card_destinations(one, origin="C1", thread=None, announce="C2")  # type: ignore[arg-type]
    assert [spot.place for spot in spots] == ["reporter"]
    threaded = card_destinations(one, origin="C1", thread="1.1", announce="C2")  # type: ignore[arg-type]
    assert [spot.place for spot in threaded] == ["source"]


def test_a_timestamp_of_an_earlier_configuration_is_still_an_incidents() -> None:
    gone = TimestampValue(incident_timestamp=IncidentTimestamp(id="gone", name="Seen"), value=NOW)
    assert incident(incident_timestamp_values=(gone,)).timestamp("gone") == NOW
