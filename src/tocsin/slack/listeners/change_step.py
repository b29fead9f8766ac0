"""Workflow Builder steps that update and close: permitted like the verbs, saved, and completed at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid5

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import Form, Incident, Person, PersonId
from tocsin.incidents.permissions import NOT_SEEN, Verb
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import ENDING_OF_VERB
from tocsin.incidents.validation import parse_changed_fields
from tocsin.slack.command_text import reference_in
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.listeners.targets import prefixes, resolve_reference, validate_roles
from tocsin.slack.listeners.verbs import KEYS
from tocsin.slack.payloads import EventCallback
from tocsin.slack.views.update import offered_statuses
from tocsin.slack.views.workflow_step import ChangeStepRequest, read_change_step
from tocsin.workflows.change import ChangeCommand

UPDATE, CLOSE = "update_incident", "close_incident"
"""Callback ids of the steps (Slack, custom steps)."""

CHANGES = {UPDATE: Verb.UPDATE, CLOSE: Verb.CLOSE}

NO_INCIDENT = "The step names no incident. Give it a reference, such as INC-12, or a permalink."


def in_words(refusal: Refused) -> str:
    """Return the field errors of a refusal, each once; its general sentence only if there are none."""
    return " ".join(dict.fromkeys(refusal.fields.values())) or refusal.sentence


async def run_change_step(
    verb: Verb, callback: EventCallback, inputs: Mapping[str, Any], run: str, context: WorkspaceContext
) -> None:
    """Run a step that changes an incident; the execution's id is its key, so a repeat does nothing."""
    key = str(uuid5(KEYS, f"{callback.served_team}/step/{run}"))
    if (begun := await context.workflows.change.find_command(key)) is not None:
        await context.workflows.change.answer_again(begun)
        return
    try:
        command = await _order(verb, callback, inputs, key, context)
    except Refused as refusal:
        await context.workspace.fail_step(run, in_words(refusal))
    except TocsinError as error:
        await context.workspace.fail_step(run, f"{error} Nothing was changed; run it again.")
    else:
        await context.workflows.change.begin(command.model_copy(update={"run": run}))


async def _order(
    verb: Verb, callback: EventCallback, inputs: Mapping[str, Any], key: str, context: WorkspaceContext
) -> ChangeCommand:
    """Return the command. Raises Refused, and TocsinError if it cannot be checked."""
    incident = await _public_incident(inputs, context)
    form = await context.forms.fetch()
    asked = read_change_step(inputs, form, offered_statuses(form, incident))
    for needed in _verbs(verb, asked):
        await context.authorizer.check(asked.person, needed, incident)
        if needed in form.lacks:
            raise Refused(form.lacks[needed])
    by = context.people.meet(Person(slack_user_id=asked.person))
    change = IncidentChange(
        key=key,
        by=by,
        at=context.clock(),
        message=asked.message,
        incident_status_id=asked.incident_status_id,
        severity_id=asked.severity_id,
        custom_field_entries=parse_changed_fields(asked.entries, {}, form),
    )
    lead = await _lead(asked, form, context)
    return ChangeCommand(
        incident_id=incident.id,
        team=callback.served_team,
        change=change.model_copy(update=lead),
        ending=ENDING_OF_VERB[verb] if verb is Verb.CLOSE else None,
    )


def _verbs(verb: Verb, asked: ChangeStepRequest) -> list[Verb]:
    """Return the verbs that the person of the step must be allowed to use."""
    parts = {
        Verb.STATUS: asked.incident_status_id,
        Verb.SEVERITY: asked.severity_id,
        Verb.LEAD: asked.lead,
        Verb.FIELDS: asked.entries,
    }
    return [verb, *(part for part, given in parts.items() if given)]


async def _public_incident(inputs: Mapping[str, Any], context: WorkspaceContext) -> Incident:
    """Return the incident that a step names.

    The workflow's author may name any person, and all editors of the workflow read what it answers. So to a
    step, a private incident looks as if it did not exist.
    """
    named = inputs.get("incident")
    found = reference_in(named, prefixes(context)) if isinstance(named, str) else None
    if found is None or found[1].strip():
        raise Refused(NO_INCIDENT)
    try:
        incident = await resolve_reference(context, found[0], None)
    except Refused:
        incident = None
    if incident is None or incident.is_private:
        raise Refused(NOT_SEEN)
    return incident


async def _lead(asked: ChangeStepRequest, form: Form, context: WorkspaceContext) -> dict[str, Any]:
    """Return the new lead as fields of the change; empty if the step names none."""
    role = next((role for role in form.roles if role.role_type == "lead"), None)
    if role is None or asked.lead is None:
        return {}
    roles: dict[str, PersonId | None] = {role.id: asked.lead}
    return {
        "incident_role_assignments": roles,
        "assignees": await validate_roles(context, roles, private=False),
    }
