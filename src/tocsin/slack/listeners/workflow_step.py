"""Declare from a workflow: its step is checked as a form is, committed to, and answered when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid5

from tocsin.incidents.announcements import announcement_for
from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import ChannelId, Form, Person, PersonId
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import Declaration, DeclareRequest
from tocsin.incidents.validation import parse_custom_fields, validate_declaration
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.listeners.declare import KEYS, UNKNOWN_READERS, WITHHELD
from tocsin.slack.listeners.targets import validate_roles
from tocsin.slack.payloads import EventCallback
from tocsin.slack.views.workflow_step import read_step
from tocsin.workflows.declaration import DeclareCommand

DECLARE = "declare_incident"
"""What Slack knows the step by (Slack, custom steps: the callback id)."""

NOT_SEEN = "you and Tocsin do not both see that channel"

NOT_KNOWN = "This step is from another version of Tocsin, which is gone. Put Tocsin's step in again."


async def run_step(callback: EventCallback, context: WorkspaceContext) -> None:
    """A workflow has come to a step of ours (Slack, function_executed).

    Its execution's id is the key: sent again, it declares nothing twice and is answered the same.
    """
    run, called = str(callback.event.get("function_execution_id") or ""), callback.event.get("function")
    if not run or not isinstance(called, dict):
        return
    if called.get("callback_id") != DECLARE:
        await context.workspace.fail_step(run, NOT_KNOWN)
        return
    given = callback.event.get("inputs")
    inputs: Mapping[str, Any] = given if isinstance(given, dict) else {}
    key = str(uuid5(KEYS, f"{callback.served_team}/step/{run}"))
    if (begun := await context.declare.find_command(key)) is not None:
        await _answer_again(begun, context)
        return
    try:
        command = await _order(callback, inputs, key, context)
    except Refused as refusal:
        await context.workspace.fail_step(run, _in_words(refusal))
    except TocsinError as error:
        await context.workspace.fail_step(run, f"{error} Nothing was declared; run it again.")
    else:
        await context.declare.begin(command)


def _in_words(refusal: Refused) -> str:
    """Say what is wrong, each thing once; the sentence above a form is left out, as there is no form."""
    return " ".join(dict.fromkeys(refusal.fields.values())) or refusal.sentence


async def _answer_again(command: DeclareCommand, context: WorkspaceContext) -> None:
    """Answer a step that runs again; a declaration still under way answers by itself when it is done."""
    outcome = await context.declare.outcome(command.declaration.key)
    if outcome is not None:
        await context.declare.answer(command, outcome)


async def _order(
    callback: EventCallback, inputs: Mapping[str, Any], key: str, context: WorkspaceContext
) -> DeclareCommand:
    """The declaration as it will be made. Raises Refused, and TocsinError where nothing can be checked.

    Who built the workflow wrote all of it, and may name anybody as its reporter: so what is wrong is told to
    the workflow alone.
    """
    form = await context.forms.fetch()
    asked = read_step(inputs, form)
    by = context.people.meet(Person(slack_user_id=asked.reporter))
    request = validate_declaration(asked.declaration, form)
    private = request.visibility == "private"
    unchecked, withheld, assignees = await asyncio.gather(
        _may_declare(asked.reporter, private, context),
        _withheld(None if private else asked.channel, asked.reporter, context),
        validate_roles(context, request.incident_role_assignments, private=private),
    )
    declaration = _declaration(callback, request, form, context.people.meet(by), key, context)
    declaration = declaration.model_copy(update={"assignees": assignees})
    return DeclareCommand(
        declaration=declaration,
        origin=None if withheld else asked.channel,
        announcement=announcement_for(context.rules, declaration, form),
        run=str(callback.event["function_execution_id"]),
        withheld=withheld,
        unchecked=unchecked,
    )


async def _may_declare(person: PersonId, private: bool, context: WorkspaceContext) -> str:
    """Return what to note where Slack does not answer. Raises Refused, also for a person who is not there."""
    unchecked = await context.authorizer.check(person, Verb.DECLARE, private=private)
    if unchecked:
        await _is_there(person, context)
    return unchecked


async def _is_there(person: PersonId, context: WorkspaceContext) -> None:
    """Raise Refused where Slack knows no person with this id; pass while it does not answer."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            found = await context.workspace.users.knows(person)
    except (TocsinError, TimeoutError):
        return
    if not found:
        raise Refused(f"Nobody in this workspace has the id {person}. Choose a person in the step.")


async def _withheld(channel: ChannelId | None, person: PersonId, context: WorkspaceContext) -> str:
    """Return why no card goes to this channel; empty only where it is known that one may."""
    if channel is None:
        return ""
    if why := WITHHELD[await context.shared_channels.is_shared(channel, CHECK_SECONDS)]:
        return why
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            confined = (await context.people.membership(person, CHECK_SECONDS)).is_guest
            seen = await context.workspace.channels.is_seen_by(channel, person, confined=confined)
    except (TocsinError, TimeoutError):
        return UNKNOWN_READERS
    return "" if seen else NOT_SEEN


def _declaration(
    callback: EventCallback,
    request: DeclareRequest,
    form: Form,
    by: Person,
    key: str,
    context: WorkspaceContext,
) -> Declaration:
    custom, own = parse_custom_fields(request, form, {})
    return Declaration(
        key=key,
        **request.model_dump(exclude={"custom_field_entries", "backend_entries", "labels"}),
        custom_field_entries=custom,
        backend_entries=own,
        slack_team_id=callback.served_team,
        slack_enterprise_id=context.workspace.home.enterprise,
        reporter=by,
        at=context.clock(),
    )
