"""The verbs `update`, `status`, `severity`, `rename`, `summary` and `call`."""

from __future__ import annotations

from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.parsing import match_prefix
from tocsin.incidents.permissions import Verb
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.verbs import Invocation, NeedsForm, VerbSpec, change, submit_change
from tocsin.slack.payloads import ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.slack.views.update import (
    UpdateEntered,
    describe_modal,
    offered_statuses,
    read_describe,
    read_update,
    update_modal,
)
from tocsin.workflows.command import AnyChange, Changed

# The verbs `update`, `status` and `severity`, which share a form.


async def _build_update(call: Invocation, problem: str, entered: UpdateEntered | None = None) -> View:
    form = await call.context.forms.fetch()
    return update_modal(form, call.incident, call.verb, entered, problem=escape(problem))


async def _post_update(call: Invocation) -> AnyChange | None:
    return await change(call, message=call.text)


async def _set_status(call: Invocation) -> AnyChange | None:
    form = await call.context.forms.fetch()
    status, message = match_prefix(call.text, offered_statuses(form, call.incident), "status")
    return await change(call, incident_status_id=status.id, message=message)


async def _set_severity(call: Invocation) -> AnyChange | None:
    form = await call.context.forms.fetch()
    severity, message = match_prefix(call.text, form.severities, "severity")
    return await change(call, severity_id=severity.id, message=message)


UPDATE = VerbSpec(
    Verb.UPDATE,
    "/incident update [what is known]",
    "gives an update",
    build_view=_build_update,
    execute=_post_update,
)
STATUS = VerbSpec(
    Verb.STATUS,
    "/incident status [fixing]",
    "changes the status",
    build_view=_build_update,
    execute=_set_status,
    begins_with_choice=True,
)
SEVERITY = VerbSpec(
    Verb.SEVERITY,
    "/incident severity [major]",
    "changes the severity",
    build_view=_build_update,
    execute=_set_severity,
    begins_with_choice=True,
)


async def submit_update(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the update form; fields that were left alone change nothing."""
    entered = read_update(submission.view.values)
    metadata = VerbMetadata.from_text(submission.view.private_metadata)
    await submit_change(
        ack,
        submission,
        context,
        tracker,
        {Verb.UPDATE, Verb.STATUS, Verb.SEVERITY},
        partial(_build_update, entered=entered),
        metadata.changes(entered.model_dump(include={"incident_status_id", "severity_id"})),
        message=entered.message,
        next_update_minutes=entered.next_update_minutes,
    )


# The verbs `rename`, `summary` and `call`, which share a form.


async def _build_describe(call: Invocation, problem: str, entered: dict[str, str] | None = None) -> View:
    form = await call.context.forms.fetch()
    return describe_modal(form, call.incident, call.verb, entered, problem=escape(problem))


async def _rename(call: Invocation) -> AnyChange | None:
    return await change(call, name=call.text)


async def _set_summary(call: Invocation) -> AnyChange | None:
    return await change(call, summary=call.text)


async def _set_call(call: Invocation) -> AnyChange | None:
    """Set the call link; without text, say it, or ask for it if there is none."""
    if call.text:
        return await change(call, call_url=call.text)
    incident = call.incident
    if incident.call_link is None:
        raise NeedsForm(f"{incident.reference} has no call yet.")
    return Changed(incident=incident, said=f"The call of {incident.reference}: {incident.call_link}")


RENAME = VerbSpec(
    Verb.RENAME,
    "/incident rename [new name]",
    "renames it",
    build_view=_build_describe,
    execute=_rename,
)
SUMMARY = VerbSpec(
    Verb.SUMMARY,
    "/incident summary [text]",
    "changes the summary",
    build_view=_build_describe,
    execute=_set_summary,
)


CALL = VerbSpec(
    Verb.CALL,
    "/incident call [link]",
    "shows the call link, or sets it: a link, or `huddle`",
    build_view=_build_describe,
    execute=_set_call,
    no_argument=True,
)


async def submit_describe(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the form for the name, the summary or the call link."""
    entered = read_describe(submission.view.values)
    again = partial(_build_describe, entered=entered)
    verbs = {Verb.RENAME, Verb.SUMMARY, Verb.CALL}
    await submit_change(ack, submission, context, tracker, verbs, again, dict(entered))
