"""Listeners of `update`, `status`, `severity`, `rename` and `summary`."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.model import Form, Incident
from tocsin.incidents.parsing import leading
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.verbs import Opened, Way, changed, go, run_from_card, submit_change
from tocsin.slack.payloads import BlockAction, Payload, SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.slack.views.update import (
    describe_modal,
    offered_statuses,
    read_describe,
    read_update,
    update_modal,
)

# Say what is known, where it stands and how bad it is.


def _opened(verb: str) -> Opened:
    async def opened(context: WorkspaceContext, asked: Payload, incident: Incident, trouble: str) -> View:
        return update_modal(await context.forms.fetch(), incident, verb, trouble=escape(trouble))

    return opened


async def _tell(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    return await changed(context, asked, incident, message=text)


async def _set_status(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    form = await context.forms.fetch()
    status, message = leading(text, offered_statuses(form, incident), "status")
    return await changed(context, asked, incident, incident_status_id=status.id, message=message)


async def _set_severity(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    form: Form = await context.forms.fetch()
    severity, message = leading(text, form.severities, "severity")
    return await changed(context, asked, incident, severity_id=severity.id, message=message)


UPDATE = Way("update", _opened("update"), _tell)
STATUS = Way("status", _opened("status"), _set_status, begins_with_choice=True)
SEVERITY = Way("severity", _opened("severity"), _set_severity, begins_with_choice=True)


async def update(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident update`, with what is known now."""
    await go(UPDATE, ack, command, rest, context)


async def set_status(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident status`, with its name, and perhaps a word on it."""
    await go(STATUS, ack, command, rest, context)


async def set_severity(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident severity`, with its name, and perhaps a word on it."""
    await go(SEVERITY, ack, command, rest, context)


async def press_update(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Update*, on a card."""
    await run_from_card(UPDATE, ack, action, context, action.value)


async def submit_update(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """The update form, sent; what was left as it was on the screen changes nothing."""
    entered, metadata = (
        read_update(submission.view.values),
        VerbMetadata.read(submission.view.private_metadata),
    )

    async def again(incident: Incident, trouble: str) -> View:
        form = await context.forms.fetch()
        return update_modal(form, incident, metadata.verb, entered, trouble=trouble)

    await submit_change(
        ack,
        submission,
        context,
        tracker,
        again,
        metadata.changes(entered.model_dump(include={"incident_status_id", "severity_id"})),
        message=entered.message,
        next_update_minutes=entered.next_update_minutes,
    )


# Say what it is called and what it is about.


def _opened_describe(verb: str) -> Opened:
    async def opened(context: WorkspaceContext, asked: Payload, incident: Incident, trouble: str) -> View:
        return describe_modal(await context.forms.fetch(), incident, verb, trouble=escape(trouble))

    return opened


async def _rename(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    return await changed(context, asked, incident, name=text)


async def _summarise(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    return await changed(context, asked, incident, summary=text)


RENAME = Way("rename", _opened_describe("rename"), _rename)
SUMMARY = Way("summary", _opened_describe("summary"), _summarise)


async def rename(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident rename`, with the new name."""
    await go(RENAME, ack, command, rest, context)


async def set_summary(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident summary`, with the new summary."""
    await go(SUMMARY, ack, command, rest, context)


async def submit_describe(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """The name or the summary, as it was left in the form."""
    entered, metadata = (
        read_describe(submission.view.values),
        VerbMetadata.read(submission.view.private_metadata),
    )

    async def again(incident: Incident, trouble: str) -> View:
        form = await context.forms.fetch()
        return describe_modal(form, incident, metadata.verb, entered, trouble=trouble)

    await submit_change(ack, submission, context, tracker, again, dict(entered))
