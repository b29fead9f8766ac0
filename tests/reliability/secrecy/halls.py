"""Channels that are there before any incident, and the choice in a form to use one for an incident."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from contextlib import suppress

from support.bot import RunningBot
from support.errands import until

from slack_emulator.models import View
from slack_emulator.views import elements_of

USE = "slack_channel_id"
"""The choice to use the channel in which a form was opened; it is among the fields of *More fields*."""

SOON = 60.0
MOSTLY = 0.9
"""The share of forms in which somebody looks for it."""


async def open_halls(bot: RunningBot, members: Sequence[str]) -> list[str]:
    """Three public channels in which everybody is."""
    halls = []
    for name in ("drivers", "depots", "billing"):
        made = await bot.workspace.create_channel(members[0], name)
        halls.append(made.channel or "")
        for member in members[1:]:
            await bot.workspace.join(member, halls[-1])
    return halls


async def offered_hall(bot: RunningBot, rng: random.Random, form: View) -> str:
    """The channel that the form offers to use, once all its fields are shown; empty where there is none."""
    if rng.random() < MOSTLY and '"more_fields"' in json.dumps(form.payload):
        shown = form.hash
        pressed = await bot.workspace.press(form.user, "more_fields", "more_fields", view_id=form.id)
        if pressed.ok:
            # Where Slack answered the bot with an error the form is sent as it is.
            with suppress(TimeoutError):
                await until(bot, lambda: form.hash != shown, SOON)
    blocks = elements_of(form.payload["blocks"])
    return next(
        (str(one["options"][0]["value"]) for block, one in blocks if block.get("block_id") == USE), ""
    )
