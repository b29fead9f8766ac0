"""What leads to an incident's document and takes the incident away: a message, and buttons."""

from __future__ import annotations

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement

from tocsin.incidents.model import Incident, Person
from tocsin.slack.views.card import person
from tocsin.slack.views.kit import escape, link, paragraph, plain


def written_message(incident: Incident, address: str, by: Person) -> tuple[str, list[Block]]:
    """Where the document is, and that it waits for people to complete it."""
    reference = link(incident.permalink, incident.reference)
    said = f":page_facing_up: {person(by)} began the document of *{reference}*: {link(address, 'open it')}."
    said += f" {escape('Its timeline is filled in; why it happened is for you to write.')}"
    return said, [paragraph(said)]


def paper_buttons(incident: Incident) -> ActionsBlock:
    """*Write the document* and *Export*, under what is said when an incident ends."""
    return ActionsBlock(
        block_id="papers",
        elements=[
            ButtonElement(action_id="write_document", text=plain("Write the document"), value=incident.id),
            ButtonElement(action_id="export_incident", text=plain("Export"), value=incident.id),
        ],
    )
