"""Say what it is called and what it is about."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.model import Incident
from tocsin.slack.desk import Delivery, Desk
from tocsin.slack.gestures import Command, Submission
from tocsin.slack.listeners.answers import Asked
from tocsin.slack.listeners.changing import Opened, Way, changed, go
from tocsin.slack.listeners.submitting import submit_change
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import Errand
from tocsin.slack.views.update import describe_modal, read_describe


def _opened(verb: str) -> Opened:
    async def opened(desk: Desk, asked: Asked, incident: Incident, trouble: str) -> View:
        return describe_modal(await desk.forms.fetch(), incident, verb, trouble=escape(trouble))

    return opened


async def _rename(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
    return await changed(desk, asked, incident, name=text)


async def _summarise(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
    return await changed(desk, asked, incident, summary=text)


RENAME = Way("rename", _opened("rename"), _rename)
SUMMARY = Way("summary", _opened("summary"), _summarise)


async def rename(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident rename`, with the new name."""
    await go(RENAME, ack, command, rest, desk)


async def set_summary(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident summary`, with the new summary."""
    await go(SUMMARY, ack, command, rest, desk)


async def submit_describe(ack: AsyncAck, submission: Submission, desk: Desk, delivery: Delivery) -> None:
    """The name or the summary, as it was left in the form."""
    entered, errand = read_describe(submission.view.values), Errand.read(submission.view.private_metadata)

    async def again(incident: Incident, trouble: str) -> View:
        form = await desk.forms.fetch()
        return describe_modal(form, incident, errand.verb, entered, trouble=trouble)

    await submit_change(ack, submission, desk, delivery, again, dict(entered))
