"""Replies that only the person who asked reads, also when something went wrong."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused, TocsinError, Withheld
from tocsin.incidents.model import Incident
from tocsin.slack.command_text import as_read
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.disclosure import NOTHING, Disclosure, shown_to
from tocsin.slack.payloads import Payload, SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.declare import error_modal
from tocsin.slack.views.metadata import done_modal, sentence_modal
from tocsin.workflows.command import NOT_YOURS_NOW
from tocsin.workflows.retry import best_effort

SORRY = "Something went wrong on our side, and nothing was done. Please try again."


async def reply(
    context: WorkspaceContext,
    payload: Payload,
    text: str,
    about: Disclosure,
    blocks: Sequence[Block] = (),
    *,
    instead: bool = False,
) -> None:
    """Answer where the person is looking, else in a direct message; `text` is escaped already.

    With `instead` the answer takes the place of the one that was pressed in. Raises Withheld where they may
    not read what it carries.
    """
    if payload.response_url:
        await context.workspace.reply(payload.response_url, text, about, blocks, instead=instead)
    elif payload.by.slack_user_id:
        await context.workspace.say_to(payload.by.slack_user_id, text, about, blocks)


async def is_readable(context: WorkspaceContext, payload: Payload, incident: Incident) -> bool:
    """Return whether who asked may still read of an incident, now that the acknowledgement goes out.

    Raises Unavailable where that cannot be known.
    """
    try:
        await context.workspace.api.check_disclosure(
            shown_to(payload.by.slack_user_id, incident), "acknowledgement"
        )
    except Withheld:
        return False
    return True


async def readable(context: WorkspaceContext, payload: Payload, incident: Incident, sentence: str) -> str:
    """The sentence about an incident, or one that says nothing of it. Raises Unavailable."""
    return sentence if await is_readable(context, payload, incident) else NOT_YOURS_NOW


async def build_reply_view(
    context: WorkspaceContext, payload: Payload, incident: Incident, sentence: str
) -> View:
    """A modal that says in plain words what was done, if who asked may still read of the incident."""
    sentence = await readable(context, payload, incident, sentence)
    if sentence == NOT_YOURS_NOW:
        return done_modal(sentence)
    (shown,) = await context.as_seen(payload.by.slack_user_id, [incident])
    return sentence_modal(shown, escape(sentence))


async def reply_about(context: WorkspaceContext, payload: Payload, incident: Incident, sentence: str) -> None:
    """Answer in plain words about an incident, if who asked may still read of it."""
    try:
        await reply(context, payload, escape(sentence), shown_to(payload.by.slack_user_id, incident))
    except Withheld:
        await reply(context, payload, NOT_YOURS_NOW, NOTHING)


def begin(
    context: WorkspaceContext,
    payload: Payload,
    doing: str,
    work: Coroutine[Any, Any, Any],
    tracker: AckTracker | None = None,
) -> None:
    """Start work after the acknowledgement; what goes wrong in it is also said to the person.

    `tracker` is of the answer that the work itself gives: it is given once the work is done.
    """

    async def run() -> None:
        async with best_effort(doing) as failed:
            await work
        if failed:
            sentence = explain(failed[0])
            if isinstance(payload, SlashCommand):
                sentence = with_typed_text(sentence, payload, context)
            await reply(context, payload, escape(sentence), NOTHING)
        if tracker is not None:
            tracker.written()

    context.tasks.begin(doing, run())


async def refuse(ack: AsyncAck, submission: ViewSubmission, sentence: str, field: str = "") -> None:
    """Answer a form with a sentence: under the field, else under its first input, else in the form's place.

    An error for a block that is not in the form is one that nobody reads (Slack, response_action: errors).
    """
    shown = submission.view.values
    under = field if field in shown else next(iter(shown), "")
    if under:
        await ack(response_action="errors", errors={under: sentence})
    else:
        await ack(response_action="update", view=error_modal("Not done", sentence))


def with_typed_text(sentence: str, command: SlashCommand, context: WorkspaceContext) -> str:
    """A refusal in which what was typed is not lost."""
    typed = as_read(command.text, context.people.names)
    return f"{sentence} You had typed: {command.command} {typed}" if typed else sentence


def explain(error: BaseException) -> str:
    """Say why it was not done, in plain words, with what to do where that helps."""
    if isinstance(error, Refused):
        return " ".join([error.sentence, *error.fields.values()])
    if isinstance(error, TocsinError):
        return f"{error} Nothing was changed; please try again."
    return SORRY
