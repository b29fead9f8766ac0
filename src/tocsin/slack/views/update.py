"""Forms of update, rename, summary and roles."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import Form, Frozen, Incident, PersonId, Role, Status
from tocsin.incidents.permissions import Verb
from tocsin.slack.views.blocks import State, one, person_input, select_input, text_input
from tocsin.slack.views.metadata import VerbMetadata, heading, lacking, verb_modal

# The update form: what is known, where it stands, how bad it is, and when there will be more.

UPDATE_CALLBACK_ID = "update"
MINUTES = (15, 30, 60)
NEVER = "0"
_TITLES = {
    Verb.UPDATE: "Update",
    Verb.STATUS: "Change the status",
    Verb.SEVERITY: "Change the severity",
}


class UpdateEntered(Frozen):
    """The update form as it was filled in; what is None or empty was left alone."""

    incident_status_id: str | None = None
    severity_id: str | None = None
    message: str = ""
    next_update_minutes: int | None = None


def update_modal(
    form: Form, incident: Incident, verb: Verb, filled: UpdateEntered | None = None, *, trouble: str = ""
) -> View:
    """One form for all three verbs, since who changes one thing mostly has something to say of it."""
    filled = filled or UpdateEntered()
    seen = {
        "incident_status_id": incident.incident_status.id,
        "severity_id": incident.severity.id if incident.severity else "",
    }
    metadata = VerbMetadata(verb=verb, incident_id=incident.id, seen=seen)
    blocks: list[Block] = [
        *heading(incident),
        *lacking(form.lacks, Verb.UPDATE, Verb.STATUS, Verb.SEVERITY, "remind"),
    ]
    parts = {
        Verb.STATUS: _status(form, incident, filled),
        Verb.SEVERITY: _severity(form, incident, filled),
        Verb.UPDATE: _message(form, filled),
    }
    first = verb if verb in parts else Verb.UPDATE
    for part in [first, *(part for part in parts if part is not first)]:
        blocks += parts[part]
    return verb_modal(UPDATE_CALLBACK_ID, _TITLES[verb], metadata, blocks, submit="Send", trouble=trouble)


def offered_statuses(form: Form, incident: Incident) -> tuple[Status, ...]:
    """Where it may go from here with this form; declining, merging and cancelling have their own verbs."""
    kept = {"triage", "live", "learning", "paused", "closed"}
    now = incident.incident_status
    listed = [s for s in sorted(form.statuses, key=lambda s: s.rank) if s.category in kept or s.id == now.id]
    return tuple(listed) if any(s.id == now.id for s in listed) else (now, *listed)


def _status(form: Form, incident: Incident, filled: UpdateEntered) -> Sequence[Block]:
    if Verb.STATUS in form.lacks:
        return []
    choices = [(s.id, s.name, s.description) for s in offered_statuses(form, incident)]
    chosen = filled.incident_status_id or incident.incident_status.id
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
        choices = [(str(m), f"In {m} minutes", "") for m in MINUTES] + [(NEVER, "None is promised", "")]
        due = "" if filled.next_update_minutes is None else str(filled.next_update_minutes)
        hint = "The channel is asked for it when it is due."
        blocks.append(select_input("next_update_minutes", "Next update", choices, chosen=[due], hint=hint))
    return blocks


def read_update(state: State) -> UpdateEntered:
    """What was filled in, unchecked."""
    minutes = one(state, "next_update_minutes")
    return UpdateEntered(
        incident_status_id=one(state, "incident_status_id") or None,
        severity_id=one(state, "severity_id") or None,
        message=one(state, "message"),
        next_update_minutes=int(minutes) if minutes in {NEVER, *map(str, MINUTES)} else None,
    )


# What an incident is called and what is said of it.

DESCRIBE_CALLBACK_ID = "describe"


def describe_modal(
    form: Form, incident: Incident, verb: Verb, filled: dict[str, str] | None = None, *, trouble: str = ""
) -> View:
    """The name for `rename`, the summary for `summary`."""
    metadata = VerbMetadata(verb=verb, incident_id=incident.id)
    filled = filled or {"name": incident.name, "summary": incident.summary}
    asked: list[Block]
    if verb is Verb.RENAME:
        asked = [text_input("name", "Name", value=filled.get("name", ""), optional=False, focus=True)]
        title, submit = "Rename", "Rename"
    else:
        asked = [text_input("summary", "Summary", value=filled.get("summary", ""), lines=True, focus=True)]
        title, submit = "Summary", "Save"
    blocks = [*heading(incident), *lacking(form.lacks, verb), *asked]
    return verb_modal(DESCRIBE_CALLBACK_ID, title, metadata, blocks, submit=submit, trouble=trouble)


def read_describe(state: State) -> dict[str, str]:
    """What was filled in, for what was asked."""
    return {field: one(state, field) for field in ("name", "summary") if field in state}


# Who does what: the roles of an incident and the people who hold them.

ASSIGN_CALLBACK_ID = "assign"
ROLE = "incident_role_assignments."


def assign_modal(
    form: Form,
    incident: Incident,
    verb: Verb,
    filled: dict[str, PersonId | None] | None = None,
    *,
    trouble: str = "",
) -> View:
    """A person for each role; `trouble` is mrkdwn."""
    seen = {f"{ROLE}{role}": person or "" for role, person in holders(incident).items()}
    metadata = VerbMetadata(verb=verb, incident_id=incident.id, seen=seen)
    held = {**holders(incident), **(filled or {})}
    inputs = [
        person_input(f"{ROLE}{role.id}", role.name, value=held.get(role.id) or "", hint=role.description)
        for role in lead_first(form)
    ]
    blocks = [*heading(incident), *lacking(form.lacks, Verb.LEAD, Verb.ROLE), *inputs]
    return verb_modal(ASSIGN_CALLBACK_ID, "Who does what", metadata, blocks, submit="Assign", trouble=trouble)


def lead_first(form: Form) -> list[Role]:
    """The roles that can be given, the lead's before the others."""
    return sorted(form.assignable_roles, key=lambda role: role.role_type != "lead")


def holders(incident: Incident) -> dict[str, PersonId | None]:
    """Who holds which role now."""
    return {
        assignment.role.id: assignment.assignee.slack_user_id
        for assignment in incident.incident_role_assignments
        if assignment.assignee is not None
    }


def read_assign(state: State) -> dict[str, PersonId | None]:
    """Who was chosen for each role on the screen; None where nobody was."""
    asked = [block for block in state if block.startswith(ROLE)]
    return {block.removeprefix(ROLE): PersonId(one(state, block)) or None for block in asked}
