"""Everything that an incident says about itself is read by somebody: on its card, or where it is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.declarations import ANA, BEN, DAWN

from slack_emulator.block_kit import message_errors
from tocsin.incidents.export import IncidentReport, as_csv, as_document, as_record
from tocsin.incidents.model import (
    Automation,
    CatalogEntry,
    CustomField,
    ExternalIssue,
    FieldEntry,
    FieldValue,
    Incident,
    IncidentType,
    Person,
    Role,
    RoleAssignment,
    Severity,
    Status,
)
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.tasks import Checklist
from tocsin.incidents.updates import notification_of, summary_of
from tocsin.incidents.validation import is_link
from tocsin.slack.views.card import card, card_text
from tocsin.slack.views.lists import show_blocks
from tocsin.slack.views.notifications import news_message
from tocsin.slack.views.unfurl import details

ON_CALL = CatalogEntry(id="e1", name="Primary on-call", aliases=("night shift", "pager"))


def incident(**more: Any) -> Incident:
    return Incident(
        id="1",
        reference="INC-1",
        name="Checkout is slow",
        created_at=DAWN,
        updated_at=DAWN,
        **{"incident_status": Status(id="live", name="Fixing"), "creator": ANA, **more},
    )


def said(blocks: Any) -> str:
    return json.dumps([block.to_dict() for block in blocks], ensure_ascii=False)


RICH = incident(
    severity=Severity(id="minor", name="Minor", description="Few people notice."),
    incident_status=Status(id="fixing", name="Fixing", description="The cause is known."),
    incident_type=IncidentType(id="t1", name="Production outage", description="Customers see it."),
    incident_role_assignments=(
        RoleAssignment(role=Role(id="lead", name="Lead", role_type="lead"), assignee=ANA),
        RoleAssignment(role=Role(id="comms", name="Communications"), assignee=BEN),
    ),
    custom_field_entries=(
        FieldEntry(
            custom_field=CustomField(id="f1", name="Team"), values=(FieldValue(value_catalog_entry=ON_CALL),)
        ),
        FieldEntry(
            custom_field=CustomField(id="f2", name="Dashboard", field_type="link"),
            values=(FieldValue(value_link="https://graphs.example.com/1"),),
        ),
    ),
    call_url="https://zoom.example.com/1",
    postmortem_document_url="https://docs.example.com/1",
    external_issue_reference=ExternalIssue(
        provider="linear", issue_name="OPS-7", issue_permalink="https://linear.example.com/OPS-7"
    ),
    has_debrief=True,
    workload_minutes_total=90.5,
    workload_minutes_late=40.7,
)
DETAILS = (
    "Production outage",
    "Customers see it.",
    "Few people notice.",
    "The cause is known.",
    "Communications",
    "Primary on-call (night shift, pager)",
    "https://graphs.example.com/1",
    "https://zoom.example.com/1",
    "https://docs.example.com/1",
    "OPS-7 (linear)",
    "Debrief",
    "1 h 30 min, of which 40 min late",
)


@pytest.mark.parametrize(
    ("automation", "words"),
    [
        (Automation(kind="alert", name="Disk <is> full"), "the alert “Disk <is> full”"),
        (Automation(kind="workflow", name="Night watch"), "the workflow “Night watch”"),
        (Automation(kind="api_key", name="Terraform"), "the API key “Terraform”"),
        (Automation(kind="api_key"), "an API key"),
    ],
)
def test_an_incident_that_no_person_declared_says_what_did(automation: Automation, words: str) -> None:
    automatic = incident(creator=Person(), automation=automation)
    on_card = said(card(automatic))
    assert "Declared by " + words.replace("<", "&lt;").replace(">", "&gt;") in on_card
    assert "Nobody yet" not in on_card.partition("Declared")[2]
    document = as_document(IncidentReport(incident=automatic))
    assert f"by {words}".replace("<", "\\<").replace(">", "\\>") in document
    assert words in as_csv([automatic]).replace('""', '"')
    assert details(automatic)["entity_payload"]["fields"]["created_by"]["value"] == words
    assert set(as_record(automatic)["creator"]) == {automation.kind}


def test_nothing_is_said_of_a_declarer_who_is_not_known() -> None:
    assert "Declared <!date" in said(card(incident(creator=Person())))


@pytest.mark.parametrize(
    ("mode", "label"),
    [("test", "Test"), ("retrospective", "Retrospective"), ("tutorial", "Tutorial"), ("stream", "Stream"),
     ("drill", "Drill")],
)  # fmt: skip
def test_a_mode_that_is_not_standard_is_seen_at_a_glance(mode: str, label: str) -> None:
    unusual = incident(mode=mode)
    assert label in card_text(unusual)
    assert label in said(card(unusual))
    assert f"({mode})" in details(unusual)["entity_payload"]["attributes"]["display_type"]


@pytest.mark.parametrize("text", DETAILS)
def test_what_the_card_leaves_out_is_shown_with_the_incident_and_in_its_work_object(text: str) -> None:
    shown = [block.to_dict() for block in show_blocks(RICH, (), Checklist())]
    assert text in json.dumps(shown, ensure_ascii=False)
    assert text in json.dumps(details(RICH), ensure_ascii=False)
    assert not message_errors({"text": "INC-1", "blocks": shown})


def test_the_details_are_exported_under_the_names_of_incident_io() -> None:
    record = as_record(RICH)
    assert record["call_url"] == "https://zoom.example.com/1"
    assert record["external_issue_reference"]["issue_name"] == "OPS-7"
    assert record["workload_minutes_total"] == 90.5
    document = as_document(IncidentReport(incident=RICH))
    for label in ("Call", "Post-incident document", "Issue", "Debrief", "Workload"):
        assert f"- **{label}**: " in document


def test_the_closing_summary_says_how_much_work_it_was_and_where_its_document_is() -> None:
    closed = RICH.model_copy(
        update={"incident_status": Status(id="closed", name="Closed", category="closed")}
    )
    change = IncidentChange(key="k", by=ANA, at=DAWN, incident_status_id="closed")
    news = notification_of(RICH, closed, change, summary=summary_of(closed, (), ()))
    told = said(news_message(news)[1])
    assert "Workload: 1 h 30 min, of which 40 min late." in told
    assert "<https://docs.example.com/1|" in told
    assert "write_document" not in told
    without = closed.model_copy(update={"postmortem_document_url": None})
    news = notification_of(RICH, without, change, summary=summary_of(without, (), ()))
    assert "write_document" in said(news_message(news)[1])


@pytest.mark.parametrize("address", ["!channel", "javascript:alert(1)", "https://x.example.com/a b", ""])
def test_an_address_that_is_no_link_is_shown_as_text(address: str) -> None:
    odd = incident(
        call_url=address,
        postmortem_document_url=address,
        external_issue_reference=ExternalIssue(issue_name="OPS-7", issue_permalink=address),
    )
    assert f"<{address}|" not in said(show_blocks(odd, (), Checklist()))


def test_as_many_and_as_long_details_as_there_may_be_fit_into_what_slack_takes() -> None:
    values = tuple(FieldValue(value_link=f"https://{'&' * 1900}.example.com/{n}") for n in range(20))
    entries = tuple(
        FieldEntry(custom_field=CustomField(id=f"f{n}", name="<&>" * 60), values=values) for n in range(60)
    )
    full = RICH.model_copy(update={"custom_field_entries": entries})
    shown = [block.to_dict() for block in show_blocks(full, (), Checklist())]
    assert not message_errors({"text": "INC-1", "blocks": shown})


def test_a_link_that_is_too_long_for_a_section_is_shown_by_its_text() -> None:
    """Slack, section block: 3000 characters of text, in which each `&` of an address counts as five."""
    address = f"https://x.example/?{'a=b&' * 500}"
    trace = CustomField(id="trace", name="Trace", field_type="link")
    shown = said(
        show_blocks(
            incident(
                custom_field_entries=(
                    FieldEntry(custom_field=trace, values=(FieldValue(value_link=address),)),
                )
            ),
            (),
            Checklist(),
        )
    )
    assert is_link(address)
    assert "*Trace*  https://x.example/?a=b&amp;a=b" in shown
