"""The next update is due: give it, put it off, take it over, or be asked no more."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck

from tocsin.incidents.model import Incident
from tocsin.slack.context import Desk
from tocsin.slack.listeners.replies import begin, say_of
from tocsin.slack.listeners.targets import allowed, called
from tocsin.slack.listeners.update import UPDATE
from tocsin.slack.listeners.verbs import key_of, open_way
from tocsin.slack.payloads import Press
from tocsin.slack.views.notifications import SNOOZE_MINUTES


async def give_update(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*Give an update*: the form."""
    await ack()
    begin(desk, press, "open the form to update", _give(desk, press))


async def _give(desk: Desk, press: Press) -> None:
    await open_way(UPDATE, desk, press, await _incident(desk, press, opening=True))


async def snooze(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*In 15 minutes*."""
    await ack()
    begin(desk, press, "put the update off", _snooze(desk, press))


async def _snooze(desk: Desk, press: Press) -> None:
    incident = await _incident(desk, press)
    by = desk.people.meet(press.by)
    await desk.remind.snooze(incident, SNOOZE_MINUTES, by, key_of(press))
    said = f"The channel is asked again for an update on {incident.reference} in {SNOOZE_MINUTES} minutes."
    await say_of(desk, press, incident, said)


async def take_over(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*I'll do it*: whoever presses is asked from now on."""
    await ack()
    begin(desk, press, "take the update over", _take_over(desk, press))


async def _take_over(desk: Desk, press: Press) -> None:
    incident = await _incident(desk, press)
    await desk.remind.take_over(incident, SNOOZE_MINUTES, desk.people.meet(press.by), key_of(press))
    said = f"You give the next update on {incident.reference}; you are asked in {SNOOZE_MINUTES} minutes."
    await say_of(desk, press, incident, said)


async def stop(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*Stop asking*."""
    await ack()
    begin(desk, press, "stop asking for updates", _stop(desk, press))


async def _stop(desk: Desk, press: Press) -> None:
    incident = await _incident(desk, press)
    await desk.remind.stop(incident)
    await say_of(desk, press, incident, f"No more updates on {incident.reference} are asked for.")


async def _incident(desk: Desk, press: Press, *, opening: bool = False) -> Incident:
    incident = await called(desk, press.control.value or "", press.by.slack_user_id)
    await allowed(desk, press, "update", incident, opening=opening)
    return incident
