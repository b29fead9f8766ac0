"""What goes to DevRev when an incident is declared, field by field, and what comes back."""

from __future__ import annotations

import pytest
from support.devrev import Field
from support.devrev.org import DON, PEOPLE

from integration.devrev.desk import BEN, PERMALINK, SEV0, SEV1, STAGE, DevRevDesk, declared
from tocsin.backends.devrev.api_models import CreateIncident
from tocsin.incidents.errors import Refused, Unavailable
from tocsin.incidents.model import FieldOption, FieldValue, PersonId, SourceMessage, TeamId

SOURCE = SourceMessage(
    channel="C0ALERTS",
    timestamp="1772334000.000100",
    permalink="https://northwind.slack.com/archives/C0ALERTS/p1772334000000100",
)


def option(option_id: str) -> tuple[FieldValue, ...]:
    return (FieldValue(value_option=FieldOption(id=option_id, value=option_id)),)


async def test_a_plain_declaration_sends_what_was_set_and_nothing_else(desk: DevRevDesk) -> None:
    await desk.backend.create(declared())
    assert desk.sent("incidents.create") == [
        {
            "title": "Checkout is slow",
            "body": "---\nDeclared in Slack by Ana Torres.",
            "severity": int(SEV1),
            "sync_metadata": {"external_reference": "tocsin:key-1", "origin_system": "tocsin"},
        }
    ]


async def test_everything_a_form_can_hold_arrives_in_devrevs_own_words(desk: DevRevDesk) -> None:
    await desk.backend.create(
        declared(
            name="Checkout is down",
            summary="> 500s since 21:05\n— @Ben",
            severity_id=SEV0,
            source=SOURCE,
            incident_role_assignments={"lead": BEN.slack_user_id, "communications": PersonId("U0ANA")},
            backend_entries={
                "applies_to_parts": option(f"{DON}:product/1"),
                "stage": option(f"{STAGE}/2"),
                "impact": option("11"),
                "tags": option(f"{DON}:tag/2"),
            },
            custom_field_entries={
                "tnt__affected_area": option("API") + option("Payments"),
                "tnt__customers_affected": (FieldValue(value_numeric="1200"),),
                "tnt__status_page": (FieldValue(value_text="https://status.example.com"),),
            },
        )
    )
    assert desk.sent("incidents.create") == [
        {
            "title": "Checkout is down",
            "body": "> 500s since 21:05\n— @Ben\n\n---\nDeclared in Slack by Ana Torres.\n"
            f"Communications Lead: Ana Torres\nFrom the message {SOURCE.permalink}",
            "severity": 11,
            "owned_by": [f"{PEOPLE}/8"],
            "applies_to_parts": [f"{DON}:product/1"],
            "stage": {"stage": f"{STAGE}/2"},
            "stage_validation_options": ["allow_non_start"],
            "impact": {"count": 11},
            "tags": [{"tag_id": f"{DON}:tag/2"}],
            "identified_date": "2026-03-01T03:00:00.000100Z",
            "acknowledged_date": "2026-03-01T03:00:00Z",
            "custom_fields": {
                "tnt__affected_area": ["API", "Payments"],
                "tnt__customers_affected": 1200,
                "tnt__status_page": "https://status.example.com",
            },
            "custom_schema_spec": {"tenant_fragment": True},
            "sync_metadata": {"external_reference": "tocsin:key-1", "origin_system": "tocsin"},
        }
    ]


async def test_every_field_of_the_page_that_describes_the_create_can_be_sent(desk: DevRevDesk) -> None:
    everything = {
        "title": "Title of the incident",
        "acknowledged_date": "2026-03-01T03:05:00Z",
        "applies_to_parts": ["PROD-1"],
        "artifacts": ["ARTIFACT-12345"],
        "body": "Body of the incident",
        "custom_fields": {"tnt__status_page": "https://status.example.com"},
        "custom_schema_spec": {"tenant_fragment": True},
        "identified_date": "2026-03-01T03:00:00Z",
        "impact": {"count": 11},
        "impacted_customers": ["ACC-12345"],
        "mitigated_date": "2026-03-01T04:00:00Z",
        "owned_by": ["DEVU-8"],
        "pia": ["ARTICLE-1"],
        "playbooks": ["ARTICLE-2"],
        "related_docs": ["ARTICLE-3"],
        "reported_by": 11,
        "severity": 11,
        "stage": {"stage": f"{STAGE}/1"},
        "stakeholders": ["DEVU-7"],
        "tags": [{"tag_id": "TAG-1"}],
        "target_close_date": "2026-03-02T03:00:00Z",
    }
    wire = CreateIncident.model_validate(everything).wire()
    assert wire == everything
    made = await desk.backend._client.do("incidents.create", wire)
    assert made["incident"]["display_id"] == "INC-1"


async def test_an_incident_comes_back_as_devrev_tells_it_and_as_slack_knows_it(desk: DevRevDesk) -> None:
    asked = declared(
        summary="Slow since noon.",
        slack_team_id="T0NORTH",
        source=SOURCE,
        incident_role_assignments={"lead": BEN.slack_user_id},
        custom_field_entries={"tnt__detected_by": option("Customer")},
    )
    incident = await desk.backend.create(asked)
    assert incident.reference == "INC-1"
    assert incident.permalink == PERMALINK.format(display_id="INC-1")
    assert (incident.name, incident.summary) == (asked.name, asked.summary)
    assert incident.severity is not None
    assert (incident.severity.id, incident.severity.name) == (SEV1, "SEV1")
    assert incident.incident_status.name == "Queued"
    assert incident.incident_status.is_open
    assert incident.creator == asked.reporter
    assert incident.lead == BEN
    assert incident.source == SOURCE
    assert [entry.values[0].shown for entry in incident.custom_field_entries] == [
        *("Customer", "2026-03-01 03:00 UTC", "2026-03-01 03:00 UTC"),
    ]
    assert await desk.backend.find("INC-1") == incident
    again = await desk.reopen()
    assert await again.find("INC-1") == incident


async def test_without_a_template_there_is_no_permalink(desk: DevRevDesk) -> None:
    backend = await desk.reopen(permalink=None)
    incident = await backend.create(declared())
    assert (incident.reference, incident.permalink) == ("INC-1", None)


async def test_a_lead_whom_devrev_does_not_know_is_named_in_the_body(desk: DevRevDesk) -> None:
    desk.org.people = [desk.org.bot]
    incident = await desk.backend.create(declared(incident_role_assignments={"lead": BEN.slack_user_id}))
    (sent,) = desk.sent("incidents.create")
    assert "owned_by" not in sent
    assert "Incident Lead: Ben Okafor (not found in DevRev)" in sent["body"]
    assert incident.lead == BEN


async def test_nobody_who_left_becomes_an_owner(desk: DevRevDesk) -> None:
    for person in desk.org.people:
        person.state = "deactivated"
    await desk.backend.create(declared(incident_role_assignments={"lead": BEN.slack_user_id}))
    assert "owned_by" not in desk.sent("incidents.create")[0]


async def test_another_owner_in_devrev_is_another_lead_in_slack(desk: DevRevDesk) -> None:
    incident = await desk.backend.create(declared(incident_role_assignments={"lead": BEN.slack_user_id}))
    ana = desk.org.people[1]
    desk.org.incidents[incident.id]["owned_by"] = [ana.told()]
    found = await desk.backend.find("INC-1")
    assert found is not None
    assert found.lead is not None
    assert (found.lead.name, found.lead.slack_user_id) == ("Ana Torres", None)


async def test_slack_being_slow_or_down_does_not_keep_a_declaration(desk: DevRevDesk) -> None:
    async def out_of_reach(team: TeamId, person: PersonId) -> None:
        raise Unavailable("Slack cannot be reached.")

    desk.backend.set_directory(out_of_reach)
    await desk.backend.create(declared(incident_role_assignments={"lead": BEN.slack_user_id}))
    assert "Incident Lead: somebody in Slack" in desk.sent("incidents.create")[0]["body"]


async def test_a_test_says_so_in_its_title_and_is_read_as_one(desk: DevRevDesk) -> None:
    incident = await desk.backend.create(declared(mode="test"))
    assert desk.sent("incidents.create")[0]["title"] == "[TEST] Checkout is slow"
    assert (incident.name, incident.mode) == ("Checkout is slow", "test")


async def test_a_private_incident_is_refused_before_anything_is_sent(desk: DevRevDesk) -> None:
    form = await desk.backend.form()
    assert (form.offers_private, form.private_refusal) == (False, "DevRev cannot hold private incidents.")
    with pytest.raises(Refused, match="DevRev cannot hold private incidents"):
        await desk.backend.create(declared(visibility="private"))
    assert not desk.sent("incidents.create")


async def test_where_no_part_is_chosen_it_belongs_to_the_configured_one(desk: DevRevDesk) -> None:
    backend = await desk.reopen(part="PROD-1")
    await backend.create(declared("a"))
    await backend.create(declared("b", backend_entries={"applies_to_parts": option(f"{DON}:capability/2")}))
    assert [sent["applies_to_parts"] for sent in desk.sent("incidents.create")] == [
        ["PROD-1"],
        [f"{DON}:capability/2"],
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"severity_id": "9999"}, "severity_id"),
        ({"severity_id": "major"}, "severity_id"),
        ({"backend_entries": {"impact": option("9999")}}, "impact"),
        ({"custom_field_entries": {"tnt__gone": option("x")}}, "custom_field_entries.tnt__gone"),
        (
            {"custom_field_entries": {"tnt__detected_by": option("Owl")}},
            "custom_field_entries.tnt__detected_by",
        ),
    ],
)
async def test_a_field_that_devrev_refuses_is_named_where_it_was_filled_in(
    desk: DevRevDesk, change: dict[str, object], field: str
) -> None:
    await desk.backend.form()
    with pytest.raises(Refused) as refusal:
        await desk.backend.create(declared(**change))
    assert list(refusal.value.fields) == [field]
    assert not desk.org.incidents
    await desk.backend.create(declared())
    assert len(desk.org.incidents) == 1


async def test_a_required_field_of_the_organisation_that_was_left_out_is_named(desk: DevRevDesk) -> None:
    desk.org.fields.append(Field("team", required=True, display_name="Team"))
    form = await desk.backend.form()
    assert next(f for f in form.custom_fields if f.id == "tnt__team").required
    entries = {"tnt__status_page": (FieldValue(value_text="https://status.example.com"),)}
    with pytest.raises(Refused) as refusal:
        await desk.backend.create(declared(custom_field_entries=entries))
    assert list(refusal.value.fields) == ["custom_field_entries.tnt__team"]


async def test_an_error_without_a_type_is_still_a_sentence(desk: DevRevDesk) -> None:
    desk.org.bare_errors = True
    with pytest.raises(Refused, match="is not an allowed value of severity"):
        await desk.backend.create(declared(severity_id="9999"))


async def test_nothing_that_people_write_mentions_anybody_in_devrev(desk: DevRevDesk) -> None:
    incident = await desk.backend.create(declared(summary="<don:identity:dvrv-us-1:devo/1:devu/1> hello"))
    assert "<don:" not in desk.sent("incidents.create")[0]["body"]
    assert incident.summary == "<don:identity:dvrv-us-1:devo/1:devu/1> hello"


async def test_an_older_organisation_that_lacks_a_newer_field_is_sent_the_rest(desk: DevRevDesk) -> None:
    desk.org.refused = {"stage_validation_options"}
    await desk.backend.create(declared(backend_entries={"stage": option(f"{STAGE}/1")}))
    first, second = desk.sent("incidents.create")
    assert set(first) - set(second) == {"stage_validation_options"}
    assert len(desk.org.incidents) == 1
