"""What the form offers of a DevRev organisation, and what the operator is told of it."""

from __future__ import annotations

import pytest
from support.devrev import Field
from support.devrev.org import DON

from integration.devrev.desk import DevRevDesk
from slack_emulator.faults import Fault
from tocsin.incidents.errors import Unavailable


async def test_choices_are_the_organisations_own(desk: DevRevDesk) -> None:
    form = await desk.backend.form()
    assert [(s.id, s.name) for s in form.severities] == [("11", "SEV0"), ("18", "SEV1"), ("25", "SEV2")]
    assert [s.name for s in sorted(form.severities, key=lambda s: s.rank)] == ["SEV2", "SEV1", "SEV0"]
    assert [(s.name, s.category) for s in form.statuses] == [
        ("Queued", "live"),
        ("Investigating", "live"),
        ("Mitigated", "live"),
        ("Resolved", "closed"),
    ]
    assert [role.id for role in form.assignable_roles] == ["lead", "communications"]
    assert form.kept_by == "DevRev"
    assert form.as_of == desk.clock.now
    fields = {field.id: field for field in form.backend_fields}
    assert list(fields) == ["applies_to_parts", "stage", "impact", "tags"]
    assert [option.value for option in fields["stage"].options] == ["Queued", "Investigating", "Mitigated"]
    assert [option.value for option in fields["impact"].options] == ["Everyone", "Some", "One"]
    assert fields["applies_to_parts"].searched
    assert fields["tags"].searched


async def test_the_organisations_own_fields_are_asked_by_their_kind(desk: DevRevDesk) -> None:
    desk.org.fields += [
        Field("is_outage", "bool", display_name="Outage?"),
        Field("cost", "double", required=True),
        Field("since", "timestamp"),
        Field("account", "id"),
        Field("detail", "struct"),
    ]
    fields = {field.id: field for field in (await desk.backend.form()).custom_fields}
    kinds = {name: (field.name, field.field_type, field.required) for name, field in fields.items()}
    assert kinds == {
        "tnt__affected_area": ("Affected area", "multi_select", False),
        "tnt__detected_by": ("Detected by", "single_select", False),
        "tnt__customers_affected": ("Customers affected", "numeric", False),
        "tnt__status_page": ("Status page", "text", False),
        "tnt__tocsin_key": ("Tocsin's key", "text", False),
        "tnt__is_outage": ("Outage?", "single_select", False),
        "tnt__cost": ("Cost", "numeric", True),
        "tnt__since": ("Since", "text", False),
    }
    assert fields["tnt__since"].description == "As 2026-03-01T15:00:00Z"


async def test_where_fragments_cannot_be_listed_the_whole_schema_is_read(desk: DevRevDesk) -> None:
    before = (await desk.backend.form()).custom_fields
    desk.org.unreadable = {"schemas.custom.list"}
    assert (await desk.backend.form()).custom_fields == before


async def test_what_the_token_may_not_read_is_left_out_of_the_form(desk: DevRevDesk) -> None:
    desk.org.unreadable = {
        "schemas.stock.get",
        "stages.custom.list",
        "schemas.custom.list",
        "schemas.aggregated.get",
    }
    form = await desk.backend.form()
    assert not form.severities
    assert not form.statuses
    assert [field.id for field in form.backend_fields] == ["applies_to_parts", "tags"]


async def test_a_form_that_cannot_be_fetched_is_unavailable(desk: DevRevDesk) -> None:
    desk.org.faults.plan("schemas.stock.get", Fault(status=503))
    with pytest.raises(Unavailable):
        await desk.backend.form()


@pytest.mark.parametrize("searchable", [True, False])
async def test_parts_are_found_as_somebody_types(desk: DevRevDesk, searchable: bool) -> None:
    desk.org.unreadable = set() if searchable else {"search.core"}
    found = await desk.backend.options("applies_to_parts", "check", {})
    assert [(option.id, option.value) for option in found] == [
        (f"{DON}:product/1", "Checkout (PROD-1)"),
        (f"{DON}:feature/4", "Checkout (FEAT-4)"),
    ]
    assert len(await desk.backend.options("applies_to_parts", "", {})) == 4


async def test_tags_are_found_by_what_their_name_contains(desk: DevRevDesk) -> None:
    assert [option.value for option in await desk.backend.options("tags", "BASE", {})] == ["database"]
    assert await desk.backend.options("shoe_size", "4", {}) == []


async def test_all_is_well_in_an_organisation_that_is(desk: DevRevDesk) -> None:
    backend = await desk.reopen(part="PROD-1", key_field="tnt__tocsin_key")
    findings = await backend.diagnose()
    assert [finding.ok for finding in findings] == [True] * 5
    said = " ".join(finding.said for finding in findings)
    assert "Tocsin Bot" in said
    assert "3 severities, 4 stages" in said
    assert desk.org.token not in said


async def test_a_token_that_is_refused_is_the_operators_to_mend(desk: DevRevDesk) -> None:
    backend = await desk.reopen(token="another")
    (finding,) = await backend.diagnose()
    assert not finding.ok
    assert "does not accept our token" in finding.said
    with pytest.raises(Unavailable) as refused:
        await backend.form()
    assert "DEVREV_TOKEN" in refused.value.operator
    assert "another" not in f"{refused.value}{refused.value.operator}"


async def test_each_thing_that_is_not_well_is_found_with_what_to_do(desk: DevRevDesk) -> None:
    desk.org.missing = {"incidents.list"}
    desk.org.unreadable = {"schemas.stock.get"}
    backend = await desk.reopen(part="PROD-99", key_field="tnt__typo")
    wrong = {f.name: f for f in await backend.diagnose() if not f.ok}
    assert set(wrong) == {"DevRev's beta API", "DevRev's schema", "DEVREV_PART", "DEVREV_KEY_FIELD"}
    assert all(finding.fix and finding.said for finding in wrong.values())


async def test_nobody_is_asked_for_the_key_that_is_ours_to_write(desk: DevRevDesk) -> None:
    asked = {field.id for field in (await desk.backend.form()).custom_fields}
    backend = await desk.reopen(key_field="tnt__tocsin_key")
    assert {field.id for field in (await backend.form()).custom_fields} == asked - {"tnt__tocsin_key"}
    assert "tnt__tocsin_key" in asked
