"""People of an incident: the form that invites or removes them, and the list of those who see it."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    InputBlock,
    UserMultiSelectElement,
)
from slack_sdk.models.views import View

from tocsin.incidents.details import seen_by
from tocsin.incidents.model import Form, Incident, Person, PersonId
from tocsin.incidents.permissions import Verb
from tocsin.incidents.validation import join_names
from tocsin.slack.views.blocks import State, context, escape, link, paragraph, plain, shorten, values_of
from tocsin.slack.views.card import channel, person, verb_menu
from tocsin.slack.views.metadata import VerbMetadata, heading, unsupported_blocks, verb_modal
from tocsin.slack.views.notifications import Message

CALLBACK_ID = "people"
PEOPLE = "people"
"""Block of the people that are chosen."""

MOST_LISTED = 40
"""People who are listed by name; the others are counted."""


def seen_by_line(incident: Incident) -> str:
    """Return the line that says who sees a private incident, in mrkdwn; empty for a public one."""
    readers = seen_by(incident)
    if not readers:
        return ""
    named = [f"{person(who)} ({escape(shorten(reason, 100))})" for who, reason in readers[:MOST_LISTED]]
    more = len(readers) - MOST_LISTED
    return f":lock: Seen by {join_names([*named, *([f'{more} more'] if more > 0 else [])])}."


def seen_by_blocks(incident: Incident) -> list[Block]:
    line = seen_by_line(incident)
    return [context(line)] if line else []


def access_message(incident: Incident, who: Person, invited_by: PersonId | None) -> Message:
    """Build the question to the lead if a person may see the private incident."""
    reference = link(incident.permalink, incident.reference)
    if invited_by:
        came = f"{person(Person(slack_user_id=invited_by))} brought {person(who)} into {channel(incident)}"
    else:
        came = f"{person(who)} is in {channel(incident) or 'its channel'} and asks for access"
    said = (
        f":lock: {came}. *{reference}* is private, and Tocsin shows {person(who)} nothing of it yet. "
        "May they see it? If you decline, they are removed from the channel, where Tocsin can do that."
    )
    value = f"{incident.id} {who.slack_user_id or ''}"
    buttons = [
        ButtonElement(action_id="allow_access", text=plain("Allow"), value=value, style="primary"),
        ButtonElement(action_id="decline_access", text=plain("Decline"), value=value),
    ]
    return said, [paragraph(said), ActionsBlock(block_id="access", elements=buttons)]


def decision_message(by: Person, sentence: str) -> Message:
    """Build the message that replaces the question."""
    said = f":lock: {escape(sentence)} Decided by {person(by)}."
    return said, [paragraph(said)]


def ask_for_access_blocks(sentence: str) -> list[Block]:
    """Build the refusal in a private incident's own channel, with the button *Ask for access*."""
    ask = ButtonElement(action_id="ask_for_access", text=plain("Ask for access"), value="ask")
    return [paragraph(escape(sentence)), ActionsBlock(block_id="ask_for_access", elements=[ask])]


def people_buttons(incident: Incident) -> ActionsBlock:
    """Build the buttons below one incident that is shown in full."""
    catch_up = ButtonElement(action_id="catch_up", text=plain("Catch me up"), value=incident.id)
    follow = ButtonElement(action_id="follow_incident", text=plain("Follow"), value=incident.id)
    invite = ButtonElement(action_id="invite_people", text=plain("Invite people"), value=incident.id)
    change_fields = ButtonElement(action_id="change_fields", text=plain("Change fields"), value=incident.id)
    more = verb_menu(incident, {Verb.CALL: "Call link", Verb.TIME: "Timestamps"})
    return ActionsBlock(block_id="people_buttons", elements=[catch_up, follow, invite, change_fields, more])


def people_modal(
    form: Form, incident: Incident, verb: Verb, chosen: Sequence[PersonId] = (), *, problem: str = ""
) -> View:
    """Build the form to invite or to remove people; `problem` is mrkdwn."""
    if verb is Verb.INVITE:
        title, submit, label = "Invite people", "Invite", "People to invite"
        hint = "They are invited to its channel."
        hint += " They see this private incident from then on." if incident.is_private else ""
    else:
        title, submit, label = "Remove people", "Remove", "People to remove"
        hint = "They are removed from its channel, too."
    element = UserMultiSelectElement(
        action_id=PEOPLE,
        initial_users=list(chosen) or None,
        placeholder=plain("Choose people"),
        focus_on_load=True,
    )
    asked = InputBlock(block_id=PEOPLE, label=plain(label), element=element, hint=plain(hint), optional=False)
    blocks = [*heading(incident), *unsupported_blocks(form.lacks, verb), *seen_by_blocks(incident), asked]
    metadata = VerbMetadata(verb=verb, incident_id=incident.id)
    return verb_modal(CALLBACK_ID, title, metadata, blocks, submit=submit, problem=problem)


def read_people(state: State) -> tuple[PersonId, ...]:
    """Return the people that were chosen."""
    return tuple(map(PersonId, values_of(state, PEOPLE)))
