"""Declaring: the form opened, filled, checked and submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID, uuid5

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.announcements import announced
from tocsin.incidents.errors import Refused, SlackRefused, TocsinError
from tocsin.incidents.model import ChannelId, Form, Incident, Person, SourceMessage
from tocsin.incidents.requests import Declaration, DeclareRequest
from tocsin.incidents.validation import answered, declared, visible_to
from tocsin.slack.authorization import CHECK_SECONDS, FRESH_SECONDS, STALE_SECONDS
from tocsin.slack.command_text import as_read
from tocsin.slack.context import MOST_DECLARED, Delivery, Desk
from tocsin.slack.disclosure import NOTHING, Disclosure, listed_to, shown_to
from tocsin.slack.listeners.replies import is_readable, with_words
from tocsin.slack.listeners.targets import checked_roles
from tocsin.slack.payloads import Command, Press, Shortcut, ShownView, Submission, Suggestion
from tocsin.slack.views.blocks import OPTIONS_LIMIT, escape, found, option, plain
from tocsin.slack.views.declare import (
    FIELD,
    already_modal,
    declare_modal,
    declared_modal,
    field_choices,
    loading_modal,
    named,
    read_declare,
    saved_modal,
    sorry_modal,
    unopened_message,
)
from tocsin.slack.views.message_text import name_and_summary, unnamed, unnamed_author
from tocsin.slack.views.metadata import FormContext
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


async def checked(order: DeclareCommand, submission: Submission, desk: Desk) -> DeclareCommand:
    """The order, with what could not be checked, and without a card where strangers would read it.

    Raises Refused when they may not declare, or give a role to somebody who cannot take it on. Asks Slack
    nothing that is known, and waits a second at most.
    """
    declaration = order.declaration
    private = declaration.visibility == "private"
    roles, within = declaration.incident_role_assignments, FRESH_SECONDS if private else STALE_SECONDS
    unchecked, shared, assignees = await asyncio.gather(
        desk.may(submission, "declare", private=private),
        desk.places.is_shared(None if private else order.origin, CHECK_SECONDS),
        # An alarm does not wait for word of somebody who was well within the hour.
        checked_roles(desk, roles, private=private, within=within),
    )
    known = {"reporter": desk.people.meet(declaration.reporter), "assignees": assignees}
    return order.model_copy(
        update={
            "declaration": declaration.model_copy(update=known),
            "unchecked": unchecked,
            "withheld": WITHHELD[shared],
        }
    )


def is_learnt(desk: Desk, gesture: Command | Shortcut | Press, context: FormContext) -> bool:
    """Whether nothing need be asked for them to send the form."""
    known = all(desk.places.knows(channel) for channel in _places(desk, context))
    return known and desk.permits.knows(gesture.by.slack_user_id)


async def learn(desk: Desk, gesture: Command | Shortcut | Press, context: FormContext) -> None:
    """Ask, while somebody fills in the form, what will have to be known when they send it."""
    await asyncio.gather(
        desk.permits.learn(gesture.by.slack_user_id),
        *(desk.places.is_shared(channel, CHECK_SECONDS) for channel in _places(desk, context)),
    )


def _places(desk: Desk, context: FormContext) -> Iterable[ChannelId]:
    """Where a card may go: the channel that it is declared in, and where incidents are announced."""
    return filter(None, [context.origin, *desk.announced_in])


# Slack did not open a form: the person reads why, and gets a button that opens it.


async def say_unopened(
    desk: Desk, gesture: Command | Shortcut | Press, error: TocsinError, carried: FormContext
) -> None:
    """Where the person is looking, else in a direct message; a button's press has a trigger of its own."""
    why = error.sentence if isinstance(error, SlackRefused) else str(error).rstrip(".")
    typed = ""
    if isinstance(gesture, Command) and gesture.text:
        typed = f"{gesture.command} {as_read(gesture.text, desk.people.names)}"
    pressed = gesture.control if isinstance(gesture, Press) else None
    again = (pressed.action_id, pressed.value or "") if pressed is not None else None
    text, blocks = unopened_message(why, typed, carried, again)
    if gesture.response_url:
        await desk.workspace.reply(gesture.response_url, text, NOTHING, blocks)
    elif gesture.by.slack_user_id:
        await desk.workspace.say_to(gesture.by.slack_user_id, text, NOTHING, blocks)


# Declare an incident: open the form, keep it filled, take what was filled in.

# Every key of ours descends from this name; changing it would make two of what is pending.
KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000001")

MANY = (
    f":warning: You have declared {MOST_DECLARED} incidents within a minute, and this one is "
    "*not declared yet*. If it is one more, press *Declare all the same*; what you typed is all there."
)
NOT_KEPT = "What was typed then was kept for a month, and is not kept any more. Declare it with /incident."


async def open_declare(ack: AsyncAck, command: Command, rest: str, desk: Desk, notice: str = "") -> None:
    """`/incident`, alone or with the incident's name."""
    if refusal := desk.permits.refusal(command.user_id, "declare"):
        await ack(response_type="ephemeral", text=escape(with_words(refusal, command, desk)))
        return
    await ack()
    context = FormContext(origin=command.channel_id)
    filled = named(as_read(rest, desk.people.names), as_read(rest, desk.people.names, addresses=False))
    desk.tasks.begin("open the form", open_form(desk, command, context, filled, notice))


async def open_declare_anywhere(ack: AsyncAck, shortcut: Shortcut, desk: Desk) -> None:
    """The global shortcut, which comes from no channel."""
    await ack()
    desk.tasks.begin("open the form", _open_if_allowed(desk, shortcut))


async def open_declare_from_message(ack: AsyncAck, shortcut: Shortcut, desk: Desk) -> None:
    """The message shortcut: the form is filled from the message, unless that has an incident already."""
    await ack()
    desk.tasks.begin("open the form from a message", _open_if_allowed(desk, shortcut))


async def _open_if_allowed(desk: Desk, shortcut: Shortcut) -> None:
    """The form, or the sentence why not; what is not known of the person is asked after it opened."""
    if refusal := desk.permits.refusal(shortcut.user.id, "declare"):
        await _shown(desk, shortcut, sorry_modal("Not declared", refusal), NOTHING, FormContext())
    else:
        await _open_from_message(shortcut, desk)


async def _open_from_message(shortcut: Shortcut, desk: Desk) -> None:
    message, channel = shortcut.message, shortcut.channel
    ts = shortcut.message_ts or message.get("ts")
    if channel is None or not ts:
        await open_form(desk, shortcut, FormContext(), DeclareRequest())
        return
    context = FormContext(
        origin=channel.id, source_channel=channel.id, source_ts=ts, thread=message.get("thread_ts") or ts
    )
    source = _source(context, desk)

    def read() -> DeclareRequest:
        permalink = source.permalink if source else None
        name, summary = name_and_summary(message, permalink, desk.mentions.names)
        return DeclareRequest(name=name, summary=summary)

    async def with_names() -> DeclareRequest:
        await desk.mentions.names_of(unknown | unnamed_author(message, desk.mentions.names), CHECK_SECONDS)
        return read()

    unknown, filled = unnamed(message, desk.mentions.names), read()
    context = context.model_copy(update={"name": filled.name, "summary": filled.summary})
    await _open_carried(desk, shortcut, context, with_names if unknown else None)


Filling = Callable[[], Awaitable[DeclareRequest]]


async def _open_carried(
    desk: Desk, gesture: Shortcut | Press, context: FormContext, filling: Filling | None = None
) -> None:
    """The form with the name and the summary of its context, unless its message has an incident already."""
    source = None if context.another else _source(context, desk)
    earlier = await _earlier(gesture.team_id, source, gesture.by, desk)
    if earlier is not None:
        about = shown_to(gesture.by.slack_user_id, earlier)
        await _shown(desk, gesture, already_modal(earlier, desk.clock(), context), about, context)
        return
    filled = DeclareRequest(name=context.name, summary=context.summary)
    context = context.model_copy(update={"name": "", "summary": ""})
    await open_form(desk, gesture, context, filled, filling=filling)


async def open_unopened(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*Open the form*, where Slack did not open it at the first gesture."""
    await ack()
    context = FormContext.read(press.control.value or "")
    desk.tasks.begin("open the form again", _open_carried(desk, press, context))


async def _earlier(team: str, source: SourceMessage | None, by: Person, desk: Desk) -> Incident | None:
    """The incident this message already has, if this person may know of it."""
    earlier = None
    if source is not None:
        # When our own records cannot be read, opening the form still matters more.
        async with best_effort("look for an earlier declaration"):
            earlier = await desk.declare.declared_from(team, source, by.slack_user_id)
    return earlier if earlier is not None and visible_to(by.slack_user_id, earlier) else None


async def declare_another(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*Declare another*, on a message that has an incident."""
    await ack()
    if press.view is not None:
        desk.tasks.begin("open another form", _show_another(desk, press, press.view))


async def _show_another(desk: Desk, press: Press, view: ShownView) -> None:
    """The form again, with all that was typed in this modal before, else what the message says."""
    context = FormContext.read(view.private_metadata)
    order = await desk.declare.order(_key(press.team_id, view))
    filled = (
        order.declaration.request if order else DeclareRequest(name=context.name, summary=context.summary)
    )
    context = context.model_copy(update={"another": True, "sure": False, "name": "", "summary": ""})
    await _show_form(desk, press, context, filled)


async def more_fields(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*More fields*: the same form with everything on it, and what was typed."""
    await ack()
    if press.view is not None:
        context = FormContext.read(press.view.private_metadata).model_copy(update={"expanded": True})
        desk.tasks.begin(
            "show more fields", _show_form(desk, press, context, read_declare(press.view.values))
        )


async def fix_and_send(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*Fix and send*: the form of a refused declaration, with everything that was typed."""
    await ack()
    desk.tasks.begin("open a refused declaration", _reopen(press, desk))


async def _reopen(press: Press, desk: Desk) -> None:
    order = await desk.declare.order(press.control.value or "")
    if order is None:
        await _shown(desk, press, sorry_modal("Not kept", NOT_KEPT), NOTHING, FormContext())
        return
    if order.declaration.reporter.slack_user_id != press.user.id:
        return
    source = order.declaration.source
    context = FormContext(
        origin=order.origin,
        thread=order.thread,
        another=order.another,
        source_channel=source.channel if source else None,
        source_ts=source.timestamp if source else None,
        expanded=True,
    )
    await open_form(desk, press, context, order.declaration.request)


async def _show_form(desk: Desk, press: Press, context: FormContext, filled: DeclareRequest) -> None:
    assert press.view is not None
    form = await desk.forms.fetch()
    opened = desk.open_to(press.by.slack_user_id)
    view = declare_modal(form, context, filled, opened=opened)
    about = listed_to(press.by.slack_user_id, opened)
    await desk.workspace.update_modal(press.view.id, view, about, seen=press.view.hash)


async def submit_declare(ack: AsyncAck, submission: Submission, desk: Desk, delivery: Delivery) -> None:
    """Check what was filled in, commit to it, and answer in the modal."""
    began = loop_time()
    try:
        form = await desk.forms.fetch()
        order = await checked(_order(submission, form, desk), submission, desk)
        if _swells(submission, desk):
            await ack(response_action="update", view=_asked_whether_sure(submission, form, desk))
            return
        outcome = await desk.declare(order, delivery.acknowledged, PATIENCE - (loop_time() - began))
    except Refused as refusal:
        await _answer_refusal(ack, submission, refusal, desk)
    except TocsinError as error:
        sentence = f"Not saved yet: {error} Press Declare again; it will not be declared twice."
        await ack(response_action="errors", errors={"name": sentence})
    else:
        private = order.declaration.visibility == "private"
        await _answer_outcome(ack, submission, outcome, desk, private)


def _swells(submission: Submission, desk: Desk) -> bool:
    key, context = (
        _key(submission.team_id, submission.view),
        FormContext.read(submission.view.private_metadata),
    )
    return desk.floods.swells(submission.user.id, key, sure=context.sure)


def _asked_whether_sure(submission: Submission, form: Form, desk: Desk) -> dict[str, Any]:
    """The form once more, with everything that was typed, and another word on its button."""
    context = FormContext.read(submission.view.private_metadata).model_copy(update={"sure": True})
    filled, opened = read_declare(submission.view.values), desk.open_to(submission.by.slack_user_id)
    view: dict[str, Any] = declare_modal(form, context, filled, trouble=MANY, opened=opened).to_dict()
    return {**view, "submit": plain("Declare all the same").to_dict()}


def _order(submission: Submission, form: Form, desk: Desk) -> DeclareCommand:
    """The declaration as it will be made. Raises Refused with what is wrong in each field."""
    request = declared(read_declare(submission.view.values), form)
    context = FormContext.read(submission.view.private_metadata)
    custom, own = answered(request, form, {})
    declaration = Declaration(
        key=_key(submission.team_id, submission.view),
        **request.model_dump(exclude={"custom_field_entries", "backend_entries", "labels"}),
        custom_field_entries=custom,
        backend_entries=own,
        slack_team_id=submission.team_id,
        slack_enterprise_id=desk.workspace.home.enterprise,
        source=_source(context, desk),
        reporter=desk.people.meet(submission.by),
        at=desk.clock(),
    )
    return DeclareCommand(
        declaration=declaration,
        origin=context.origin,
        thread=context.thread,
        view_id=submission.view.id,
        another=context.another,
        announcement=announced(desk.rules, declaration, form),
    )


def _key(team: str, view: ShownView) -> str:
    """The same for every press of one modal, however often and however late."""
    return str(uuid5(KEYS, f"{team}/{view.id}"))


def _source(context: FormContext, desk: Desk) -> SourceMessage | None:
    if context.source_channel is None or context.source_ts is None:
        return None
    permalink = desk.permalink(context.source_channel, context.source_ts, context.thread)
    return SourceMessage(channel=context.source_channel, timestamp=context.source_ts, permalink=permalink)


async def _answer_refusal(ack: AsyncAck, submission: Submission, refusal: Refused, desk: Desk) -> None:
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
    ack: AsyncAck, submission: Submission, outcome: AnyOutcome | None, desk: Desk, private: bool
) -> None:
    if outcome is None:
        await ack(response_action="update", view=saved_modal())
    elif isinstance(outcome, Declared):
        incident = outcome.incident
        name = desk.declare.channel_name(incident)
        await ack(response_action="update", view=declared_modal(incident, name, too_late(incident, private)))
    elif isinstance(outcome, AlreadyDeclared):
        context = FormContext.read(submission.view.private_metadata)
        filled = read_declare(submission.view.values)
        context = context.model_copy(update={"name": filled.name, "summary": filled.summary})
        view = already_modal(outcome.incident, desk.clock(), context)
        if not await is_readable(desk, submission, outcome.incident):
            view = sorry_modal("Not declared", "Nothing was declared. Open the form again to declare it.")
        await ack(response_action="update", view=view)
    else:
        await _answer_refusal(ack, submission, Refused(outcome.sentence, outcome.fields), desk)


async def open_form(
    desk: Desk,
    gesture: Command | Shortcut | Press,
    context: FormContext,
    filled: DeclareRequest,
    notice: str = "",
    filling: Filling | None = None,
) -> None:
    """Open the form with nothing asked before; a cold cache shows *loading* first, and fills it.

    So does `filling`, where what the form is filled with has to be asked for: an input that is shown once
    keeps what stands in it (Slack, views.update), so that a name could not be put into it later.
    """
    form, opened = desk.forms.now if filling is None else None, desk.open_to(gesture.by.slack_user_id)
    view = (
        declare_modal(form, context, filled, notice=notice, opened=opened) if form else loading_modal(context)
    )
    about = listed_to(gesture.by.slack_user_id, opened)
    view_id = await _shown(desk, gesture, view, about, context, filled)
    if not is_learnt(desk, gesture, context):
        desk.tasks.begin("learn who declares, and where", learn(desk, gesture, context))
    if form is not None or view_id is None:
        return
    if filling is not None:
        filled = await filling()
    try:
        form = await desk.forms.fetch()
    except TocsinError as error:
        sentence = f"The form could not be fetched: {error} It fills itself in here as soon as it comes."
        if not await desk.workspace.update_modal(view_id, sorry_modal("Not now", sentence), NOTHING):
            return
        form = await desk.forms.awaited()
    # The list of open incidents is a courtesy, and may have changed while it was waited for.
    view = declare_modal(form, context, filled, notice=notice)
    await desk.workspace.update_modal(view_id, view, NOTHING)


async def _shown(
    desk: Desk,
    gesture: Command | Shortcut | Press,
    view: View,
    about: Disclosure,
    context: FormContext,
    filled: DeclareRequest | None = None,
) -> str | None:
    """The id of the opened modal; None when Slack did not open it, which the person is told.

    What it was to be filled with is not lost then.
    """
    try:
        return await desk.workspace.open_modal(gesture.trigger_id or "", view, about)
    except TocsinError as error:
        if filled is not None:
            context = context.model_copy(update={"name": filled.name, "summary": filled.summary})
        await say_unopened(desk, gesture, error, context)
        return None


# Suggest the options of a long menu while somebody types.


async def suggest_options(ack: AsyncAck, suggestion: Suggestion, desk: Desk) -> None:
    """The options of a long select field that match what is being typed; the backend's own are asked for."""
    form, name = desk.forms.now or Form(), suggestion.action_id
    own = name.removeprefix(FIELD)
    field = form.custom_field(own) if name.startswith(FIELD) else form.backend_field(name)
    if field is None or not field.searched:
        await ack(options=found(field_choices(field) if field else (), suggestion.value))
        return
    beside = read_declare(suggestion.view.values).custom_field_entries if suggestion.view else {}
    choices = await desk.forms.options(field.id, suggestion.value, beside)
    await ack(options=[option(choice.id, choice.value) for choice in choices[:OPTIONS_LIMIT]])
