"""Whatever a vendor keeps of an incident: its forms open, and sent as they opened they change nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from support.declarations import ANA, DAWN

from slack_emulator.block_kit import input_errors, view_errors
from slack_emulator.views import initial_values
from tocsin.incidents.errors import Unchanged
from tocsin.incidents.model import (
    HUDDLE,
    Form,
    Incident,
    IncidentTimestamp,
    Severity,
    Status,
    TimestampValue,
)
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import validate_change
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.slack.views.times import as_shown, read_times, times_modal
from tocsin.slack.views.update import describe_modal, read_describe, read_update, update_modal

LIVE = Status(id="live", name="Live")
REPORTED = IncidentTimestamp(id="reported", name="Reported at")


def incident(**more: Any) -> Incident:
    plain = {"id": "1", "reference": "INC-1", "name": "x", "incident_status": LIVE}
    return Incident(**{**plain, "created_at": DAWN, "updated_at": DAWN, **more})


def state_of(view: dict[str, Any]) -> dict[str, Any]:
    """What Slack sends of a form that is sent as it opened."""
    assert view_errors(view) == []
    state = initial_values(view)
    assert input_errors(view, state) == {}
    return state


@pytest.mark.parametrize(
    "at",
    ["0001-01-01T00:00:00Z", "1999-05-05T00:00:00Z", "2026-01-01T10:00:31.123+05:30", "9999-12-31T23:59:59Z"],
)
def test_a_time_that_was_left_alone_is_neither_cleared_nor_cut_to_the_minute(at: str) -> None:
    form = Form(incident_timestamps=(REPORTED,))
    held = TimestampValue(incident_timestamp=REPORTED, value=datetime.fromisoformat(at).astimezone(UTC))
    view = times_modal(form, incident(incident_timestamp_values=(held,))).to_dict()
    shown = {
        block: {
            name: {**element, "selected_date_time": seconds // 60 * 60}
            if (seconds := element.get("selected_date_time"))
            else element
            for name, element in elements.items()
        }
        for block, elements in state_of(view).items()
    }
    metadata = VerbMetadata.from_text(view["private_metadata"])
    assert metadata.changes(as_shown(read_times(shown))) == {}


@pytest.mark.parametrize("statuses", [(), (Status(id="fixing", name="Fixing"),)])
def test_an_incident_without_a_stage_can_be_updated(statuses: tuple[Status, ...]) -> None:
    form = Form(statuses=statuses, severities=(Severity(id="major", name="Major"),))
    bare = incident(incident_status=Status(id="", name="Open"))
    view = update_modal(form, bare, Verb.UPDATE).to_dict()
    entered = read_update(state_of(view))
    assert (entered.incident_status_id, entered.severity_id) == (None, None)


@pytest.mark.parametrize(
    ("verb", "held"),
    [
        (Verb.SUMMARY, {"summary": "It is slow.\r\n\tVery.\u2028Since noon \n"}),
        (Verb.RENAME, {"name": " Checkout  is\tslow\u200f "}),
        (Verb.CALL, {"call_url": HUDDLE, "slack_team_id": "T1", "slack_channel_id": "C1"}),
    ],
)
def test_a_text_that_was_left_alone_is_not_sent(verb: Verb, held: dict[str, str]) -> None:
    asked = incident(**held)
    entered = read_describe(state_of(describe_modal(Form(), asked, verb).to_dict()))
    with pytest.raises(Unchanged):
        validate_change(IncidentChange(key="k", by=ANA, at=DAWN, **entered), asked, Form())


def test_a_summary_that_is_longer_than_the_form_takes_is_never_cut_and_the_form_says_so() -> None:
    asked = incident(summary="so " * 1001)
    view = describe_modal(Form(kept_by="DevRev"), asked, Verb.SUMMARY).to_dict()
    assert view_errors(view) == []
    said = "What you write replaces all of it; a part of it can be changed in DevRev."
    assert said in str(view["blocks"])
    # Empty, and needed: it cannot be sent by accident.
    assert input_errors(view, initial_values(view)).keys() == {"summary"}
    typed = describe_modal(Form(kept_by="DevRev"), asked, Verb.SUMMARY, {"summary": "anew"}).to_dict()
    assert read_describe(initial_values(typed)) == {"summary": "anew"}
