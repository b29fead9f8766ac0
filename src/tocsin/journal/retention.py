"""How long the journal keeps what people wrote."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from tocsin.actions.best_effort import best_effort
from tocsin.actions.ports import Clock
from tocsin.journal.durable import DurableJournal

KEPT = timedelta(days=30)
"""Longer than a form is left open in Slack, or *Fix and send* is put off; incidents are kept elsewhere."""

LOOK_SECONDS = 3600.0


async def forgetting(journal: DurableJournal, clock: Clock) -> None:
    """Delete finished stories once their time has come, for as long as the bot runs."""
    while True:
        async with best_effort("forget what finished long ago"):
            await journal.forget(clock() - KEPT)
        await asyncio.sleep(LOOK_SECONDS)
