"""Incidents in rows and records."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.incidents import ANA, DAWN, incident

from tocsin.incidents import export
from tocsin.incidents.model import (
    CustomField,
    FieldEntry,
    FieldValue,
    Person,
    PersonId,
    SourceMessage,
    TimelineEntry,
    display_name,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((-5, "now"), (0, "now"), (59, "now"), (60, "1 min"), (3599, "59 min"), (3600, "1 h")),
        *((48 * 3600 - 1, "47 h"), (48 * 3600, "2 d"), (400 * 86400, "400 d")),
    ],
)
def test_an_age_is_said_in_its_largest_whole_unit(seconds: int, words: str) -> None:
    assert export.age(DAWN, DAWN + timedelta(seconds=seconds)) == words


def test_a_row_has_reference_name_severity_status_lead_and_age() -> None:
    (row,) = export.as_rows([incident()], DAWN + timedelta(minutes=3))
    assert row == ("INC-12", "Checkout is slow", "Major", "Fixing", "Ana Torres", "3 min")
    assert len(row) == len(export.COLUMNS)


def test_private_and_test_incidents_are_marked() -> None:
    (row,) = export.as_rows([incident(visibility="private", mode="test")], DAWN)
    assert row[1] == "Checkout is slow [private] [test]"


def test_nobody_is_called_by_their_id() -> None:
    assert display_name(Person(slack_user_id=PersonId("U1"))) == "somebody"
    assert display_name(None) == ""


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
    record = export.as_record(told, [TimelineEntry(at=DAWN, by=ANA, verb="declared", text="it")])
    assert record["incident_status"]["category"] == "live"
    assert record["severity"]["rank"] == 1
    assert record["creator"] == {"user": {"name": "Ana Torres", "slack_user_id": "U0ANA"}}
    assert record["incident_role_assignments"][0]["assignee"]["slack_user_id"] == "U0ANA"
    assert record["custom_field_entries"][0]["values"] == [{"value_numeric": "12"}]
    assert record["source_message_channel_id"] == "C1"
    assert record["created_at"] == "2026-03-01T03:00:00Z"
    assert record["slack_channel_id"] == ""
    assert record["timeline"][0]["actor"]["user"]["name"] == "Ana Torres"


def test_an_incident_without_anything_optional_can_be_told() -> None:
    bare = incident(severity=None, permalink=None, creator=Person(), incident_role_assignments=())
    assert "severity" not in export.as_record(bare)
    assert next(export.as_rows([bare], DAWN))[2] == ""


@given(st.text(max_size=60))
def test_a_table_never_carries_what_a_terminal_would_obey(text: str) -> None:
    (row,) = export.as_rows([incident(name="\x1b[2J\x07" + text, creator=Person(name=text))], DAWN)
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for cell in row for letter in cell)
