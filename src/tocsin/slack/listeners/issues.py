"""Issues of follow-ups: links that people paste, *Add its link*, *Change its link*, and their form."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from uuid import uuid5

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, FollowUp, Incident, MessageTs, TeamId
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import FollowUpChange
from tocsin.incidents.tasks import Checklist
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.close import FOLLOW_UP_SECONDS
from tocsin.slack.listeners.replies import begin
from tocsin.slack.listeners.targets import authorize, find_incident
from tocsin.slack.listeners.verbs import KEYS, Invocation, NeedsForm, open_view, submit
from tocsin.slack.payloads import BlockAction, EventCallback, ViewSubmission
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
    """Build the form that links an issue to a follow-up, in place of the one that it has."""
    form = await call.context.forms.fetch()
    items = (await listed(call.context, call.incident)).items
    linkable = [item for item in items if item.kind == "follow_up" and not item.is_done]
    return issue_modal(form, call.incident, linkable, chosen=chosen, url=url, problem=escape(problem))


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
    """Handle *Add its link* and *Change its link* beside a follow-up."""
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


# Links to the tracker in replies to a follow-up's message.


async def link_from_reply(callback: EventCallback, context: WorkspaceContext) -> None:
    """Link the issue that a person pasted in the thread of a follow-up's message (Slack, link_shared).

    Nothing happens if the follow-up has an issue already, or if the message has several links to the tracker.
    """
    place, thread = callback.event.get("channel"), callback.event.get("thread_ts")
    url = _pasted(callback, context)
    if url is None or not isinstance(place, str) or not isinstance(thread, str):
        return
    channel, follow_ups = ChannelId(place), context.workflows.follow_ups
    incident = context.open_now.of_channel(channel) or await context.find.here(channel)
    if incident is None:
        return
    follow_up_id = await follow_ups.posted_as(incident.id, channel, MessageTs(thread))
    waiting = _waiting((await listed(context, incident)).items) if follow_up_id else []
    if not any(item.id == follow_up_id for item in waiting):
        return
    with contextlib.suppress(Refused):
        await context.check_permission(callback, Verb.FOLLOW_UP, incident)
        key = str(uuid5(KEYS, f"{callback.team_id}/{callback.event_id}"))
        by = context.people.meet(callback.by)
        change = FollowUpChange(key=key, by=by, at=context.clock(), issue_url=url)
        team, found = TeamId(callback.team_id), follow_up_id or ""
        await follow_ups.change(
            ChangeFollowUpCommand(incident_id=incident.id, team=team, follow_up_id=found, change=change)
        )


def _pasted(callback: EventCallback, context: WorkspaceContext) -> str | None:
    """Return the event's only link to the tracker; None if there is not one."""
    tracker, links = context.workflows.follow_ups.checklists.tracker, callback.event.get("links")
    if tracker is None or callback.user is None or not isinstance(links, list):
        return None
    found = {link.get("url") for link in links if isinstance(link, dict)}
    urls = [url for url in found if isinstance(url, str) and tracker.has(url)]
    return urls[0] if len(urls) == 1 else None
