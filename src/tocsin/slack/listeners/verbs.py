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
from tocsin.slack.context import Delivery, Desk, being_answered, patience_left
from tocsin.slack.disclosure import listed_to, shown_to
from tocsin.slack.listeners.declare import open_declare
from tocsin.slack.listeners.replies import (
    Asked,
    begin,
    readable,
    reason,
    refuse,
    said_view,
    say_of,
    with_words,
)
from tocsin.slack.listeners.targets import Aim, Uncertain, aimed, allowed, called, checked_roles
from tocsin.slack.payloads import Command, Press, Submission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.lists import choose_modal
from tocsin.slack.views.metadata import Errand, saving_modal
from tocsin.workflows.change import ChangeCommand
from tocsin.workflows.command import AnyChange, Changed, NotChanged

# The way every verb goes: find the incident, ask whether one may, then act at once or open a form.

KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000002")
SAVED = "Saved, not through yet. You will be told when it is."

Act = Callable[[Desk, Asked, Incident, str], Awaitable[str]]
Opened = Callable[[Desk, Asked, Incident, str], Awaitable[View]]


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

    async def does(self, desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
        """Does it with the text as Slack sent it."""
        read = text if self.names_people else await desk.mentions.spell(text, CHECK_SECONDS)
        return await self.act(desk, asked, incident, read)


async def go(way: Way, ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """A verb that was typed: it acts at once when there is text, else its form opens."""
    try:
        try:
            aim = await aimed(desk, command, rest, is_choice=way.begins_with_choice)
        except Uncertain as uncertain:
            await _ask_which(way, ack, command, rest, desk, uncertain)
            return
        if aim is None:
            await _ask_which(way, ack, command, rest, desk)
            return
    except TocsinError as error:
        await ack(response_type="ephemeral", text=escape(with_words(reason(error), command, desk)))
        return
    await _done(way, ack, command, aim, desk)


async def _done(way: Way, ack: AsyncAck, command: Command, aim: Aim, desk: Desk) -> None:
    opening = not aim.rest and not way.at_once
    try:
        await allowed(desk, command, way.verb, aim.incident, opening=opening)
        if opening:
            await _open(way, ack, command, desk, aim.incident)
            return
    except TocsinError as error:
        await ack(response_type="ephemeral", text=escape(reason(error)))
        return
    try:
        sentence = await way.does(desk, command, aim.incident, aim.rest)
        sentence = await readable(desk, command, aim.incident, sentence)
    except Unclear as unclear:
        asking = replace(way, opened=unclear.opened or way.opened)
        await _open(asking, ack, command, desk, aim.incident, unclear.sentence)
        return
    except TocsinError as error:
        sentence = with_words(reason(error), command, desk)
    await ack(response_type="ephemeral", text=escape(sentence))


async def _open(
    way: Way, ack: AsyncAck, command: Command, desk: Desk, incident: Incident, trouble: str = ""
) -> None:
    await ack()
    begin(desk, command, f"open the form to {way.verb}", open_way(way, desk, command, incident, trouble))


async def open_way(
    way: Way, desk: Desk, asked: Command | Press, incident: Incident, trouble: str = ""
) -> None:
    """Open the form of a verb, on top of the modal that was pressed in, if it was one."""
    view = await way.opened(desk, asked, incident, trouble)
    about = shown_to(asked.by.slack_user_id, incident)
    if isinstance(asked, Press) and asked.view is not None and asked.view.type == "modal":
        await desk.workspace.push_modal(asked.trigger_id or "", view, about)
    else:
        await desk.workspace.open_modal(asked.trigger_id or "", view, about)


async def _ask_which(
    way: Way, ack: AsyncAck, command: Command, rest: str, desk: Desk, uncertain: Uncertain | None = None
) -> None:
    """The incidents that may be meant; without any, the declare form for who typed a name."""
    known = desk.open_to(command.by.slack_user_id)
    if known:
        trouble = escape(uncertain.sentence) if uncertain else ""
        await ask(ack, command, desk, Errand(verb=way.verb, rest=rest), known, trouble=trouble)
        return
    example = f"`{command.command} {way.verb} INC-12`"
    if uncertain:
        raise Refused(f"{uncertain.sentence} Name it by its reference, as in {example}.")
    if rest:
        notice = f"No incident is open, so this is taken for a name. For one that is not open: {example}."
        await open_declare(ack, command, command.text, desk, notice)
        return
    raise Refused(
        f"No incident is open, and this is no incident's channel. Name one, as in {example}, "
        f"or declare one with `{command.command}`."
    )


async def ask(
    ack: AsyncAck,
    command: Command,
    desk: Desk,
    errand: Errand,
    incidents: Sequence[Incident],
    **shown: str,
) -> None:
    """Ask what was meant, in a form that carries all that was typed. Raises Refused where it cannot."""
    if errand.rest:
        errand = errand.model_copy(update={"typed": command.text})
    if not errand.fits:
        raise Refused("This is too long to ask what you mean; begin with the incident's reference.")
    await ack()
    modal = choose_modal(errand, incidents, typed=typed_before(desk, command.command, errand), **shown)
    about = listed_to(command.by.slack_user_id, incidents)
    opening = desk.workspace.open_modal(command.trigger_id, modal, about)
    begin(desk, command, "ask what was meant", opening)


def typed_before(desk: Desk, command: str, errand: Errand) -> str:
    """The command as its sender reads it; empty where nothing but a verb was typed."""
    return f"{command} {as_read(errand.typed, desk.people.names)}" if errand.typed else ""


async def press(way: Way, ack: AsyncAck, pressed: Press, desk: Desk, incident_id: str) -> None:
    """A button on a card: the verb's form, or the verb itself where it asks nothing."""
    await ack()
    begin(desk, pressed, f"{way.verb} from a card", _pressed(way, desk, pressed, incident_id))


async def _pressed(way: Way, desk: Desk, pressed: Press, incident_id: str) -> None:
    incident = await called(desk, incident_id, pressed.by.slack_user_id)
    await allowed(desk, pressed, way.verb, incident, opening=not way.at_once)
    if not way.at_once:
        await open_way(way, desk, pressed, incident)
        return
    try:
        sentence = await way.act(desk, pressed, incident, "")
    except Refused as refusal:
        sentence = reason(refusal)
    await say_of(desk, pressed, incident, sentence)


async def changed(desk: Desk, asked: Asked, incident: Incident, **what: Any) -> str:
    """Make a change and say what came of it, in plain text. Raises Refused with what is wrong."""
    return sentence_of(await change(desk, asked, incident, **what))


def sentence_of(outcome: AnyChange | None) -> str:
    """What is said of an outcome. Raises Refused where it was refused."""
    if isinstance(outcome, NotChanged):
        raise Refused(outcome.sentence, outcome.fields)
    return outcome.said if outcome else SAVED


async def change(
    desk: Desk,
    asked: Asked,
    incident: Incident,
    *,
    ending: Ending | None = None,
    next_update_minutes: int | None = None,
    acknowledged: asyncio.Event | None = None,
    **what: Any,
) -> AnyChange | None:
    """Commit to a change as this person asked for it here; None when it is saved and not through yet."""
    by, roles = desk.people.meet(asked.by), what.get("incident_role_assignments") or {}
    # Whoever takes a role was asked about a moment ago.
    others = {role: person for role, person in roles.items() if person != by.slack_user_id}
    assignees = await checked_roles(desk, others, private=incident.is_private)
    wanted = IncidentChange(key=key_of(asked), by=by, at=desk.clock(), assignees=assignees, **what)
    order = ChangeCommand(
        incident_id=incident.id,
        team=TeamId(asked.team_id),
        change=wanted,
        ending=ending,
        next_update_minutes=next_update_minutes,
    )
    return await desk.change(order, acknowledged or being_answered(), patience_left())


def key_of(asked: Asked) -> str:
    """The same for every delivery of one gesture, and for every press of a form that says the same."""
    if isinstance(asked, Submission):
        said = json.dumps(asked.view.values, sort_keys=True)
        return str(uuid5(KEYS, f"{asked.team_id}/{asked.view.id}/{said}"))
    return str(uuid5(KEYS, f"{asked.team_id}/{asked.trigger_id}"))


# A form about an incident, sent: committed to, and answered in the form with nothing typed lost.

Again = Callable[[Incident, str], Awaitable[View]]
"""The form once more, of the incident as it is now, with what was typed and a trouble in mrkdwn."""

Do = Callable[[Incident], Awaitable[AnyChange | None]]


async def submit_change(
    ack: AsyncAck,
    submission: Submission,
    desk: Desk,
    delivery: Delivery,
    again: Again,
    what: Mapping[str, Any],
    *,
    ending: Ending | None = None,
    next_update_minutes: int | None = None,
    message: str = "",
) -> None:
    """Make the change that a form asks for, unless it asks for none."""
    seen = Errand.read(submission.view.private_metadata).seen.get("incident_status_id")

    async def do(incident: Incident) -> AnyChange | None:
        if not (what or message.strip() or ending or next_update_minutes is not None):
            raise Refused("Nothing was changed in the form.")
        asked = {**what, "seen_status_id": seen} if ending or what.get("incident_status_id") else dict(what)
        return await change(
            desk,
            submission,
            incident,
            ending=ending,
            next_update_minutes=next_update_minutes,
            acknowledged=delivery.acknowledged,
            message=message,
            **asked,
        )

    await submit(ack, submission, desk, again, do)


async def submit(ack: AsyncAck, submission: Submission, desk: Desk, again: Again, do: Do) -> None:
    """What a form asks for is done, and the form answers: done, saved, or what to put right."""
    errand = Errand.read(submission.view.private_metadata)
    try:
        incident = await called(desk, errand.incident_id, submission.by.slack_user_id)
        await allowed(desk, submission, errand.verb, incident)
        outcome = await do(incident)
    except Refused as refusal:
        outcome = NotChanged(sentence=refusal.sentence, fields=refusal.fields)
    except TocsinError as error:
        outcome = NotChanged(sentence=reason(error))
    if outcome is None:
        await ack(response_action="update", view=saving_modal(incident))
    elif isinstance(outcome, Changed):
        view = await said_view(desk, submission, outcome.incident, outcome.said)
        await ack(response_action="update", view=view)
    else:
        await _refuse(ack, submission, desk, outcome, again)


async def _refuse(
    ack: AsyncAck, submission: Submission, desk: Desk, refused: NotChanged, again: Again
) -> None:
    """Under the fields that are wrong where all of them are on the screen, else above a form as it is now."""
    shown = submission.view.values
    if refused.fields and not refused.overtaken and all(field in shown for field in refused.fields):
        await ack(response_action="errors", errors=dict(refused.fields))
        return
    errand = Errand.read(submission.view.private_metadata)
    now = await desk.find.named(errand.incident_id, submission.by.slack_user_id)
    if now is None:
        await refuse(ack, submission, refused.sentence)
        return
    await ack(response_action="update", view=await again(now, escape(refused.sentence)))
