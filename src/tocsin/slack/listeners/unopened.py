"""Slack did not open a form: the person reads why, and gets a button that opens it."""

from __future__ import annotations

from tocsin.incidents.errors import SlackRefused, TocsinError
from tocsin.slack.desk import Desk
from tocsin.slack.disclosure import NOTHING
from tocsin.slack.gestures import Command, Press, Shortcut
from tocsin.slack.typed import as_read
from tocsin.slack.views.declare import unopened_message
from tocsin.slack.views.metadata import FormContext


async def say_unopened(
    desk: Desk, gesture: Command | Shortcut | Press, error: TocsinError, carried: FormContext
) -> None:
    """Where the person is looking, else in a direct message; a button's press has a trigger of its own."""
    why = error.sentence if isinstance(error, SlackRefused) else str(error).rstrip(".")
    typed = ""
    if isinstance(gesture, Command) and gesture.text:
        typed = f"{gesture.command} {as_read(gesture.text, desk.people.names)}"
    pressed = gesture.control if isinstance(gesture, Press) else None
    again = (pressed.action_id, pressed.value or "") if pressed is not None else None
    text, blocks = unopened_message(why, typed, carried, again)
    if gesture.response_url:
        await desk.workspace.reply(gesture.response_url, text, NOTHING, blocks)
    elif gesture.by.slack_user_id:
        await desk.workspace.say_to(gesture.by.slack_user_id, text, NOTHING, blocks)
