"""What only the person who asked reads: an answer in its place, also when something went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from slack_sdk.models.blocks import Block

from tocsin.actions.best_effort import best_effort
from tocsin.incidents.errors import Refused, TocsinError
from tocsin.slack.desk import Desk, answering
from tocsin.slack.gestures import Command, Press, Shortcut, Submission
from tocsin.slack.views.kit import escape

Asked = Command | Shortcut | Press | Submission
SORRY = "Something went wrong on our side, and nothing was done. Please try again."


async def say(
    desk: Desk, asked: Asked, text: str, blocks: Sequence[Block] = (), *, instead: bool = False
) -> None:
    """Answer where the person is looking, else in a direct message; `text` is escaped already.

    With `instead` the answer takes the place of the one that was pressed in.
    """
    if asked.response_url:
        await desk.workspace.reply(asked.response_url, text, blocks, instead=instead)
    elif asked.by.slack_user_id:
        await desk.workspace.say_to(asked.by.slack_user_id, text, blocks)


def begin(desk: Desk, asked: Asked, doing: str, work: Coroutine[Any, Any, Any]) -> None:
    """Start work after the acknowledgement; what goes wrong in it is also said to the person."""

    async def run() -> None:
        answered = asyncio.Event()
        with answering(answered):
            async with best_effort(doing) as failed:
                await work
        if failed:
            await say(desk, asked, escape(reason(failed[0])))
        answered.set()

    desk.tasks.begin(doing, run())


def reason(error: BaseException) -> str:
    """Why it was not done, in plain words, with what to do where that helps."""
    if isinstance(error, Refused):
        return " ".join([error.sentence, *error.fields.values()])
    if isinstance(error, TocsinError):
        return f"{error} Nothing was changed; please try again."
    return SORRY
