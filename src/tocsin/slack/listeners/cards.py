"""The menu on a card: what is not pressed often enough for a button of its own."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck

from tocsin.slack.desk import Desk
from tocsin.slack.gestures import Press
from tocsin.slack.listeners.changing import press
from tocsin.slack.listeners.choose import WAYS


async def press_menu(ack: AsyncAck, pressed: Press, desk: Desk) -> None:
    """One line of the menu; its value is the verb and the incident's id."""
    chosen = pressed.control.selected_option
    verb, _, incident_id = (chosen.value if chosen else "").partition(" ")
    way = WAYS.get(verb)
    if way is None:
        await ack()
        return
    await press(way, ack, pressed, desk, incident_id)
