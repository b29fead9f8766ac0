"""Listeners of the declare form: open it, fill it, check its submission, and start the workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID, uuid5

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.announcements import announcement_for
from tocsin.incidents.calls import call_for
from tocsin.incidents.errors import Refused, SlackRefused, TocsinError
from tocsin.incidents.model import ChannelId, Form, Incident, Mode, Person, SourceMessage, StartStatus
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import Declaration, DeclareRequest
from tocsin.incidents.validation import is_visible_to, parse_custom_fields, validate_declaration
from tocsin.slack.authorization import CHECK_SECONDS, FRESH_SECONDS, STALE_SECONDS
from tocsin.slack.command_text import as_read
from tocsin.slack.context import MOST_DECLARED, AckTracker, WorkspaceContext
from tocsin.slack.disclosure import NOTHING, Disclosure, listed_to, shown_to
from tocsin.slack.listeners.replies import is_readable, with_typed_text
from tocsin.slack.listeners.targets import validate_roles
from tocsin.slack.listeners.use_channel import check_channel, proposed, usable_channel
from tocsin.slack.payloads import (
    BlockAction,
    BlockSuggestion,
    OpenView,
    Payload,
    Shortcut,
    SlashCommand,
    ViewSubmission,
)
from tocsin.slack.views.blocks import OPTIONS_LIMIT, escape, matching_options, option, plain
from tocsin.slack.views.declare import (
    already_modal,
    asks_for_times,
    declare_modal,
    declared_modal,
    error_modal,
    loading_modal,
    prefill,
    read_declare,
    saved_modal,
    unopened_message,
)
from tocsin.slack.views.fields import FIELD, field_choices
from tocsin.slack.views.message_text import name_and_summary, unnamed, unnamed_author
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.workflows.declaration import AlreadyDeclared, AnyOutcome, DeclareCommand, Declared
from tocsin.workflows.declare import PATIENCE
from tocsin.workflows.notify import too_late
from tocsin.workflows.ports import loop_time
from tocsin.workflows.retry import best_effort

# Checks before a declaration is saved: the reporter's permission, the assignees, and the origin's readers.

READ_BY_OTHERS = "people of another organization read that channel"
UNKNOWN_READERS = "Slack does not say just now who reads that channel"
WITHHELD = {False: "", True: READ_BY_OTHERS, None: UNKNOWN_READERS}
"""Reason for posting no card at the origin, by whether its channel is shared; None if that is not known."""


async def authorize_declaration(
    command: DeclareCommand, submission: ViewSubmission, context: WorkspaceContext
) -> DeclareCommand:
    """Return the command with notes on checks that failed, and without a card in a shared channel.

    Raises Refused if the reporter may not declare, or if a person cannot be given their role. Asks Slack only
    for facts that are not cached, and for at most a second.
    """
    declaration = command.declaration
    private = declaration.visibility == "private"
    roles, within = declaration.incident_role_assignments, FRESH_SECONDS if private else STALE_SECONDS
    unchecked, shared, assignees, _ = await asyncio.gather(
        context.check_permission(submission, Verb.DECLARE, private=private),
        context.shared_channels.is_shared(None if private else command.origin, CHECK_SECONDS),
        # A public declaration accepts cached accounts of the last hour, so that it need not wait for Slack.
        validate_roles(context, roles, private=private, within=within),
        check_channel(context, declaration),
    )
    known = {"reporter": context.people.meet(declaration.reporter), "assignees": assignees}
    return command.model_copy(
        update={
            "declaration": declaration.model_copy(update=known),
            "unchecked": unchecked,
            "withheld": WITHHELD[shared],
        }
    )


def is_prefetched(context: WorkspaceContext, payload: Payload, metadata: DeclareMetadata) -> bool:
    """True if the submission of the form will need no call to Slack."""
    known = all(context.shared_channels.knows(channel) for channel in _places(context, metadata))
    return known and context.authorizer.knows(payload.by.slack_user_id)


async def prefetch(context: WorkspaceContext, payload: Payload, metadata: DeclareMetadata) -> None:
    """Fetch from Slack what the form's submission will need, while the person fills it in."""
    await asyncio.gather(
        context.authorizer.learn(payload.by.slack_user_id),
        *(
            context.shared_channels.is_shared(channel, CHECK_SECONDS)
            for channel in _places(context, metadata)
        ),
    )


def _places(context: WorkspaceContext, metadata: DeclareMetadata) -> Iterable[ChannelId]:
    """Return the channels that may get a card: the origin and the announcement channels."""
    return filter(None, [metadata.origin, *context.announced_in])


# The message to a person for whom Slack did not open a form.


async def offer_again(
    context: WorkspaceContext, payload: Payload, error: TocsinError, carried: DeclareMetadata
) -> None:
    """Send the reason and a button that opens the form: as a reply, or else as a direct message.

    Pressing the button gives a new trigger, with which the form can be opened.
    """
    why = error.sentence if isinstance(error, SlackRefused) else str(error).rstrip(".")
    typed = ""
    if isinstance(payload, SlashCommand) and payload.text:
        typed = f"{payload.command} {as_read(payload.text, context.people.names)}"
    again = (payload.action_id, payload.value) if isinstance(payload, BlockAction) else None
    text, blocks = unopened_message(why, typed, carried, again)
    if payload.response_url:
        await context.workspace.reply(payload.response_url, text, NOTHING, blocks)
    elif payload.by.slack_user_id:
        await context.workspace.say_to(payload.by.slack_user_id, text, NOTHING, blocks)


# The form and its submission.

# Namespace of the keys of declarations. Changing it would declare unfinished ones a second time.
KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000001")

MANY = (
    f"You have declared {MOST_DECLARED} incidents within a minute, and this one is "
    "*not declared yet*. If it is one more, press *Declare all the same*; what you typed is all there."
)
SAY_WHEN = "This incident is retrospective, so say when it happened. It is *not declared yet*."
NOT_KEPT = "What was typed then was kept for a month, and is not kept any more. Declare it with /incident."


async def open_declare(
    ack: AsyncAck,
    command: SlashCommand,
    rest: str,
    context: WorkspaceContext,
    notice: str = "",
    *,
    mode: Mode = "standard",
    status: StartStatus | None = None,
) -> None:
    """Handle `/incident`, alone or with the incident's name; `mode` and `status` are the form's at first."""
    if refusal := context.authorizer.refusal(command.user_id, Verb.DECLARE):
        await ack(response_type="ephemeral", text=escape(with_typed_text(refusal, command, context)))
        return
    await ack()
    metadata = DeclareMetadata(origin=command.channel_id)
    filled = prefill(
        as_read(rest, context.people.names), as_read(rest, context.people.names, addresses=False)
    )
    filled = proposed(context, _starting(filled, mode, status), metadata)
    context.tasks.begin("open the form", open_form(context, command, metadata, filled, notice))


def _starting(filled: DeclareRequest, mode: Mode, status: StartStatus | None) -> DeclareRequest:
    # Without a choice of its own, the form is one that was rendered before.
    usual = mode == "standard" and status is None
    return filled if usual else filled.model_copy(update={"mode": mode, "status": status})


async def open_declare_anywhere(ack: AsyncAck, shortcut: Shortcut, context: WorkspaceContext) -> None:
    """Handle the global shortcut, which has no channel."""
    await ack()
    context.tasks.begin("open the form", _open_if_allowed(context, shortcut))


async def open_declare_from_message(ack: AsyncAck, shortcut: Shortcut, context: WorkspaceContext) -> None:
    """Handle the message shortcut: fill the form from the message, unless it has an incident already."""
    await ack()
    context.tasks.begin("open the form from a message", _open_if_allowed(context, shortcut))


async def _open_if_allowed(context: WorkspaceContext, shortcut: Shortcut) -> None:
    """Open the form, or a modal with the refusal if the person is known not to be allowed to declare.

    Facts about the person that are not cached are fetched after the form has opened.
    """
    if refusal := context.authorizer.refusal(shortcut.user.id, Verb.DECLARE):
        await _open_modal(context, shortcut, error_modal("Not declared", refusal), NOTHING, DeclareMetadata())
    else:
        await _open_from_message(shortcut, context)


async def _open_from_message(shortcut: Shortcut, context: WorkspaceContext) -> None:
    message, channel = shortcut.message, shortcut.channel
    ts = shortcut.message_ts or message.get("ts")
    if channel is None or not ts:
        await open_form(context, shortcut, DeclareMetadata(), DeclareRequest())
        return
    metadata = DeclareMetadata(
        origin=channel.id, source_channel=channel.id, source_ts=ts, thread=message.get("thread_ts") or ts
    )
    source = _source(metadata, context)

    def read() -> DeclareRequest:
        permalink = source.permalink if source else None
        name, summary = name_and_summary(message, permalink, context.mentions.names)
        return DeclareRequest(name=name, summary=summary)

    async def with_names() -> DeclareRequest:
        await context.mentions.names_of(
            unknown | unnamed_author(message, context.mentions.names), CHECK_SECONDS
        )
        return read()

    unknown, filled = unnamed(message, context.mentions.names), read()
    metadata = metadata.model_copy(update={"name": filled.name, "summary": filled.summary})
    await _open_carried(context, shortcut, metadata, with_names if unknown else None)


Filling = Callable[[], Awaitable[DeclareRequest]]


async def _open_carried(
    context: WorkspaceContext,
    payload: Shortcut | BlockAction,
    metadata: DeclareMetadata,
    filling: Filling | None = None,
) -> None:
    """Open the form filled from its metadata, or a modal that shows the incident of its source message."""
    source = None if metadata.another else _source(metadata, context)
    earlier = await _find_earlier(payload.team_id, source, payload.by, context)
    if earlier is not None:
        about = shown_to(payload.by.slack_user_id, earlier)
        await _open_modal(
            context, payload, already_modal(earlier, context.clock(), metadata), about, metadata
        )
        return
    filled = DeclareRequest(name=metadata.name, summary=metadata.summary)
    filled = proposed(context, _starting(filled, metadata.mode, metadata.status), metadata)
    shown: dict[str, Any] = {"name": "", "summary": "", "mode": "standard", "status": None}
    metadata = metadata.model_copy(update=shown)
    await open_form(context, payload, metadata, filled, filling=filling)


async def open_unopened(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Open the form*, the button for a form that Slack did not open at first."""
    await ack()
    metadata = DeclareMetadata.from_text(action.value)
    context.tasks.begin("open the form again", _open_carried(context, action, metadata))


async def _find_earlier(
    team: str, source: SourceMessage | None, by: Person, context: WorkspaceContext
) -> Incident | None:
    """Return the incident declared from this message, if this person may see it."""
    earlier = None
    if source is not None:
        # If our own database cannot be read, the form must open all the same.
        async with best_effort("look for an earlier declaration"):
            earlier = await context.declare.declared_from(team, source, by.slack_user_id)
    return earlier if earlier is not None and is_visible_to(by.slack_user_id, earlier) else None


async def declare_another(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Declare another*, for a message that has an incident already."""
    await ack()
    if action.view is not None:
        context.tasks.begin("open another form", _show_another(context, action, action.view))


async def _show_another(context: WorkspaceContext, action: BlockAction, view: OpenView) -> None:
    """Show the form with what was submitted in this modal before, or else filled from the message."""
    metadata = DeclareMetadata.from_text(view.private_metadata)
    command = await context.declare.find_command(_key(action.team_id, view))
    filled = (
        command.declaration.request
        if command
        else DeclareRequest(name=metadata.name, summary=metadata.summary)
    )
    metadata = metadata.model_copy(update={"another": True, "sure": False, "name": "", "summary": ""})
    await _show_form(context, action, metadata, filled)


async def more_fields(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *More fields*: show the form with all fields, keeping what was typed."""
    await ack()
    if action.view is not None:
        metadata = DeclareMetadata.from_text(action.view.private_metadata).model_copy(
            update={"expanded": True}
        )
        context.tasks.begin(
            "show more fields", _show_form(context, action, metadata, read_declare(action.view.values))
        )


async def fix_and_send(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Fix and send*: open the form of a refused declaration with everything that was typed."""
    await ack()
    context.tasks.begin("open a refused declaration", _reopen(action, context))


async def _reopen(action: BlockAction, context: WorkspaceContext) -> None:
    command = await context.declare.find_command(action.value)
    if command is None:
        await _open_modal(context, action, error_modal("Not kept", NOT_KEPT), NOTHING, DeclareMetadata())
        return
    if command.declaration.reporter.slack_user_id != action.user.id:
        return
    source = command.declaration.source
    metadata = DeclareMetadata(
        origin=command.origin,
        thread=command.thread,
        another=command.another,
        source_channel=source.channel if source else None,
        source_ts=source.timestamp if source else None,
        expanded=True,
    )
    await open_form(context, action, metadata, command.declaration.request)


async def _show_form(
    context: WorkspaceContext, action: BlockAction, metadata: DeclareMetadata, filled: DeclareRequest
) -> None:
    assert action.view is not None
    form = await context.forms.fetch()
    opened = context.open_to(action.by.slack_user_id)
    usable = usable_channel(context, metadata.origin)
    view = declare_modal(form, metadata, filled, opened=opened, usable=usable)
    about = listed_to(action.by.slack_user_id, opened)
    await context.workspace.update_modal(action.view.id, view, about, seen=action.view.hash)


async def submit_declare(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the form: validate it, start the workflow, and answer in the modal."""
    began = loop_time()
    try:
        form = await context.forms.fetch()
        if asks_for_times(read_declare(submission.view.values), form, submission.view.values):
            await ack(response_action="update", view=_with_times(submission, form, context))
            return
        command = await authorize_declaration(_order(submission, form, context), submission, context)
        if _exceeds_limit(submission, context):
            await ack(response_action="update", view=_ask_to_confirm(submission, form, context))
            return
        outcome = await context.declare(command, tracker.acknowledged, PATIENCE - (loop_time() - began))
    except Refused as refusal:
        await _answer_refusal(ack, submission, refusal, context)
    except TocsinError as error:
        sentence = f"Not saved yet: {error} Press Declare again; it will not be declared twice."
        await ack(response_action="errors", errors={"name": sentence})
    else:
        await _answer_outcome(ack, submission, outcome, context, command.declaration)


def _exceeds_limit(submission: ViewSubmission, context: WorkspaceContext) -> bool:
    key, metadata = (
        _key(submission.team_id, submission.view),
        DeclareMetadata.from_text(submission.view.private_metadata),
    )
    return context.declaration_limiter.exceeds(submission.user.id, key, sure=metadata.sure)


def _ask_to_confirm(submission: ViewSubmission, form: Form, context: WorkspaceContext) -> dict[str, Any]:
    """Return the form with everything that was typed, a question, and another label on its button."""
    metadata = DeclareMetadata.from_text(submission.view.private_metadata).model_copy(update={"sure": True})
    filled, opened = read_declare(submission.view.values), context.open_to(submission.by.slack_user_id)
    usable = usable_channel(context, metadata.origin)
    form_again = declare_modal(form, metadata, filled, problem=MANY, opened=opened, usable=usable)
    view: dict[str, Any] = form_again.to_dict()
    return {**view, "submit": plain("Declare all the same").to_dict()}


def _with_times(submission: ViewSubmission, form: Form, context: WorkspaceContext) -> View:
    """Return the form again with everything that was typed, and with the times of what is over."""
    metadata = DeclareMetadata.from_text(submission.view.private_metadata)
    filled, opened = read_declare(submission.view.values), context.open_to(submission.by.slack_user_id)
    return declare_modal(form, metadata, filled, notice=SAY_WHEN, opened=opened)


def _order(submission: ViewSubmission, form: Form, context: WorkspaceContext) -> DeclareCommand:
    """Return the declare command from a submission. Raises Refused with an error for each invalid field."""
    request = validate_declaration(read_declare(submission.view.values), form, context.clock())
    metadata = DeclareMetadata.from_text(submission.view.private_metadata)
    custom, own = parse_custom_fields(request, form, {})
    declaration = Declaration(
        key=_key(submission.team_id, submission.view),
        **request.model_dump(exclude={"custom_field_entries", "backend_entries", "labels"}),
        custom_field_entries=custom,
        backend_entries=own,
        slack_team_id=submission.team_id,
        slack_enterprise_id=context.workspace.home.enterprise,
        source=_source(metadata, context),
        reporter=context.people.meet(submission.by),
        at=context.clock(),
    )
    call_url = call_for(context.calls, declaration, form)
    return DeclareCommand(
        declaration=declaration.model_copy(update={"call_url": call_url}),
        origin=metadata.origin,
        thread=metadata.thread,
        view_id=submission.view.id,
        another=metadata.another,
        announcement=announcement_for(context.rules, declaration, form),
    )


def _key(team: str, view: OpenView) -> str:
    """Return the key of a declaration, which is the same for every press in one modal."""
    return str(uuid5(KEYS, f"{team}/{view.id}"))


def _source(metadata: DeclareMetadata, context: WorkspaceContext) -> SourceMessage | None:
    if metadata.source_channel is None or metadata.source_ts is None:
        return None
    permalink = context.permalink(metadata.source_channel, metadata.source_ts, metadata.thread)
    return SourceMessage(channel=metadata.source_channel, timestamp=metadata.source_ts, permalink=permalink)


async def _answer_refusal(
    ack: AsyncAck, submission: ViewSubmission, refusal: Refused, context: WorkspaceContext
) -> None:
    """Show errors under their fields; errors of fields that the form does not show go under the name."""
    shown = submission.view.values
    under = {field: said for field, said in refusal.fields.items() if field in shown}
    hidden = [said for field, said in refusal.fields.items() if field not in shown]
    if not refusal.fields:
        hidden = [refusal.sentence]
    if hidden:
        under["name"] = " ".join(filter(None, [under.get("name"), *hidden]))
    await ack(response_action="errors", errors=under)


async def _answer_outcome(
    ack: AsyncAck,
    submission: ViewSubmission,
    outcome: AnyOutcome | None,
    context: WorkspaceContext,
    declaration: Declaration,
) -> None:
    if outcome is None:
        await ack(response_action="update", view=saved_modal())
    elif isinstance(outcome, Declared):
        incident, used = outcome.incident, declaration.slack_channel_id
        if used is not None and not (incident.slack_channel_id or incident.is_private):
            # People are in it already, so there is nothing to wait for.
            incident = incident.model_copy(update={"slack_channel_id": used})
        name = context.declare.channel_name(incident)
        problems = too_late(incident, declaration.visibility == "private")
        await ack(response_action="update", view=declared_modal(incident, name, problems))
    elif isinstance(outcome, AlreadyDeclared):
        metadata = DeclareMetadata.from_text(submission.view.private_metadata)
        filled = read_declare(submission.view.values)
        metadata = metadata.model_copy(update={"name": filled.name, "summary": filled.summary})
        view = already_modal(outcome.incident, context.clock(), metadata)
        if not await is_readable(context, submission, outcome.incident):
            view = error_modal("Not declared", "Nothing was declared. Open the form again to declare it.")
        await ack(response_action="update", view=view)
    else:
        await _answer_refusal(ack, submission, Refused(outcome.sentence, outcome.fields), context)


async def open_form(
    context: WorkspaceContext,
    payload: Payload,
    metadata: DeclareMetadata,
    filled: DeclareRequest,
    notice: str = "",
    filling: Filling | None = None,
) -> None:
    """Open the form without any other call before; with an empty cache, open a *loading* view and fill it.

    It does the same if `filling` must first fetch names for the form's initial values: an input that has
    been shown keeps its content (Slack, views.update), so the values could not be set later.
    """
    form, opened = context.forms.now if filling is None else None, context.open_to(payload.by.slack_user_id)
    usable = usable_channel(context, metadata.origin)
    view = (
        declare_modal(form, metadata, filled, notice=notice, opened=opened, usable=usable)
        if form
        else loading_modal(metadata)
    )
    about = listed_to(payload.by.slack_user_id, opened)
    view_id = await _open_modal(context, payload, view, about, metadata, filled)
    if not is_prefetched(context, payload, metadata):
        context.tasks.begin("learn who declares, and where", prefetch(context, payload, metadata))
    if form is not None or view_id is None:
        return
    if filling is not None:
        filled = (await filling()).model_copy(update={"slack_channel_id": filled.slack_channel_id})
    try:
        form = await context.forms.fetch()
    except TocsinError as error:
        sentence = f"The form could not be fetched: {error} It fills itself in here as soon as it comes."
        if not await context.workspace.update_modal(view_id, error_modal("Not now", sentence), NOTHING):
            return
        form = await context.forms.wait()
    # Without the list of open incidents, which is optional and may have changed during the wait.
    view = declare_modal(
        form, metadata, filled, notice=notice, usable=usable_channel(context, metadata.origin)
    )
    await context.workspace.update_modal(view_id, view, NOTHING)


async def _open_modal(
    context: WorkspaceContext,
    payload: Payload,
    view: View,
    about: Disclosure,
    metadata: DeclareMetadata,
    filled: DeclareRequest | None = None,
) -> str | None:
    """Open a modal and return its id; None if Slack did not open it.

    The person is then sent a button that opens the form with the same values.
    """
    try:
        return await context.workspace.open_modal(payload.trigger_id or "", view, about)
    except TocsinError as error:
        if filled is not None:
            carried = filled.model_dump(include={"name", "summary", "mode", "status"})
            metadata = metadata.model_copy(update=carried)
        await offer_again(context, payload, error, metadata)
        return None


# Options of an external select, while the person types.


async def suggest_options(ack: AsyncAck, suggestion: BlockSuggestion, context: WorkspaceContext) -> None:
    """Answer with the options that match the typed text; searched fields are asked from the backend."""
    form, name = context.forms.now or Form(), suggestion.action_id
    own = name.removeprefix(FIELD)
    field = form.custom_field(own) if name.startswith(FIELD) else form.backend_field(name)
    if field is None or not field.searched:
        await ack(options=matching_options(field_choices(field) if field else (), suggestion.value))
        return
    beside = read_declare(suggestion.view.values).custom_field_entries if suggestion.view else {}
    choices = await context.forms.options(field.id, suggestion.value, beside)
    await ack(options=[option(choice.id, choice.value) for choice in choices[:OPTIONS_LIMIT]])
