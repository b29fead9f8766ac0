"""Forms that close, reopen, decline, cancel, merge or make an incident private."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import FollowUp, Form, FrozenModel, Incident
from tocsin.incidents.permissions import Verb
from tocsin.incidents.transitions import missing_at_close
from tocsin.slack.views.blocks import (
    State,
    context,
    escape,
    first_value,
    paragraph,
    select_input,
    shorten,
    text_input,
)
from tocsin.slack.views.fields import FieldsEntered, field_input, read_fields
from tocsin.slack.views.metadata import VerbMetadata, heading, unsupported_blocks, verb_modal

CALLBACK_ID = "close"
NAMED = 5
"""Unfinished actions and follow-ups that are listed; more are only counted."""

_WORDS = {
    Verb.CLOSE: ("Close", "Close", "What resolved it", "What was wrong, and what put it right"),
    Verb.REOPEN: ("Reopen", "Reopen", "Why", "What happened again"),
    Verb.DECLINE: (
        "Decline",
        "Decline",
        "Why it is no incident",
        "Its reporter is told, and it is in the timeline",
    ),
    Verb.CANCEL: ("Cancel the incident", "Cancel incident", "Why", ""),
    Verb.PRIVATE: ("Make private", "Make private", "", ""),
}
ENDS = tuple(_WORDS)

_WARNINGS = {
    Verb.CANCEL: "Within ten minutes of the declaration, what was posted is withdrawn and the channel "
    "archived. Later the incident is marked as canceled, and the posts stay.",
    Verb.PRIVATE: "From then on only its reporter, the people with a role and those invited can see it. "
    "Its cards elsewhere are withdrawn. It cannot be made public again.",
}


class CloseEntered(FrozenModel):
    """Submitted form: the reason, and answers to the fields that were asked for."""

    message: str = ""
    fields: FieldsEntered = FieldsEntered()


def close_modal(
    form: Form,
    incident: Incident,
    verb: Verb,
    entered: CloseEntered | None = None,
    *,
    unfinished: Sequence[FollowUp] = (),
    problem: str = "",
) -> View:
    """Build the form of a verb that ends or reopens an incident.

    Nothing in it is required, but for the fields that the incident needs to be closed and that are empty.
    """
    entered = entered or CloseEntered()
    title, submit, label, placeholder = _WORDS[verb]
    metadata = VerbMetadata(
        verb=verb, incident_id=incident.id, seen={"incident_status_id": incident.incident_status.id}
    )
    blocks: list[Block] = [*heading(incident), *unsupported_blocks(form.lacks, verb)]
    if verb in _WARNINGS:
        blocks.append(paragraph(_WARNINGS[verb]))
    if verb is Verb.CLOSE:
        blocks += [*still_open(unfinished), *_missing(form, incident, entered.fields)]
    if label:
        blocks.append(
            text_input("message", label, value=entered.message, placeholder=placeholder, lines=True)
        )
    dismiss = "Back" if verb is Verb.CANCEL else "Cancel"
    return verb_modal(CALLBACK_ID, title, metadata, blocks, submit=submit, dismiss=dismiss, problem=problem)


def _missing(form: Form, incident: Incident, entered: FieldsEntered) -> list[Block]:
    return [
        field_input(
            field,
            form.field_path(field.id),
            entered.entries.get(field.id, ()),
            entered.labels,
            optional=False,
        )
        for field in missing_at_close(incident, form)
    ]


def still_open(unfinished: Sequence[FollowUp]) -> list[Block]:
    """Build the list of actions and follow-ups that are not done yet, to be seen before closing."""
    if not unfinished:
        return []
    named = [f"• {escape(shorten(item.text, 150))}" for item in unfinished[:NAMED]]
    if len(unfinished) > NAMED:
        named.append(f"• and {len(unfinished) - NAMED} more")
    said = "\n".join(["*Open actions and follow-ups:*", *named])
    return [context(said)]


def merge_modal(form: Form, incident: Incident, others: Sequence[Incident], *, problem: str = "") -> View:
    """Build the form that asks for the open incident that this one is part of."""
    metadata = VerbMetadata(
        verb=Verb.MERGE, incident_id=incident.id, seen={"incident_status_id": incident.incident_status.id}
    )
    choices = [
        (o.id, f"{o.reference} {o.name}", o.incident_status.name) for o in others if o.id != incident.id
    ]
    asked: list[Block] = (
        [select_input("merged_into", "Merge into", choices, optional=False)]
        if choices
        else [paragraph("No other incident is open into which it could be merged.")]
    )
    blocks = [*heading(incident), *unsupported_blocks(form.lacks, Verb.MERGE), *asked]
    return verb_modal("merge", "Merge", metadata, blocks, submit="Merge", problem=problem)


def read_close(state: State) -> CloseEntered:
    """Return the submitted form, not validated."""
    return CloseEntered(message=first_value(state, "message"), fields=read_fields(state))
