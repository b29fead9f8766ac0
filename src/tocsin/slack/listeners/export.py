"""The verbs `export` (an incident as a file) and `document` (its post-incident document)."""

from __future__ import annotations

from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.export import ENDINGS, Format
from tocsin.incidents.model import TeamId
from tocsin.incidents.parsing import bare, spans
from tocsin.incidents.permissions import Verb
from tocsin.incidents.validation import join_names
from tocsin.slack.listeners.verbs import Invocation, VerbSpec
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import sentence_modal
from tocsin.workflows.command import AnyChange
from tocsin.workflows.export import ExportCommand
from tocsin.workflows.postmortem import DocumentCommand


def read_format(text: str) -> Format:
    """Return the format by its name or file extension, in any case; Markdown if the text is empty.

    Raises Refused for any other word.
    """
    *_, word = ["markdown", *(bare(text[start:end]) for start, end in spans(text))]
    for name, ending in ENDINGS.items():
        if word in {name, ending}:
            return name
    raise Refused(f"Incidents are exported as {join_names(ENDINGS)}; {text.strip()[:40]} is none of them.")


async def build_refusal(call: Invocation, problem: str) -> View:
    """Build the answer of a verb without a form to a text that it does not understand."""
    return sentence_modal(call.incident, escape(problem))


async def _export(call: Invocation) -> AnyChange | None:
    command = ExportCommand(
        incident_id=call.incident.id,
        team=TeamId(call.payload.team_id),
        asked=call.key,
        asked_by=call.context.people.meet(call.payload.by),
        wanted=read_format(call.text),
        at=call.context.clock(),
    )
    return await call.context.workflows.exports(command, call.tracker.acknowledged)


async def _write_document(call: Invocation) -> AnyChange | None:
    command = DocumentCommand(
        incident_id=call.incident.id,
        team=TeamId(call.payload.team_id),
        asked=call.key,
        asked_by=call.context.people.meet(call.payload.by),
        at=call.context.clock(),
    )
    return await call.context.workflows.documents(command, call.tracker.acknowledged)


EXPORT = VerbSpec(
    Verb.EXPORT,
    "/incident export [markdown|json|csv]",
    "sends you all of it as a file",
    build_view=build_refusal,
    execute=_export,
    no_argument=True,
)
DOCUMENT = VerbSpec(
    Verb.DOCUMENT,
    "/incident document",
    "writes its post-incident document",
    build_view=build_refusal,
    execute=_write_document,
    no_argument=True,
)
