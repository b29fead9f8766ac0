"""The update form: what is known, where it stands, how bad it is, and when there will be more."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import Form, Frozen, Incident, Status
from tocsin.slack.views.errand import Errand, errand_modal, heading, lacking
from tocsin.slack.views.kit import State, one, select_input, text_input

CALLBACK_ID = "update"
MINUTES = (15, 30, 60)
NEVER = "0"
_TITLES = {"update": "Update", "status": "Change the status", "severity": "Change the severity"}


class UpdateEntered(Frozen):
    """The update form as it was filled in; what is None or empty was left alone."""

    incident_status_id: str | None = None
    severity_id: str | None = None
    message: str = ""
    next_update_minutes: int | None = None


def update_modal(
    form: Form, incident: Incident, verb: str, filled: UpdateEntered | None = None, *, trouble: str = ""
) -> View:
    """One form for all three verbs, since who changes one thing mostly has something to say of it."""
    filled = filled or UpdateEntered()
    seen = {
        "incident_status_id": incident.incident_status.id,
        "severity_id": incident.severity.id if incident.severity else "",
    }
    errand = Errand(verb=verb, incident_id=incident.id, seen=seen)
    blocks: list[Block] = [*heading(incident), *lacking(form.lacks, "update", "status", "severity", "remind")]
    parts = {
        "status": _status(form, incident, filled),
        "severity": _severity(form, incident, filled),
        "update": _message(form, filled),
    }
    first = "update" if verb not in parts else verb
    ordered = [first, *(part for part in parts if part != first)]
    for part in ordered:
        blocks += parts[part]
    return errand_modal(
        CALLBACK_ID, _TITLES.get(verb, "Update"), errand, blocks, submit="Send", trouble=trouble
    )


def offered_statuses(form: Form, incident: Incident) -> tuple[Status, ...]:
    """Where it may go from here with this form; declining, merging and cancelling have their own verbs."""
    kept = {"triage", "live", "learning", "paused", "closed"}
    now = incident.incident_status
    listed = [s for s in sorted(form.statuses, key=lambda s: s.rank) if s.category in kept or s.id == now.id]
    return tuple(listed) if any(s.id == now.id for s in listed) else (now, *listed)


def _status(form: Form, incident: Incident, filled: UpdateEntered) -> Sequence[Block]:
    if "status" in form.lacks:
        return []
    choices = [(s.id, s.name, s.description) for s in offered_statuses(form, incident)]
    chosen = filled.incident_status_id or incident.incident_status.id
    return [select_input("incident_status_id", "Status", choices, chosen=[chosen])]


def _severity(form: Form, incident: Incident, filled: UpdateEntered) -> Sequence[Block]:
    if "severity" in form.lacks or not form.severities:
        return []
    choices = [(s.id, s.name, s.description) for s in sorted(form.severities, key=lambda s: s.rank)]
    chosen = filled.severity_id or (incident.severity.id if incident.severity else "")
    return [select_input("severity_id", "Severity", choices, chosen=[chosen], placeholder="How bad is it?")]


def _message(form: Form, filled: UpdateEntered) -> Sequence[Block]:
    blocks: list[Block] = []
    if "update" not in form.lacks:
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
