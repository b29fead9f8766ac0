"""The choice in a form to use the channel in which it was opened."""

from __future__ import annotations

import json
from contextlib import suppress

from support.bot import RunningBot
from support.errands import until

from slack_emulator.models import View
from slack_emulator.views import elements_of

USE = "slack_channel_id"
"""Its field, which is among those of *More fields*."""

SOON = 60.0


async def is_offered(bot: RunningBot, form: View) -> bool:
    """Whether there is that choice, once all fields are shown."""
    if '"more_fields"' in json.dumps(form.payload):
        shown = form.hash
        pressed = await bot.workspace.press(form.user, "more_fields", "more_fields", view_id=form.id)
        if pressed.ok:
            # Where Slack answered the bot with an error the form is sent as it is.
            with suppress(TimeoutError):
                await until(bot, lambda: form.hash != shown, SOON)
    return any(block.get("block_id") == USE for block, _ in elements_of(form.payload["blocks"]))
