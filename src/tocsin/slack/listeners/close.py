"""The verbs `close`, `reopen`, `decline`, `cancel`, `private` and `merge`, and *Keep the channel*."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import islice

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import FollowUp, Incident
from tocsin.incidents.permissions import Verb
from tocsin.incidents.transitions import ENDING_OF_VERB, missing_at_close
from tocsin.incidents.validation import join_names, parse_changed_fields
from tocsin.slack.command_text import as_read, references_in
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.replies import begin, reply_about
from tocsin.slack.listeners.targets import authorize, find_incident, prefixes, resolve_reference
from tocsin.slack.listeners.verbs import Invocation, NeedsForm, VerbSpec, change, submit
from tocsin.slack.payloads import BlockAction, SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape, first_value
from tocsin.slack.views.close import CloseEntered, close_modal, merge_modal, read_close
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.workflows.command import AnyChange
from tocsin.workflows.retry import best_effort

# The verbs with one form: close, reopen, decline, cancel, and make private.

FOLLOW_UP_SECONDS = 0.5
"""Seconds that a form may wait for the list of follow-ups."""


async def _build_close(call: Invocation, problem: str) -> View:
    form = await call.context.forms.fetch()
    undone = await unfinished(call.context, call.incident) if call.verb is Verb.CLOSE else []
    entered = CloseEntered(message=call.text)
    return close_modal(form, call.incident, call.verb, entered, unfinished=undone, problem=escape(problem))


async def _build_close_again(call: Invocation, problem: str, entered: CloseEntered) -> View:
    form = await call.context.forms.fetch()
    return close_modal(form, call.incident, call.verb, entered, problem=escape(problem))


async def unfinished(context: WorkspaceContext, incident: Incident) -> list[FollowUp]:
    """Return the open follow-ups; an empty list if the backend takes longer than half a second."""
    found: list[FollowUp] = []
    async with best_effort("look for what is not done yet"), asyncio.timeout(FOLLOW_UP_SECONDS):
        found += await context.workflows.follow_ups.of(incident.id)
    return [item for item in found if not item.is_done]


async def _end(call: Invocation) -> AnyChange | None:
    """End or reopen the incident; opens the form instead if a field must be answered before it is closed."""
    if call.verb is Verb.CLOSE and call.incident.incident_status.is_open:
        missing = missing_at_close(call.incident, await call.context.forms.fetch())
        if missing:
            names = join_names(field.name for field in missing)
            raise NeedsForm(f"{call.incident.reference} is not closed yet: fill in {names}.")
    return await change(call, ending=ENDING_OF_VERB[call.verb], message=call.text)


async def _end_as_entered(call: Invocation, entered: CloseEntered, seen: str | None) -> AnyChange | None:
    form = await call.context.forms.fetch()
    answers = parse_changed_fields(entered.fields.entries, entered.fields.labels, form)
    return await change(
        call,
        ending=ENDING_OF_VERB[call.verb],
        message=entered.message,
        seen_status_id=seen,
        custom_field_entries=answers,
    )


async def _make_private(call: Invocation, message: str = "") -> AnyChange | None:
    return await change(call, visibility="private", message=message)


async def _confirm(call: Invocation) -> AnyChange | None:
    raise NeedsForm("It is not private yet: press the button if you mean it.")


CLOSE = VerbSpec(
    Verb.CLOSE,
    "/incident close [what resolved it]",
    "closes it",
    build_view=_build_close,
    execute=_end,
)
REOPEN = VerbSpec(
    Verb.REOPEN,
    "/incident reopen",
    "reopens it",
    build_view=_build_close,
    execute=_end,
    no_argument=True,
)
DECLINE = VerbSpec(
    Verb.DECLINE,
    "/incident decline [why]",
    "declines it: it is no incident",
    build_view=_build_close,
    execute=_end,
)
CANCEL = VerbSpec(
    Verb.CANCEL,
    "/incident cancel [why]",
    "cancels what was declared by mistake",
    build_view=_build_close,
    execute=_end,
)
PRIVATE = VerbSpec(
    Verb.PRIVATE,
    "/incident private",
    "makes it private",
    build_view=_build_close,
    execute=_confirm,
)
IN_CLOSE_FORM = frozenset(spec.verb for spec in (CLOSE, REOPEN, DECLINE, CANCEL, PRIVATE))


async def submit_close(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the form of any of these verbs."""
    entered = read_close(submission.view.values)
    seen = VerbMetadata.from_text(submission.view.private_metadata).seen.get("incident_status_id")

    async def execute(call: Invocation) -> AnyChange | None:
        if call.verb is Verb.PRIVATE:
            return await _make_private(call, entered.message)
        return await _end_as_entered(call, entered, seen)

    again = partial(_build_close_again, entered=entered)
    await submit(ack, submission, context, tracker, IN_CLOSE_FORM, again, execute)


# Merging into another incident.


async def _build_merge(call: Invocation, problem: str) -> View:
    others = call.context.open_to(call.person)
    return merge_modal(await call.context.forms.fetch(), call.incident, others, problem=escape(problem))


async def _merge(call: Invocation) -> AnyChange | None:
    for _, reference, message in references_in(call.text, prefixes(call.context)):
        target = await resolve_reference(call.context, reference, call.person)
        if target is not None:
            other = _other(call.incident, target)
            said = as_read(message, call.context.people.names)
            return await change(call, ending="merge", merged_into=other, message=said)
    raise NeedsForm(f"Say which incident {call.incident.reference} is to be merged into.")


def _other(incident: Incident, target: Incident) -> str:
    """Return the reference of the other incident. Raises Refused if it is the same one."""
    if target.id == incident.id:
        raise Refused(f"{incident.reference} cannot be merged into itself.")
    return target.reference


async def _name_both(context: WorkspaceContext, command: SlashCommand, rest: str) -> str:
    """Put the reference of the channel's own incident before a text that names only the other one.

    In the channel of INC-12, `INC-11` is the incident to merge into; `INC-12 INC-11` names both.
    """
    named = [reference for _, reference, _ in islice(references_in(rest, prefixes(context)), 3)]
    own = context.open_now.of_channel(command.channel_id) or await context.find.here(command.channel_id)
    if own is not None and len(named) == 1:
        # The only reference is the other incident's.
        return f"{own.reference} {rest}"
    if own is not None and named and named[0].said.isdecimal():
        return f"#{rest}"
    return rest


MERGE = VerbSpec(
    Verb.MERGE,
    "/incident merge [INC-11]",
    "merges it into that other incident",
    build_view=_build_merge,
    execute=_merge,
    names_people=True,
    prepare=_name_both,
)


async def submit_merge(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the merge form, whose choice is the other incident's id."""
    chosen = first_value(submission.view.values, "merged_into")
    seen = VerbMetadata.from_text(submission.view.private_metadata).seen.get("incident_status_id")

    async def execute(call: Invocation) -> AnyChange | None:
        if not chosen:
            raise Refused(f"Say which incident {call.incident.reference} is to be merged into.")
        other = _other(call.incident, await find_incident(context, chosen, call.person))
        return await change(call, ending="merge", merged_into=other, seen_status_id=seen)

    await submit(ack, submission, context, tracker, {Verb.MERGE}, _build_merge, execute)


# The button below the notice that an ended incident's channel will be archived.


async def keep_channel(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Keep the channel* below the notice."""
    await ack()
    begin(context, action, "keep the channel", _keep(context, action))


async def _keep(context: WorkspaceContext, action: BlockAction) -> None:
    incident = await find_incident(context, action.value, action.by.slack_user_id)
    await authorize(context, action, Verb.KEEP, incident)
    kept = await context.workflows.archiving.keep(incident, context.people.meet(action.by))
    said = "is kept" if kept else "is not to be archived any more"
    await reply_about(context, action, incident, f"The channel of {incident.reference} {said}.")
