"""What an incident is called and what is said of it."""

from __future__ import annotations

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import Form, Incident
from tocsin.slack.views.errand import Errand, errand_modal, heading, lacking
from tocsin.slack.views.kit import State, one, text_input

CALLBACK_ID = "describe"


def describe_modal(
    form: Form, incident: Incident, verb: str, filled: dict[str, str] | None = None, *, trouble: str = ""
) -> View:
    """The name for `rename`, the summary for `summary`."""
    errand = Errand(verb=verb, incident_id=incident.id)
    filled = filled or {"name": incident.name, "summary": incident.summary}
    asked: list[Block]
    if verb == "rename":
        asked = [text_input("name", "Name", value=filled.get("name", ""), optional=False, focus=True)]
        title, submit = "Rename", "Rename"
    else:
        asked = [text_input("summary", "Summary", value=filled.get("summary", ""), lines=True, focus=True)]
        title, submit = "Summary", "Save"
    blocks = [*heading(incident), *lacking(form.lacks, verb), *asked]
    return errand_modal(CALLBACK_ID, title, errand, blocks, submit=submit, trouble=trouble)


def read_describe(state: State) -> dict[str, str]:
    """What was filled in, for what was asked."""
    return {field: one(state, field) for field in ("name", "summary") if field in state}
