"""Workflow Builder steps; the one that declares is validated like the form, and completed at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid5

from tocsin.incidents.announcements import announcement_for
from tocsin.incidents.calls import call_for
from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import ChannelId, Form, Person, PersonId
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import Declaration, DeclareRequest
from tocsin.incidents.timestamps import zone_named
from tocsin.incidents.validation import parse_custom_fields, validate_declaration
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.listeners.change_step import CHANGES, in_words, run_change_step
from tocsin.slack.listeners.declare import KEYS, UNKNOWN_READERS, WITHHELD
from tocsin.slack.listeners.targets import validate_roles
from tocsin.slack.listeners.times import find_zone
from tocsin.slack.payloads import EventCallback
from tocsin.slack.views.workflow_step import read_step
from tocsin.workflows.declaration import DeclareCommand

DECLARE = "declare_incident"
"""Callback id of the step (Slack, custom steps)."""

NOT_SEEN = "you and Tocsin do not both see that channel"

NOT_KNOWN = "This step is from another version of Tocsin, which is gone. Put Tocsin's step in again."


async def run_step(callback: EventCallback, context: WorkspaceContext) -> None:
    """Run our step of a Workflow Builder workflow (Slack, function_executed).

    The execution's id is the key, so a repeated event declares nothing twice and gets the same answer.
    """
    run, called = str(callback.event.get("function_execution_id") or ""), callback.event.get("function")
    if not run or not isinstance(called, dict):
        return
    given, step = callback.event.get("inputs"), called.get("callback_id")
    inputs: Mapping[str, Any] = given if isinstance(given, dict) else {}
    if step == DECLARE:
        await _declare(callback, inputs, run, context)
    elif step in CHANGES:
        await run_change_step(CHANGES[step], callback, inputs, run, context)
    else:
        await context.workspace.fail_step(run, NOT_KNOWN)


async def _declare(
    callback: EventCallback, inputs: Mapping[str, Any], run: str, context: WorkspaceContext
) -> None:
    key = str(uuid5(KEYS, f"{callback.served_team}/step/{run}"))
    if (begun := await context.declare.find_command(key)) is not None:
        await _answer_again(begun, context)
        return
    try:
        command = await _order(callback, inputs, key, context)
    except Refused as refusal:
        await context.workspace.fail_step(run, in_words(refusal))
    except TocsinError as error:
        await context.workspace.fail_step(run, f"{error} Nothing was declared; run it again.")
    else:
        await context.declare.begin(command)


async def _answer_again(command: DeclareCommand, context: WorkspaceContext) -> None:
    """Answer a repeated event; a declaration that is still running answers the step itself at its end."""
    outcome = await context.declare.outcome(command.declaration.key)
    if outcome is not None:
        await context.declare.answer(command, outcome)


async def _order(
    callback: EventCallback, inputs: Mapping[str, Any], key: str, context: WorkspaceContext
) -> DeclareCommand:
    """Return the declare command. Raises Refused, and TocsinError if it cannot be checked.

    All inputs come from the workflow's author, who may name any person as the reporter. So errors are
    reported only to the workflow.
    """
    form = await context.forms.fetch()
    reporter = inputs.get("reporter")
    zone = await find_zone(context, PersonId(reporter) if isinstance(reporter, str) else None)
    asked = read_step(inputs, form, context.clock(), zone_named(zone))
    by = context.people.meet(Person(slack_user_id=asked.reporter))
    request = validate_declaration(asked.declaration, form, context.clock())
    private = request.visibility == "private"
    unchecked, withheld, assignees = await asyncio.gather(
        _may_declare(asked.reporter, private, context),
        _withheld(None if private else asked.channel, asked.reporter, context),
        validate_roles(context, request.incident_role_assignments, private=private),
    )
    declaration = _declaration(callback, request, form, context.people.meet(by), key, context)
    call_url = call_for(context.calls, declaration, form)
    declaration = declaration.model_copy(update={"assignees": assignees, "call_url": call_url})
    return DeclareCommand(
        declaration=declaration,
        origin=None if withheld else asked.channel,
        announcement=announcement_for(context.rules, declaration, form),
        run=str(callback.event["function_execution_id"]),
        withheld=withheld,
        unchecked=unchecked,
    )


async def _may_declare(person: PersonId, private: bool, context: WorkspaceContext) -> str:
    """Check the reporter's permission; return a note for the timeline if Slack does not answer.

    Raises Refused if the reporter may not declare, or if Slack knows no such person.
    """
    unchecked = await context.authorizer.check(person, Verb.DECLARE, private=private)
    if unchecked:
        await _is_there(person, context)
    return unchecked


async def _is_there(person: PersonId, context: WorkspaceContext) -> None:
    """Raise Refused if Slack knows no person with this id; do nothing if Slack does not answer."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            found = await context.workspace.users.knows(person)
    except (TocsinError, TimeoutError):
        return
    if not found:
        raise Refused(f"Nobody in this workspace has the id {person}. Choose a person in the step.")


async def _withheld(channel: ChannelId | None, person: PersonId, context: WorkspaceContext) -> str:
    """Return the reason for posting no card in this channel; empty if a card may be posted."""
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
