"""Say which other incident this one is part of."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.actions.open_now import is_reference
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Incident
from tocsin.slack.desk import Delivery, Desk
from tocsin.slack.gestures import Command, Submission
from tocsin.slack.listeners.answers import Asked
from tocsin.slack.listeners.changing import Unclear, Way, changed, go
from tocsin.slack.listeners.errands import called, incident_of
from tocsin.slack.listeners.submitting import submit_change
from tocsin.slack.views.close import merge_modal
from tocsin.slack.views.kit import escape, one


async def _opened(desk: Desk, asked: Asked, incident: Incident, trouble: str) -> View:
    others = desk.open_to(asked.by.slack_user_id)
    return merge_modal(await desk.forms.fetch(), incident, others, trouble=escape(trouble))


async def _act(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
    words = [word for word in text.split() if is_reference(word)]
    if not words:
        raise Unclear(f"Say which incident {incident.reference} is part of.")
    target = await called(desk, words[0], asked.by.slack_user_id)
    return await merged(desk, asked, incident, target)


async def merged(desk: Desk, asked: Asked, incident: Incident, target: Incident) -> str:
    """Merge one into the other. Raises Refused where they are the same."""
    if target.id == incident.id:
        raise Refused(f"{incident.reference} cannot be part of itself.")
    return await changed(desk, asked, incident, ending="merge", merged_into=target.reference)


MERGE = Way("merge", _opened, _act)


async def merge(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident merge INC-11`, here; or `INC-12 INC-11`: the first is part of the second."""
    named = [word for word in rest.split() if is_reference(word)]
    own = await incident_of(desk, command.channel_id, command.by.slack_user_id)
    if own is not None and len(named) == 1:
        # The reference is the other incident's, not this one's.
        rest = f"{own.reference} {rest}"
    await go(MERGE, ack, command, rest, desk)


async def submit_merge(ack: AsyncAck, submission: Submission, desk: Desk, delivery: Delivery) -> None:
    """The chosen incident, by its id."""
    chosen = one(submission.view.values, "merged_into")
    person = submission.by.slack_user_id

    async def again(incident: Incident, trouble: str) -> View:
        others = desk.open_to(person)
        return merge_modal(await desk.forms.fetch(), incident, others, trouble=trouble)

    target = desk.open_now.called(chosen) or await desk.find.named(chosen, person)
    what = {"merged_into": target.reference} if target else {}
    await submit_change(ack, submission, desk, delivery, again, what, ending="merge")
