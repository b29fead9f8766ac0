"""The comments of an incident that is shown below a link (Slack, Work Objects: comments)."""

from __future__ import annotations

import asyncio
from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck

from tocsin.incidents.comments import count_comments, page_of
from tocsin.incidents.errors import Refused, TocsinError, Withheld
from tocsin.incidents.model import Form, Incident, TimelineEntry
from tocsin.incidents.permissions import NOT_SEEN, Verb
from tocsin.incidents.validation import clean_text
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.disclosure import NOTHING
from tocsin.slack.listeners.events import opened_incident, reference_of
from tocsin.slack.listeners.replies import explain, reply, reply_about
from tocsin.slack.listeners.targets import authorize, find_incident
from tocsin.slack.listeners.timeline import add_note, note_of
from tocsin.slack.listeners.verbs import Invocation, sentence_of
from tocsin.slack.payloads import EventCallback, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.message_text import kept_text, unnamed
from tocsin.workflows.command import NOT_YOURS_NOW, Changed
from tocsin.workflows.retry import best_effort

MOST_COMMENTS = 50
"""Most comments of one page."""

POSTED = "work-object-post-comment"
"""Callback id of a posted comment (Slack, Work Objects: comments)."""

LONGEST = 100_000
"""Characters of a comment that are read; the workflow says how many a note may have."""

# Reading.


async def show_details(callback: EventCallback, context: WorkspaceContext) -> None:
    """Show the details of the incident whose preview a person opened (Slack, entity_details_requested)."""
    trigger = callback.event.get("trigger_id")
    if isinstance(trigger, str):
        incident = await opened_incident(callback, context)
        shown = _show_details(context, callback, trigger, incident)
        context.tasks.begin("show what a link leads to", shown)


async def _show_details(
    context: WorkspaceContext, callback: EventCallback, trigger: str, incident: Incident | None
) -> None:
    counted = None
    if incident is not None:
        async with best_effort("count the comments"), asyncio.timeout(CHECK_SECONDS):
            counted = count_comments(await context.find.timeline(incident.id))
    await context.workspace.present(trigger, incident, callback.user, counted)


async def show_comments(callback: EventCallback, context: WorkspaceContext) -> None:
    """Show a page of an incident's notes and updates (Slack, entity_comments_requested).

    An incident that is not there and one that the person may not see are answered alike.
    """
    trigger = callback.event.get("trigger_id")
    if isinstance(trigger, str):
        incident = await opened_incident(callback, context)
        context.tasks.begin("show comments", _show_comments(context, callback, trigger, incident))


async def _show_comments(
    context: WorkspaceContext, callback: EventCallback, trigger: str, incident: Incident | None
) -> None:
    present, event = partial(context.workspace.present_comments, trigger, callback.user), callback.event
    if incident is None or event.get("thread_root_id"):
        # No comment has replies of its own.
        await present(incident)
        return
    limit, cursor = event.get("limit"), event.get("cursor")
    most = min(limit, MOST_COMMENTS) if isinstance(limit, int) and limit > 0 else MOST_COMMENTS
    try:
        timeline = await context.find.timeline(incident.id)
        page = page_of(timeline, cursor if isinstance(cursor, str) else "", most)
        await present(incident, page, can_post=await _may_note(context, callback, incident))
    except Withheld:
        await present(None)
    except TocsinError:
        await present(None, trouble="internal_error")
        raise


async def _may_note(context: WorkspaceContext, callback: EventCallback, incident: Incident) -> bool:
    if Verb.NOTE in (context.forms.now or Form()).lacks:
        return False
    try:
        await context.check_permission(callback, Verb.NOTE, incident)
    except Refused:
        return False
    return True


# Writing.


async def submit_comment(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle a posted comment: a note like any other, saved before the answer, and then acknowledged."""
    posted: tuple[Incident, TimelineEntry] | None = None
    try:
        call = await _read_comment(submission, context, tracker)
        entry = note_of(call, await _text(submission, context))
        outcome = await add_note(call, entry)
        problem = "" if isinstance(outcome, Changed) else sentence_of(outcome)
        posted = None if problem else (call.incident, entry)
    except TocsinError as error:
        problem = explain(error)
    await ack()
    context.tasks.begin("acknowledge a comment", _acknowledge(context, submission, posted, problem))


async def _read_comment(
    submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> Invocation:
    view, person = submission.view, submission.by.slack_user_id
    reference = reference_of(view.external_ref, [view.entity_url or ""], context)
    if reference is None:
        raise Refused(NOT_SEEN)
    incident = await find_incident(context, reference, person)
    await authorize(context, submission, Verb.NOTE, incident)
    return Invocation(context, submission, Verb.NOTE, incident, tracker=tracker)


async def _text(submission: ViewSubmission, context: WorkspaceContext) -> str:
    """Return what was typed as plain text, with the names of those whom it mentions."""
    typed = submission.view.values.get("comment_input_block", {}).get("comment_input_action", {})
    message = {"blocks": [typed.get("rich_text_value")]}
    if strangers := unnamed(message, context.mentions.names):
        await context.mentions.names_of(strangers, CHECK_SECONDS)
    return clean_text(kept_text(message, None, context.mentions.names, LONGEST), lines=True)


async def _acknowledge(
    context: WorkspaceContext,
    submission: ViewSubmission,
    posted: tuple[Incident, TimelineEntry] | None,
    problem: str,
) -> None:
    """Show the comment, or why there is none; by direct message if Slack does not take it here any more."""
    trigger, workspace = submission.trigger_id or "", context.workspace
    async with best_effort("acknowledge a comment") as failed:
        try:
            if posted is not None:
                await workspace.acknowledge_comment(trigger, submission.by.slack_user_id, *posted)
        except Withheld:
            posted, problem = None, NOT_YOURS_NOW
        if posted is None:
            await workspace.refuse_comment(trigger, problem)
    if failed and posted is not None:
        await reply_about(context, submission, posted[0], f"Noted in the timeline of {posted[0].reference}.")
    elif failed:
        await reply(context, submission, escape(problem), NOTHING)
