"""Incidents as tables, JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.incidents import listing
from tocsin.incidents.model import (
    CustomField,
    FieldEntry,
    FieldValue,
    Incident,
    Person,
    PersonId,
    Role,
    RoleAssignment,
    Severity,
    SourceMessage,
    Status,
    TimelineEntry,
)

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


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((-5, "now"), (0, "now"), (59, "now"), (60, "1 min"), (3599, "59 min"), (3600, "1 h")),
        *((48 * 3600 - 1, "47 h"), (48 * 3600, "2 d"), (400 * 86400, "400 d")),
    ],
)
def test_an_age_is_said_in_its_largest_whole_unit(seconds: int, words: str) -> None:
    assert listing.age(DAWN, DAWN + timedelta(seconds=seconds)) == words


def test_a_row_has_reference_name_severity_status_lead_and_age() -> None:
    (row,) = listing.as_rows([incident()], DAWN + timedelta(minutes=3))
    assert row == ("INC-12", "Checkout is slow", "Major", "Fixing", "Ana Torres", "3 min")
    assert len(row) == len(listing.COLUMNS)


def test_private_and_test_incidents_are_marked() -> None:
    (row,) = listing.as_rows([incident(visibility="private", mode="test")], DAWN)
    assert row[1] == "Checkout is slow [private] [test]"


def test_somebody_without_a_name_is_called_by_their_id() -> None:
    assert listing.named(Person(slack_user_id=PersonId("U1"))) == "U1"
    assert listing.named(None) == ""


def test_json_has_the_field_names_of_incident_ios_v2_object() -> None:
    told = incident(
        source=SourceMessage(channel="C1", timestamp="1.2"),
        custom_field_entries=(
            FieldEntry(
                custom_field=CustomField(id="n", name="Customers", field_type="numeric"),
                values=(FieldValue(value_numeric="12"),),
            ),
        ),
    )
    record = listing.as_record(told, [TimelineEntry(at=DAWN, by=ANA, verb="declared", text="it")])
    assert record["incident_status"]["category"] == "live"
    assert record["severity"]["rank"] == 1
    assert record["creator"] == {"user": {"name": "Ana Torres", "slack_user_id": "U0ANA"}}
    assert record["incident_role_assignments"][0]["assignee"]["slack_user_id"] == "U0ANA"
    assert record["custom_field_entries"][0]["values"] == [{"value_numeric": "12"}]
    assert record["source_message_channel_id"] == "C1"
    assert record["created_at"] == "2026-03-01T03:00:00Z"
    assert record["slack_channel_id"] == ""
    assert record["timeline"][0]["actor"]["user"]["name"] == "Ana Torres"
    assert json.loads(listing.as_json([told]))["incidents"][0]["reference"] == "INC-12"


def test_an_incident_without_anything_optional_can_be_told() -> None:
    bare = incident(severity=None, permalink=None, creator=Person(), incident_role_assignments=())
    assert "severity" not in listing.as_record(bare)
    assert listing.as_markdown(bare, []).startswith("# INC-12: Checkout is slow\n")
    assert next(listing.as_rows([bare], DAWN))[2] == ""
    assert len(listing.as_csv([bare]).splitlines()) == 2


@given(st.text(max_size=60), st.sampled_from(["", "=", "+", "-", "@", "\t=", " =", "\r", "\n+"]))
def test_no_cell_of_a_csv_is_a_formula_and_every_cell_is_there(text: str, opening: str) -> None:
    written = listing.as_csv([incident(name=opening + text, summary=text)])
    header, row = csv.reader(io.StringIO(written, newline=""))
    assert tuple(header) == listing.CSV_COLUMNS
    assert len(row) == len(header)
    for cell in row:
        assert cell.lstrip()[:1] not in set("=+-@") or cell == ""
    assert row[2].removeprefix("'") == opening + text or row[2] == opening + text


@given(st.text(max_size=60))
def test_a_table_never_carries_what_a_terminal_would_obey(text: str) -> None:
    (row,) = listing.as_rows([incident(name="\x1b[2J\x07" + text, creator=Person(name=text))], DAWN)
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for cell in row for letter in cell)


def test_markdown_tells_facts_summary_and_timeline() -> None:
    told = incident(summary="Payments take 40 s.\n\n# not a heading\n- not a list <b>")
    entry = TimelineEntry(at=DAWN, by=ANA, verb="moved it to", text="Fixing [now](http://evil)")
    text = listing.as_markdown(told, [entry])
    assert "- **Status**: Fixing\n" in text
    assert "- **Incident Lead**: Ana Torres\n" in text
    assert "- **Permalink**: <http://127.0.0.1:8080/incidents/INC-12>\n" in text
    assert "\\# not a heading" in text
    assert "\\- not a list \\<b\\>" in text
    assert "- 2026-03-01T03:00:00Z Ana Torres moved it to Fixing \\[now\\](http://evil)\n" in text


@given(st.text(max_size=80))
def test_no_text_breaks_out_of_its_line_in_markdown(text: str) -> None:
    lines = listing.as_markdown(incident(name=text), []).split("\n")
    assert len(lines) == len(listing.as_markdown(incident(), []).split("\n"))


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("1200.5 orders lost", "1200.5 orders lost"), ("1. Orders", "1\\. Orders"), ("- Orders", "\\- Orders")],
)
def test_a_number_in_markdown_stays_a_number_and_never_starts_a_list(name: str, escaped: str) -> None:
    assert f"{escaped}\n" in listing.as_markdown(incident(summary=name), []).replace("  \n", "\n")
