"""The notice that a channel is to be archived, and what stands in its place once somebody keeps it."""

from __future__ import annotations

from datetime import datetime

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement

from tocsin.incidents.model import Incident, Person
from tocsin.slack.views.card import person
from tocsin.slack.views.kit import link, moment, paragraph, plain

Message = tuple[str, list[Block]]


def leaving_message(incident: Incident, due: datetime) -> Message:
    """When, and a button that keeps it; what is written there can be read in an archived channel too."""
    reference = link(incident.permalink, incident.reference)
    said = (
        f":file_folder: *{reference}* has ended. This channel is archived {moment(due)}, unless somebody "
        "keeps it. What was written here can still be read then."
    )
    keep = ButtonElement(action_id="keep_channel", text=plain("Keep the channel"), value=incident.id)
    return said, [paragraph(said), ActionsBlock(block_id="leaving", elements=[keep])]


def kept_message(by: Person) -> Message:
    said = f":file_folder: {person(by)} keeps this channel."
    return said, [paragraph(said)]
