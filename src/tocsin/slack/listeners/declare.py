"""Declaring: the form opened, filled, checked and submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID, uuid5

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.announcements import announcement_for
from tocsin.incidents.errors import Refused, SlackRefused, TocsinError
from tocsin.incidents.model import ChannelId, Form, Incident, Person, SourceMessage
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import Declaration, DeclareRequest
from tocsin.incidents.validation import is_visible_to, parse_custom_fields, validate_declaration
from tocsin.slack.authorization import CHECK_SECONDS, FRESH_SECONDS, STALE_SECONDS
from tocsin.slack.command_text import as_read
from tocsin.slack.context import MOST_DECLARED, AckTracker, WorkspaceContext
from tocsin.slack.disclosure import NOTHING, Disclosure, listed_to, shown_to
from tocsin.slack.listeners.replies import is_readable, with_typed_text
from tocsin.slack.listeners.targets import validate_roles
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
    FIELD,
    already_modal,
    declare_modal,
    declared_modal,
    error_modal,
    field_choices,
    loading_modal,
    prefill,
    read_declare,
    saved_modal,
    unopened_message,
)
from tocsin.slack.views.message_text import name_and_summary, unnamed, unnamed_author
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.workflows.declaration import AlreadyDeclared, AnyOutcome, DeclareCommand, Declared
from tocsin.workflows.declare import PATIENCE
from tocsin.workflows.notify import too_late
from tocsin.workflows.ports import loop_time
from tocsin.workflows.retry import best_effort

# What has to be known before a declaration is committed to: who declares, and who reads the place.

READ_BY_OTHERS = "people of another organisation read that channel"
UNKNOWN_READERS = "Slack does not say just now who reads that channel"
WITHHELD = {False: "", True: READ_BY_OTHERS, None: UNKNOWN_READERS}
"""Why there is no card, by what Slack says of a channel's being shared."""


async def authorize_declaration(
    command: DeclareCommand, submission: ViewSubmission, context: WorkspaceContext
) -> DeclareCommand:
    """Return the order, with what could not be checked, and without a card where strangers would read it.

    Raises Refused when they may not declare, or give a role to somebody who cannot take it on. Asks Slack
    nothing that is known, and waits a second at most.
    """
    declaration = command.declaration
    private = declaration.visibility == "private"
    roles, within = declaration.incident_role_assignments, FRESH_SECONDS if private else STALE_SECONDS
    unchecked, shared, assignees = await asyncio.gather(
        context.check_permission(submission, Verb.DECLARE, private=private),
        context.shared_channels.is_shared(None if private else command.origin, CHECK_SECONDS),
        # An alarm does not wait for word of somebody who was well within the hour.
        validate_roles(context, roles, private=private, within=within),
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
    """Return True if Slack need not be asked for anything when the form is sent."""
    known = all(context.shared_channels.knows(channel) for channel in _places(context, metadata))
    return known and context.authorizer.knows(payload.by.slack_user_id)


async def prefetch(context: WorkspaceContext, payload: Payload, metadata: DeclareMetadata) -> None:
    """Ask Slack, while the person fills in the form, for all that sending it will need."""
    await asyncio.gather(
        context.authorizer.learn(payload.by.slack_user_id),
        *(
            context.shared_channels.is_shared(channel, CHECK_SECONDS)
            for channel in _places(context, metadata)
        ),
    )


def _places(context: WorkspaceContext, metadata: DeclareMetadata) -> Iterable[ChannelId]:
    """Where a card may go: the channel that it is declared in, and where incidents are announced."""
    return filter(None, [metadata.origin, *context.announced_in])


# Slack did not open a form: the person reads why, and gets a button that opens it.


async def offer_again(
    context: WorkspaceContext, payload: Payload, error: TocsinError, carried: DeclareMetadata
) -> None:
    """Where the person is looking, else in a direct message; a button's press has a trigger of its own."""
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


# Declare an incident: open the form, keep it filled, take what was filled in.

# Every key of ours descends from this name; changing it would make two of what is pending.
KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000001")

MANY = (
    f":warning: You have declared {MOST_DECLARED} incidents within a minute, and this one is "
    "*not declared yet*. If it is one more, press *Declare all the same*; what you typed is all there."
)
NOT_KEPT = "What was typed then was kept for a month, and is not kept any more. Declare it with /incident."


async def open_declare(
    ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext, notice: str = ""
) -> None:
    """`/incident`, alone or with the incident's name."""
    if refusal := context.authorizer.refusal(command.user_id, Verb.DECLARE):
        await ack(response_type="ephemeral", text=escape(with_typed_text(refusal, command, context)))
        return
    await ack()
    metadata = DeclareMetadata(origin=command.channel_id)
    filled = prefill(
        as_read(rest, context.people.names), as_read(rest, context.people.names, addresses=False)
    )
    context.tasks.begin("open the form", open_form(context, command, metadata, filled, notice))


async def open_declare_anywhere(ack: AsyncAck, shortcut: Shortcut, context: WorkspaceContext) -> None:
    """The global shortcut, which comes from no channel."""
    await ack()
    context.tasks.begin("open the form", _open_if_allowed(context, shortcut))


async def open_declare_from_message(ack: AsyncAck, shortcut: Shortcut, context: WorkspaceContext) -> None:
    """The message shortcut: the form is filled from the message, unless that has an incident already."""
    await ack()
    context.tasks.begin("open the form from a message", _open_if_allowed(context, shortcut))


async def _open_if_allowed(context: WorkspaceContext, shortcut: Shortcut) -> None:
    """The form, or the sentence why not; what is not known of the person is asked after it opened."""
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
    """The form with the name and the summary of its context, unless its message has an incident already."""
    source = None if metadata.another else _source(metadata, context)
    earlier = await _find_earlier(payload.team_id, source, payload.by, context)
    if earlier is not None:
        about = shown_to(payload.by.slack_user_id, earlier)
        await _open_modal(
            context, payload, already_modal(earlier, context.clock(), metadata), about, metadata
        )
        return
    filled = DeclareRequest(name=metadata.name, summary=metadata.summary)
    metadata = metadata.model_copy(update={"name": "", "summary": ""})
    await open_form(context, payload, metadata, filled, filling=filling)


async def open_unopened(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Open the form*, where Slack did not open it at the first gesture."""
    await ack()
    metadata = DeclareMetadata.from_text(action.value)
    context.tasks.begin("open the form again", _open_carried(context, action, metadata))


async def _find_earlier(
    team: str, source: SourceMessage | None, by: Person, context: WorkspaceContext
) -> Incident | None:
    """The incident this message already has, if this person may know of it."""
    earlier = None
    if source is not None:
        # When our own records cannot be read, opening the form still matters more.
        async with best_effort("look for an earlier declaration"):
            earlier = await context.declare.declared_from(team, source, by.slack_user_id)
    return earlier if earlier is not None and is_visible_to(by.slack_user_id, earlier) else None


async def declare_another(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Declare another*, on a message that has an incident."""
    await ack()
    if action.view is not None:
        context.tasks.begin("open another form", _show_another(context, action, action.view))


async def _show_another(context: WorkspaceContext, action: BlockAction, view: OpenView) -> None:
    """The form again, with all that was typed in this modal before, else what the message says."""
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
    """*More fields*: the same form with everything on it, and what was typed."""
    await ack()
    if action.view is not None:
        metadata = DeclareMetadata.from_text(action.view.private_metadata).model_copy(
            update={"expanded": True}
        )
        context.tasks.begin(
            "show more fields", _show_form(context, action, metadata, read_declare(action.view.values))
        )


async def fix_and_send(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Fix and send*: the form of a refused declaration, with everything that was typed."""
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
    view = declare_modal(form, metadata, filled, opened=opened)
    about = listed_to(action.by.slack_user_id, opened)
    await context.workspace.update_modal(action.view.id, view, about, seen=action.view.hash)


async def submit_declare(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Check what was filled in, commit to it, and answer in the modal."""
    began = loop_time()
    try:
        form = await context.forms.fetch()
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
        private = command.declaration.visibility == "private"
        await _answer_outcome(ack, submission, outcome, context, private)


def _exceeds_limit(submission: ViewSubmission, context: WorkspaceContext) -> bool:
    key, metadata = (
        _key(submission.team_id, submission.view),
        DeclareMetadata.from_text(submission.view.private_metadata),
    )
    return context.declaration_limiter.exceeds(submission.user.id, key, sure=metadata.sure)


def _ask_to_confirm(submission: ViewSubmission, form: Form, context: WorkspaceContext) -> dict[str, Any]:
    """The form once more, with everything that was typed, and another word on its button."""
    metadata = DeclareMetadata.from_text(submission.view.private_metadata).model_copy(update={"sure": True})
    filled, opened = read_declare(submission.view.values), context.open_to(submission.by.slack_user_id)
    view: dict[str, Any] = declare_modal(form, metadata, filled, problem=MANY, opened=opened).to_dict()
    return {**view, "submit": plain("Declare all the same").to_dict()}


def _order(submission: ViewSubmission, form: Form, context: WorkspaceContext) -> DeclareCommand:
    """The declaration as it will be made. Raises Refused with what is wrong in each field."""
    request = validate_declaration(read_declare(submission.view.values), form)
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
    return DeclareCommand(
        declaration=declaration,
        origin=metadata.origin,
        thread=metadata.thread,
        view_id=submission.view.id,
        another=metadata.another,
        announcement=announcement_for(context.rules, declaration, form),
    )


def _key(team: str, view: OpenView) -> str:
    """The same for every press of one modal, however often and however late."""
    return str(uuid5(KEYS, f"{team}/{view.id}"))


def _source(metadata: DeclareMetadata, context: WorkspaceContext) -> SourceMessage | None:
    if metadata.source_channel is None or metadata.source_ts is None:
        return None
    permalink = context.permalink(metadata.source_channel, metadata.source_ts, metadata.thread)
    return SourceMessage(channel=metadata.source_channel, timestamp=metadata.source_ts, permalink=permalink)


async def _answer_refusal(
    ack: AsyncAck, submission: ViewSubmission, refusal: Refused, context: WorkspaceContext
) -> None:
    """Under the fields that are wrong where they are on the screen, above the name where they are not."""
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
    private: bool,
) -> None:
    if outcome is None:
        await ack(response_action="update", view=saved_modal())
    elif isinstance(outcome, Declared):
        incident = outcome.incident
        name = context.declare.channel_name(incident)
        await ack(response_action="update", view=declared_modal(incident, name, too_late(incident, private)))
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
    """Open the form with nothing asked before; a cold cache shows *loading* first, and fills it.

    So does `filling`, where what the form is filled with has to be asked for: an input that is shown once
    keeps what stands in it (Slack, views.update), so that a name could not be put into it later.
    """
    form, opened = context.forms.now if filling is None else None, context.open_to(payload.by.slack_user_id)
    view = (
        declare_modal(form, metadata, filled, notice=notice, opened=opened)
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
        filled = await filling()
    try:
        form = await context.forms.fetch()
    except TocsinError as error:
        sentence = f"The form could not be fetched: {error} It fills itself in here as soon as it comes."
        if not await context.workspace.update_modal(view_id, error_modal("Not now", sentence), NOTHING):
            return
        form = await context.forms.wait()
    # The list of open incidents is a courtesy, and may have changed while it was waited for.
    view = declare_modal(form, metadata, filled, notice=notice)
    await context.workspace.update_modal(view_id, view, NOTHING)


async def _open_modal(
    context: WorkspaceContext,
    payload: Payload,
    view: View,
    about: Disclosure,
    metadata: DeclareMetadata,
    filled: DeclareRequest | None = None,
) -> str | None:
    """The id of the opened modal; None when Slack did not open it, which the person is told.

    What it was to be filled with is not lost then.
    """
    try:
        return await context.workspace.open_modal(payload.trigger_id or "", view, about)
    except TocsinError as error:
        if filled is not None:
            metadata = metadata.model_copy(update={"name": filled.name, "summary": filled.summary})
        await offer_again(context, payload, error, metadata)
        return None


# Suggest the options of a long menu while somebody types.


async def suggest_options(ack: AsyncAck, suggestion: BlockSuggestion, context: WorkspaceContext) -> None:
    """The options of a long select field that match what is being typed; the backend's own are asked for."""
    form, name = context.forms.now or Form(), suggestion.action_id
    own = name.removeprefix(FIELD)
    field = form.custom_field(own) if name.startswith(FIELD) else form.backend_field(name)
    if field is None or not field.searched:
        await ack(options=matching_options(field_choices(field) if field else (), suggestion.value))
        return
    beside = read_declare(suggestion.view.values).custom_field_entries if suggestion.view else {}
    choices = await context.forms.options(field.id, suggestion.value, beside)
    await ack(options=[option(choice.id, choice.value) for choice in choices[:OPTIONS_LIMIT]])
