"""A workspace whose bot is a process of its own, that can be killed at any moment and at any point."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from support.paging import running_services
from support.patience import LIMIT

from reliability.crash.lives import Lives, first, warm
from reliability.crash.stage import Stage
from reliability.crash.switch import Kill
from reliability.crash.vendors import OwnFile
from reliability.history.deeds import Deed
from reliability.history.history import Answered, History, Press
from reliability.stateful.scene import Scene
from slack_emulator.models import Outcome

MOST_KILLS = 4
"""In one example, so that there is a life left that comes to its end."""


class Forked(Scene):
    """Each life of the bot is forked from a warm process; faults pass in real time."""

    def __init__(self) -> None:
        super().__init__(asyncio.SelectorEventLoop())
        self.killed = 0
        """How often a bot was killed, in all examples together."""
        self.run(self._prepare())

    @property
    def files(self) -> Path:
        return self.folder / "data"

    async def _prepare(self) -> None:
        """One start on an empty folder: its migrated files are copied for every example."""
        self._zygote = await self._stack.enter_async_context(warm())
        self._paging = await self._stack.enter_async_context(running_services())
        self.files.mkdir(mode=0o700)
        await self._live([])
        await self.lives.quiet()
        await self.lives.close()
        shutil.copytree(self.files, self.folder / "template")

    async def _live(self, kills: list[Kill]) -> None:
        self.lives = Lives(self._zygote, self.folder, self.settings, kills, self.slack.clock.now)
        self._stage = Stage(self.slack, self.lives, self.folder, Random(0), OwnFile(), self._paging)
        await self.lives.open()

    def fresh(self, hits: Iterable[int]) -> None:
        """As after the very first start; each life but the last ends at its so-manieth crash point."""
        self.run(self._fresh([Kill(None, hit) for hit in hits]))

    async def _fresh(self, kills: list[Kill]) -> None:
        await self.lives.close()
        await self.workspace.sockets.disconnected(self.slack.app.app_id)
        self.forget()
        for left in self.folder.glob("note-*"):
            left.unlink()
        shutil.rmtree(self.files)
        shutil.copytree(self.folder / "template", self.files)
        await self._live(kills)

    async def gesture(self, doing: Awaitable[Outcome]) -> Outcome:
        return await self._stage.while_it_lives(await self.lives.alive(), doing)

    async def tried(self, method: str, count: int) -> None:
        """Until the bot has called, or is dead, or will not call any more."""
        life = await self.lives.alive()
        with suppress(TimeoutError):
            async with asyncio.timeout(LIMIT):
                await first(self.workspace.heard(method, count, LIMIT), life.dead.wait())

    async def kill(self) -> None:
        """kill -9, now; the next life begins at once."""
        life = await self.lives.alive()
        if len(self.lives.past) > MOST_KILLS:
            return
        self.lives.killed_when.append(self.slack.clock.now())
        os.kill(life.pid, signal.SIGKILL)
        await life.dead.wait()

    async def quiet(self) -> None:
        self.recover()
        await self.lives.quiet()
        self.killed += len(self.lives.killed_when)

    async def address(self) -> str:
        return f"http://127.0.0.1:{(await self.lives.alive()).port}"

    def history(
        self, presses: Iterable[Press], answered: Sequence[Answered] = (), deeds: Sequence[Deed] = ()
    ) -> History:
        self.kills = self.lives.killed_when
        return super().history(presses, answered, deeds)

    def close(self) -> None:
        self.run(self.lives.close())
        super().close()
