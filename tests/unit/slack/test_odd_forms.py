"""Whatever an organisation has set up, or not yet, at a hosted backend: the form is one that Slack opens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from support.declarations import DAWN

from slack_emulator.block_kit import view_errors
from tocsin.incidents.model import (
    CustomField,
    Form,
    Incident,
    IncidentTimestamp,
    IncidentType,
    Role,
    Severity,
    Status,
)
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import DeclareRequest
from tocsin.incidents.transitions import missing_at_close
from tocsin.incidents.validation import TIME_FIELD, validate_declaration
from tocsin.slack.views.close import close_modal
from tocsin.slack.views.declare import declare_modal
from tocsin.slack.views.fields import fields_modal
from tocsin.slack.views.metadata import DeclareMetadata

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEW: dict[str, Any] = {"id": "team", "name": "Team <b>", "field_type": "single_select"}
INCIDENT = Incident(
    id="1",
    reference="INC-1",
    name="x",
    incident_status=Status(id="live", name="Live"),
    created_at=DAWN,
    updated_at=DAWN,
)


def declaring(form: Form, **filled: Any) -> dict[str, Any]:
    """The whole declare form."""
    view: dict[str, Any] = declare_modal(
        form, DeclareMetadata(expanded=True), DeclareRequest(**filled)
    ).to_dict()
    return view


@pytest.mark.parametrize("kind", ["single_select", "multi_select"])
@pytest.mark.parametrize("required", [False, True])
def test_a_field_that_has_no_options_yet_keeps_nobody_from_declaring(kind: str, required: bool) -> None:
    form = Form(custom_fields=(CustomField(**NEW | {"field_type": kind, "required": required}),))
    view = declaring(form)
    assert view_errors(view) == []
    assert "*Team &lt;b&gt;* has no options to choose from yet." in str(view)
    validate_declaration(DeclareRequest(name="it is slow"), form, NOW)


def test_a_field_that_has_no_options_yet_keeps_nobody_from_changing_fields_or_from_closing() -> None:
    form = Form(custom_fields=(CustomField(**NEW, required_when="closing"),))
    assert view_errors(fields_modal(form, INCIDENT).to_dict()) == []
    assert missing_at_close(INCIDENT, form) == ()
    assert view_errors(close_modal(form, INCIDENT, Verb.CLOSE).to_dict()) == []


def test_more_fields_than_a_form_holds_are_counted_and_the_mode_stays() -> None:
    fields = tuple(CustomField(id=f"f{n}", name=f"Field {n}") for n in range(150))
    roles = tuple(Role(id=f"r{n}", name=f"Role {n}", role_type="custom") for n in range(20))
    view = declaring(Form(custom_fields=fields, roles=roles))
    assert view_errors(view) == []
    # Room for two notes above, and for the line of open incidents.
    assert len(view["blocks"]) <= 97
    asked = [
        b["block_id"] for b in view["blocks"] if b.get("block_id", "").startswith("custom_field_entries.")
    ]
    assert f"{150 - len(asked)} more fields can be answered afterwards" in str(view)
    assert view["blocks"][-1]["block_id"] == "mode"


@pytest.mark.parametrize("count", [80, 92, 94, 120])
@pytest.mark.parametrize("required", [False, True])
def test_whatever_there_is_too_much_of_a_private_incident_stays_private(count: int, required: bool) -> None:
    """A tick that is not on the form would be read as not ticked."""
    fields = tuple(CustomField(id=f"f{n}", name="Field", required=True) for n in range(count * required))
    times = tuple(IncidentTimestamp(id=f"t{n}", name="Time") for n in range(count))
    for mode in ("standard", "retrospective"):
        form = Form(custom_fields=fields, incident_timestamps=times)
        for shown in ({}, {"notice": "Say when", "problem": "Is it one more?", "opened": [INCIDENT]}):
            filled = DeclareRequest(name="it is slow", visibility="private", mode=mode)
            view = declare_modal(form, DeclareMetadata(expanded=True), filled, **shown).to_dict()
            asked = [block.get("block_id", "") for block in view["blocks"]]
            assert {"name", "summary", "visibility", "mode"} <= set(asked)
            assert mode == "standard" or any(block.startswith(TIME_FIELD) for block in asked)
            assert view_errors(view) == []


def test_an_answer_stays_on_the_form_when_there_is_less_room() -> None:
    fields = tuple(CustomField(id=f"f{n}", name=f"Field {n}") for n in range(150))
    times = tuple(IncidentTimestamp(id=f"t{n}", name="Time") for n in range(20))
    form, answers = Form(custom_fields=fields, incident_timestamps=times), {"f80": ("eighty",)}
    for mode in ("standard", "retrospective"):
        view = declaring(form, name="it is slow", mode=mode, custom_field_entries=answers)
        (shown,) = (b for b in view["blocks"] if b.get("block_id") == "custom_field_entries.f80")
        assert shown["element"]["initial_value"] == "eighty"


def test_what_has_no_name_is_offered_by_its_id() -> None:
    form = Form(
        severities=(Severity(id="s1", name=""), Severity(id="s2", name=" ")),
        incident_types=(IncidentType(id="t1", name=""), IncidentType(id="t2", name="Two")),
        roles=(Role(id="lead", name="", role_type="lead"), Role(id="r1", name="", role_type="custom")),
        custom_fields=(CustomField(id="f1", name=""),),
    )
    view = declaring(form)
    assert view_errors(view) == []
    (severity,) = (b for b in view["blocks"] if b.get("block_id") == "severity_id")
    assert [o["text"]["text"] for o in severity["element"]["options"]] == ["s1", "s2"]
