"""Say which other incident this one is part of."""

from __future__ import annotations

from itertools import islice

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Incident
from tocsin.slack.desk import Delivery, Desk
from tocsin.slack.gestures import Command, Submission
from tocsin.slack.listeners.answers import Asked
from tocsin.slack.listeners.changing import Unclear, Way, change, changed, go
from tocsin.slack.listeners.errands import called, meant, prefixes
from tocsin.slack.listeners.submitting import submit
from tocsin.slack.typed import as_read, references_in
from tocsin.slack.views.blocks import escape, one
from tocsin.slack.views.close import merge_modal
from tocsin.slack.views.metadata import Errand
from tocsin.workflows.command import AnyChange


async def _opened(desk: Desk, asked: Asked, incident: Incident, trouble: str) -> View:
    others = desk.open_to(asked.by.slack_user_id)
    return merge_modal(await desk.forms.fetch(), incident, others, trouble=escape(trouble))


async def _act(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
    for _, reference, message in references_in(text, prefixes(desk)):
        target = await meant(desk, reference, asked.by.slack_user_id)
        if target is not None:
            other = _other(incident, target)
            said = as_read(message, desk.people.names)
            return await changed(desk, asked, incident, ending="merge", merged_into=other, message=said)
    raise Unclear(f"Say which incident {incident.reference} is part of.")


def _other(incident: Incident, target: Incident) -> str:
    """The reference of the other incident. Raises Refused where it is the same one."""
    if target.id == incident.id:
        raise Refused(f"{incident.reference} cannot be part of itself.")
    return target.reference


MERGE = Way("merge", _opened, _act, names_people=True)


async def merge(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident merge INC-11`, here; or `INC-12 INC-11`: the first is part of the second."""
    named = [reference for _, reference, _ in islice(references_in(rest, prefixes(desk)), 3)]
    own = desk.open_now.of_channel(command.channel_id) or await desk.find.here(command.channel_id)
    if own is not None and len(named) == 1:
        # The reference is the other incident's, not this one's.
        rest = f"{own.reference} {rest}"
    elif own is not None and named and named[0].said.isdecimal():
        rest = f"#{rest}"
    await go(MERGE, ack, command, rest, desk)


async def submit_merge(ack: AsyncAck, submission: Submission, desk: Desk, delivery: Delivery) -> None:
    """The chosen incident, by its id."""
    chosen = one(submission.view.values, "merged_into")
    person = submission.by.slack_user_id
    seen = Errand.read(submission.view.private_metadata).seen.get("incident_status_id")

    async def again(incident: Incident, trouble: str) -> View:
        others = desk.open_to(person)
        return merge_modal(await desk.forms.fetch(), incident, others, trouble=trouble)

    async def do(incident: Incident) -> AnyChange | None:
        if not chosen:
            raise Refused(f"Say which incident {incident.reference} is part of.")
        other = _other(incident, await called(desk, chosen, person))
        return await change(
            desk,
            submission,
            incident,
            ending="merge",
            merged_into=other,
            seen_status_id=seen,
            acknowledged=delivery.acknowledged,
        )

    await submit(ack, submission, desk, again, do)
