"""Tocsin may have been uninstalled."""

from __future__ import annotations

from tocsin.slack.desk import Desk
from tocsin.slack.gestures import Happening


async def look_whether_gone(happening: Happening, desk: Desk) -> None:
    """`app_uninstalled`, or a bot token in `tokens_revoked` (Slack, Events API).

    Events come late and more than once, also after Tocsin was installed again: so Slack is asked.
    """
    tokens = happening.event.get("tokens")
    if happening.kind == "app_uninstalled" or (isinstance(tokens, dict) and tokens.get("bot")):
        await desk.look_whether_gone()
