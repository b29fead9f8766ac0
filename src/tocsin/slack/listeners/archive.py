"""The channel of what has ended is to be archived: keep it."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck

from tocsin.slack.desk import Desk
from tocsin.slack.gestures import Press
from tocsin.slack.listeners.answers import begin, say_of
from tocsin.slack.listeners.errands import allowed, called


async def keep_channel(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """*Keep the channel*, under the notice that it is to be archived."""
    await ack()
    begin(desk, press, "keep the channel", _keep(desk, press))


async def _keep(desk: Desk, press: Press) -> None:
    incident = await called(desk, press.control.value or "", press.by.slack_user_id)
    await allowed(desk, press, "keep", incident)
    kept = await desk.managing.archiving.keep(incident, desk.people.meet(press.by))
    said = "is kept" if kept else "is not to be archived any more"
    await say_of(desk, press, incident, f"The channel of {incident.reference} {said}.")
