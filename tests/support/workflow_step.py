"""Runs of the step *Declare an incident* in a workflow, and what the bot wrote where."""

from __future__ import annotations

import asyncio
from typing import Any

from slack_emulator.models import Message
from slack_emulator.workflow_steps import StepRun
from support.bot import RunningBot
from support.readings import cards, told, words

CALLBACK = "declare_incident"


def begun(bot: RunningBot, **inputs: Any) -> StepRun:
    given = {"name": "checkout is slow", "reporter": bot.slack.person("ana"), "severity": "major", **inputs}
    return bot.workspace.steps.begin(bot.slack.app, CALLBACK, given)


async def ended(run: StepRun) -> StepRun:
    async with asyncio.timeout(60):
        await run.ended.wait()
    return run


def from_a_webhook(bot: RunningBot, **variables: Any) -> StepRun:
    """A workflow that takes these inputs from what started it, unread."""
    given = {"name": "checkout is slow", "reporter": bot.slack.person("ana"), "severity": "major"}
    return bot.workspace.steps.begin(bot.slack.app, CALLBACK, given, variables=variables)


def posts_in(bot: RunningBot, channel: str) -> list[Message]:
    return cards(bot, bot.slack.channel(channel))


async def direct(bot: RunningBot, person: str) -> str:
    """What the bot wrote to this person alone."""
    await bot.app.settled()
    return "\n".join(f"{message.text} {words(message.blocks)}" for message in told(bot, person))
