"""The form that accepts an incident from triage."""

from __future__ import annotations

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import Form, FrozenModel, Incident
from tocsin.incidents.permissions import Verb
from tocsin.slack.views.blocks import State, first_value, paragraph, select_input, text_input
from tocsin.slack.views.metadata import VerbMetadata, heading, unsupported_blocks, verb_modal

CALLBACK_ID = "accept"
_ANNOUNCES = "It becomes an incident, and is announced where incidents are announced."


class AcceptEntered(FrozenModel):
    """Submitted form; an empty severity was left as it is."""

    severity_id: str | None = None
    message: str = ""


def accept_modal(
    form: Form, incident: Incident, entered: AcceptEntered | None = None, *, problem: str = ""
) -> View:
    """Build the form. Only a severity that the incident lacks is required."""
    entered = entered or AcceptEntered()
    seen = {"incident_status_id": incident.incident_status.id}
    metadata = VerbMetadata(verb=Verb.ACCEPT, incident_id=incident.id, seen=seen)
    blocks: list[Block] = [*heading(incident), *unsupported_blocks(form.lacks, Verb.ACCEPT)]
    if not incident.is_private:
        blocks.append(paragraph(_ANNOUNCES))
    if form.severities:
        choices = [(s.id, s.name, s.description) for s in sorted(form.severities, key=lambda s: s.rank)]
        chosen = entered.severity_id or (incident.severity.id if incident.severity else "")
        optional = incident.severity is not None or not form.severity_required
        blocks.append(select_input("severity_id", "Severity", choices, chosen=[chosen], optional=optional))
    asked = "What is known by now"
    blocks.append(text_input("message", "Why", value=entered.message, placeholder=asked, lines=True))
    return verb_modal(CALLBACK_ID, "Accept", metadata, blocks, submit="Accept", problem=problem)


def read_accept(state: State) -> AcceptEntered:
    """Return the submitted form, not validated."""
    severity = first_value(state, "severity_id") or None
    return AcceptEntered(severity_id=severity, message=first_value(state, "message"))
