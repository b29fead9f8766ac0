"""Listeners of `update`, `status`, `severity`, `rename` and `summary`."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.model import Form, Incident
from tocsin.incidents.parsing import leading
from tocsin.slack.context import Delivery, Desk
from tocsin.slack.listeners.verbs import Opened, Way, changed, go, run_from_card, submit_change
from tocsin.slack.payloads import BlockAction, Payload, SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import Errand
from tocsin.slack.views.update import (
    describe_modal,
    offered_statuses,
    read_describe,
    read_update,
    update_modal,
)

# Say what is known, where it stands and how bad it is.


def _opened(verb: str) -> Opened:
    async def opened(desk: Desk, asked: Payload, incident: Incident, trouble: str) -> View:
        return update_modal(await desk.forms.fetch(), incident, verb, trouble=escape(trouble))

    return opened


async def _tell(desk: Desk, asked: Payload, incident: Incident, text: str) -> str:
    return await changed(desk, asked, incident, message=text)


async def _set_status(desk: Desk, asked: Payload, incident: Incident, text: str) -> str:
    form = await desk.forms.fetch()
    status, message = leading(text, offered_statuses(form, incident), "status")
    return await changed(desk, asked, incident, incident_status_id=status.id, message=message)


async def _set_severity(desk: Desk, asked: Payload, incident: Incident, text: str) -> str:
    form: Form = await desk.forms.fetch()
    severity, message = leading(text, form.severities, "severity")
    return await changed(desk, asked, incident, severity_id=severity.id, message=message)


UPDATE = Way("update", _opened("update"), _tell)
STATUS = Way("status", _opened("status"), _set_status, begins_with_choice=True)
SEVERITY = Way("severity", _opened("severity"), _set_severity, begins_with_choice=True)


async def update(ack: AsyncAck, command: SlashCommand, rest: str, desk: Desk) -> None:
    """`/incident update`, with what is known now."""
    await go(UPDATE, ack, command, rest, desk)


async def set_status(ack: AsyncAck, command: SlashCommand, rest: str, desk: Desk) -> None:
    """`/incident status`, with its name, and perhaps a word on it."""
    await go(STATUS, ack, command, rest, desk)


async def set_severity(ack: AsyncAck, command: SlashCommand, rest: str, desk: Desk) -> None:
    """`/incident severity`, with its name, and perhaps a word on it."""
    await go(SEVERITY, ack, command, rest, desk)


async def press_update(ack: AsyncAck, action: BlockAction, desk: Desk) -> None:
    """*Update*, on a card."""
    await run_from_card(UPDATE, ack, action, desk, action.value)


async def submit_update(ack: AsyncAck, submission: ViewSubmission, desk: Desk, delivery: Delivery) -> None:
    """The update form, sent; what was left as it was on the screen changes nothing."""
    entered, errand = read_update(submission.view.values), Errand.read(submission.view.private_metadata)

    async def again(incident: Incident, trouble: str) -> View:
        form = await desk.forms.fetch()
        return update_modal(form, incident, errand.verb, entered, trouble=trouble)

    await submit_change(
        ack,
        submission,
        desk,
        delivery,
        again,
        errand.changes(entered.model_dump(include={"incident_status_id", "severity_id"})),
        message=entered.message,
        next_update_minutes=entered.next_update_minutes,
    )


# Say what it is called and what it is about.


def _opened_describe(verb: str) -> Opened:
    async def opened(desk: Desk, asked: Payload, incident: Incident, trouble: str) -> View:
        return describe_modal(await desk.forms.fetch(), incident, verb, trouble=escape(trouble))

    return opened


async def _rename(desk: Desk, asked: Payload, incident: Incident, text: str) -> str:
    return await changed(desk, asked, incident, name=text)


async def _summarise(desk: Desk, asked: Payload, incident: Incident, text: str) -> str:
    return await changed(desk, asked, incident, summary=text)


RENAME = Way("rename", _opened_describe("rename"), _rename)
SUMMARY = Way("summary", _opened_describe("summary"), _summarise)


async def rename(ack: AsyncAck, command: SlashCommand, rest: str, desk: Desk) -> None:
    """`/incident rename`, with the new name."""
    await go(RENAME, ack, command, rest, desk)


async def set_summary(ack: AsyncAck, command: SlashCommand, rest: str, desk: Desk) -> None:
    """`/incident summary`, with the new summary."""
    await go(SUMMARY, ack, command, rest, desk)


async def submit_describe(ack: AsyncAck, submission: ViewSubmission, desk: Desk, delivery: Delivery) -> None:
    """The name or the summary, as it was left in the form."""
    entered, errand = read_describe(submission.view.values), Errand.read(submission.view.private_metadata)

    async def again(incident: Incident, trouble: str) -> View:
        form = await desk.forms.fetch()
        return describe_modal(form, incident, errand.verb, entered, trouble=trouble)

    await submit_change(ack, submission, desk, delivery, again, dict(entered))
