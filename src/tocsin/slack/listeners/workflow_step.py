"""Declare from a workflow: its step is checked as a form is, committed to, and answered when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid5

from tocsin.incidents.announcements import announced
from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import ChannelId, Form, Person, PersonId
from tocsin.incidents.requests import Declaration, DeclareRequest
from tocsin.incidents.validation import answered, declared
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.context import Desk
from tocsin.slack.listeners.declare import KEYS, UNKNOWN_READERS, WITHHELD
from tocsin.slack.listeners.targets import checked_roles
from tocsin.slack.payloads import Happening
from tocsin.slack.views.workflow_step import read_step
from tocsin.workflows.declaration import DeclareCommand

DECLARE = "declare_incident"
"""What Slack knows the step by (Slack, custom steps: the callback id)."""

NOT_SEEN = "you and Tocsin do not both see that channel"

NOT_KNOWN = "This step is from another version of Tocsin, which is gone. Put Tocsin's step in again."


async def run_step(happening: Happening, desk: Desk) -> None:
    """A workflow has come to a step of ours (Slack, function_executed).

    Its execution's id is the key: sent again, it declares nothing twice and is answered the same.
    """
    run, called = str(happening.event.get("function_execution_id") or ""), happening.event.get("function")
    if not run or not isinstance(called, dict):
        return
    if called.get("callback_id") != DECLARE:
        await desk.workspace.fail_step(run, NOT_KNOWN)
        return
    given = happening.event.get("inputs")
    inputs: Mapping[str, Any] = given if isinstance(given, dict) else {}
    key = str(uuid5(KEYS, f"{happening.served_team}/step/{run}"))
    if (begun := await desk.declare.order(key)) is not None:
        await _answer_again(begun, desk)
        return
    try:
        order = await _order(happening, inputs, key, desk)
    except Refused as refusal:
        await desk.workspace.fail_step(run, _in_words(refusal))
    except TocsinError as error:
        await desk.workspace.fail_step(run, f"{error} Nothing was declared; run it again.")
    else:
        await desk.declare.begin(order)


def _in_words(refusal: Refused) -> str:
    """What is wrong, each thing once; the sentence above a form says nothing where there is no form."""
    return " ".join(dict.fromkeys(refusal.fields.values())) or refusal.sentence


async def _answer_again(order: DeclareCommand, desk: Desk) -> None:
    """What is still being declared answers by itself when it is done."""
    outcome = await desk.declare.outcome(order.declaration.key)
    if outcome is not None:
        await desk.declare.answer(order, outcome)


async def _order(happening: Happening, inputs: Mapping[str, Any], key: str, desk: Desk) -> DeclareCommand:
    """The declaration as it will be made. Raises Refused, and TocsinError where nothing can be checked.

    Who built the workflow wrote all of it, and may name anybody as its reporter: so what is wrong is told to
    the workflow alone.
    """
    form = await desk.forms.fetch()
    asked = read_step(inputs, form)
    by = desk.people.meet(Person(slack_user_id=asked.reporter))
    request = declared(asked.declaration, form)
    private = request.visibility == "private"
    unchecked, withheld, assignees = await asyncio.gather(
        _may_declare(asked.reporter, private, desk),
        _withheld(None if private else asked.channel, asked.reporter, desk),
        checked_roles(desk, request.incident_role_assignments, private=private),
    )
    declaration = _declaration(happening, request, form, desk.people.meet(by), key, desk)
    declaration = declaration.model_copy(update={"assignees": assignees})
    return DeclareCommand(
        declaration=declaration,
        origin=None if withheld else asked.channel,
        announcement=announced(desk.rules, declaration, form),
        run=str(happening.event["function_execution_id"]),
        withheld=withheld,
        unchecked=unchecked,
    )


async def _may_declare(person: PersonId, private: bool, desk: Desk) -> str:
    """What to note where Slack could not be asked. Raises Refused; also for who is not there."""
    unchecked = await desk.permits.check(person, "declare", private=private)
    if unchecked:
        await _is_there(person, desk)
    return unchecked


async def _is_there(person: PersonId, desk: Desk) -> None:
    """Raises Refused where Slack says that nobody has this id; while it says nothing, all are there."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            found = await desk.workspace.users.knows(person)
    except (TocsinError, TimeoutError):
        return
    if not found:
        raise Refused(f"Nobody in this workspace has the id {person}. Choose a person in the step.")


async def _withheld(channel: ChannelId | None, person: PersonId, desk: Desk) -> str:
    """Why no card goes to this channel; unless it is known to be well, none does."""
    if channel is None:
        return ""
    if why := WITHHELD[await desk.places.is_shared(channel, CHECK_SECONDS)]:
        return why
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            confined = (await desk.people.standing(person, CHECK_SECONDS)).is_guest
            seen = await desk.workspace.channels.is_seen_by(channel, person, confined=confined)
    except (TocsinError, TimeoutError):
        return UNKNOWN_READERS
    return "" if seen else NOT_SEEN


def _declaration(
    happening: Happening, request: DeclareRequest, form: Form, by: Person, key: str, desk: Desk
) -> Declaration:
    custom, own = answered(request, form, {})
    return Declaration(
        key=key,
        **request.model_dump(exclude={"custom_field_entries", "backend_entries", "labels"}),
        custom_field_entries=custom,
        backend_entries=own,
        slack_team_id=happening.served_team,
        slack_enterprise_id=desk.workspace.home.enterprise,
        reporter=by,
        at=desk.clock(),
    )
