"""End an incident: close, decline, cancel or merge it, make it private; or open it again."""

from __future__ import annotations

import asyncio
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.model import FollowUp, Incident
from tocsin.slack.desk import Delivery, Desk
from tocsin.slack.gestures import Command, Press, Submission
from tocsin.slack.listeners.answers import Asked
from tocsin.slack.listeners.changing import Act, Opened, Unclear, Way, changed, go, press
from tocsin.slack.listeners.submitting import submit_change
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.close import close_modal, read_close
from tocsin.slack.views.metadata import Errand
from tocsin.workflows.retry import best_effort

FOLLOW_UP_SECONDS = 0.5
"""How long a form may wait to name what is not done yet."""


def _opened(verb: str) -> Opened:
    async def opened(desk: Desk, asked: Asked, incident: Incident, trouble: str) -> View:
        form = await desk.forms.fetch()
        undone = await unfinished(desk, incident) if verb == "close" else []
        return close_modal(form, incident, verb, unfinished=undone, trouble=escape(trouble))

    return opened


def _act(verb: str) -> Act:
    async def act(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
        return await changed(desk, asked, incident, message=text, **_asked(verb))

    return act


async def _confirm(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
    raise Unclear("It is not private yet: press the button if you mean it.")


def _asked(verb: str) -> dict[str, Any]:
    return {"visibility": "private"} if verb == "private" else {"ending": verb}


async def unfinished(desk: Desk, incident: Incident) -> list[FollowUp]:
    """What is not done yet, if that is known soon: the form opens without it else."""
    found: list[FollowUp] = []
    async with best_effort("look for what is not done yet"), asyncio.timeout(FOLLOW_UP_SECONDS):
        found += await desk.follow_ups.of(incident.id)
    return [item for item in found if not item.is_done]


CLOSE = Way("close", _opened("close"), _act("close"))
REOPEN = Way("reopen", _opened("reopen"), _act("reopen"), at_once=True)
DECLINE = Way("decline", _opened("decline"), _act("decline"))
CANCEL = Way("cancel", _opened("cancel"), _act("cancel"))
PRIVATE = Way("private", _opened("private"), _confirm)
ENDINGS = {way.verb: way for way in (CLOSE, REOPEN, DECLINE, CANCEL, PRIVATE)}


async def close(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident close`, with what resolved it."""
    await go(CLOSE, ack, command, rest, desk)


async def reopen(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident reopen`, at once."""
    await go(REOPEN, ack, command, rest, desk)


async def decline(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident decline`, with why it is no incident."""
    await go(DECLINE, ack, command, rest, desk)


async def cancel(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident cancel`: it was declared by mistake."""
    await go(CANCEL, ack, command, rest, desk)


async def make_private(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident private`, which asks first: it cannot be undone."""
    await go(PRIVATE, ack, command, rest, desk)


async def press_reopen(ack: AsyncAck, pressed: Press, desk: Desk) -> None:
    """*Reopen*, on the card of what is closed."""
    await press(REOPEN, ack, pressed, desk, pressed.control.value or "")


async def submit_close(ack: AsyncAck, submission: Submission, desk: Desk, delivery: Delivery) -> None:
    """Any of these forms, sent."""
    message, errand = read_close(submission.view.values), Errand.read(submission.view.private_metadata)
    verb = errand.verb if errand.verb in ENDINGS else "close"

    async def again(incident: Incident, trouble: str) -> View:
        form = await desk.forms.fetch()
        return close_modal(form, incident, verb, message=message, trouble=trouble)

    asked = _asked(verb)
    ending = asked.pop("ending", None)
    await submit_change(ack, submission, desk, delivery, again, asked, ending=ending, message=message)
