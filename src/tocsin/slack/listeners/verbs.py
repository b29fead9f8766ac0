"""Common flow of all verbs: find the incident, authorize, execute or open a form, and reply."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid5

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import Incident, Person, PersonId, TeamId
from tocsin.incidents.permissions import NOT_SEEN, Verb
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import Ending
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.command_text import as_read
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.disclosure import listed_to, shown_to
from tocsin.slack.listeners.declare import open_declare
from tocsin.slack.listeners.replies import (
    begin,
    build_reply_view,
    explain,
    readable,
    refuse,
    refuse_command,
    reply_about,
    with_typed_text,
)
from tocsin.slack.listeners.targets import (
    Target,
    Uncertain,
    authorize,
    find_incident,
    resolve_target,
    validate_roles,
)
from tocsin.slack.payloads import BlockAction, Payload, SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.lists import choose_modal
from tocsin.slack.views.metadata import VerbMetadata, saving_modal
from tocsin.workflows.change import ChangeCommand
from tocsin.workflows.command import AnyChange, Changed, NotChanged

KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000002")
COMMENT_VIEW = "entity_comment"
"""Type of the view in which a comment is written (Slack, Work Objects: comments)."""
SAVED = "Saved, not through yet. You will be told when it is."


@dataclass(frozen=True)
class Invocation:
    """One use of a verb on an incident, by the person of a payload, with the text that they typed."""

    context: WorkspaceContext
    payload: Payload
    verb: Verb
    incident: Incident
    text: str = ""
    tracker: AckTracker = field(default_factory=AckTracker)
    """Tracks the answer for which the person waits."""

    @property
    def person(self) -> PersonId | None:
        return self.payload.by.slack_user_id

    @property
    def key(self) -> str:
        """Key of the durable command."""
        return key_of(self.payload)


BuildView = Callable[[Invocation, str], Awaitable[View]]
"""Builds the verb's form; the last argument is an error to show above it, as plain text."""

Execute = Callable[[Invocation], Awaitable[AnyChange | None]]
"""Executes the verb with the typed text; returns None if the command is saved and still running.

Raises Refused, or NeedsForm if the text is not enough.
"""

Prepare = Callable[[WorkspaceContext, SlashCommand, str], Awaitable[str]]


@dataclass(frozen=True)
class VerbSpec:
    """A verb of `/incident` about one incident, which is the channel's own or named first in the text."""

    verb: Verb
    usage: str
    does: str
    build_view: BuildView
    execute: Execute
    no_argument: bool = False
    """True if the verb is executed even without text."""
    names_people: bool = False
    """True if the verb gets its text with Slack's mentions (`<@U1|ana>`), not with names."""
    begins_with_choice: bool = False
    """True if its text begins with a status, a severity, a role or a person."""
    asks_first: bool = False
    """True if the verb is executed only by its form, which the typed text fills in."""
    prepare: Prepare | None = None
    """Rewrites the typed text before the incident is searched for in it."""

    async def read(self, context: WorkspaceContext, text: str) -> str:
        """Return the text as the verb needs it; fetches names from Slack for at most a second."""
        return text if self.names_people else await context.mentions.spell(text, CHECK_SECONDS)


@dataclass(frozen=True)
class CommandSpec:
    """A verb of `/incident` that is not about one incident; DECLARE is the command without a verb."""

    verb: Verb
    usage: str
    does: str
    listener: Callable[[AsyncAck, SlashCommand, str, WorkspaceContext], Coroutine[Any, Any, None]]
    """Takes the text after the verb."""
    build_view: Callable[[WorkspaceContext, Payload, str], Awaitable[View]] | None = None
    """Builds the verb's modal from the text after it."""


DECLARE = CommandSpec(
    Verb.DECLARE,
    "/incident [what is wrong]",
    "opens the declare form, with what you typed as the name",
    open_declare,
)


class NeedsForm(Refused):
    """The text is not enough, so a form must be opened: `build_view`, or else the verb's own."""

    def __init__(self, sentence: str, build_view: BuildView | None = None) -> None:
        super().__init__(sentence)
        self.build_view = build_view


# Typed verbs.


async def run_verb(
    spec: VerbSpec,
    ack: AsyncAck,
    command: SlashCommand,
    rest: str,
    context: WorkspaceContext,
    tracker: AckTracker,
) -> None:
    """Run a typed verb: execute it if text follows, or else open its form."""
    if spec.prepare is not None:
        rest = await spec.prepare(context, command, rest)
    call = await _read_command(spec, ack, command, rest, context, tracker)
    if call is None:
        return
    try:
        call = replace(call, text=await spec.read(context, call.text))
        sentence = sentence_of(await spec.execute(call))
        sentence = await readable(context, command, call.incident, sentence)
    except NeedsForm as needs:
        await _open(needs.build_view or spec.build_view, ack, call, needs.sentence)
        return
    except TocsinError as error:
        sentence = with_typed_text(explain(error), command, context)
    await ack(response_type="ephemeral", text=escape(sentence))


async def _read_command(
    spec: VerbSpec,
    ack: AsyncAck,
    command: SlashCommand,
    rest: str,
    context: WorkspaceContext,
    tracker: AckTracker,
) -> Invocation | None:
    """Return the invocation to execute; None if the command has been answered by a form or a refusal."""
    try:
        target = await _target(spec, ack, command, rest, context)
    except TocsinError as error:
        await refuse_command(ack, command, context, error)
        return None
    if target is None:
        return None
    call = Invocation(context, command, spec.verb, target.incident, target.rest, tracker)
    opening = spec.asks_first or (not target.rest and not spec.no_argument)
    try:
        await authorize(context, command, spec.verb, target.incident, opening=opening)
        if not opening:
            return call
        await _open(spec.build_view, ack, call)
    except TocsinError as error:
        await ack(response_type="ephemeral", text=escape(explain(error)))
    return None


async def _target(
    spec: VerbSpec, ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext
) -> Target | None:
    """Return the target incident; None if the person has been asked for it."""
    uncertain = None
    try:
        target = await resolve_target(context, command, rest, is_choice=spec.begins_with_choice)
    except Uncertain as error:
        target, uncertain = None, error
    if target is None:
        await _ask_which(spec.verb, ack, command, rest, context, uncertain)
    return target


async def _open(build_view: BuildView, ack: AsyncAck, call: Invocation, problem: str = "") -> None:
    await ack()
    begin(call.context, call.payload, f"open the form to {call.verb}", open_view(build_view, call, problem))


async def open_view(build_view: BuildView, call: Invocation, problem: str = "") -> None:
    """Open the form of a verb; if its button was pressed in a modal, on top of that modal."""
    view, payload = await build_view(call, problem), call.payload
    about = shown_to(call.person, call.incident)
    if isinstance(payload, BlockAction) and payload.view is not None and payload.view.type == "modal":
        await call.context.workspace.push_modal(payload.trigger_id or "", view, about)
    else:
        await call.context.workspace.open_modal(payload.trigger_id or "", view, about)


async def _ask_which(
    verb: Verb,
    ack: AsyncAck,
    command: SlashCommand,
    rest: str,
    context: WorkspaceContext,
    uncertain: Uncertain | None = None,
) -> None:
    """Ask for the incident in a modal; if none is open, open the declare form with the text as the name."""
    known = context.open_to(command.by.slack_user_id)
    if known:
        problem = escape(uncertain.sentence) if uncertain else ""
        await ask(ack, command, context, VerbMetadata(verb=verb, rest=rest), known, problem=problem)
        return
    example = f"`{command.command} {verb} INC-12`"
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
    """Ask what was meant in a form that carries the typed text. Raises Refused if the text is too long."""
    if metadata.rest:
        metadata = metadata.model_copy(update={"typed": command.text})
    if not metadata.fits:
        raise Refused("This is too long to ask what you mean; begin with the incident's reference.")
    await ack()
    typed = typed_command(context, command.command, metadata)
    modal = choose_modal(metadata, incidents, typed=typed, **shown)
    about = listed_to(command.by.slack_user_id, incidents)
    opening = context.workspace.open_modal(command.trigger_id, modal, about)
    begin(context, command, "ask what was meant", opening)


def typed_command(context: WorkspaceContext, command: str, metadata: VerbMetadata) -> str:
    """Return the command as its sender would read it; empty if only a verb was typed."""
    return f"{command} {as_read(metadata.typed, context.people.names)}" if metadata.typed else ""


# Verbs of buttons and menus.


async def run_from_card(
    spec: VerbSpec, ack: AsyncAck, action: BlockAction, context: WorkspaceContext, incident_id: str
) -> None:
    """Open the form of a verb whose button was pressed on a card, or execute it if it needs no form."""
    await ack()
    tracker = AckTracker()
    work = _run_from_card(spec, action, context, incident_id, tracker)
    begin(context, action, f"{spec.verb} from a card", work, tracker)


async def _run_from_card(
    spec: VerbSpec, action: BlockAction, context: WorkspaceContext, incident_id: str, tracker: AckTracker
) -> None:
    incident = await find_incident(context, incident_id, action.by.slack_user_id)
    await authorize(context, action, spec.verb, incident, opening=not spec.no_argument)
    call = Invocation(context, action, spec.verb, incident, tracker=tracker)
    if not spec.no_argument:
        await open_view(spec.build_view, call)
        return
    try:
        sentence = sentence_of(await spec.execute(call))
    except Refused as refusal:
        sentence = explain(refusal)
    await reply_about(context, action, incident, sentence)


# Changes, which are saved before the person is answered.


def sentence_of(outcome: AnyChange | None) -> str:
    """Return the sentence about an outcome. Raises Refused if the command was refused."""
    if isinstance(outcome, NotChanged):
        raise Refused(outcome.sentence, outcome.fields)
    return outcome.said if outcome else SAVED


async def change(
    call: Invocation,
    *,
    ending: Ending | None = None,
    next_update_minutes: int | None = None,
    others_named: tuple[Person, ...] = (),
    **what: Any,
) -> AnyChange | None:
    """Run the durable command for a change; returns None if it is saved and still running.

    `others_named` are people in the change, besides those who get a role, with their names.
    """
    context = call.context
    by, roles = context.people.meet(call.payload.by), what.get("incident_role_assignments") or {}
    # The person's own account was checked a moment ago, for their permission.
    others = {role: person for role, person in roles.items() if person != by.slack_user_id}
    assignees = await validate_roles(context, others, private=call.incident.is_private)
    command = ChangeCommand(
        incident_id=call.incident.id,
        team=TeamId(call.payload.team_id),
        change=IncidentChange(
            key=call.key, by=by, at=context.clock(), assignees=(*assignees, *others_named), **what
        ),
        ending=ending,
        next_update_minutes=next_update_minutes,
    )
    return await context.workflows.change(command, call.tracker.acknowledged, call.tracker.patience_left())


def key_of(payload: Payload) -> str:
    """Return the key of a payload: the same for each delivery of it and each press of an unchanged form.

    A comment has no form: each press of its button is one comment more.
    """
    if isinstance(payload, ViewSubmission) and payload.view.type != COMMENT_VIEW:
        said = json.dumps(payload.view.values, sort_keys=True)
        return str(uuid5(KEYS, f"{payload.team_id}/{payload.view.id}/{said}"))
    return str(uuid5(KEYS, f"{payload.team_id}/{payload.trigger_id}"))


# Submissions of forms about an incident, answered in the form so that nothing typed is lost.


async def submit(
    ack: AsyncAck,
    submission: ViewSubmission,
    context: WorkspaceContext,
    tracker: AckTracker,
    verbs: Collection[Verb],
    build_view: BuildView,
    execute: Execute,
) -> None:
    """Execute the submission of one of these verbs' forms; answer in it with *done*, *saved* or errors.

    `build_view` builds the form again, for the incident as it is now, with everything that was typed.
    """
    call: Invocation | None = None
    try:
        call = await _read_submission(submission, context, tracker, verbs)
        await authorize(context, submission, call.verb, call.incident)
        outcome = await execute(call)
    except Refused as refusal:
        outcome = NotChanged(sentence=refusal.sentence, fields=refusal.fields)
    except TocsinError as error:
        outcome = NotChanged(sentence=explain(error))
    if isinstance(outcome, Changed):
        view = await build_reply_view(context, submission, outcome.incident, outcome.said)
        await ack(response_action="update", view=view)
    elif isinstance(outcome, NotChanged):
        await _refuse(ack, submission, call, outcome, build_view)
    elif call is not None:
        await ack(response_action="update", view=saving_modal(call.incident))


async def _read_submission(
    submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker, verbs: Collection[Verb]
) -> Invocation:
    """Read the verb and incident of a submission. Raises Refused for a forged form or an unseen incident."""
    metadata = VerbMetadata.from_text(submission.view.private_metadata)
    if metadata.verb is None or metadata.verb not in verbs:
        raise Refused(NOT_SEEN)
    incident = await find_incident(context, metadata.incident_id, submission.by.slack_user_id)
    return Invocation(context, submission, metadata.verb, incident, tracker=tracker)


async def _refuse(
    ack: AsyncAck,
    submission: ViewSubmission,
    call: Invocation | None,
    refused: NotChanged,
    build_view: BuildView,
) -> None:
    """Show errors under their fields if the form shows them all, or else above the rebuilt form."""
    shown = submission.view.values
    if refused.fields and not refused.overtaken and all(field in shown for field in refused.fields):
        await ack(response_action="errors", errors=dict(refused.fields))
        return
    now = await call.context.find.named(call.incident.id, call.person) if call else None
    if call is None or now is None:
        await refuse(ack, submission, refused.sentence)
        return
    view = await build_view(replace(call, incident=now), refused.sentence)
    await ack(response_action="update", view=view)


async def submit_change(
    ack: AsyncAck,
    submission: ViewSubmission,
    context: WorkspaceContext,
    tracker: AckTracker,
    verbs: Collection[Verb],
    build_view: BuildView,
    what: Mapping[str, Any],
    *,
    next_update_minutes: int | None = None,
    message: str = "",
) -> None:
    """Execute the submission of a form that changes fields. Refuses it if nothing was changed."""
    seen = VerbMetadata.from_text(submission.view.private_metadata).seen.get("incident_status_id")

    async def execute(call: Invocation) -> AnyChange | None:
        if not (what or message.strip() or next_update_minutes is not None):
            raise Refused("Nothing was changed in the form.")
        asked = {**what, "seen_status_id": seen} if what.get("incident_status_id") else dict(what)
        return await change(call, next_update_minutes=next_update_minutes, message=message, **asked)

    await submit(ack, submission, context, tracker, verbs, build_view, execute)
