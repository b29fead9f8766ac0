"""Something for the timeline, as somebody writes it."""

from __future__ import annotations

from slack_sdk.models.views import View

from tocsin.incidents.model import Form, Incident
from tocsin.slack.views.errand import Errand, errand_modal, heading, lacking
from tocsin.slack.views.kit import State, one, text_input

CALLBACK_ID = "note"


def note_modal(form: Form, incident: Incident, *, message: str = "", trouble: str = "") -> View:
    """One entry, with who writes it and when."""
    errand = Errand(verb="note", incident_id=incident.id)
    asked = text_input(
        "message",
        "What happened",
        value=message,
        placeholder="Seen, tried, decided",
        lines=True,
        optional=False,
        focus=True,
    )
    blocks = [*heading(incident), *lacking(form.lacks, "note"), asked]
    return errand_modal(CALLBACK_ID, "Add to the timeline", errand, blocks, submit="Add", trouble=trouble)


def read_note(state: State) -> str:
    return one(state, "message")
