"""DevRev's fields of an incident that is open: changed, filled in by what happens, and kept beside others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.devrev import Field
from support.devrev.org import DON, PEOPLE

from integration.devrev.desk import BEN, STAGE, DevRevDesk, declared
from integration.devrev.test_declaring import option
from integration.devrev.test_managing import UPDATE, change, made
from slack_emulator.block_kit import view_errors
from slack_emulator.faults import Fault
from slack_emulator.views import initial_values
from tocsin.backends.devrev.api_models import FieldResponse, IncidentResponse
from tocsin.backends.devrev.form import Choices, asked_field, to_devrev
from tocsin.backends.devrev.mapping import MappingContext, StoredExtras, incident_of
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import FieldValue, Form, Incident
from tocsin.incidents.validation import parse_changed_fields
from tocsin.slack.views.fields import as_answered, fields_modal, read_fields

LEAKED, TYPE = "ctype__leaked", "security_breach"


def answered(incident: Incident, field: str) -> list[str]:
    return [value.shown for value in incident.answers(field)]


async def test_only_the_fields_that_are_changed_are_sent_each_in_devrevs_shape(desk: DevRevDesk) -> None:
    incident = await made(desk, backend_entries={"tags": option(f"{DON}:tag/1")})
    desk.org.incidents[incident.id]["tags"][0]["value"] = "edge"
    changed = await desk.backend.change(
        incident.id,
        change(
            custom_field_entries={
                "applies_to_parts": option(f"{DON}:capability/2"),
                "impact": option("18"),
                "tags": option(f"{DON}:tag/1") + option(f"{DON}:tag/3"),
                "tnt__affected_area": (),
                "tnt__customers_affected": (FieldValue(value_numeric="12"),),
            }
        ),
    )
    assert desk.sent(UPDATE) == [
        {
            "id": incident.id,
            "applies_to_parts": {"set": [f"{DON}:capability/2"]},
            "impact": {"count": 18},
            "tags": {"set": [{"tag_id": f"{DON}:tag/1", "value": "edge"}, {"tag_id": f"{DON}:tag/3"}]},
            "custom_fields": {"tnt__affected_area": [], "tnt__customers_affected": 12},
            "custom_schema_spec": {"tenant_fragment": True},
        }
    ]
    assert answered(changed, "applies_to_parts") == ["Search"]
    assert answered(changed, "tags") == ["network: edge", "deploy"]
    said = {(entry.verb, entry.text) for entry in await desk.backend.timeline(incident.id)}
    assert said >= {("set Parts to", f"{DON}:capability/2"), ("set Customers affected to", "12")}


async def test_a_tag_keeps_each_of_its_values_when_another_tag_is_chosen(desk: DevRevDesk) -> None:
    incident = await made(desk)
    tag = {"id": f"{DON}:tag/1", "name": "network"}
    desk.org.incidents[incident.id]["tags"] = [{"tag": tag, "value": value} for value in ("edge", "core")]
    chosen = option(f"{DON}:tag/1") + option(f"{DON}:tag/3")
    changed = await desk.backend.change(incident.id, change(custom_field_entries={"tags": chosen}))
    assert answered(changed, "tags") == ["network: edge", "network: core", "deploy"]


@pytest.mark.parametrize("named", ["tnt__status_page", "status_page", "custom_fields.tnt__status_page"])
async def test_a_refusal_is_at_its_field_whether_or_not_it_names_the_prefix(
    desk: DevRevDesk, named: str
) -> None:
    incident = await made(desk)
    body = {"type": "customization_validation_error", "message": "No such page", "field_name": named}
    desk.org.faults.plan(UPDATE, Fault(status=400, body=json.dumps(body)))
    page = {"tnt__status_page": (FieldValue(value_text="x"),)}
    with pytest.raises(Refused) as refusal:
        await desk.backend.change(incident.id, change(custom_field_entries=page))
    assert list(refusal.value.fields) == ["custom_field_entries.tnt__status_page"]


@pytest.mark.parametrize("field", ["impact", "tnt__customers_affected"])
async def test_what_devrev_has_no_way_to_empty_is_said_at_the_field(desk: DevRevDesk, field: str) -> None:
    incident = await made(desk)
    with pytest.raises(Refused) as refusal:
        await desk.backend.change(incident.id, change(custom_field_entries={field: ()}))
    assert [name.removeprefix("custom_field_entries.") for name in refusal.value.fields] == [field]
    assert "can only be emptied in DevRev" in refusal.value.sentence


async def test_a_choice_that_devrev_dropped_meanwhile_is_refused_at_its_field(desk: DevRevDesk) -> None:
    incident = await made(desk)
    await desk.backend.form()
    desk.org.fields[1].allowed_values.remove("Customer")
    with pytest.raises(Refused) as refusal:
        await desk.backend.change(
            incident.id, change(custom_field_entries={"tnt__detected_by": option("Customer")})
        )
    assert list(refusal.value.fields) == ["custom_field_entries.tnt__detected_by"]


async def test_a_long_choice_that_devrev_dropped_meanwhile_is_named_by_its_text(desk: DevRevDesk) -> None:
    long = "Somebody told somebody else about it, " * 5
    desk.org.fields[1].allowed_values = [long]
    incident, form = await made(desk), await desk.backend.form()
    field = form.custom_field("tnt__detected_by")
    assert field is not None
    desk.org.fields[1].allowed_values = ["Customer"]
    await desk.backend.form()
    chosen = tuple(FieldValue(value_option=option) for option in field.options)
    with pytest.raises(Refused) as refusal:
        await desk.backend.change(incident.id, change(custom_field_entries={field.id: chosen}))
    assert long.strip() in refusal.value.sentence


async def test_the_first_lead_and_the_first_fixed_stage_are_dated_once(desk: DevRevDesk) -> None:
    incident = await made(desk)
    for key, person in (("first", BEN.slack_user_id), ("second", None), ("third", BEN.slack_user_id)):
        await desk.backend.change(incident.id, change(key, incident_role_assignments={"lead": person}))
    for key, stage in (("a", 2), ("b", 3), ("c", 4)):
        await desk.backend.change(incident.id, change(key, incident_status_id=f"{STAGE}/{stage}"))
    dates = [
        {name: told[name] for name in ("acknowledged_date", "mitigated_date") if name in told}
        for told in desk.sent(UPDATE)
    ]
    assert [list(told) for told in dates] == [["acknowledged_date"], [], [], [], ["mitigated_date"], []]


async def test_an_organisation_without_these_dates_is_declared_and_changed_without_them(
    desk: DevRevDesk,
) -> None:
    desk.org.refused = {"acknowledged_date", "mitigated_date"}
    incident = await made(desk, incident_role_assignments={"lead": BEN.slack_user_id})
    assert incident.lead == BEN
    changed = await desk.backend.change(incident.id, change(incident_status_id=f"{STAGE}/3"))
    assert changed.incident_status.name == "Mitigated"


async def test_a_second_owner_is_read_and_stays_when_another_person_leads(desk: DevRevDesk) -> None:
    incident = await made(desk)
    desk.org.incidents[incident.id]["owned_by"] = [desk.org.people[0].told(), desk.org.people[1].told()]
    found = await desk.backend.find(incident.id)
    assert found is not None
    assert answered(found, "owned_by") == ["Ana Torres"]
    lead = change(incident_role_assignments={"lead": BEN.slack_user_id})
    changed = await desk.backend.change(incident.id, lead)
    assert desk.sent(UPDATE)[0]["owned_by"] == {"set": [f"{PEOPLE}/8", f"{PEOPLE}/7"]}
    assert changed.lead == BEN
    assert answered(changed, "owned_by") == ["Ana Torres"]


async def test_an_answer_of_another_shape_hides_no_incident(desk: DevRevDesk) -> None:
    incident = await made(desk)
    desk.org.incidents[incident.id] |= {
        "acknowledged_date": "yesterday",
        "reported_by": "Ana",
        "source": {"label": "Telephone"},
        "subtype": 7,
        "playbooks": ["ARTICLE-1", None, {"title": None, "display_id": "ARTICLE-2"}],
        "stakeholders": "nobody",
        "impact": {"customer_ids": [{"id": "ACC-1", "display_name": "Globex"}]},
    }
    found = await desk.backend.find(incident.id)
    assert found is not None
    answers = {
        entry.custom_field.id: answered(found, entry.custom_field.id) for entry in found.custom_field_entries
    }
    assert answers == {"playbooks": ["ARTICLE-1", "ARTICLE-2"], "impacted_customers": ["Globex"]}


@pytest.mark.parametrize(
    "odd",
    [
        {"display_id": None},
        {"severity": {"id": 18, "label": None, "ordinal": None}},
        {"severity": {"label": "SEV1"}},
        {"stage": {"stage": None, "state": None}},
        {"stage": "Queued"},
        {"owned_by": [{"id": f"{PEOPLE}/8", "full_name": None, "display_name": None}]},
        {"applies_to_parts": [None, {"id": f"{DON}:product/1", "name": None}]},
        {"tags": [{"tag": None}, {"tag": {"id": f"{DON}:tag/1", "name": None}, "value": 7}]},
        {"impact": {"count": {"id": 11, "label": None}, "customer_ids": None}},
        {"created_by": {"type": "sys_user", "id": None, "full_name": None}, "modified_by": "nobody"},
        {"modified_date": "", "sync_metadata": "none"},
    ],
)
async def test_an_odd_incident_is_listed_found_and_changed_and_hides_no_other(
    desk: DevRevDesk, odd: dict[str, object]
) -> None:
    incident, other = await made(desk), await made(desk, "other")
    desk.org.incidents[incident.id] |= odd
    assert [one.id for one in await desk.backend.incidents()] == [other.id, incident.id]
    changed = await desk.backend.change(incident.id, change(summary="Since noon."))
    assert (changed.id, changed.summary) == (incident.id, "Since noon.")


@pytest.mark.parametrize(
    ("told", "shown"), [(1234567.5, "1234567.5"), (2000000.0, "2000000"), (0.00001, "0.00001"), (7, "7")]
)
async def test_a_number_is_read_to_its_last_digit(desk: DevRevDesk, told: float, shown: str) -> None:
    desk.org.fields.append(Field("loss", "double"))
    incident = await made(desk)
    desk.org.incidents[incident.id]["custom_fields"] = {"tnt__loss": told}
    found = await desk.backend.find(incident.id)
    assert found is not None
    assert answered(found, "tnt__loss") == [shown]


async def test_a_whole_number_is_sent_to_its_last_digit(desk: DevRevDesk) -> None:
    incident = await made(desk)
    count = (FieldValue(value_numeric="9007199254740993000000000000001"),)
    changed = await desk.backend.change(
        incident.id, change(custom_field_entries={"tnt__customers_affected": count})
    )
    assert desk.sent(UPDATE)[0]["custom_fields"] == {
        "tnt__customers_affected": 9007199254740993000000000000001
    }
    assert answered(changed, "tnt__customers_affected") == ["9007199254740993000000000000001"]


async def test_a_number_with_a_fraction_is_refused_where_devrev_counts_whole_ones(desk: DevRevDesk) -> None:
    incident, half = await made(desk), (FieldValue(value_numeric="2.5"),)
    with pytest.raises(Refused) as refusal:
        await desk.backend.change(incident.id, change(custom_field_entries={"tnt__customers_affected": half}))
    assert refusal.value.fields == {
        "custom_field_entries.tnt__customers_affected": "Customers affected takes whole numbers, such as 42."
    }
    assert not desk.sent(UPDATE)


CHOICES = [
    {"id": 0, "label": "Zero", "ordinal": 1},
    {"id": 7, "label": "", "ordinal": 2},
    {"id": 9, "label": "Old", "ordinal": 3, "is_deprecated": True},
]


@pytest.mark.parametrize(
    ("kind", "base", "allowed", "told", "shown"),
    [
        ("text", "", [], "a\nb", ["a\nb"]),
        ("int", "", [], -5, ["-5"]),
        ("int", "", [], 9007199254740993, ["9007199254740993"]),
        ("double", "", [], 1e-7, ["0.0000001"]),
        ("double", "", [], 123456789.123, ["123456789.123"]),
        ("bool", "", [], False, ["No"]),
        ("enum", "", ["A", " B "], " B ", [" B "]),
        ("array", "enum", ["A", " B "], ["A", " B ", "gone"], ["A", " B ", "gone"]),
        ("uenum", "", CHOICES, 7, ["7"]),
        ("array", "uenum", CHOICES, [0, 9, 11], ["Zero", "Old", "11"]),
    ],
)
def test_an_answer_that_went_through_the_form_is_sent_exactly_as_devrev_told_it(
    kind: str, base: str, allowed: list[Any], told: object, shown: list[str]
) -> None:
    asked = asked_field(FieldResponse(name="tnt__f", field_type=kind, base_type=base, allowed_values=allowed))
    assert asked is not None
    choices, form = Choices(asked=(asked,)), Form(custom_fields=(asked.question,))
    response = IncidentResponse(id="1", title="x", custom_fields={"tnt__f": told})
    incident = incident_of(response, StoredExtras(), MappingContext(None, [], choices.fields_as_read))
    assert answered(incident, "tnt__f") == shown
    view = fields_modal(form, incident).to_dict()
    assert view_errors(view) == []
    entered = read_fields(initial_values(view))
    values = parse_changed_fields(entered.entries, entered.labels, as_answered(form, incident))
    sent, _ = to_devrev(values, choices, None)
    assert (sent, type(sent["tnt__f"])) == ({"tnt__f": told}, type(told))


@pytest.mark.parametrize(
    ("ui", "asked", "shown"),
    [
        ({}, "always", ["a cable"]),
        ({"is_hidden_during_create": True}, "later", ["a cable"]),
        ({"is_hidden_during_create": True, "is_required": True}, "always", ["a cable"]),
        ({"is_read_only": True}, None, ["a cable"]),
        ({"is_hidden": True}, None, []),
    ],
)
async def test_a_field_that_devrevs_form_leaves_out_is_read_and_asked_for_when_people_may_change_it(
    desk: DevRevDesk, ui: dict[str, bool], asked: str | None, shown: list[str]
) -> None:
    desk.org.fields.append(Field("cause", ui=ui))
    incident = await made(desk)
    desk.org.incidents[incident.id]["custom_fields"] = {"tnt__cause": "a cable"}
    found = await desk.backend.find(incident.id)
    field = (await desk.backend.form()).custom_field("tnt__cause")
    assert found is not None
    assert answered(found, "tnt__cause") == shown
    assert (field.asked if field else None) == asked


@pytest.mark.parametrize(
    ("kind", "base", "told", "shown"),
    [
        ("uenum", None, 2, ["Legacy"]),
        ("uenum", None, {"id": 2, "label": "Legacy", "ordinal": 2}, ["Legacy"]),
        ("uenum", None, {"id": 9, "label": "Removed", "ordinal": 9}, ["Removed"]),
        ("array", "uenum", [1, None, 2], ["Current", "Legacy"]),
        ("uenum", None, {}, []),
        ("text", None, None, []),
        ("text", None, "", []),
    ],
)
async def test_a_choice_is_read_by_its_name_also_one_that_is_deprecated_or_gone(
    desk: DevRevDesk, kind: str, base: str | None, told: object, shown: list[str]
) -> None:
    values = [{"id": 1, "label": "Current", "ordinal": 1}, {"id": 2, "label": "Legacy", "ordinal": 2}]
    values[1]["is_deprecated"] = True
    desk.org.fields.append(Field("plan", kind, base, values if kind != "text" else []))
    incident = await made(desk)
    field = (await desk.backend.form()).custom_field("tnt__plan")
    assert field is not None
    assert [option.value for option in field.options] == (["Current"] if kind != "text" else [])
    desk.org.incidents[incident.id]["custom_fields"] = {"tnt__plan": told}
    found = await desk.backend.find(incident.id)
    assert found is not None
    assert answered(found, "tnt__plan") == shown


async def test_a_choice_that_no_menu_offers_stays_when_another_one_of_its_field_changes(
    desk: DevRevDesk,
) -> None:
    incident = await made(desk)
    await desk.backend.form()
    # The form has not heard of it: DevRev takes it, and no menu offers it.
    desk.org.fields[0].allowed_values.append("Shop ")
    desk.org.incidents[incident.id]["custom_fields"] = {"tnt__affected_area": ["Shop ", "API"]}
    found = await desk.backend.find(incident.id)
    assert found is not None
    held = found.answers("tnt__affected_area")
    asked = change(custom_field_entries={"tnt__affected_area": held + option("Website")})
    await desk.backend.change(incident.id, asked)
    assert desk.sent(UPDATE)[0]["custom_fields"] == {"tnt__affected_area": ["Shop ", "API", "Website"]}


async def test_a_subtype_is_chosen_as_the_type_and_its_fields_are_its_own(desk: DevRevDesk) -> None:
    assert not (await desk.backend.form()).incident_types
    desk.org.subtypes = {TYPE: [Field("leaked", "text", required=True)]}
    form = await desk.backend.form()
    assert [kind.name for kind in form.incident_types] == ["Incident", "Security breach"]
    assert form.usual_type == form.incident_types[0]
    field = form.custom_field(LEAKED)
    assert field is not None
    assert field.description == "Only for the type Security breach."
    entries = {LEAKED: (FieldValue(value_text="card numbers"),)}
    breach = await desk.backend.create(declared("a", incident_type_id=TYPE, custom_field_entries=entries))
    assert desk.sent("incidents.create")[0]["custom_schema_spec"] == {"subtype": TYPE}
    assert breach.incident_type is not None
    assert breach.incident_type.name == "Security breach"
    for kind, given, wrong in (
        (TYPE, {}, f"custom_field_entries.{LEAKED}"),
        ("no_subtype", entries, f"custom_field_entries.{LEAKED}"),
        ("gone", {}, "incident_type_id"),
    ):
        with pytest.raises(Refused) as refusal:
            await desk.backend.create(declared(kind, incident_type_id=kind, custom_field_entries=given))
        assert list(refusal.value.fields) == [wrong]
    usual = await desk.backend.create(declared("b", incident_type_id="no_subtype"))
    assert usual.incident_type is None
