"""A running bot put back to how it was when it had just started, for the next test that shares it.

Or to how it was when incidents had been declared that many tests of a file begin with: they are declared once
(`declared_before`).
"""

from __future__ import annotations

import asyncio
import pickle
import sqlite3
from contextlib import closing
from typing import Any

from support.bot import RunningBot
from support.errands import declared
from tocsin.incidents.model import Incident
from tocsin.slack.context import DeclarationLimiter

FILES = ("incidents.db", "journal.db")


class Beginning:
    """What the workspace and the bot's databases hold at the moment; `again` brings it back."""

    def __init__(self, bot: RunningBot) -> None:
        self._bot = bot
        self._next: dict[str, tuple[Beginning, Incident]] = {}
        state = bot.workspace.state
        self._said = pickle.dumps((state.channels, state.messages))
        self._kept = {name: sqlite3.connect(":memory:", check_same_thread=False) for name in FILES}
        for name, kept in self._kept.items():
            with closing(sqlite3.connect(bot.folder / name)) as file:
                file.backup(kept)

    async def again(self) -> None:
        """Finish what is in hand, and have everything as it was."""
        app, workspace = self._bot.app, self._bot.workspace
        await app.settled()
        for person in workspace.people():
            workspace.views.close_all(person.id)
        state = workspace.state
        state.channels, state.messages = pickle.loads(self._said)
        workspace.faults.clear()
        await asyncio.to_thread(self._restore)
        for context in app.contexts.open:
            await context.workflows.watching.poll()
            context.declaration_limiter = DeclarationLimiter()
        # The operator is told once of a problem, as long as it lasts.
        app.resources.alerts._known.clear()
        app.resources.alerts._since.clear()
        workspace.clear()
        self._bot.beginning = self

    async def with_declared(self, name: str, person: str, **fields: Any) -> Incident:
        """One incident more from the beginning on."""
        key = repr((name, person, fields))
        if key not in self._next:
            incident = await declared(self._bot, name, person, **fields)
            self._next[key] = Beginning(self._bot), incident
        beginning, incident = self._next[key]
        await beginning.again()
        return incident

    def _restore(self) -> None:
        for name, kept in self._kept.items():
            with closing(sqlite3.connect(self._bot.folder / name, timeout=60)) as file:
                kept.backup(file)

    def close(self) -> None:
        for kept in self._kept.values():
            kept.close()
        for beginning, _ in self._next.values():
            beginning.close()


async def declared_before(bot: RunningBot, name: str, person: str = "ana", **fields: Any) -> Incident:
    """An incident that was declared, and all that follows done, before the test does anything."""
    done = [request.method for request in bot.workspace.requests if "." not in request.method]
    assert done == [], "What was done before would be undone."
    assert bot.beginning is not None
    incident: Incident = await bot.beginning.with_declared(name, person, **fields)
    return incident
