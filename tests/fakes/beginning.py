"""A running bot put back to how it was when it had just started, for the next test that shares it."""

from __future__ import annotations

import asyncio
import copy
import sqlite3
from contextlib import closing

from fakes.bot import RunningBot
from tocsin.slack.floods import Floods

FILES = ("incidents.db", "journal.db")


class Beginning:
    """What the workspace and the bot's databases hold at the moment; `again` brings it back."""

    def __init__(self, bot: RunningBot) -> None:
        self._bot = bot
        state = bot.workspace.state
        self._said = copy.deepcopy((state.channels, state.messages))
        self._kept = {name: sqlite3.connect(":memory:", check_same_thread=False) for name in FILES}
        for name, kept in self._kept.items():
            with closing(sqlite3.connect(bot.folder / name)) as file:
                file.backup(kept)

    async def again(self) -> None:
        """Finish what is in hand, and have everything as it was."""
        bot, workspace = self._bot.bot, self._bot.workspace
        await bot.settled()
        for person in workspace.people():
            workspace.modals.close_all(person.id)
        workspace.state.channels, workspace.state.messages = copy.deepcopy(self._said)
        workspace.faults.clear()
        await asyncio.to_thread(self._restore)
        for desk in bot.desks.open if bot.desks is not None else ():
            await desk.managing.watching.look()
            desk.floods = Floods()
        workspace.clear()

    def _restore(self) -> None:
        for name, kept in self._kept.items():
            with closing(sqlite3.connect(self._bot.folder / name, timeout=60)) as file:
                kept.backup(file)

    def close(self) -> None:
        for kept in self._kept.values():
            kept.close()
