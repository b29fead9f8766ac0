"""Forms of follow-ups and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from slack_sdk.models.blocks import (
    Block,
    ButtonElement,
    ContextBlock,
    DividerBlock,
    MarkdownTextObject,
    SectionBlock,
)
from slack_sdk.models.views import View

from tocsin.incidents.model import FollowUp, Form, Incident, PersonId
from tocsin.incidents.permissions import Verb
from tocsin.slack.views.blocks import (
    State,
    escape,
    first_value,
    paragraph,
    person_input,
    plain,
    shorten,
    text_input,
)
from tocsin.slack.views.card import person
from tocsin.slack.views.metadata import VerbMetadata, heading, unsupported_blocks, verb_modal

# Actions (during an incident) and follow-ups (after it).

FOLLOW_UP_CALLBACK_ID = "follow_up"
SHOWN = 20
Kind = Literal["action", "follow_up"]
TITLES: dict[Kind, str] = {"action": "Actions", "follow_up": "Follow-ups"}


def follow_up_modal(
    form: Form,
    incident: Incident,
    verb: Verb,
    listed: Sequence[FollowUp],
    *,
    text: str = "",
    assignee: PersonId | None = None,
    problem: str = "",
) -> View:
    """Build the form: the existing items, with a *Done* button if unfinished, and inputs for a new one."""
    kind = kind_of(verb)
    metadata = VerbMetadata(verb=verb, incident_id=incident.id)
    placeholder = "Roll back the deploy" if kind == "action" else "Add an alert for it"
    asked: list[Block] = [
        text_input("text", "What is to be done", value=text, placeholder=placeholder, optional=False),
        person_input("assignee", "By whom", value=assignee or ""),
    ]
    blocks = [
        *heading(incident),
        *unsupported_blocks(form.lacks, verb),
        *asked,
        *follow_up_blocks(listed, kind),
    ]
    return verb_modal(FOLLOW_UP_CALLBACK_ID, TITLES[kind], metadata, blocks, submit="Add", problem=problem)


def kind_of(verb: Verb) -> Kind:
    return "action" if verb is Verb.ACTION else "follow_up"


def follow_up_blocks(listed: Sequence[FollowUp], kind: Kind | None = None) -> list[Block]:
    """Build the list of items, unfinished ones first; those of one kind if `kind` is given."""
    wanted = [item for item in listed if kind in {None, item.kind}]
    wanted.sort(key=lambda item: item.is_done)
    if not wanted:
        return []
    blocks: list[Block] = [DividerBlock(), *(_line(item) for item in wanted[:SHOWN])]
    if len(wanted) > SHOWN:
        said = MarkdownTextObject(text=f"And {len(wanted) - SHOWN} more.", verbatim=True)
        blocks.append(ContextBlock(elements=[said]))
    return blocks


def _line(item: FollowUp) -> SectionBlock:
    by = f" · {person(item.assignee)}" if item.assignee else ""
    text = escape(shorten(item.text, 500))
    if item.is_done:
        return paragraph(f":white_check_mark: {text}{by}")
    button = ButtonElement(
        action_id="complete_follow_up",
        text=plain("Done"),
        value=f"{item.incident_id} {item.id}",
    )
    return SectionBlock(text=MarkdownTextObject(text=f"☐ {text}{by}", verbatim=True), accessory=button)


def read_follow_up(state: State) -> tuple[str, PersonId | None]:
    """Return the text, and the assignee or None."""
    chosen = first_value(state, "assignee")
    return first_value(state, "text"), PersonId(chosen) if chosen else None


# Notes that a responder adds to the timeline.

NOTE_CALLBACK_ID = "note"


def note_modal(form: Form, incident: Incident, *, message: str = "", problem: str = "") -> View:
    """Build the form for one entry of the timeline."""
    metadata = VerbMetadata(verb=Verb.NOTE, incident_id=incident.id)
    asked = text_input(
        "message",
        "What happened",
        value=message,
        placeholder="Seen, tried, decided",
        lines=True,
        optional=False,
        focus=True,
    )
    blocks = [*heading(incident), *unsupported_blocks(form.lacks, Verb.NOTE), asked]
    return verb_modal(
        NOTE_CALLBACK_ID, "Add to the timeline", metadata, blocks, submit="Add", problem=problem
    )


def read_note(state: State) -> str:
    return first_value(state, "message")
