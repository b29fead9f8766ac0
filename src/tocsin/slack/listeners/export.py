"""Take an incident away as a file, or have its document written."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.export import ENDINGS, Format
from tocsin.incidents.model import Incident, TeamId
from tocsin.incidents.parsing import bare, spans
from tocsin.incidents.validation import in_words
from tocsin.slack.context import Desk, being_answered
from tocsin.slack.listeners.replies import Asked
from tocsin.slack.listeners.verbs import Way, go, key_of, press, sentence_of
from tocsin.slack.payloads import Command, Press
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import said_modal
from tocsin.workflows.export import ExportCommand
from tocsin.workflows.postmortem import DocumentCommand


def read_format(text: str) -> Format:
    """The format that is meant, in any case, by its name or the end of a file's; Markdown by itself."""
    *_, word = ["markdown", *(bare(text[start:end]) for start, end in spans(text))]
    for name, ending in ENDINGS.items():
        if word in {name, ending}:
            return name
    raise Refused(f"Incidents are exported as {in_words(ENDINGS)}; {text.strip()[:40]} is none of them.")


async def _opened(desk: Desk, asked: Asked, incident: Incident, trouble: str) -> View:
    return said_modal(incident, escape(trouble))


async def _export(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
    order = ExportCommand(
        incident_id=incident.id,
        team=TeamId(asked.team_id),
        asked=key_of(asked),
        asked_by=desk.people.meet(asked.by),
        wanted=read_format(text),
        at=desk.clock(),
    )
    return sentence_of(await desk.managing.exports(order, being_answered()))


async def _document(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
    order = DocumentCommand(
        incident_id=incident.id,
        team=TeamId(asked.team_id),
        asked=key_of(asked),
        asked_by=desk.people.meet(asked.by),
        at=desk.clock(),
    )
    return sentence_of(await desk.managing.documents(order, being_answered()))


EXPORT = Way("export", _opened, _export, at_once=True)
DOCUMENT = Way("document", _opened, _document, at_once=True)


async def export(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident export`, with the format."""
    await go(EXPORT, ack, command, rest, desk)


async def write_document(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident document`."""
    await go(DOCUMENT, ack, command, rest, desk)


async def press_export(ack: AsyncAck, pressed: Press, desk: Desk) -> None:
    """*Export*, on the card of what is closed and under its summary."""
    await press(EXPORT, ack, pressed, desk, pressed.control.value or "")


async def press_document(ack: AsyncAck, pressed: Press, desk: Desk) -> None:
    """*Write the document*."""
    await press(DOCUMENT, ack, pressed, desk, pressed.control.value or "")
