"""Say what is to be done, now and afterwards, and that it is done."""

from __future__ import annotations

import asyncio
import re

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.model import FollowUp, Incident, PersonId, TeamId
from tocsin.incidents.requests import FollowUpRequest
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.command_text import as_read, mentioned
from tocsin.slack.context import Delivery, Desk, being_answered, patience_left
from tocsin.slack.disclosure import shown_to
from tocsin.slack.listeners.close import FOLLOW_UP_SECONDS
from tocsin.slack.listeners.people import person_called
from tocsin.slack.listeners.replies import Asked, begin, say_of
from tocsin.slack.listeners.targets import allowed, called, checked_assignees
from tocsin.slack.listeners.verbs import Act, Opened, Unclear, Way, go, key_of, sentence_of, submit
from tocsin.slack.mentions import PERSON
from tocsin.slack.payloads import Command, Press, Submission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.followups import follow_up_modal, kind_of, read_follow_up
from tocsin.slack.views.metadata import Errand
from tocsin.workflows.command import AnyChange
from tocsin.workflows.followups import AddFollowUpCommand, CompleteFollowUpCommand
from tocsin.workflows.retry import best_effort

_GAP = " \t\n,:;.–—-"
"""What may stand between what is to be done and by whom."""

_LEADS_ON = frozenset({"and", "ask", "by", "call", "for", "from", "of", "or", "tell", "to", "via", "with"})
"""Words that need the name after them."""

_LONGEST_NAME = 4
"""Words of a name that is typed with an @."""

_FIRST = re.compile(rf"{PERSON.pattern}(?!\s*(?:[,&+]|and\b)?\s*<@)")
"""One person at the beginning, and not several."""

_LAST_NAME = re.compile(r"\s(@\S+(?:\s+\S+){0,3})$")


def _opened(verb: str, text: str = "", person: PersonId | None = None) -> Opened:
    async def opened(desk: Desk, asked: Asked, incident: Incident, trouble: str) -> View:
        form, listed, said = await desk.forms.fetch(), await _listed(desk, incident), escape(trouble)
        return follow_up_modal(form, incident, verb, listed, text=text, assignee=person, trouble=said)

    return opened


async def _listed(desk: Desk, incident: Incident) -> list[FollowUp]:
    """What there is to do, if that is known soon: the form opens without it else."""
    found: list[FollowUp] = []
    async with best_effort("list what is to be done"), asyncio.timeout(FOLLOW_UP_SECONDS):
        found += await desk.follow_ups.of(incident.id)
    return found


def _act(verb: str) -> Act:
    async def act(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
        what, person = await _read(desk, asked, verb, text.strip())
        if person is not None and not what:
            raise Unclear("Say what is to be done.", _opened(verb, person=person))
        return sentence_of(await _added(desk, asked, incident, verb, what, person))

    return act


async def _read(desk: Desk, asked: Asked, verb: str, text: str) -> tuple[str, PersonId | None]:
    """What is to be done, in words, and by whom: somebody mentioned, or named with an @ at either end.

    Raises Unclear, with a form that has the words, where that may be one or another.
    """
    names = await desk.mentions.names_of(mentioned(text), CHECK_SECONDS)
    opened = _opened(verb, as_read(text, names))
    mentions = list(PERSON.finditer(text))
    if not mentions:
        if not (typed := _typed_names(text)):
            return as_read(text, names), None
        person, name = await person_called(desk, typed, asked.by.slack_user_id, opened)
        span = (0, len(name)) if text.startswith(name) else (len(text) - len(name), len(text))
    elif _FIRST.match(text) or len({mention[1] for mention in mentions}) == 1:
        person, span = PersonId(mentions[0][1]), mentions[0].span()
    else:
        raise Unclear("Several people are named in it. Choose by whom it is done.", opened)
    return as_read(_without(text, span), names), person


def _typed_names(text: str) -> list[str]:
    """What may be a name, from an @ at the beginning of the text or before its end, the longest first."""
    if text.startswith("@"):
        lengths = range(_LONGEST_NAME - 1, -1, -1)
        return [found[0] for more in lengths if (found := re.match(rf"@\S+(\s+\S+){{{more}}}", text))]
    found = _LAST_NAME.search(text)
    return [found[1]] if found else []


def _without(text: str, span: tuple[int, int]) -> str:
    """The text without a name at its beginning, or at its end where the words before it do without."""
    before, after = text[: span[0]].rstrip(_GAP), text[span[1] :].lstrip(_GAP)
    if not before:
        return after
    return text if after or before.split()[-1].casefold() in _LEADS_ON else before


async def _added(
    desk: Desk, asked: Asked, incident: Incident, verb: str, text: str, person: PersonId | None
) -> AnyChange | None:
    assignees = await checked_assignees(desk, {"assignee": person}, private=incident.is_private)
    request = FollowUpRequest(
        key=key_of(asked),
        by=desk.people.meet(asked.by),
        at=desk.clock(),
        kind=kind_of(verb),
        text=text,
        assignee=next(iter(assignees), None),
    )
    order = AddFollowUpCommand(incident_id=incident.id, team=TeamId(asked.team_id), request=request)
    return await desk.follow_ups.add(order, being_answered(), patience_left())


ACTION = Way("action", _opened("action"), _act("action"), names_people=True)
FOLLOW_UP = Way("follow-up", _opened("follow-up"), _act("follow-up"), names_people=True)


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
    order = CompleteFollowUpCommand(
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
