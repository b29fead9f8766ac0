"""Who does what: the roles of an incident and the people who hold them."""

from __future__ import annotations

from slack_sdk.models.views import View

from tocsin.incidents.model import Form, Incident, PersonId, Role
from tocsin.slack.views.errand import Errand, errand_modal, heading, lacking
from tocsin.slack.views.kit import State, one, person_input

CALLBACK_ID = "assign"
ROLE = "incident_role_assignments."


def assign_modal(
    form: Form,
    incident: Incident,
    verb: str,
    filled: dict[str, PersonId | None] | None = None,
    *,
    trouble: str = "",
) -> View:
    """A person for each role; `trouble` is mrkdwn."""
    seen = {f"{ROLE}{role}": person or "" for role, person in holders(incident).items()}
    errand = Errand(verb=verb, incident_id=incident.id, seen=seen)
    held = {**holders(incident), **(filled or {})}
    inputs = [
        person_input(f"{ROLE}{role.id}", role.name, value=held.get(role.id) or "", hint=role.description)
        for role in lead_first(form)
    ]
    blocks = [*heading(incident), *lacking(form.lacks, "lead", "role"), *inputs]
    return errand_modal(CALLBACK_ID, "Who does what", errand, blocks, submit="Assign", trouble=trouble)


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
