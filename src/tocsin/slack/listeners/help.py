"""Say what can be done, here and anywhere."""

from __future__ import annotations

import asyncio

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.slack.desk import Desk
from tocsin.slack.gestures import Command, Press
from tocsin.slack.listeners.answers import Asked
from tocsin.slack.views.blocks import plain
from tocsin.slack.views.home import help_message
from tocsin.workflows.retry import best_effort

LOOK_SECONDS = 1.0
"""How long help may look whose channel it is; it says the same in another order without."""


async def say_help(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident help`, seen only by who asked; it needs no call to Slack."""
    found = [desk.open_now.of_channel(command.channel_id)]
    if found == [None]:
        async with best_effort("look whose channel this is"), asyncio.timeout(LOOK_SECONDS):
            found = [await desk.find.here(command.channel_id)]
    (incident,) = found
    here = ("In this channel", desk.help.here)
    there = ("In an incident's channel, or with its reference: /incident status INC-12", desk.help.here)
    anywhere = ("Anywhere", desk.help.anywhere)
    text, blocks = help_message(*((here, anywhere) if incident else (anywhere, there)))
    await ack(response_type="ephemeral", text=text, blocks=blocks)


async def help_view(desk: Desk, asked: Asked, text: str) -> View:
    """The same in a modal."""
    there = ("In an incident's channel, or with its reference: /incident status INC-12", desk.help.here)
    _, blocks = help_message(("Anywhere", desk.help.anywhere), there)
    return View(type="modal", title=plain("Help"), close=plain("Done"), blocks=blocks)


async def just_acknowledge(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """A button that is only a link: Slack opens it, and wants a word from us all the same."""
    await ack()
