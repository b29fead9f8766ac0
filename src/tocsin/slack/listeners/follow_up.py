"""Say what is to be done, now and afterwards, and that it is done."""

from __future__ import annotations

import asyncio
import re

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.actions.best_effort import best_effort
from tocsin.actions.follow_up import CompleteOrder, FollowUpOrder
from tocsin.actions.promises import AnyChange
from tocsin.incidents.model import FollowUp, Incident, Person, PersonId, TeamId
from tocsin.incidents.requests import FollowUpRequest
from tocsin.slack.desk import Delivery, Desk, being_answered
from tocsin.slack.disclosure import shown_to
from tocsin.slack.gestures import Command, Press, Submission
from tocsin.slack.listeners.answers import Asked, begin, say_of
from tocsin.slack.listeners.changing import Act, Opened, Way, go, key_of, sentence_of
from tocsin.slack.listeners.close import FOLLOW_UP_SECONDS
from tocsin.slack.listeners.errands import allowed, called
from tocsin.slack.listeners.submitting import submit
from tocsin.slack.views.errand import Errand
from tocsin.slack.views.follow_up import follow_up_modal, kind_of, read_follow_up
from tocsin.slack.views.kit import escape

_MENTION = re.compile(r"\s*<@([UW][A-Z0-9]{1,30})(?:\|[^>]*)?>\s*")


def _opened(verb: str) -> Opened:
    async def opened(desk: Desk, asked: Asked, incident: Incident, trouble: str) -> View:
        listed = await _listed(desk, incident)
        return follow_up_modal(await desk.forms.fetch(), incident, verb, listed, trouble=escape(trouble))

    return opened


async def _listed(desk: Desk, incident: Incident) -> list[FollowUp]:
    """What there is to do, if that is known soon: the form opens without it else."""
    found: list[FollowUp] = []
    async with best_effort("list what is to be done"), asyncio.timeout(FOLLOW_UP_SECONDS):
        found += await desk.follow_ups.of(incident.id)
    return found


def _act(verb: str) -> Act:
    async def act(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
        mentioned = _MENTION.search(text)
        person = PersonId(mentioned[1]) if mentioned else None
        left = _MENTION.sub(" ", text, count=1).strip() if mentioned else text
        return sentence_of(await _added(desk, asked, incident, verb, left, person))

    return act


async def _added(
    desk: Desk, asked: Asked, incident: Incident, verb: str, text: str, person: PersonId | None
) -> AnyChange | None:
    assignee = desk.people.meet(Person(slack_user_id=person)) if person else None
    request = FollowUpRequest(
        key=key_of(asked),
        by=desk.people.meet(asked.by),
        at=desk.clock(),
        kind=kind_of(verb),
        text=text,
        assignee=assignee,
    )
    order = FollowUpOrder(incident_id=incident.id, team=TeamId(asked.team_id), request=request)
    return await desk.follow_ups.add(order, being_answered())


ACTION = Way("action", _opened("action"), _act("action"))
FOLLOW_UP = Way("follow-up", _opened("follow-up"), _act("follow-up"))


async def add_action(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident action`, with what is to be done now, and perhaps by whom."""
    await go(ACTION, ack, command, rest, desk)


async def add_follow_up(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident follow-up`, with what is to be done afterwards, and perhaps by whom."""
    await go(FOLLOW_UP, ack, command, rest, desk)


async def submit_follow_up(ack: AsyncAck, submission: Submission, desk: Desk, delivery: Delivery) -> None:
    """The form, sent: one more thing to do."""
    text, person = read_follow_up(submission.view.values)
    verb = Errand.read(submission.view.private_metadata).verb

    async def again(incident: Incident, trouble: str) -> View:
        form, listed = await desk.forms.fetch(), await _listed(desk, incident)
        return follow_up_modal(form, incident, verb, listed, text=text, assignee=person, trouble=trouble)

    async def do(incident: Incident) -> AnyChange | None:
        return await _added(desk, submission, incident, verb, text, person)

    await submit(ack, submission, desk, again, do)


async def press_done(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*Done*, beside something to do."""
    await ack()
    begin(desk, press, "say that something is done", _done(desk, press))


async def _done(desk: Desk, press: Press) -> None:
    incident_id, _, follow_up_id = (press.control.value or "").partition(" ")
    incident = await called(desk, incident_id, press.by.slack_user_id)
    await allowed(desk, press, "action", incident)
    order = CompleteOrder(
        incident_id=incident.id,
        team=TeamId(press.team_id),
        follow_up_id=follow_up_id,
        asked=key_of(press),
        done_by=desk.people.meet(press.by),
        at=desk.clock(),
    )
    sentence = sentence_of(await desk.follow_ups.complete(order, being_answered()))
    view = press.view
    if view is None:
        await say_of(desk, press, incident, sentence)
    elif view.callback_id == "follow_up":
        verb = Errand.read(view.private_metadata).verb
        text, person = read_follow_up(view.values)
        listed = await _listed(desk, incident)
        form = await desk.forms.fetch()
        modal = follow_up_modal(form, incident, verb, listed, text=text, assignee=person)
        about = shown_to(press.by.slack_user_id, incident)
        await desk.workspace.update_modal(view.id, modal, about, seen=view.hash)
