"""Declare from a workflow: its step is checked as a form is, committed to, and answered when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid5

from tocsin.actions.best_effort import best_effort
from tocsin.actions.orders import DeclareOrder
from tocsin.incidents.announcing import announced
from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import ChannelId, Form, Person, PersonId
from tocsin.incidents.requests import Declaration, DeclareRequest
from tocsin.incidents.rules import answered, declared
from tocsin.slack.desk import Desk
from tocsin.slack.gestures import Happening
from tocsin.slack.listeners.assignees import checked_roles
from tocsin.slack.listeners.checking import WITHHELD
from tocsin.slack.listeners.declare import KEYS
from tocsin.slack.permits import CHECK_SECONDS
from tocsin.slack.views.context import FormContext
from tocsin.slack.views.step import read_step, undeclared_message

DECLARE = "declare_incident"
"""What Slack knows the step by (Slack, custom steps: the callback id)."""

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


async def _answer_again(order: DeclareOrder, desk: Desk) -> None:
    """What is still being declared answers by itself when it is done."""
    outcome = await desk.declare.outcome(order.declaration.key)
    if outcome is not None:
        await desk.declare.answer(order, outcome)


async def _order(happening: Happening, inputs: Mapping[str, Any], key: str, desk: Desk) -> DeclareOrder:
    """The declaration as it will be made. Raises Refused, and TocsinError where nothing can be checked."""
    reporter = inputs.get("reporter")
    if not isinstance(reporter, str) or not reporter:
        raise Refused("The step names no reporter. Give it one, such as the person who started the workflow.")
    by = desk.people.meet(Person(slack_user_id=PersonId(reporter)))
    form = await desk.forms.fetch()
    channel = inputs.get("channel")
    origin = ChannelId(channel) if isinstance(channel, str) and channel else None
    try:
        request = declared(read_step(inputs, form), form)
        wrong = None
    except Refused as refusal:
        request, wrong = DeclareRequest(), refusal
    private = inputs.get("private") is True or request.visibility == "private"
    unchecked, shared = await asyncio.gather(
        desk.permits.check(by.slack_user_id, "declare", private=private),
        desk.places.is_shared(None if private else origin, CHECK_SECONDS),
    )
    assignees: tuple[Person, ...] = ()
    try:
        assignees = await checked_roles(desk, request.incident_role_assignments, private=private)
    except Refused as refusal:
        wrong = wrong or refusal
    if wrong is not None:
        await _offer_the_form(inputs, key, wrong, by, desk)
        raise wrong
    declaration = _declaration(happening, request, form, desk.people.meet(by), key, desk)
    declaration = declaration.model_copy(update={"assignees": assignees})
    return DeclareOrder(
        declaration=declaration,
        origin=origin,
        announcement=announced(desk.rules, declaration, form),
        run=str(happening.event["function_execution_id"]),
        withheld=WITHHELD[shared],
        unchecked=unchecked,
    )


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


async def _offer_the_form(
    inputs: Mapping[str, Any], key: str, refusal: Refused, by: Person, desk: Desk
) -> None:
    """Nothing that was typed is lost: the reporter, who may declare, gets it as a form."""
    assert by.slack_user_id is not None
    name, summary = (str(inputs.get(field) or "") for field in ("name", "summary"))
    why = _in_words(refusal)
    context = FormContext(name=name[:200], summary=summary[:3000])
    text, blocks = undeclared_message(name, why, context)
    async with best_effort("tell that a step declared nothing"):
        await desk.workspace.tell_once(by.slack_user_id, text, blocks, key=f"{key}:undeclared")
