"""Rules for the answers to custom fields: what may be changed, what closing needs, how a choice is typed."""

from __future__ import annotations

from typing import Any

import pytest
from support.declarations import BEN, DAWN

from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import CustomField, FieldEntry, FieldOption, FieldValue, Incident
from tocsin.incidents.parsing import match_options, match_prefix
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import apply_transition, diff, missing_at_close, validate_change
from tocsin.incidents.validation import parse_changed_fields

USUAL = IncidentConfig().form()
AREA, DETECTED, CUSTOMERS, PAGE, TICKET = USUAL.custom_fields
CAUSE = CustomField(id="cause", name="Cause", required_when="closing")
REGION = CustomField(id="region", name="Region", required=True)
STAGE = CustomField(id="stage", name="Stage", asked="declaring")
PARTS = CustomField(id="parts", name="Parts", field_type="multi_select", searched=True)
FORM = USUAL.model_copy(
    update={"custom_fields": (*USUAL.custom_fields, CAUSE, REGION), "backend_fields": (STAGE, PARTS)}
)
OPEN = Incident(
    id="1",
    reference="INC-1",
    name="Checkout is slow",
    incident_status=FORM.statuses[1],
    custom_field_entries=(FieldEntry(custom_field=REGION, values=(FieldValue(value_text="EU"),)),),
    created_at=DAWN,
    updated_at=DAWN,
)
CLOSED = next(status for status in FORM.statuses if status.category == "closed")


def change(**what: Any) -> IncidentChange:
    return IncidentChange(key="k", by=BEN, at=DAWN, **what)


def text(value: str) -> tuple[FieldValue, ...]:
    return (FieldValue(value_text=value),)


def test_a_value_that_the_field_has_already_is_no_change() -> None:
    with pytest.raises(Refused, match="Nothing would change"):
        validate_change(change(custom_field_entries={"region": text("EU")}), OPEN, FORM)
    both = change(custom_field_entries={"region": text("EU"), "customer_or_ticket": text("TKT-7")})
    assert list(validate_change(both, OPEN, FORM).custom_field_entries) == ["customer_or_ticket"]


@pytest.mark.parametrize(
    ("field", "values", "at", "said"),
    [
        ("region", (), "custom_field_entries.region", "Region is needed, so it cannot be left empty."),
        ("stage", text("x"), "stage", "That field cannot be changed any more"),
        ("gone", text("x"), "custom_field_entries.gone", "That field cannot be changed any more"),
    ],
)
def test_an_answer_that_cannot_be_given_is_refused_at_its_field(
    field: str, values: tuple[FieldValue, ...], at: str, said: str
) -> None:
    with pytest.raises(Refused) as refusal:
        validate_change(change(custom_field_entries={field: values}), OPEN, FORM)
    assert list(refusal.value.fields) == [at]
    assert said in refusal.value.fields[at]


def test_an_incident_is_closed_once_it_has_every_answer_that_closing_needs() -> None:
    assert missing_at_close(OPEN, FORM) == (CAUSE,)
    closing = apply_transition(change(), "close", OPEN, FORM)
    with pytest.raises(Refused) as refusal:
        validate_change(closing, OPEN, FORM)
    assert list(refusal.value.fields) == ["custom_field_entries.cause"]
    answered = closing.model_copy(update={"custom_field_entries": {"cause": text("A deploy")}})
    assert validate_change(answered, OPEN, FORM).incident_status_id == CLOSED.id


@pytest.mark.parametrize("ending", ["cancel", "decline", "merge"])
def test_only_closing_needs_these_answers(ending: Any) -> None:
    into = "INC-2" if ending == "merge" else None
    asked = apply_transition(change(merged_into=into), ending, OPEN, FORM)
    assert validate_change(asked, OPEN, FORM).incident_status_id is not None


def test_an_incident_is_merged_into_another_one_only_whoever_sets_its_status() -> None:
    merged = apply_transition(change(merged_into="INC-2"), "merge", OPEN, FORM)
    with pytest.raises(Refused) as refusal:
        validate_change(merged.model_copy(update={"merged_into": None}), OPEN, FORM)
    assert refusal.value.fields == {
        "incident_status_id": "INC-1 can only be merged into another incident: `/incident merge` asks which."
    }


def test_a_difference_names_the_field_with_its_new_and_its_old_value() -> None:
    entry = FieldEntry(custom_field=AREA, values=tuple(FieldValue(value_option=o) for o in AREA.options[:2]))
    after = OPEN.model_copy(update={"custom_field_entries": (entry,)})
    asked = change(custom_field_entries={AREA.id: entry.values, "region": ()})
    assert diff(OPEN, after, asked) == (
        "Region is not set (was EU)",
        "Affected area is Website and Mobile app (was not set)",
    )


def test_every_kind_is_parsed_and_each_error_names_its_field() -> None:
    entered = {
        "affected_area": ("website", "api"),
        "customers_affected": (" 1 200 ",),
        "status_page": ("https://status.example.com",),
        "customer_or_ticket": (" ",),
        "parts": ("p7",),
    }
    values = parse_changed_fields(entered, {"p7": "Part 7"}, FORM)
    assert {name: [v.shown for v in given] for name, given in values.items()} == {
        "affected_area": ["Website", "API"],
        "customers_affected": ["1200"],
        "status_page": ["https://status.example.com"],
        "customer_or_ticket": [],
        "parts": ["Part 7"],
    }
    wrong = {"customers_affected": ("many",), "status_page": ("status",), "detected_by": ("owl",)}
    with pytest.raises(Refused) as refusal:
        parse_changed_fields(wrong, {}, FORM)
    assert {path: said.partition(":")[0] for path, said in refusal.value.fields.items()} == {
        "custom_field_entries.customers_affected": "Customers affected",
        "custom_field_entries.status_page": "Status page",
        "custom_field_entries.detected_by": "Detected by",
    }


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("API", ("api",)),
        ("“Mobile”", ("mobile_app",)),
        ("api, website and login", ("api", "website", "login")),
        ("internal tools; api, API", ("internal_tools", "api")),
    ],
)
def test_choices_are_typed_by_name_or_beginning_several_with_commas(typed: str, ids: tuple[str, ...]) -> None:
    assert match_options(typed, AREA) == ids


def test_a_choice_with_a_comma_in_its_name_is_one_and_an_unclear_one_is_asked() -> None:
    options = tuple(FieldOption(id=str(n), value=value) for n, value in enumerate(("Rome, Italy", "Romania")))
    field = CustomField(id="f", name="Place", field_type="multi_select", options=options)
    assert match_options("rome, italy", field) == ("0",)
    with pytest.raises(Refused, match="Place has no choice “rom”"):
        match_options("rom", field)


def test_a_field_is_named_before_its_value_in_any_case_with_or_without_a_mark() -> None:
    for typed in ("customer or ticket TKT-7", "Customer or ticket: TKT-7", "CUSTOMER OR TICKET = TKT-7"):
        assert match_prefix(typed, FORM.changeable_fields, "field") == (TICKET, "TKT-7")
