"""The verb `page`, which always asks before anything is sent, and the button *Acknowledge*."""

from __future__ import annotations

from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import TeamId
from tocsin.incidents.paging import REASON_LIMIT, UNCONFIGURED, check_pageable, question_before
from tocsin.incidents.parsing import list_choices, match_prefix
from tocsin.incidents.permissions import Verb
from tocsin.slack.command_text import as_read
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.replies import begin, explain, refuse, reply_about
from tocsin.slack.listeners.targets import authorize, find_incident
from tocsin.slack.listeners.verbs import Invocation, NeedsForm, VerbSpec, key_of, sentence_of, submit
from tocsin.slack.payloads import BlockAction, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.slack.views.page import page_modal, page_target_modal, read_page
from tocsin.workflows.command import AnyChange
from tocsin.workflows.paging import PageCommand, SignalCommand


async def _build_page(call: Invocation, problem: str, *, target: str = "", why: str = "") -> View:
    """Build the form that asks before it pages a target, or first the one that asks for the target.

    Raises Refused if no page can be sent for this incident.
    """
    paging, incident = call.context.workflows.paging, call.incident
    if not paging.targets:
        raise Refused(UNCONFIGURED)
    check_pageable(incident)
    if not target and not why:
        target, why, problem = _read_typed(call, problem)
    found = next((one for one in paging.targets if one.name == target), None)
    if found is None:
        names = [one.name for one in paging.targets]
        return page_target_modal(incident, names, why=why, problem=escape(problem))
    before = await paging.last(incident.id, found.name)
    # A refusal asks the same question.
    question = question_before(before, call.context.clock()) if before and not problem else ""
    return page_modal(
        incident,
        found.name,
        found.service,
        why=why,
        before=before,
        question=question,
        tells=found.tells_private or not incident.is_private,
        problem=escape(problem),
    )


def _read_typed(call: Invocation, problem: str) -> tuple[str, str, str]:
    """Return the target that the typed text begins with, the reason after it, and a problem to show."""
    targets = call.context.workflows.paging.targets
    text = as_read(call.text, call.context.people.names).strip().removeprefix("@")
    if not text:
        return targets[0].name if len(targets) == 1 else "", "", problem
    try:
        target, why = match_prefix(text, targets, "target")
    except Refused:
        return "", text, problem or f"It is not clear who is meant. {list_choices(targets)}"
    return target.name, why, problem


async def _ask(call: Invocation) -> AnyChange | None:
    """Raise NeedsForm: no page is sent without the form, whatever was typed."""
    raise NeedsForm("")


PAGE = VerbSpec(
    Verb.PAGE,
    "/incident page [payments why]",
    "pages who is on call, if the configuration names them; it asks before",
    build_view=_build_page,
    execute=_ask,
    asks_first=True,
    begins_with_choice=True,
)


async def submit_page(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle both forms: the first one leads to the second, and the second one pages."""
    metadata = VerbMetadata.from_text(submission.view.private_metadata)
    chosen, why = read_page(submission.view.values)
    if chosen:
        await _ask_again(ack, submission, context, metadata, chosen, why)
        return

    async def execute(call: Invocation) -> AnyChange | None:
        if len(why) > REASON_LIMIT:
            said = f"Shorten this to {REASON_LIMIT} characters; it has {len(why)}."
            raise Refused(said, {"why": said})
        command = PageCommand(
            incident_id=call.incident.id,
            team=TeamId(submission.team_id),
            asked=call.key,
            asked_by=context.people.meet(submission.by),
            at=context.clock(),
            incident=call.incident,
            target=metadata.rest,
            why=why,
            after=metadata.seen.get(metadata.rest, ""),
        )
        return await context.workflows.paging.send(command, tracker.acknowledged, tracker.patience_left())

    again = partial(_build_page, target=metadata.rest, why=why)
    await submit(ack, submission, context, tracker, {Verb.PAGE}, again, execute)


async def _ask_again(
    ack: AsyncAck,
    submission: ViewSubmission,
    context: WorkspaceContext,
    metadata: VerbMetadata,
    target: str,
    why: str,
) -> None:
    """Replace the form that asked for the target by the one that asks if it is to be paged now."""
    try:
        incident = await find_incident(context, metadata.incident_id, submission.by.slack_user_id)
        await authorize(context, submission, Verb.PAGE, incident)
        call = Invocation(context, submission, Verb.PAGE, incident)
        view = await _build_page(call, "", target=target, why=why)
    except TocsinError as error:
        await refuse(ack, submission, explain(error), "target")
        return
    await ack(response_action="update", view=view)


async def press_acknowledge(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Acknowledge* below the message about a page."""
    await ack()
    tracker = AckTracker()
    begin(context, action, "acknowledge a page", _acknowledge(context, action, tracker), tracker)


async def _acknowledge(context: WorkspaceContext, action: BlockAction, tracker: AckTracker) -> None:
    incident_id, _, key = action.value.partition(" ")
    incident = await find_incident(context, incident_id, action.by.slack_user_id)
    await authorize(context, action, Verb.PAGE, incident)
    paging = context.workflows.paging
    page = await paging.find(incident.id, key)
    if page is None:
        raise Refused("That page is not known here any more.")
    command = SignalCommand(
        incident_id=incident.id,
        team=TeamId(action.team_id),
        asked=key_of(action),
        asked_by=context.people.meet(action.by),
        at=context.clock(),
        incident=incident,
        page=page,
        action="acknowledge",
    )
    outcome = await paging.signal(command, tracker.acknowledged, tracker.patience_left())
    await reply_about(context, action, incident, sentence_of(outcome))
