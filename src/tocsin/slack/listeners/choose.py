"""Questions about an unclear command (incident, or verb or name?), and the menu on a card."""

from __future__ import annotations

from dataclasses import replace

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import Form, Incident
from tocsin.incidents.paging import UNCONFIGURED
from tocsin.incidents.permissions import NOT_SEEN, Verb
from tocsin.incidents.requests import DeclareRequest
from tocsin.slack.command_text import First, as_read
from tocsin.slack.commands import COMMAND, VERBS, Typed
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.disclosure import NOTHING
from tocsin.slack.listeners import timeline
from tocsin.slack.listeners.declare import open_declare, open_form
from tocsin.slack.listeners.export import build_refusal
from tocsin.slack.listeners.replies import begin, build_reply_view, explain, refuse, refuse_command
from tocsin.slack.listeners.targets import Uncertain, authorize, find_incident, resolve_target
from tocsin.slack.listeners.verbs import (
    CommandSpec,
    Invocation,
    NeedsForm,
    VerbSpec,
    ask,
    run_from_card,
    sentence_of,
    typed_command,
)
from tocsin.slack.payloads import BlockAction, OpenView, Payload, SlashCommand, ViewSubmission
from tocsin.slack.verb_or_name import reads_like_a_name
from tocsin.slack.views.blocks import escape, shorten
from tocsin.slack.views.declare import declare_modal, prefill
from tocsin.slack.views.lists import choose_modal, read_choose
from tocsin.slack.views.metadata import DeclareMetadata, VerbMetadata

# The modal that asks for the incident of a command, or if its text is the name of a new incident.


async def ask_if_name(
    ack: AsyncAck, command: SlashCommand, typed: Typed, first: First, context: WorkspaceContext
) -> bool:
    """Ask if a text that begins with a verb is meant as a name; return True if the command is answered.

    Returns False if the text is clearly a command, or if the verb itself asks for its incident. In an
    incident's channel the question shows the command and the incident.
    """
    form, targets = context.forms.now or Form(), context.workflows.paging.targets
    if not reads_like_a_name(first, form, context.people.names, targets):
        return False
    if typed.spec.verb is Verb.PAGE and not targets:
        await open_declare(
            ack, command, command.text, context, f"{UNCONFIGURED} So this is taken for a name."
        )
        return True
    metadata, person = VerbMetadata(verb=typed.spec.verb, rest=first.rest), command.by.slack_user_id
    try:
        if isinstance(typed.spec, CommandSpec):
            nothing = "It may be the name of a new incident. Nothing has been done yet."
            await ask(ack, command, context, metadata, (), question=nothing)
            return True
        target = await resolve_target(context, command, first.rest)
        if target is None or target.is_named:
            return False
        own = target.incident
        await authorize(context, command, typed.spec.verb, own, opening=True)
        others = [known for known in context.open_to(person) if known.id != own.id]
        question = _would(first, own, as_read(first.rest, context.people.names))
        await ask(ack, command, context, metadata, (own, *others), question=question, chosen=own.id)
    except Uncertain:
        return False
    except TocsinError as error:
        await refuse_command(ack, command, context, error)
    return True


def _would(first: First, own: Incident, text: str) -> str:
    """Return the question in mrkdwn, with the command and the incident that it would be about."""
    name, said = shorten(own.name, 100), shorten(text, 200)
    return (
        "It may be the name of a new incident. Nothing has been done yet: *Continue* is the command "
        f"`{first.word}` for *{escape(own.reference)}* {escape(name)}, with “{escape(said)}”."
    )


async def submit_choose(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Show the verb's form for the chosen incident, or the outcome if text was typed with the verb."""
    metadata = VerbMetadata.from_text(submission.view.private_metadata)
    person = submission.by.slack_user_id
    try:
        view = await _chosen(context, submission, metadata, tracker)
    except TocsinError as error:
        known = context.open_to(person)
        if not known:
            await refuse(ack, submission, explain(error), "incident_id")
            return
        typed = typed_command(context, COMMAND, metadata)
        view = choose_modal(metadata, known, typed=typed, problem=escape(explain(error)))
    await ack(response_action="update", view=view)


async def _chosen(
    context: WorkspaceContext, submission: ViewSubmission, metadata: VerbMetadata, tracker: AckTracker
) -> View:
    """Return the view that replaces the question. Raises TocsinError; Refused for a forged form."""
    if metadata.verb is None:
        raise Refused(NOT_SEEN)
    spec = VERBS[metadata.verb]
    if isinstance(spec, CommandSpec):
        return await _shown(spec, context, submission, as_read(metadata.rest, context.people.names))
    incident = await find_incident(context, read_choose(submission.view.values), submission.by.slack_user_id)
    call = Invocation(context, submission, metadata.verb, incident, metadata.rest, tracker)
    if metadata.ts:
        sentence = sentence_of(await timeline.keep_message(call, metadata))
        return await build_reply_view(context, submission, incident, sentence)
    return await _go_on(spec, call)


async def _shown(spec: CommandSpec, context: WorkspaceContext, payload: Payload, text: str) -> View:
    if spec.build_view is None:
        raise Refused(NOT_SEEN)
    return await spec.build_view(context, payload, text)


async def _go_on(spec: VerbSpec, call: Invocation) -> View:
    """Execute the verb if text was typed with it, or build its form; return the view to show."""
    await authorize(call.context, call.payload, spec.verb, call.incident)
    if not (call.text or spec.no_argument):
        return await spec.build_view(call, "")
    try:
        call = replace(call, text=await spec.read(call.context, call.text))
        sentence = sentence_of(await spec.execute(call))
    except NeedsForm as needs:
        return await (needs.build_view or spec.build_view)(call, needs.sentence)
    return await build_reply_view(call.context, call.payload, call.incident, sentence)


async def declare_instead(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Declare a new incident instead*: open the declare form with the typed text as the name."""
    await ack()
    if action.view is not None:
        begin(context, action, "open the form", _declare_instead(context, action.view))


async def declare_named(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Declare … instead* below a list: open the declare form with the typed text as the name."""
    await ack()
    carried = DeclareMetadata.from_text(action.value)
    filled = DeclareRequest(name=carried.name, summary=carried.summary)
    begin(context, action, "open the form", open_form(context, action, DeclareMetadata(), filled))


async def _declare_instead(context: WorkspaceContext, view: OpenView) -> None:
    typed = VerbMetadata.from_text(view.private_metadata).typed
    read, words = (as_read(typed, context.people.names, addresses=kept) for kept in (True, False))
    modal = declare_modal(await context.forms.fetch(), DeclareMetadata(), prefill(read, words))
    await context.workspace.update_modal(view.id, modal, NOTHING, seen=view.hash)


# The menu on a card, with the less frequent actions.


async def press_menu(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle a choice in the menu, whose value is the verb and the incident's id."""
    verb, _, incident_id = action.selected_value.partition(" ")
    spec = VERBS.get(verb)
    if not isinstance(spec, VerbSpec):
        await ack()
        return
    # A line of the menu opens the verb's form, also of a verb that says something if it is typed alone.
    without_form = spec.build_view is build_refusal
    await run_from_card(replace(spec, no_argument=without_form), ack, action, context, incident_id)
