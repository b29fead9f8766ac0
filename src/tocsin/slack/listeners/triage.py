"""The verbs `triage`, which opens the declare form, and `accept`."""

from __future__ import annotations

from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Form
from tocsin.incidents.parsing import match_prefix
from tocsin.incidents.permissions import Verb
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.declare import open_declare
from tocsin.slack.listeners.verbs import CommandSpec, Invocation, VerbSpec, change, submit
from tocsin.slack.payloads import SlashCommand, ViewSubmission
from tocsin.slack.verb_or_name import goes_on_as_a_sentence
from tocsin.slack.views.accept import AcceptEntered, accept_modal, read_accept
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.workflows.command import AnyChange

# Declaring into triage.


async def open_triage(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """Handle `/incident triage`: open the declare form with *Start in triage* chosen."""
    name = command.text if goes_on_as_a_sentence(rest) else rest
    await open_declare(ack, command, name, context, status="triage")


TRIAGE = CommandSpec(
    Verb.DECLARE,
    "/incident triage [what may be wrong]",
    "opens the declare form in triage: it is announced only once it is accepted",
    open_triage,
)


# Accepting from triage.


async def _build_accept(call: Invocation, problem: str, entered: AcceptEntered | None = None) -> View:
    return accept_modal(await call.context.forms.fetch(), call.incident, entered, problem=escape(problem))


async def _accept(call: Invocation) -> AnyChange | None:
    severity_id, message = _leading_severity(call.text, await call.context.forms.fetch())
    return await change(call, ending="accept", severity_id=severity_id, message=message)


def _leading_severity(text: str, form: Form) -> tuple[str | None, str]:
    """Return the severity with which the text begins, and the rest; None and all of it without one."""
    try:
        severity, rest = match_prefix(text, form.severities, "severity")
    except Refused:
        return None, text
    return severity.id, rest


ACCEPT = VerbSpec(
    Verb.ACCEPT,
    "/incident accept [severity] [why]",
    "accepts it as an incident, and announces it",
    build_view=_build_accept,
    execute=_accept,
    begins_with_choice=True,
)


async def submit_accept(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the form."""
    entered = read_accept(submission.view.values)
    seen = VerbMetadata.from_text(submission.view.private_metadata).seen.get("incident_status_id")

    async def execute(call: Invocation) -> AnyChange | None:
        what = entered.model_dump()
        return await change(call, ending="accept", seen_status_id=seen, **what)

    again = partial(_build_accept, entered=entered)
    await submit(ack, submission, context, tracker, {Verb.ACCEPT}, again, execute)
