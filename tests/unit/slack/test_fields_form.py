"""The form of an incident's fields: what it shows, and what it takes for a change."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from support.declarations import DAWN

from slack_emulator.block_kit import input_errors, view_errors
from slack_emulator.views import initial_values
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import (
    CatalogEntry,
    CustomField,
    FieldEntry,
    FieldKind,
    FieldOption,
    FieldValue,
    Form,
    Incident,
    Status,
)
from tocsin.incidents.validation import parse_changed_fields
from tocsin.slack.views.fields import (
    FieldsEntered,
    answered,
    as_answered,
    fields_modal,
    fingerprints,
    read_fields,
)
from tocsin.slack.views.metadata import METADATA_LIMIT, VerbMetadata

GONE, THERE = FieldOption(id="gone", value="Gone"), FieldOption(id="there", value="There")
CHOICE = CustomField(id="choice", name="Choice", field_type="multi_select", options=(THERE,))
SEARCHED = CustomField(id="parts", name="Parts", field_type="multi_select", searched=True)
TEXT = CustomField(id="text", name="Text", required=True)
NUMBER = CustomField(id="number", name="Number", field_type="numeric")
FORM = Form(custom_fields=(CHOICE, TEXT), backend_fields=(SEARCHED,))


def incident(**answers: tuple[FieldValue, ...]) -> Incident:
    fields = {field.id: field for field in (CHOICE, TEXT, SEARCHED, NUMBER)}
    entries = [FieldEntry(custom_field=fields[name], values=values) for name, values in answers.items()]
    return Incident(
        id="1",
        reference="INC-1",
        name="x",
        incident_status=Status(id="live", name="Live"),
        custom_field_entries=tuple(entries),
        created_at=DAWN,
        updated_at=DAWN,
    )


def chosen(*options: FieldOption) -> tuple[FieldValue, ...]:
    return tuple(FieldValue(value_option=option) for option in options)


def inputs(view: Any) -> dict[str, Any]:
    return {block["block_id"]: block for block in view.to_dict()["blocks"] if block["type"] == "input"}


def test_the_form_holds_every_answer_and_an_option_that_only_the_backend_knows_by_its_label() -> None:
    part = FieldOption(id="p7", value="Part 7")
    shown = inputs(fields_modal(FORM, incident(text=(FieldValue(value_text="so"),), parts=chosen(part))))
    assert list(shown) == ["custom_field_entries.choice", "custom_field_entries.text", "parts"]
    assert shown["custom_field_entries.text"]["element"]["initial_value"] == "so"
    (option,) = shown["parts"]["element"]["initial_options"]
    assert (option["value"], option["text"]["text"]) == ("p7", "Part 7")


def test_an_option_that_is_gone_stays_in_the_menu_so_that_nobody_takes_it_away_unseen() -> None:
    asked = incident(choice=chosen(GONE, THERE))
    element = inputs(fields_modal(FORM, asked))["custom_field_entries.choice"]["element"]
    assert [option["text"]["text"] for option in element["options"]] == ["There", "Gone"]
    assert [option["value"] for option in element["initial_options"]] == ["there", "gone"]
    given = parse_changed_fields({"choice": ("gone",)}, {}, as_answered(FORM, asked))
    assert given["choice"] == chosen(GONE.model_copy(update={"sort_key": THERE.sort_key}))
    with pytest.raises(Refused, match="no longer exists"):
        parse_changed_fields({"choice": ("gone",)}, {}, as_answered(FORM, incident()))


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("text", (FieldValue(value_text=""),)),
        ("text", (FieldValue(value_text=" \n "),)),
        ("text", (FieldValue(value_text="one"), FieldValue(value_text="two"))),
        ("text", (FieldValue(value_text=" a\r\n\tb\n"),)),
        ("text", (FieldValue(value_text="so " * 1001),)),
        ("link", (FieldValue(value_link="mailto:help@example.com"),)),
        ("link", (FieldValue(value_link="status.example.com"),)),
        ("link", (FieldValue(value_link="https://status.example.com/a b"),)),
        ("numeric", (FieldValue(value_numeric="a dozen"),)),
        ("numeric", (FieldValue(value_numeric="-1.50"),)),
        ("single_select", chosen(GONE)),
        ("single_select", chosen(THERE, GONE)),
        ("multi_select", chosen(GONE, THERE)),
        ("multi_select", chosen(THERE, THERE)),
        ("multi_select", (FieldValue(value_text="Gone"),)),
        ("multi_select", (FieldValue(value_catalog_entry=CatalogEntry(id="gone", name="Gone")),)),
    ],
)
@pytest.mark.parametrize("required", [False, True])
def test_a_form_that_is_sent_as_it_opened_is_sent_and_changes_no_answer(
    kind: FieldKind, answers: tuple[FieldValue, ...], required: bool
) -> None:
    options = (THERE,) if kind.endswith("_select") else ()
    field = CustomField(id="f", name="F", field_type=kind, options=options, required=required)
    entry = FieldEntry(custom_field=field, values=answers)
    asked = incident().model_copy(update={"custom_field_entries": (entry,)})
    view = fields_modal(Form(custom_fields=(field,)), asked).to_dict()
    assert view_errors(view) == []
    state = initial_values(view)
    assert input_errors(view, state) == {}
    metadata = VerbMetadata.from_text(view["private_metadata"])
    assert metadata.changes(fingerprints(read_fields(state))) == {}


def test_a_text_that_is_longer_than_the_form_takes_is_not_cut_and_the_form_says_so() -> None:
    asked = incident(text=(FieldValue(value_text="x" * 3001),))
    shown = inputs(fields_modal(FORM, asked))["custom_field_entries.text"]
    assert "initial_value" not in shown["element"]
    assert shown["hint"]["text"].startswith("It has more than the 3000 characters that fit here.")


@pytest.mark.parametrize(
    ("told", "shown"),
    [("12", "12"), ("-2.50", "-2.50"), ("1e+06", "1000000"), ("1e40", None), ("a dozen", None)],
)
def test_a_number_is_shown_as_slack_takes_it_and_what_is_none_stays_as_it_is(
    told: str, shown: str | None
) -> None:
    """Slack, number input: `initial_value` has digits, and no exponent."""
    form, asked = Form(custom_fields=(NUMBER,)), incident(number=(FieldValue(value_numeric=told),))
    view = fields_modal(form, asked)
    assert inputs(view)["custom_field_entries.number"]["element"].get("initial_value") == shown
    untouched = FieldsEntered(entries={"number": (shown,) if shown else ()})
    assert VerbMetadata(seen=fingerprints(answered(asked, form))).changes(fingerprints(untouched)) == {}


@pytest.mark.parametrize(("typed", "shown"), [("1e6", "1000000"), ("1_000", "1000"), ("about 12", None)])
def test_a_number_that_was_typed_in_another_way_keeps_no_form_from_being_shown_again(
    typed: str, shown: str | None
) -> None:
    view = fields_modal(
        Form(custom_fields=(NUMBER,)), incident(), FieldsEntered(entries={"number": (typed,)})
    )
    assert inputs(view)["custom_field_entries.number"]["element"].get("initial_value") == shown
    assert not view_errors(view.to_dict())


@pytest.mark.parametrize(
    ("entered", "same"),
    [(("a", "b"), True), (("b", "a"), True), ((" a", "b\n"), True), (("a",), False), ((), False)],
)
def test_a_field_is_changed_if_its_answers_differ_and_not_if_only_their_order_does(
    entered: tuple[str, ...], same: bool
) -> None:
    before, after = (fingerprints(FieldsEntered(entries={"f": texts})) for texts in (("a", "b"), entered))
    assert (before == after) is same


def test_a_required_field_without_an_answer_does_not_hold_up_the_others() -> None:
    unknown, known = (
        inputs(fields_modal(FORM, found))["custom_field_entries.text"]
        for found in (incident(), incident(text=(FieldValue(value_text="so"),)))
    )
    assert (unknown["optional"], known["optional"]) == (True, False)


def test_as_many_fields_as_fit_are_in_one_form_and_the_rest_are_counted() -> None:
    fields = tuple(CustomField(id=f"tnt__a_rather_long_name_{n}", name=f"Field {n}") for n in range(120))
    entries = tuple(FieldEntry(custom_field=f, values=(FieldValue(value_text="x" * 3000),)) for f in fields)
    full = incident().model_copy(update={"custom_field_entries": entries})
    view = fields_modal(Form(custom_fields=fields), full)
    assert len(inputs(view)) == 96
    assert len(view.to_dict()["blocks"]) == 99
    assert len(view.to_dict()["private_metadata"]) <= METADATA_LIMIT
    assert "24 more do not fit here." in str(view.to_dict())


def test_no_field_goes_from_the_form_with_what_was_typed_in_it_when_a_problem_is_shown_above() -> None:
    for count in (97, 98, 120):
        form = Form(custom_fields=tuple(CustomField(id=f"f{n}", name=f"Field {n}") for n in range(count)))
        before, after = fields_modal(form, incident()), fields_modal(form, incident(), problem="No number.")
        assert inputs(after).keys() == inputs(before).keys()
        assert not view_errors(after.to_dict())


def test_the_form_of_a_hundred_fields_opens_though_their_ids_are_made_by_chance() -> None:
    """Slack, views.open: `private_metadata` has at most 3000 characters. An id of incident.io's is a ULID."""
    chance = Random(1)
    ids = ["01" + "".join(chance.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=24)) for _ in range(100)]
    fields = tuple(CustomField(id=one, name="Field") for one in ids)
    entries = tuple(FieldEntry(custom_field=f, values=(FieldValue(value_text=f.id),)) for f in fields)
    form, full = Form(custom_fields=fields), incident().model_copy(update={"custom_field_entries": entries})
    view = fields_modal(form, full).to_dict()
    shown, seen = inputs(fields_modal(form, full)), VerbMetadata.from_text(view["private_metadata"]).seen
    assert len(shown) >= 90
    assert f"{100 - len(shown)} more do not fit here." in str(view)
    untouched = {name: told for name, told in fingerprints(answered(full, form)).items() if name in seen}
    assert {f"custom_field_entries.{name}" for name in seen} == shown.keys()
    assert untouched == seen


def test_without_any_field_the_form_says_so() -> None:
    assert "No fields are set up here" in str(fields_modal(Form(), incident()).to_dict())
