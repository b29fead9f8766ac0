"""Replies that only the person who asked can read, including error messages."""

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
from tocsin.slack.listeners.targets import NoAccess
from tocsin.slack.payloads import Payload, SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.declare import error_modal
from tocsin.slack.views.metadata import done_modal, sentence_modal
from tocsin.slack.views.people import ask_for_access_blocks
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
    """Reply by the payload's `response_url`, or else by direct message; `text` is mrkdwn, escaped already.

    With `instead` the reply replaces the message whose button was pressed. Raises Withheld if the person may
    not read an incident that it is `about`.
    """
    if payload.response_url:
        await context.workspace.reply(payload.response_url, text, about, blocks, instead=instead)
    elif payload.by.slack_user_id:
        await context.workspace.say_to(payload.by.slack_user_id, text, about, blocks)


async def is_readable(context: WorkspaceContext, payload: Payload, incident: Incident) -> bool:
    """True if the person may still see an incident now that the acknowledgement is sent.

    Raises Unavailable if that cannot be checked.
    """
    try:
        await context.workspace.api.check_disclosure(
            shown_to(payload.by.slack_user_id, incident), "acknowledgement"
        )
    except Withheld:
        return False
    return True


async def readable(context: WorkspaceContext, payload: Payload, incident: Incident, sentence: str) -> str:
    """Return the sentence if the person may see the incident, or else one without it. Raises Unavailable."""
    return sentence if await is_readable(context, payload, incident) else NOT_YOURS_NOW


async def build_reply_view(
    context: WorkspaceContext, payload: Payload, incident: Incident, sentence: str
) -> View:
    """Return a modal with an escaped sentence about an incident, as far as the person may see it."""
    sentence = await readable(context, payload, incident, sentence)
    if sentence == NOT_YOURS_NOW:
        return done_modal(sentence)
    (shown,) = await context.as_seen(payload.by.slack_user_id, [incident])
    return sentence_modal(shown, escape(sentence))


async def reply_about(context: WorkspaceContext, payload: Payload, incident: Incident, sentence: str) -> None:
    """Reply with an escaped sentence about an incident, as far as the person may see it."""
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
    """Start a background task after the acknowledgement; its failure is also reported to the person.

    `tracker` is for the reply that the work itself sends: it counts as written at the end of the work.
    """

    async def run() -> None:
        async with best_effort(doing) as failed:
            await work
        if failed:
            sentence = explain(failed[0])
            if isinstance(payload, SlashCommand):
                sentence = with_typed_text(sentence, payload, context)
            blocks = refusal_blocks(failed[0], sentence)
            await reply(context, payload, escape(sentence), NOTHING, blocks)
        if tracker is not None:
            tracker.written()

    context.tasks.begin(doing, run())


async def refuse_command(
    ack: AsyncAck, command: SlashCommand, context: WorkspaceContext, error: TocsinError
) -> None:
    """Answer a command with the reason why nothing was done, with what was typed and a button, if any."""
    sentence = with_typed_text(explain(error), command, context)
    blocks = refusal_blocks(error, sentence) or None
    await ack(response_type="ephemeral", text=escape(sentence), blocks=blocks)


async def refuse(ack: AsyncAck, submission: ViewSubmission, sentence: str, field: str = "") -> None:
    """Answer a submission with an error under its field, or under its first input, or in place of the form.

    Slack does not show an error for a block that is not in the form (response_action: errors).
    """
    shown = submission.view.values
    under = field if field in shown else next(iter(shown), "")
    if under:
        await ack(response_action="errors", errors={under: sentence})
    else:
        await ack(response_action="update", view=error_modal("Not done", sentence))


def with_typed_text(sentence: str, command: SlashCommand, context: WorkspaceContext) -> str:
    """Return the sentence with the typed command added, so that the person can copy it."""
    typed = as_read(command.text, context.people.names)
    return f"{sentence} You had typed: {command.command} {typed}" if typed else sentence


def refusal_blocks(error: BaseException, sentence: str) -> list[Block]:
    """Return the blocks of a refusal with *Ask for access*; an empty list if there is nothing to ask for."""
    return ask_for_access_blocks(sentence) if isinstance(error, NoAccess) and error.may_ask else []


def explain(error: BaseException) -> str:
    """Return the reason of a failure as sentences, with advice if there is any."""
    if isinstance(error, Refused):
        return " ".join([error.sentence, *error.fields.values()])
    if isinstance(error, TocsinError):
        return f"{error} Nothing was changed; please try again."
    return SORRY
