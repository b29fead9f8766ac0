"""The path that every verb shares: resolve the incident, authorize, act or open a form, reply."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import Incident, TeamId
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import Ending
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.command_text import as_read
from tocsin.slack.context import AckTracker, WorkspaceContext, being_answered, patience_left
from tocsin.slack.disclosure import listed_to, shown_to
from tocsin.slack.listeners.declare import open_declare
from tocsin.slack.listeners.replies import (
    begin,
    readable,
    reason,
    refuse,
    said_view,
    say_of,
    with_words,
)
from tocsin.slack.listeners.targets import Aim, Uncertain, aimed, allowed, called, checked_roles
from tocsin.slack.payloads import BlockAction, Payload, SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.lists import choose_modal
from tocsin.slack.views.metadata import VerbMetadata, saving_modal
from tocsin.workflows.change import ChangeOrder
from tocsin.workflows.command import AnyChange, Changed, NotChanged

# The way every verb goes: find the incident, ask whether one may, then act at once or open a form.

KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000002")
SAVED = "Saved, not through yet. You will be told when it is."

Act = Callable[[WorkspaceContext, Payload, Incident, str], Awaitable[str]]
Opened = Callable[[WorkspaceContext, Payload, Incident, str], Awaitable[View]]


class Unclear(Refused):
    """What was typed leaves something open that a form can ask for: the verb's own, or the one given."""

    def __init__(self, sentence: str, opened: Opened | None = None) -> None:
        super().__init__(sentence)
        self.opened = opened


@dataclass(frozen=True)
class Way:
    """How a verb is done: at once with what was typed, or in a form."""

    verb: str
    opened: Opened
    """The form; its last argument is a trouble, as plain text."""
    act: Act
    """Does it with the text, and answers in a sentence of plain text. Raises Refused, or Unclear."""
    at_once: bool = False
    """Also without any text."""
    names_people: bool = False
    """Its text is read with the people in it as Slack names them, `<@U1|ana>`."""

    begins_with_choice: bool = False
    """Its text begins with a status, a severity, a role or a person."""

    async def does(self, context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
        """Does it with the text as Slack sent it."""
        read = text if self.names_people else await context.mentions.spell(text, CHECK_SECONDS)
        return await self.act(context, asked, incident, read)


async def go(way: Way, ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """A verb that was typed: it acts at once when there is text, else its form opens."""
    try:
        try:
            aim = await aimed(context, command, rest, is_choice=way.begins_with_choice)
        except Uncertain as uncertain:
            await _ask_which(way, ack, command, rest, context, uncertain)
            return
        if aim is None:
            await _ask_which(way, ack, command, rest, context)
            return
    except TocsinError as error:
        await ack(response_type="ephemeral", text=escape(with_words(reason(error), command, context)))
        return
    await _done(way, ack, command, aim, context)


async def _done(way: Way, ack: AsyncAck, command: SlashCommand, aim: Aim, context: WorkspaceContext) -> None:
    opening = not aim.rest and not way.at_once
    try:
        await allowed(context, command, way.verb, aim.incident, opening=opening)
        if opening:
            await _open(way, ack, command, context, aim.incident)
            return
    except TocsinError as error:
        await ack(response_type="ephemeral", text=escape(reason(error)))
        return
    try:
        sentence = await way.does(context, command, aim.incident, aim.rest)
        sentence = await readable(context, command, aim.incident, sentence)
    except Unclear as unclear:
        asking = replace(way, opened=unclear.opened or way.opened)
        await _open(asking, ack, command, context, aim.incident, unclear.sentence)
        return
    except TocsinError as error:
        sentence = with_words(reason(error), command, context)
    await ack(response_type="ephemeral", text=escape(sentence))


async def _open(
    way: Way,
    ack: AsyncAck,
    command: SlashCommand,
    context: WorkspaceContext,
    incident: Incident,
    trouble: str = "",
) -> None:
    await ack()
    begin(
        context, command, f"open the form to {way.verb}", open_way(way, context, command, incident, trouble)
    )


async def open_way(
    way: Way,
    context: WorkspaceContext,
    asked: SlashCommand | BlockAction,
    incident: Incident,
    trouble: str = "",
) -> None:
    """Open the form of a verb, on top of the modal that was pressed in, if it was one."""
    view = await way.opened(context, asked, incident, trouble)
    about = shown_to(asked.by.slack_user_id, incident)
    if isinstance(asked, BlockAction) and asked.view is not None and asked.view.type == "modal":
        await context.workspace.push_modal(asked.trigger_id or "", view, about)
    else:
        await context.workspace.open_modal(asked.trigger_id or "", view, about)


async def _ask_which(
    way: Way,
    ack: AsyncAck,
    command: SlashCommand,
    rest: str,
    context: WorkspaceContext,
    uncertain: Uncertain | None = None,
) -> None:
    """The incidents that may be meant; without any, the declare form for who typed a name."""
    known = context.open_to(command.by.slack_user_id)
    if known:
        trouble = escape(uncertain.sentence) if uncertain else ""
        await ask(ack, command, context, VerbMetadata(verb=way.verb, rest=rest), known, trouble=trouble)
        return
    example = f"`{command.command} {way.verb} INC-12`"
    if uncertain:
        raise Refused(f"{uncertain.sentence} Name it by its reference, as in {example}.")
    if rest:
        notice = f"No incident is open, so this is taken for a name. For one that is not open: {example}."
        await open_declare(ack, command, command.text, context, notice)
        return
    raise Refused(
        f"No incident is open, and this is no incident's channel. Name one, as in {example}, "
        f"or declare one with `{command.command}`."
    )


async def ask(
    ack: AsyncAck,
    command: SlashCommand,
    context: WorkspaceContext,
    metadata: VerbMetadata,
    incidents: Sequence[Incident],
    **shown: str,
) -> None:
    """Ask what was meant, in a form that carries all that was typed. Raises Refused where it cannot."""
    if metadata.rest:
        metadata = metadata.model_copy(update={"typed": command.text})
    if not metadata.fits:
        raise Refused("This is too long to ask what you mean; begin with the incident's reference.")
    await ack()
    modal = choose_modal(metadata, incidents, typed=typed_before(context, command.command, metadata), **shown)
    about = listed_to(command.by.slack_user_id, incidents)
    opening = context.workspace.open_modal(command.trigger_id, modal, about)
    begin(context, command, "ask what was meant", opening)


def typed_before(context: WorkspaceContext, command: str, metadata: VerbMetadata) -> str:
    """The command as its sender reads it; empty where nothing but a verb was typed."""
    return f"{command} {as_read(metadata.typed, context.people.names)}" if metadata.typed else ""


async def run_from_card(
    way: Way, ack: AsyncAck, action: BlockAction, context: WorkspaceContext, incident_id: str
) -> None:
    """A button on a card: the verb's form, or the verb itself where it asks nothing."""
    await ack()
    begin(context, action, f"{way.verb} from a card", _pressed(way, context, action, incident_id))


async def _pressed(way: Way, context: WorkspaceContext, action: BlockAction, incident_id: str) -> None:
    incident = await called(context, incident_id, action.by.slack_user_id)
    await allowed(context, action, way.verb, incident, opening=not way.at_once)
    if not way.at_once:
        await open_way(way, context, action, incident)
        return
    try:
        sentence = await way.act(context, action, incident, "")
    except Refused as refusal:
        sentence = reason(refusal)
    await say_of(context, action, incident, sentence)


async def changed(context: WorkspaceContext, asked: Payload, incident: Incident, **what: Any) -> str:
    """Make a change and say what came of it, in plain text. Raises Refused with what is wrong."""
    return sentence_of(await change(context, asked, incident, **what))


def sentence_of(outcome: AnyChange | None) -> str:
    """What is said of an outcome. Raises Refused where it was refused."""
    if isinstance(outcome, NotChanged):
        raise Refused(outcome.sentence, outcome.fields)
    return outcome.said if outcome else SAVED


async def change(
    context: WorkspaceContext,
    asked: Payload,
    incident: Incident,
    *,
    ending: Ending | None = None,
    next_update_minutes: int | None = None,
    acknowledged: asyncio.Event | None = None,
    **what: Any,
) -> AnyChange | None:
    """Commit to a change as this person asked for it here; None when it is saved and not through yet."""
    by, roles = context.people.meet(asked.by), what.get("incident_role_assignments") or {}
    # Whoever takes a role was asked about a moment ago.
    others = {role: person for role, person in roles.items() if person != by.slack_user_id}
    assignees = await checked_roles(context, others, private=incident.is_private)
    wanted = IncidentChange(key=key_of(asked), by=by, at=context.clock(), assignees=assignees, **what)
    order = ChangeOrder(
        incident_id=incident.id,
        team=TeamId(asked.team_id),
        change=wanted,
        ending=ending,
        next_update_minutes=next_update_minutes,
    )
    return await context.change(order, acknowledged or being_answered(), patience_left())


def key_of(asked: Payload) -> str:
    """The same for every delivery of one gesture, and for every press of a form that says the same."""
    if isinstance(asked, ViewSubmission):
        said = json.dumps(asked.view.values, sort_keys=True)
        return str(uuid5(KEYS, f"{asked.team_id}/{asked.view.id}/{said}"))
    return str(uuid5(KEYS, f"{asked.team_id}/{asked.trigger_id}"))


# A form about an incident, sent: committed to, and answered in the form with nothing typed lost.

Again = Callable[[Incident, str], Awaitable[View]]
"""The form once more, of the incident as it is now, with what was typed and a trouble in mrkdwn."""

Do = Callable[[Incident], Awaitable[AnyChange | None]]


async def submit_change(
    ack: AsyncAck,
    submission: ViewSubmission,
    context: WorkspaceContext,
    tracker: AckTracker,
    again: Again,
    what: Mapping[str, Any],
    *,
    ending: Ending | None = None,
    next_update_minutes: int | None = None,
    message: str = "",
) -> None:
    """Make the change that a form asks for, unless it asks for none."""
    seen = VerbMetadata.read(submission.view.private_metadata).seen.get("incident_status_id")

    async def do(incident: Incident) -> AnyChange | None:
        if not (what or message.strip() or ending or next_update_minutes is not None):
            raise Refused("Nothing was changed in the form.")
        asked = {**what, "seen_status_id": seen} if ending or what.get("incident_status_id") else dict(what)
        return await change(
            context,
            submission,
            incident,
            ending=ending,
            next_update_minutes=next_update_minutes,
            acknowledged=tracker.acknowledged,
            message=message,
            **asked,
        )

    await submit(ack, submission, context, again, do)


async def submit(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, again: Again, do: Do
) -> None:
    """What a form asks for is done, and the form answers: done, saved, or what to put right."""
    metadata = VerbMetadata.read(submission.view.private_metadata)
    try:
        incident = await called(context, metadata.incident_id, submission.by.slack_user_id)
        await allowed(context, submission, metadata.verb, incident)
        outcome = await do(incident)
    except Refused as refusal:
        outcome = NotChanged(sentence=refusal.sentence, fields=refusal.fields)
    except TocsinError as error:
        outcome = NotChanged(sentence=reason(error))
    if outcome is None:
        await ack(response_action="update", view=saving_modal(incident))
    elif isinstance(outcome, Changed):
        view = await said_view(context, submission, outcome.incident, outcome.said)
        await ack(response_action="update", view=view)
    else:
        await _refuse(ack, submission, context, outcome, again)


async def _refuse(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, refused: NotChanged, again: Again
) -> None:
    """Under the fields that are wrong where all of them are on the screen, else above a form as it is now."""
    shown = submission.view.values
    if refused.fields and not refused.overtaken and all(field in shown for field in refused.fields):
        await ack(response_action="errors", errors=dict(refused.fields))
        return
    metadata = VerbMetadata.read(submission.view.private_metadata)
    now = await context.find.named(metadata.incident_id, submission.by.slack_user_id)
    if now is None:
        await refuse(ack, submission, refused.sentence)
        return
    await ack(response_action="update", view=await again(now, escape(refused.sentence)))
