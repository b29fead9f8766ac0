"""Forms of update, rename, summary and roles."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import Form, FrozenModel, Incident, PersonId, Role, Status
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import SUMMARY_LIMIT
from tocsin.slack.views.blocks import (
    State,
    alert,
    escape,
    first_value,
    person_input,
    select_input,
    text_input,
)
from tocsin.slack.views.metadata import VerbMetadata, heading, unsupported_blocks, verb_modal

# The update form: message, status, severity, and the time of the next update.

UPDATE_CALLBACK_ID = "update"
MINUTES = (15, 30, 60)
NEVER = "0"
_TITLES = {
    Verb.UPDATE: "Update",
    Verb.STATUS: "Change the status",
    Verb.SEVERITY: "Change the severity",
}


class UpdateEntered(FrozenModel):
    """Submitted update form; a field that is None or empty was left alone."""

    incident_status_id: str | None = None
    severity_id: str | None = None
    message: str = ""
    next_update_minutes: int | None = None


def update_modal(
    form: Form, incident: Incident, verb: Verb, filled: UpdateEntered | None = None, *, problem: str = ""
) -> View:
    """Build the form of `update`, `status` and `severity`, with the verb's own fields first.

    It is one form because a person who changes one of them mostly has something to say about it.
    """
    filled = filled or UpdateEntered()
    seen = {
        "incident_status_id": incident.incident_status.id,
        "severity_id": incident.severity.id if incident.severity else "",
    }
    metadata = VerbMetadata(verb=verb, incident_id=incident.id, seen=seen)
    blocks: list[Block] = [
        *heading(incident),
        *unsupported_blocks(form.lacks, Verb.UPDATE, Verb.STATUS, Verb.SEVERITY, "remind"),
    ]
    parts = {
        Verb.STATUS: _status(form, incident, filled),
        Verb.SEVERITY: _severity(form, incident, filled),
        Verb.UPDATE: _message(form, filled),
    }
    first = verb if verb in parts else Verb.UPDATE
    for part in [first, *(part for part in parts if part is not first)]:
        blocks += parts[part]
    return verb_modal(UPDATE_CALLBACK_ID, _TITLES[verb], metadata, blocks, submit="Send", problem=problem)


def offered_statuses(form: Form, incident: Incident) -> tuple[Status, ...]:
    """Return the statuses that the form offers. Declining, merging and cancelling have their own verbs."""
    kept = {"triage", "live", "learning", "paused", "closed"}
    now = incident.incident_status
    listed = [s for s in sorted(form.statuses, key=lambda s: s.rank) if s.category in kept or s.id == now.id]
    # An incident that has no stage in DevRev has a status without an id, which nobody can choose.
    known = not now.id or any(s.id == now.id for s in listed)
    return tuple(listed) if known else (now, *listed)


def _status(form: Form, incident: Incident, filled: UpdateEntered) -> Sequence[Block]:
    if Verb.STATUS in form.lacks:
        return []
    choices = [(s.id, s.name, s.description) for s in offered_statuses(form, incident)]
    chosen = filled.incident_status_id or incident.incident_status.id
    if not choices:
        return []
    return [select_input("incident_status_id", "Status", choices, chosen=[chosen])]


def _severity(form: Form, incident: Incident, filled: UpdateEntered) -> Sequence[Block]:
    if Verb.SEVERITY in form.lacks or not form.severities:
        return []
    choices = [(s.id, s.name, s.description) for s in sorted(form.severities, key=lambda s: s.rank)]
    chosen = filled.severity_id or (incident.severity.id if incident.severity else "")
    return [select_input("severity_id", "Severity", choices, chosen=[chosen], placeholder="How bad is it?")]


def _message(form: Form, filled: UpdateEntered) -> Sequence[Block]:
    blocks: list[Block] = []
    if Verb.UPDATE not in form.lacks:
        asked = "What is known now, what is being done, and what it means for whom"
        blocks.append(text_input("message", "Update", value=filled.message, placeholder=asked, lines=True))
    if "remind" not in form.lacks:
        choices = [(str(m), f"In {m} minutes", "") for m in MINUTES] + [(NEVER, "No next update", "")]
        due = "" if filled.next_update_minutes is None else str(filled.next_update_minutes)
        hint = "The channel is reminded when it is due."
        blocks.append(select_input("next_update_minutes", "Next update", choices, chosen=[due], hint=hint))
    return blocks


def read_update(state: State) -> UpdateEntered:
    """Return the submitted form, not validated."""
    minutes = first_value(state, "next_update_minutes")
    return UpdateEntered(
        incident_status_id=first_value(state, "incident_status_id") or None,
        severity_id=first_value(state, "severity_id") or None,
        message=first_value(state, "message"),
        next_update_minutes=int(minutes) if minutes in {NEVER, *map(str, MINUTES)} else None,
    )


# Name, summary and call link.

DESCRIBE_CALLBACK_ID = "describe"


def describe_modal(
    form: Form, incident: Incident, verb: Verb, filled: dict[str, str] | None = None, *, problem: str = ""
) -> View:
    """Build the form for the name (`rename`), the summary (`summary`) or the call link (`call`)."""
    metadata = VerbMetadata(verb=verb, incident_id=incident.id)
    filled = filled or {
        "name": incident.name,
        "summary": incident.summary,
        "call_url": incident.call_link or "",
    }
    asked: list[Block]
    if verb is Verb.RENAME:
        asked = [text_input("name", "Name", value=filled.get("name", ""), optional=False, focus=True)]
        title, submit = "Rename", "Rename"
    elif verb is Verb.CALL:
        hint = "A link, or the word huddle for the huddle of the incident's channel."
        value = filled.get("call_url", "")
        asked = [text_input("call_url", "Call link", value=value, hint=hint, optional=False, focus=True)]
        title, submit = "Call link", "Save"
    else:
        asked = _summary(form, incident, filled.get("summary", ""))
        title, submit = "Summary", "Save"
    blocks = [*heading(incident), *unsupported_blocks(form.lacks, verb), *asked]
    return verb_modal(DESCRIBE_CALLBACK_ID, title, metadata, blocks, submit=submit, problem=problem)


def _summary(form: Form, incident: Incident, value: str) -> list[Block]:
    """Build the input of the summary; empty if the present one does not fit, so that it is never cut."""
    is_too_long = len(incident.summary) > SUMMARY_LIMIT
    value = "" if is_too_long and value == incident.summary else value
    asked = text_input("summary", "Summary", value=value, lines=True, focus=True, optional=not is_too_long)
    if not is_too_long:
        return [asked]
    said = (
        f"The summary has {len(incident.summary)} characters, and {SUMMARY_LIMIT} fit here. "
        f"What you write replaces all of it; a part of it can be changed in {form.kept_by}."
    )
    return [alert(escape(said), "warning"), asked]


def read_describe(state: State) -> dict[str, str]:
    """Return the submitted fields of those that were on the form."""
    return {field: first_value(state, field) for field in ("name", "summary", "call_url") if field in state}


# Roles, and the people who hold them.

ASSIGN_CALLBACK_ID = "assign"
ROLE = "incident_role_assignments."


def assign_modal(
    form: Form,
    incident: Incident,
    verb: Verb,
    filled: dict[str, PersonId | None] | None = None,
    *,
    problem: str = "",
) -> View:
    """Build the form with a person select for each role; `trouble` is mrkdwn."""
    seen = {f"{ROLE}{role}": person or "" for role, person in holders(incident).items()}
    metadata = VerbMetadata(verb=verb, incident_id=incident.id, seen=seen)
    held = {**holders(incident), **(filled or {})}
    inputs = [
        person_input(f"{ROLE}{role.id}", role.name, value=held.get(role.id) or "", hint=_hint(role))
        for role in lead_first(form)
    ]
    blocks = [*heading(incident), *unsupported_blocks(form.lacks, Verb.LEAD, Verb.ROLE), *inputs]
    return verb_modal(ASSIGN_CALLBACK_ID, "Assign roles", metadata, blocks, submit="Assign", problem=problem)


def _hint(role: Role) -> str:
    """Return the description of a role and its instructions, which its holder was told in full."""
    return " ".join(filter(None, [role.description, role.instructions]))


def lead_first(form: Form) -> list[Role]:
    """Return the roles that can be assigned, the lead's first."""
    return sorted(form.assignable_roles, key=lambda role: role.role_type != "lead")


def holders(incident: Incident) -> dict[str, PersonId | None]:
    """Return the Slack id of the person who holds each role, by role id."""
    return {
        assignment.role.id: assignment.assignee.slack_user_id
        for assignment in incident.incident_role_assignments
        if assignment.assignee is not None
    }


def read_assign(state: State) -> dict[str, PersonId | None]:
    """Return the person chosen for each role on the screen; None if its select was left empty."""
    asked = [block for block in state if block.startswith(ROLE)]
    return {block.removeprefix(ROLE): PersonId(first_value(state, block)) or None for block in asked}
