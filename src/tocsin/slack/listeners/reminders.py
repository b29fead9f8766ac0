"""The next update is due: give it, put it off, take it over, or be asked no more."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck

from tocsin.incidents.model import Incident
from tocsin.slack.context import Desk
from tocsin.slack.listeners.replies import begin, say_of
from tocsin.slack.listeners.targets import allowed, called
from tocsin.slack.listeners.update import UPDATE
from tocsin.slack.listeners.verbs import key_of, open_way
from tocsin.slack.payloads import BlockAction
from tocsin.slack.views.notifications import SNOOZE_MINUTES


async def give_update(ack: AsyncAck, action: BlockAction, desk: Desk) -> None:
    """*Give an update*: the form."""
    await ack()
    begin(desk, action, "open the form to update", _give(desk, action))


async def _give(desk: Desk, action: BlockAction) -> None:
    await open_way(UPDATE, desk, action, await _incident(desk, action, opening=True))


async def snooze(ack: AsyncAck, action: BlockAction, desk: Desk) -> None:
    """*In 15 minutes*."""
    await ack()
    begin(desk, action, "put the update off", _snooze(desk, action))


async def _snooze(desk: Desk, action: BlockAction) -> None:
    incident = await _incident(desk, action)
    by = desk.people.meet(action.by)
    await desk.remind.snooze(incident, SNOOZE_MINUTES, by, key_of(action))
    said = f"The channel is asked again for an update on {incident.reference} in {SNOOZE_MINUTES} minutes."
    await say_of(desk, action, incident, said)


async def take_over(ack: AsyncAck, action: BlockAction, desk: Desk) -> None:
    """*I'll do it*: whoever presses is asked from now on."""
    await ack()
    begin(desk, action, "take the update over", _take_over(desk, action))


async def _take_over(desk: Desk, action: BlockAction) -> None:
    incident = await _incident(desk, action)
    await desk.remind.take_over(incident, SNOOZE_MINUTES, desk.people.meet(action.by), key_of(action))
    said = f"You give the next update on {incident.reference}; you are asked in {SNOOZE_MINUTES} minutes."
    await say_of(desk, action, incident, said)


async def stop(ack: AsyncAck, action: BlockAction, desk: Desk) -> None:
    """*Stop asking*."""
    await ack()
    begin(desk, action, "stop asking for updates", _stop(desk, action))


async def _stop(desk: Desk, action: BlockAction) -> None:
    incident = await _incident(desk, action)
    await desk.remind.stop(incident)
    await say_of(desk, action, incident, f"No more updates on {incident.reference} are asked for.")


async def _incident(desk: Desk, action: BlockAction, *, opening: bool = False) -> Incident:
    incident = await called(desk, action.value, action.by.slack_user_id)
    await allowed(desk, action, "update", incident, opening=opening)
    return incident
