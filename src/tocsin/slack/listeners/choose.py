"""Choices: an incident picked where none was named, a name or a verb, and the card's menu."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import TocsinError
from tocsin.incidents.model import Form, Incident
from tocsin.incidents.requests import DeclareRequest
from tocsin.slack.command_text import First, as_read
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.disambiguation import reads_like_a_name
from tocsin.slack.disclosure import NOTHING
from tocsin.slack.listeners import close, export, find, followups, home, roles, timeline, update
from tocsin.slack.listeners.declare import open_form
from tocsin.slack.listeners.replies import begin, reason, refuse, said_view, with_words
from tocsin.slack.listeners.targets import Uncertain, aimed, allowed, called
from tocsin.slack.listeners.verbs import Unclear, Way, ask, run_from_card, typed_before
from tocsin.slack.payloads import BlockAction, OpenView, Payload, SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape, shortened
from tocsin.slack.views.declare import declare_modal, named
from tocsin.slack.views.lists import choose_modal, read_choose
from tocsin.slack.views.metadata import DeclareMetadata, VerbMetadata

# What was meant, asked and answered: which incident it is about, or whether it was a name.

WAYS: dict[str, Way] = {
    way.verb: way
    for way in (
        update.UPDATE,
        update.STATUS,
        update.SEVERITY,
        roles.LEAD,
        roles.ROLES,
        roles.TAKE,
        update.RENAME,
        update.SUMMARY,
        *close.ENDINGS.values(),
        close.MERGE,
        export.EXPORT,
        export.DOCUMENT,
        timeline.NOTE,
        followups.ACTION,
        followups.FOLLOW_UP,
    )
}

SHOWING: dict[str, Callable[[WorkspaceContext, Payload, str], Awaitable[View]]] = {
    "list": find.listed,
    "find": find.found,
    "show": find.found,
    "help": home.help_view,
}
"""What is only shown, in place of the question."""


async def ask_whether(ack: AsyncAck, command: SlashCommand, first: First, context: WorkspaceContext) -> bool:
    """Ask whether a name is meant by what begins with a verb; False where that is clear, or asked anyway.

    In an incident's channel the question says what would be done to which incident.
    """
    if not reads_like_a_name(first, context.forms.now or Form(), context.people.names):
        return False
    metadata = VerbMetadata(verb=first.word, rest=first.rest)
    way, person = WAYS.get(first.word), command.by.slack_user_id
    try:
        if way is None:
            nothing = "It may be the name of a new incident. Nothing has been done yet."
            await ask(ack, command, context, metadata, (), question=nothing)
            return True
        aim = await aimed(context, command, first.rest)
        if aim is None or aim.is_named:
            return False
        own = aim.incident
        await allowed(context, command, way.verb, own, opening=True)
        others = [known for known in context.open_to(person) if known.id != own.id]
        question = _would(first, own, as_read(first.rest, context.people.names))
        await ask(ack, command, context, metadata, (own, *others), question=question, chosen=own.id)
    except Uncertain:
        return False
    except TocsinError as error:
        await ack(response_type="ephemeral", text=escape(with_words(reason(error), command, context)))
    return True


def _would(first: First, own: Incident, text: str) -> str:
    """What would be done here, in mrkdwn."""
    name, said = shortened(own.name, 100), shortened(text, 200)
    return (
        "It may be the name of a new incident. Nothing has been done yet: *Go on* is the command "
        f"`{first.word}` for *{escape(own.reference)}* {escape(name)}, with “{escape(said)}”."
    )


async def submit_choose(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """The verb's form of the chosen incident, or what came of the text that was typed with the verb."""
    metadata = VerbMetadata.read(submission.view.private_metadata)
    person = submission.by.slack_user_id
    try:
        if metadata.verb in SHOWING:
            text = as_read(metadata.rest, context.people.names)
            view = await SHOWING[metadata.verb](context, submission, text)
            await ack(response_action="update", view=view)
            return
        incident = await called(context, read_choose(submission.view.values), person)
        if metadata.ts:
            sentence = await timeline.keep_message(context, submission, incident, metadata)
            await _said(ack, context, submission, incident, sentence)
            return
        await _go_on(ack, context, submission, incident, metadata)
    except TocsinError as error:
        known = context.open_to(person)
        if not known:
            await refuse(ack, submission, reason(error), "incident_id")
            return
        typed = typed_before(context, "/incident", metadata)
        view = choose_modal(metadata, known, typed=typed, trouble=escape(reason(error)))
        await ack(response_action="update", view=view)


async def _go_on(
    ack: AsyncAck,
    context: WorkspaceContext,
    submission: ViewSubmission,
    incident: Incident,
    metadata: VerbMetadata,
) -> None:
    way = WAYS.get(metadata.verb, update.UPDATE)
    await allowed(context, submission, way.verb, incident)
    trouble, opened = "", way.opened
    if metadata.rest or way.at_once:
        try:
            sentence = await way.does(context, submission, incident, metadata.rest)
            await _said(ack, context, submission, incident, sentence)
            return
        except Unclear as unclear:
            trouble, opened = unclear.sentence, unclear.opened or opened
    await ack(response_action="update", view=await opened(context, submission, incident, trouble))


async def _said(
    ack: AsyncAck, context: WorkspaceContext, submission: ViewSubmission, incident: Incident, sentence: str
) -> None:
    view = await said_view(context, submission, incident, sentence)
    await ack(response_action="update", view=view)


async def declare_instead(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Declare a new incident instead*: what was typed was a name after all."""
    await ack()
    if action.view is not None:
        begin(context, action, "open the form", _declare_instead(context, action.view))


async def declare_named(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Declare … instead*, under a list: what was typed was a name after all."""
    await ack()
    carried = DeclareMetadata.read(action.value)
    filled = DeclareRequest(name=carried.name, summary=carried.summary)
    begin(context, action, "open the form", open_form(context, action, DeclareMetadata(), filled))


async def _declare_instead(context: WorkspaceContext, view: OpenView) -> None:
    typed = VerbMetadata.read(view.private_metadata).typed
    read, words = (as_read(typed, context.people.names, addresses=kept) for kept in (True, False))
    modal = declare_modal(await context.forms.fetch(), DeclareMetadata(), named(read, words))
    await context.workspace.update_modal(view.id, modal, NOTHING, seen=view.hash)


# The menu on a card: what is not pressed often enough for a button of its own.


async def press_menu(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """One line of the menu; its value is the verb and the incident's id."""
    verb, _, incident_id = action.selected_value.partition(" ")
    way = WAYS.get(verb)
    if way is None:
        await ack()
        return
    await run_from_card(way, ack, action, context, incident_id)
