"""Say who does what: the lead, and the other roles."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Form, Incident, PersonId, Role
from tocsin.incidents.parsing import leading, role_spellings
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.people import person_meant
from tocsin.slack.listeners.verbs import Opened, Unclear, Way, changed, go, run_from_card, submit_change
from tocsin.slack.payloads import BlockAction, Payload, SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.slack.views.update import ROLE, assign_modal, read_assign


def _opened(verb: str) -> Opened:
    async def opened(context: WorkspaceContext, asked: Payload, incident: Incident, trouble: str) -> View:
        return assign_modal(await context.forms.fetch(), incident, verb, trouble=escape(trouble))

    return opened


async def _set_lead(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    role = _lead(await context.forms.fetch())
    person = await person_meant(context, text, asked.by.slack_user_id)
    return await _assign(context, asked, incident, role, person)


async def _set_role(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    form = await context.forms.fetch()
    role, rest = leading(text, form.assignable_roles, "role", role_spellings)
    if not rest:
        raise Unclear(f"Say who takes the role {role.name}.")
    person = await person_meant(context, rest, asked.by.slack_user_id)
    return await _assign(context, asked, incident, role, person)


async def _take(context: WorkspaceContext, asked: Payload, incident: Incident, text: str) -> str:
    form = await context.forms.fetch()
    role = leading(text, form.assignable_roles, "role", role_spellings)[0] if text else _lead(form)
    return await _assign(context, asked, incident, role, asked.by.slack_user_id)


async def _assign(
    context: WorkspaceContext, asked: Payload, incident: Incident, role: Role, person: PersonId | None
) -> str:
    held = {a.role.id: a.assignee.slack_user_id for a in incident.incident_role_assignments if a.assignee}
    if held.get(role.id) == person:
        name = context.people.names.get(person or "", "That person")
        who = "You are" if person == asked.by.slack_user_id else f"{name} is"
        raise Refused(f"{who} {role.name} of {incident.reference} already.")
    return await changed(context, asked, incident, incident_role_assignments={role.id: person})


def _lead(form: Form) -> Role:
    found = next((role for role in form.assignable_roles if role.role_type == "lead"), None)
    if found is None:
        raise Refused("There is no lead here; there are other roles: see /incident role.")
    return found


LEAD = Way("lead", _opened("lead"), _set_lead, names_people=True, begins_with_choice=True)
ROLES = Way("role", _opened("role"), _set_role, names_people=True, begins_with_choice=True)
TAKE = Way("take", _opened("role"), _take, at_once=True, names_people=True, begins_with_choice=True)


async def set_lead(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident lead`, with a person."""
    await go(LEAD, ack, command, rest, context)


async def set_role(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident role`, with a role and a person."""
    await go(ROLES, ack, command, rest, context)


async def take_role(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """`/incident take`: the lead, or the role that is named, is whoever says so."""
    await go(TAKE, ack, command, rest, context)


async def press_take(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """*Take the lead*, on a card."""
    await run_from_card(TAKE, ack, action, context, action.value)


async def submit_assign(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """The roles as they were left in the form; who was there before and still is, is not touched."""
    chosen, metadata = (
        read_assign(submission.view.values),
        VerbMetadata.read(submission.view.private_metadata),
    )
    seen = metadata.changes({f"{ROLE}{role}": person for role, person in chosen.items()})

    async def again(incident: Incident, trouble: str) -> View:
        return assign_modal(await context.forms.fetch(), incident, metadata.verb, chosen, trouble=trouble)

    assigned = {name.removeprefix(ROLE): person for name, person in seen.items()}
    await submit_change(
        ack, submission, context, tracker, again, {"incident_role_assignments": assigned} if assigned else {}
    )
