"""The verbs `lead`, `role` and `take`, which assign roles."""

from __future__ import annotations

from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Form, PersonId, Role
from tocsin.incidents.parsing import match_prefix, role_spellings
from tocsin.incidents.permissions import Verb
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.people import resolve_person
from tocsin.slack.listeners.verbs import Invocation, NeedsForm, VerbSpec, change, submit_change
from tocsin.slack.payloads import ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.slack.views.update import ROLE, assign_modal, read_assign
from tocsin.workflows.command import AnyChange


async def _build_assign(
    call: Invocation, problem: str, chosen: dict[str, PersonId | None] | None = None
) -> View:
    verb = Verb.ROLE if call.verb is Verb.TAKE else call.verb
    form = await call.context.forms.fetch()
    return assign_modal(form, call.incident, verb, chosen, problem=escape(problem))


async def _set_lead(call: Invocation) -> AnyChange | None:
    role = _lead(await call.context.forms.fetch())
    return await _assign(call, role, await resolve_person(call.context, call.text, call.person))


async def _set_role(call: Invocation) -> AnyChange | None:
    form = await call.context.forms.fetch()
    role, rest = match_prefix(call.text, form.assignable_roles, "role", role_spellings)
    if not rest:
        raise NeedsForm(f"Say who takes the role {role.name}.")
    return await _assign(call, role, await resolve_person(call.context, rest, call.person))


async def _take(call: Invocation) -> AnyChange | None:
    form = await call.context.forms.fetch()
    if not call.text:
        return await _assign(call, _lead(form), call.person)
    role, _ = match_prefix(call.text, form.assignable_roles, "role", role_spellings)
    return await _assign(call, role, call.person)


async def _assign(call: Invocation, role: Role, person: PersonId | None) -> AnyChange | None:
    roles = call.incident.incident_role_assignments
    held = {a.role.id: a.assignee.slack_user_id for a in roles if a.assignee}
    if held.get(role.id) == person:
        name = call.context.people.names.get(person or "", "That person")
        who = "You are" if person == call.person else f"{name} is"
        raise Refused(f"{who} {role.name} of {call.incident.reference} already.")
    return await change(call, incident_role_assignments={role.id: person})


def _lead(form: Form) -> Role:
    found = next((role for role in form.assignable_roles if role.role_type == "lead"), None)
    if found is None:
        raise Refused("There is no lead here; there are other roles: see /incident role.")
    return found


LEAD = VerbSpec(
    Verb.LEAD,
    "/incident lead [@person]",
    "assigns the lead",
    build_view=_build_assign,
    execute=_set_lead,
    names_people=True,
    begins_with_choice=True,
)
ROLES = VerbSpec(
    Verb.ROLE,
    "/incident role [communications @person]",
    "assigns roles",
    build_view=_build_assign,
    execute=_set_role,
    names_people=True,
    begins_with_choice=True,
)
TAKE = VerbSpec(
    Verb.TAKE,
    "/incident take [role]",
    "assigns the lead, or that role, to you",
    build_view=_build_assign,
    execute=_take,
    no_argument=True,
    names_people=True,
    begins_with_choice=True,
)


async def submit_assign(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the roles form; only roles that the person changed are assigned."""
    chosen = read_assign(submission.view.values)
    metadata = VerbMetadata.from_text(submission.view.private_metadata)
    changed = metadata.changes({f"{ROLE}{role}": person for role, person in chosen.items()})
    assigned = {name.removeprefix(ROLE): person for name, person in changed.items()}
    await submit_change(
        ack,
        submission,
        context,
        tracker,
        {Verb.LEAD, Verb.ROLE},
        partial(_build_assign, chosen=chosen),
        {"incident_role_assignments": assigned} if assigned else {},
    )
