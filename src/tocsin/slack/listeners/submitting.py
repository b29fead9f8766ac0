"""A form about an incident, sent: committed to, and answered in the form with nothing typed lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import Incident
from tocsin.incidents.transitions import Ending
from tocsin.slack.desk import Delivery, Desk
from tocsin.slack.gestures import Submission
from tocsin.slack.listeners.answers import reason, refuse, said_view
from tocsin.slack.listeners.changing import change
from tocsin.slack.listeners.errands import allowed, called
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import Errand, saving_modal
from tocsin.workflows.command import AnyChange, Changed, NotChanged

Again = Callable[[Incident, str], Awaitable[View]]
"""The form once more, of the incident as it is now, with what was typed and a trouble in mrkdwn."""

Do = Callable[[Incident], Awaitable[AnyChange | None]]


async def submit_change(
    ack: AsyncAck,
    submission: Submission,
    desk: Desk,
    delivery: Delivery,
    again: Again,
    what: Mapping[str, Any],
    *,
    ending: Ending | None = None,
    next_update_minutes: int | None = None,
    message: str = "",
) -> None:
    """Make the change that a form asks for, unless it asks for none."""
    seen = Errand.read(submission.view.private_metadata).seen.get("incident_status_id")

    async def do(incident: Incident) -> AnyChange | None:
        if not (what or message.strip() or ending or next_update_minutes is not None):
            raise Refused("Nothing was changed in the form.")
        asked = {**what, "seen_status_id": seen} if ending or what.get("incident_status_id") else dict(what)
        return await change(
            desk,
            submission,
            incident,
            ending=ending,
            next_update_minutes=next_update_minutes,
            acknowledged=delivery.acknowledged,
            message=message,
            **asked,
        )

    await submit(ack, submission, desk, again, do)


async def submit(ack: AsyncAck, submission: Submission, desk: Desk, again: Again, do: Do) -> None:
    """What a form asks for is done, and the form answers: done, saved, or what to put right."""
    errand = Errand.read(submission.view.private_metadata)
    try:
        incident = await called(desk, errand.incident_id, submission.by.slack_user_id)
        await allowed(desk, submission, errand.verb, incident)
        outcome = await do(incident)
    except Refused as refusal:
        outcome = NotChanged(sentence=refusal.sentence, fields=refusal.fields)
    except TocsinError as error:
        outcome = NotChanged(sentence=reason(error))
    if outcome is None:
        await ack(response_action="update", view=saving_modal(incident))
    elif isinstance(outcome, Changed):
        view = await said_view(desk, submission, outcome.incident, outcome.said)
        await ack(response_action="update", view=view)
    else:
        await _refuse(ack, submission, desk, outcome, again)


async def _refuse(
    ack: AsyncAck, submission: Submission, desk: Desk, refused: NotChanged, again: Again
) -> None:
    """Under the fields that are wrong where all of them are on the screen, else above a form as it is now."""
    shown = submission.view.values
    if refused.fields and not refused.overtaken and all(field in shown for field in refused.fields):
        await ack(response_action="errors", errors=dict(refused.fields))
        return
    errand = Errand.read(submission.view.private_metadata)
    now = await desk.find.named(errand.incident_id, submission.by.slack_user_id)
    if now is None:
        await refuse(ack, submission, refused.sentence)
        return
    await ack(response_action="update", view=await again(now, escape(refused.sentence)))
