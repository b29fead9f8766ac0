"""Say what can be done."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck

from tocsin.slack.desk import Desk
from tocsin.slack.gestures import Command, Press
from tocsin.slack.views.help import help_message


async def say_help(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident help`, seen only by who asked; it needs no call to Slack."""
    text, blocks = help_message(desk.help_lines)
    await ack(response_type="ephemeral", text=text, blocks=blocks)


async def just_acknowledge(ack: AsyncAck, press: Press, desk: Desk) -> None:
    """A button that is only a link: Slack opens it, and wants a word from us all the same."""
    await ack()
