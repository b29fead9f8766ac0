"""Issues of follow-ups: links that people paste, the button *Add its link*, and its form."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.model import FollowUp, Incident, TeamId
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import FollowUpChange
from tocsin.incidents.tasks import Checklist
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.close import FOLLOW_UP_SECONDS
from tocsin.slack.listeners.replies import begin
from tocsin.slack.listeners.targets import authorize, find_incident
from tocsin.slack.listeners.verbs import Invocation, NeedsForm, open_view, submit
from tocsin.slack.payloads import BlockAction, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.followups import issue_modal, read_issue
from tocsin.workflows.command import AnyChange
from tocsin.workflows.followups import ChangeFollowUpCommand
from tocsin.workflows.retry import best_effort


async def listed(context: WorkspaceContext, incident: Incident) -> Checklist:
    """Return what is to be done; an empty checklist if the backend takes longer than half a second."""
    found = Checklist()
    async with best_effort("list what is to be done"), asyncio.timeout(FOLLOW_UP_SECONDS):
        found = await context.workflows.follow_ups.checklists.of(incident)
    return found


async def find_linked(call: Invocation, url: str, text: str) -> FollowUp | None:
    """Return the follow-up that a pasted link belongs to; None if the text is a new one.

    The text names it in full; with a link alone, it is the only one that waits for an issue. Raises NeedsForm
    with a form that has the link if several wait.
    """
    waiting = _waiting((await listed(call.context, call.incident)).items)
    if text:
        named = text.casefold()
        return next((item for item in waiting if " ".join(item.text.split()).casefold() == named), None)
    if len(waiting) > 1:
        raise NeedsForm("Choose the follow-up whose issue this is.", partial(build_issue, url=url))
    return waiting[0] if waiting else None


def _waiting(items: Sequence[FollowUp]) -> list[FollowUp]:
    """Return the follow-ups that are neither done nor have an issue."""
    return [
        item
        for item in items
        if item.kind == "follow_up" and not item.is_done and item.external_issue_reference is None
    ]


async def build_issue(call: Invocation, problem: str, *, chosen: str = "", url: str = "") -> View:
    """Build the form that links an issue to a follow-up."""
    form = await call.context.forms.fetch()
    waiting = _waiting((await listed(call.context, call.incident)).items)
    return issue_modal(form, call.incident, waiting, chosen=chosen, url=url, problem=escape(problem))


async def link_issue(call: Invocation, follow_up_id: str, url: str) -> AnyChange | None:
    """Link an issue to a follow-up; returns None if the command is saved and still running."""
    context = call.context
    by = context.people.meet(call.payload.by)
    command = ChangeFollowUpCommand(
        incident_id=call.incident.id,
        team=TeamId(call.payload.team_id),
        follow_up_id=follow_up_id,
        change=FollowUpChange(key=call.key, by=by, at=context.clock(), issue_url=url),
    )
    change = context.workflows.follow_ups.change
    return await change(command, call.tracker.acknowledged, call.tracker.patience_left())


async def press_link_issue(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Add its link* beside a follow-up."""
    await ack()
    begin(context, action, "open the form to link an issue", _open_issue(context, action))


async def _open_issue(context: WorkspaceContext, action: BlockAction) -> None:
    incident_id, _, follow_up_id = action.value.partition(" ")
    incident = await find_incident(context, incident_id, action.by.slack_user_id)
    await authorize(context, action, Verb.FOLLOW_UP, incident, opening=True)
    call = Invocation(context, action, Verb.FOLLOW_UP, incident)
    await open_view(partial(build_issue, chosen=follow_up_id), call)


async def submit_issue(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the form, which links an issue."""
    follow_up_id, url = read_issue(submission.view.values)
    again, execute = partial(build_issue, chosen=follow_up_id, url=url), partial(_linked, follow_up_id, url)
    await submit(ack, submission, context, tracker, {Verb.FOLLOW_UP}, again, execute)


async def _linked(follow_up_id: str, url: str, call: Invocation) -> AnyChange | None:
    return await link_issue(call, follow_up_id, url)
