"""Nudges in an incident's channel, their buttons, and the form that snoozes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    InteractiveElement,
    StaticSelectElement,
)
from slack_sdk.models.views import View

from tocsin.incidents.model import Incident, Person
from tocsin.incidents.nudges import Kind, Nudge, in_words
from tocsin.incidents.permissions import Verb
from tocsin.slack.views.blocks import (
    State,
    date_token,
    first_value,
    link,
    option,
    paragraph,
    plain,
    select_input,
)
from tocsin.slack.views.card import person
from tocsin.slack.views.metadata import VerbMetadata, heading, verb_modal
from tocsin.slack.views.notifications import Message

SNOOZE_MINUTES = 15
"""Minutes by which the reminder for a promised update is put off."""

SNOOZES = (60, 4 * 60, 24 * 60, 7 * 24 * 60)
"""Minutes for which nudges can be snoozed by a menu; others can be typed."""

CALLBACK_ID = "snooze"
WAKE = "0"

_BUTTONS: dict[Kind, tuple[tuple[str, str], ...]] = {
    "no_lead": (("nudge_take_lead", "Take the lead"),),
    "no_update": (("nudge_update", "Give an update"),),
    "stale": (("nudge_close", "Close"), ("nudge_update", "Give an update")),
}


def nudge_message(incident: Incident, nudge: Nudge) -> Message:
    """Build the message that asks for something, with buttons that do it and a menu that snoozes it."""
    said = f"{_sentence(incident, nudge)}"
    if nudge.kind == "next_update":
        return said, [paragraph(said), ActionsBlock(block_id="next_update", elements=_promised(incident))]
    about = f"{nudge.kind} {incident.id}"
    buttons: list[InteractiveElement] = [
        ButtonElement(action_id=action, text=plain(words), value=about, style=None if place else "primary")
        for place, (action, words) in enumerate(_BUTTONS[nudge.kind])
    ]
    snooze = StaticSelectElement(
        action_id="snooze_nudges",
        placeholder=plain("Snooze"),
        options=[option(f"{minutes} {about}", in_words(minutes)) for minutes in SNOOZES],
    )
    return said, [paragraph(said), ActionsBlock(block_id="nudge", elements=[*buttons, snooze])]


def _sentence(incident: Incident, nudge: Nudge) -> str:
    reference, since = f"*{link(incident.permalink, incident.reference)}*", date_token(nudge.since)
    addressed = f"{person(nudge.asked)}: " if nudge.asked is not None else ""
    match nudge.kind:
        case "no_lead":
            return f":bell: {reference} has no lead."
        case "no_update":
            return f":bell: {addressed}no update on {reference} since {since}."
        case "stale":
            return f":bell: {addressed}nothing has changed in {reference} since {since}. Can it be closed?"
        case "next_update":
            who = f"{addressed}an" if addressed else "An"
            return f":alarm_clock: {who} update on {reference} is due."


def _promised(incident: Incident) -> Sequence[InteractiveElement]:
    """Build the buttons of the reminder for a promised update: give it, put it off, take it over, or stop."""
    return [
        ButtonElement(
            action_id="give_update", text=plain("Give an update"), value=incident.id, style="primary"
        ),
        ButtonElement(
            action_id="snooze_update", text=plain(f"In {SNOOZE_MINUTES} minutes"), value=incident.id
        ),
        ButtonElement(action_id="take_over_update", text=plain("I'll do it"), value=incident.id),
        ButtonElement(action_id="stop_updates", text=plain("Stop reminding"), value=incident.id),
    ]


def snoozed_message(incident: Incident, by: Person, until: datetime) -> Message:
    """Build the message that replaces a nudge once it is snoozed."""
    reference = link(incident.permalink, incident.reference)
    said = f":zzz: {person(by)} snoozed the nudges about *{reference}* until {date_token(until)}."
    return said, [paragraph(said)]


def snooze_modal(incident: Incident, chosen: str = "", *, problem: str = "") -> View:
    """Build the form that asks for how long nothing is to be asked about an incident."""
    metadata = VerbMetadata(verb=Verb.SNOOZE, incident_id=incident.id)
    choices = [(str(minutes), in_words(minutes), "") for minutes in SNOOZES]
    choices.append((WAKE, "Not at all: nudge again", ""))
    hint = "Until then this channel is not asked for a lead, for an update, or to close it."
    asked = select_input(
        "minutes", "Snooze for", choices, chosen=[chosen or str(SNOOZES[0])], optional=False, hint=hint
    )
    blocks: list[Block] = [*heading(incident), asked]
    return verb_modal(CALLBACK_ID, "Snooze nudges", metadata, blocks, submit="Snooze", problem=problem)


def read_snooze(state: State) -> str:
    """Return the minutes that were chosen, not validated."""
    return first_value(state, "minutes")
