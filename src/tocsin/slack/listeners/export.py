"""Take an incident away as a file, or have its document written."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.export import ENDINGS, Format
from tocsin.incidents.model import Incident, TeamId
from tocsin.incidents.parsing import bare, spans
from tocsin.incidents.validation import in_words
from tocsin.slack.context import WorkspaceContext, being_answered
from tocsin.slack.listeners.verbs import Way, go, key_of, run_from_card, sentence_of
from tocsin.slack.payloads import BlockAction, Payload, SlashCommand
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import said_modal
from tocsin.workflows.export import ExportOrder
from tocsin.workflows.postmortem import DocumentOrder


def read_format(text: str) -> Format:
    """The format that is meant, in any case, by its name or the end of a file's; Markdown by itself."""
    *_, word = ["markdown", *(bare(text[start:end]) for start, end in spans(text))]
    for name, ending in ENDINGS.items():
        if word in {name, ending}:
            return name
    raise Refused(f"Incidents are exported as {in_words(ENDINGS)}; {text.strip()[:40]} is none of them.")


async def _opened(context: WorkspaceContext, asked: Payload, incident: Incident, trouble: str) -> View:
    return said_modal(incident, escape(trouble))


async def _export(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    order = ExportOrder(
        incident_id=incident.id,
        team=TeamId(asked.team_id),
        asked=key_of(asked),
        asked_by=context.people.meet(asked.by),
        wanted=read_format(text),
        at=context.clock(),
    )
    return sentence_of(await context.workflows.exports(order, being_answered()))


async def _document(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    order = DocumentOrder(
        incident_id=incident.id,
        team=TeamId(asked.team_id),
        asked=key_of(asked),
        asked_by=context.people.meet(asked.by),
        at=context.clock(),
    )
    return sentence_of(await context.workflows.documents(order, being_answered()))


EXPORT = Way("export", _opened, _export, at_once=True)
DOCUMENT = Way("document", _opened, _document, at_once=True)


async def export(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident export`, with the format."""
    await go(EXPORT, ack, command, rest, context)


async def write_document(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident document`."""
    await go(DOCUMENT, ack, command, rest, context)


async def press_export(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Export*, on the card of what is closed and under its summary."""
    await run_from_card(EXPORT, ack, action, context, action.value)


async def press_document(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Write the document*."""
    await run_from_card(DOCUMENT, ack, action, context, action.value)
