"""A bot in this process, what people declare with it, and the judgement over all that happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.bot import RunningBot, chosen, running_bot, submitted, typed
from support.patience import LIMIT
from support.readings import settled, told, words
from support.slack import RunningWorkspace

from reliability.history.checker import violations
from reliability.history.history import History, Press
from slack_emulator.faults import Fault
from slack_emulator.models import Message, Outcome, View
from tocsin.workflows.ports import IncidentBackend


@dataclass
class Run:
    """Everything that people pressed, over one or several lives of the bot."""

    bot: RunningBot
    presses: list[Press] = field(default_factory=list)

    def fail(self, method: str, *faults: Fault) -> None:
        """The next calls of this method meet these faults."""
        self.bot.workspace.faults.plan(method, *faults)

    async def filled(self, who: str = "ana", where: str = "general", **fields: Any) -> tuple[View, Press]:
        """A form, filled, whose name has a word that stands nowhere else."""
        token = f"word{len(self.presses)}x"
        view = await self.bot.type_command(who, where, "/incident something")
        fields = {"name": typed(f"{token} is slow"), "severity_id": chosen("major"), **fields}
        await self.bot.fill(who, view, **fields)
        press = Press(view.id, self.bot.slack.person(who), token, origin=self.bot.slack.channel(where))
        self.presses.append(press)
        return view, press

    async def from_message(self, who: str, message: Message) -> tuple[View, Press]:
        token = f"word{len(self.presses)}x"
        view = await self.bot.pick_shortcut(who, message)
        await self.bot.fill(who, view, name=typed(f"{token} is slow"), severity_id=chosen("major"))
        press = Press(
            view.id,
            self.bot.slack.person(who),
            token,
            origin=message.channel,
            message=(message.channel, message.ts),
        )
        self.presses.append(press)
        return view, press

    async def submit(self, press: Press) -> Outcome:
        return await submitted(self.bot.workspace, press.person, press.view_id)

    async def declare(self, **fields: Any) -> View:
        """Declared by Ana in #general, and everything followed through."""
        view, press = await self.filled(**fields)
        outcome = await self.submit(press)
        assert outcome.ok, outcome
        await settled(self.bot)
        return view

    async def settled(self) -> None:
        """Until nothing is in hand and no story is unfinished, also one that an earlier life left behind."""
        async with asyncio.timeout(LIMIT):
            await self.bot.app.settled()

    def told(self, who: str = "ana") -> str:
        """All that was said to somebody alone."""
        return " ".join(words(message) for message in told(self.bot, who))

    def broken(self) -> list[str]:
        """The promises that were not kept, once all is quiet."""
        history = History.of(self.bot.workspace, self.bot.folder, self.presses)
        return [str(violation) for violation in violations(history)]


@asynccontextmanager
async def run(
    folder: Path,
    slack: RunningWorkspace | None = None,
    behind: Callable[[IncidentBackend], IncidentBackend] | None = None,
    presses: list[Press] | None = None,
    can_resume: bool = True,
    **settings: Any,
) -> AsyncIterator[Run]:
    async with running_bot(folder, slack, behind, can_resume=can_resume, **settings) as bot:
        yield Run(bot, presses if presses is not None else [])
