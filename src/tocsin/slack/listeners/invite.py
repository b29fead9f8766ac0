"""The verbs `invite` and `remove`: people who come into an incident, and who may see a private one."""

from __future__ import annotations

from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Person, PersonId
from tocsin.incidents.permissions import Verb
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.people import resolve_people
from tocsin.slack.listeners.targets import validate_assignees
from tocsin.slack.listeners.verbs import Invocation, VerbSpec, change, submit
from tocsin.slack.payloads import ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.people import PEOPLE, people_modal, read_people
from tocsin.workflows.command import AnyChange

IN_PEOPLE_FORM = frozenset({Verb.INVITE, Verb.REMOVE})


async def _build(call: Invocation, problem: str, chosen: tuple[PersonId, ...] = ()) -> View:
    form = await call.context.forms.fetch()
    return people_modal(form, call.incident, call.verb, chosen, problem=escape(problem))


async def _execute(call: Invocation, chosen: tuple[PersonId, ...] | None = None) -> AnyChange | None:
    """Invite or remove the people chosen in the form, or else those who are named in the text."""
    people = chosen
    if people is None:
        people = await resolve_people(call.context, call.text, call.person)
    if not people:
        raise Refused("Choose at least one person.", {PEOPLE: "Choose at least one person."})
    if call.verb is Verb.REMOVE:
        named = tuple(call.context.people.meet(Person(slack_user_id=person)) for person in people)
        return await change(call, removed=people, others_named=named)
    return await change(call, invited=people, others_named=await _fit(call, people))


async def _fit(call: Invocation, people: tuple[PersonId, ...]) -> tuple[Person, ...]:
    """Return the people with their names. Raises Refused for those who cannot be invited."""
    chosen = {f"{PEOPLE}.{person}": person for person in people}
    try:
        return await validate_assignees(call.context, chosen, private=call.incident.is_private)
    except Refused as refusal:
        raise Refused(refusal.sentence, {PEOPLE: refusal.sentence}) from refusal


INVITE = VerbSpec(
    Verb.INVITE,
    "/incident invite [@person @person]",
    "invites people; they may then see a private incident",
    build_view=_build,
    execute=_execute,
    names_people=True,
    begins_with_choice=True,
)
REMOVE = VerbSpec(
    Verb.REMOVE,
    "/incident remove [@person]",
    "removes people who were invited to a private incident",
    build_view=_build,
    execute=_execute,
    names_people=True,
    begins_with_choice=True,
)


async def submit_people(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the form in which people are invited or removed."""
    chosen = read_people(submission.view.values)
    again, execute = partial(_build, chosen=chosen), partial(_execute, chosen=chosen)
    await submit(ack, submission, context, tracker, IN_PEOPLE_FORM, again, execute)
