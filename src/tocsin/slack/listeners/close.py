"""Listeners of `close`, `reopen`, `decline`, `cancel`, `private`, `merge`, and of *Keep the channel*."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import FollowUp, Incident
from tocsin.slack.command_text import as_read, references_in
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.replies import begin, say_of
from tocsin.slack.listeners.targets import allowed, called, meant, prefixes
from tocsin.slack.listeners.verbs import (
    Act,
    Opened,
    Unclear,
    Way,
    change,
    changed,
    go,
    run_from_card,
    submit,
    submit_change,
)
from tocsin.slack.payloads import BlockAction, Payload, SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape, one
from tocsin.slack.views.close import close_modal, merge_modal, read_close
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.workflows.command import AnyChange
from tocsin.workflows.retry import best_effort

# End an incident: close, decline, cancel or merge it, make it private; or open it again.

FOLLOW_UP_SECONDS = 0.5
"""How long a form may wait to name what is not done yet."""


def _opened(verb: str) -> Opened:
    async def opened(context: WorkspaceContext, asked: Payload, incident: Incident, trouble: str) -> View:
        form = await context.forms.fetch()
        undone = await unfinished(context, incident) if verb == "close" else []
        return close_modal(form, incident, verb, unfinished=undone, trouble=escape(trouble))

    return opened


def _act(verb: str) -> Act:
    async def act(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
        return await changed(context, asked, incident, message=text, **_asked(verb))

    return act


async def _confirm(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    raise Unclear("It is not private yet: press the button if you mean it.")


def _asked(verb: str) -> dict[str, Any]:
    return {"visibility": "private"} if verb == "private" else {"ending": verb}


async def unfinished(context: WorkspaceContext, incident: Incident) -> list[FollowUp]:
    """What is not done yet, if that is known soon: the form opens without it else."""
    found: list[FollowUp] = []
    async with best_effort("look for what is not done yet"), asyncio.timeout(FOLLOW_UP_SECONDS):
        found += await context.follow_ups.of(incident.id)
    return [item for item in found if not item.is_done]


CLOSE = Way("close", _opened("close"), _act("close"))
REOPEN = Way("reopen", _opened("reopen"), _act("reopen"), at_once=True)
DECLINE = Way("decline", _opened("decline"), _act("decline"))
CANCEL = Way("cancel", _opened("cancel"), _act("cancel"))
PRIVATE = Way("private", _opened("private"), _confirm)
ENDINGS = {way.verb: way for way in (CLOSE, REOPEN, DECLINE, CANCEL, PRIVATE)}


async def close(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident close`, with what resolved it."""
    await go(CLOSE, ack, command, rest, context)


async def reopen(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident reopen`, at once."""
    await go(REOPEN, ack, command, rest, context)


async def decline(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident decline`, with why it is no incident."""
    await go(DECLINE, ack, command, rest, context)


async def cancel(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident cancel`: it was declared by mistake."""
    await go(CANCEL, ack, command, rest, context)


async def make_private(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident private`, which asks first: it cannot be undone."""
    await go(PRIVATE, ack, command, rest, context)


async def press_reopen(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Reopen*, on the card of what is closed."""
    await run_from_card(REOPEN, ack, action, context, action.value)


async def submit_close(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Any of these forms, sent."""
    message, metadata = (
        read_close(submission.view.values),
        VerbMetadata.read(submission.view.private_metadata),
    )
    verb = metadata.verb if metadata.verb in ENDINGS else "close"

    async def again(incident: Incident, trouble: str) -> View:
        form = await context.forms.fetch()
        return close_modal(form, incident, verb, message=message, trouble=trouble)

    asked = _asked(verb)
    ending = asked.pop("ending", None)
    await submit_change(ack, submission, context, tracker, again, asked, ending=ending, message=message)


# Say which other incident this one is part of.


async def _opened_merge(context: WorkspaceContext, asked: Payload, incident: Incident, trouble: str) -> View:
    others = context.open_to(asked.by.slack_user_id)
    return merge_modal(await context.forms.fetch(), incident, others, trouble=escape(trouble))


async def _merge_into(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    for _, reference, message in references_in(text, prefixes(context)):
        target = await meant(context, reference, asked.by.slack_user_id)
        if target is not None:
            other = _other(incident, target)
            said = as_read(message, context.people.names)
            return await changed(context, asked, incident, ending="merge", merged_into=other, message=said)
    raise Unclear(f"Say which incident {incident.reference} is part of.")


def _other(incident: Incident, target: Incident) -> str:
    """The reference of the other incident. Raises Refused where it is the same one."""
    if target.id == incident.id:
        raise Refused(f"{incident.reference} cannot be part of itself.")
    return target.reference


MERGE = Way("merge", _opened_merge, _merge_into, names_people=True)


async def merge(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident merge INC-11`, here; or `INC-12 INC-11`: the first is part of the second."""
    named = [reference for _, reference, _ in islice(references_in(rest, prefixes(context)), 3)]
    own = context.open_now.of_channel(command.channel_id) or await context.find.here(command.channel_id)
    if own is not None and len(named) == 1:
        # The reference is the other incident's, not this one's.
        rest = f"{own.reference} {rest}"
    elif own is not None and named and named[0].said.isdecimal():
        rest = f"#{rest}"
    await go(MERGE, ack, command, rest, context)


async def submit_merge(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """The chosen incident, by its id."""
    chosen = one(submission.view.values, "merged_into")
    person = submission.by.slack_user_id
    seen = VerbMetadata.read(submission.view.private_metadata).seen.get("incident_status_id")

    async def again(incident: Incident, trouble: str) -> View:
        others = context.open_to(person)
        return merge_modal(await context.forms.fetch(), incident, others, trouble=trouble)

    async def do(incident: Incident) -> AnyChange | None:
        if not chosen:
            raise Refused(f"Say which incident {incident.reference} is part of.")
        other = _other(incident, await called(context, chosen, person))
        return await change(
            context,
            submission,
            incident,
            ending="merge",
            merged_into=other,
            seen_status_id=seen,
            acknowledged=tracker.acknowledged,
        )

    await submit(ack, submission, context, again, do)


# The channel of what has ended is to be archived: keep it.


async def keep_channel(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Keep the channel*, under the notice that it is to be archived."""
    await ack()
    begin(context, action, "keep the channel", _keep(context, action))


async def _keep(context: WorkspaceContext, action: BlockAction) -> None:
    incident = await called(context, action.value, action.by.slack_user_id)
    await allowed(context, action, "keep", incident)
    kept = await context.workflows.archiving.keep(incident, context.people.meet(action.by))
    said = "is kept" if kept else "is not to be archived any more"
    await say_of(context, action, incident, f"The channel of {incident.reference} {said}.")
