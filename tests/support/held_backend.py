"""A backend that takes its time: real behind, and held until the test lets it go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slack_emulator.models import View
from support.bot import RunningBot, chosen, running_bot
from support.slack import RunningWorkspace
from tocsin.incidents.model import Form, Incident
from tocsin.incidents.requests import Declaration, IncidentChange
from tocsin.workflows.ports import IncidentBackend


class HeldBackend:
    """Answers as the backend behind it does, once `go_on` is set.

    What is in `failing` is raised before that, one for each create; `refusal` is raised after it.
    """

    def __init__(self, behind: IncidentBackend) -> None:
        self._behind = behind
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.form_may_come = asyncio.Event()
        self.form_may_come.set()
        self.failing: list[Exception] = []
        self.refusal: Exception | None = None
        self.failing_changes: list[Exception] = []
        self.may_change = asyncio.Event()
        self.may_change.set()
        self.found = asyncio.Event()
        self.may_find = asyncio.Event()
        self.may_find.set()

    def let_go(self) -> None:
        """Answer everything from now on."""
        for answer in (self.go_on, self.may_change, self.may_find):
            answer.set()

    def hold_again(self) -> None:
        """Be as at the beginning."""
        for what in (self.asked, self.go_on, self.found):
            what.clear()
        self.refusal = None
        self.failing, self.failing_changes = [], []

    async def form(self) -> Form:
        await self.form_may_come.wait()
        return await self._behind.form()

    async def create(self, declaration: Declaration) -> Incident:
        self.asked.set()
        if self.failing:
            raise self.failing.pop(0)
        await self.go_on.wait()
        if self.refusal is not None:
            raise self.refusal
        return await self._behind.create(declaration)

    async def change(self, incident_id: str, change: IncidentChange) -> Incident:
        if self.failing_changes:
            raise self.failing_changes.pop(0)
        await self.may_change.wait()
        changed: Incident = await self.__getattr__("change")(incident_id, change)
        return changed

    async def matching(self, *args: Any, **options: Any) -> Sequence[Incident]:
        """What there was when it was asked for, told once `may_find` is set."""
        matching: Sequence[Incident] = await self.__getattr__("matching")(*args, **options)
        self.found.set()
        await self.may_find.wait()
        return matching

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


@dataclass
class Held:
    """The bot, and the backend behind it, which answers nothing until `backend.go_on` is set."""

    bot: RunningBot
    backend: HeldBackend

    async def filled(self, text: str = "checkout is slow") -> View:
        view = await self.bot.type_command("ana", "general", f"/incident {text}")
        await self.bot.fill("ana", view, severity_id=chosen("major"))
        return view


@asynccontextmanager
async def held_bot(
    folder: Path, slack: RunningWorkspace | None = None, *, with_form: bool = True
) -> AsyncIterator[Held]:
    """A bot whose backend is held; without `with_form` even the form's choices do not come."""
    backends: list[HeldBackend] = []

    def behind(real: IncidentBackend) -> IncidentBackend:
        backends.append(HeldBackend(real))
        if not with_form:
            backends[0].form_may_come.clear()
        return backends[0]

    async with running_bot(folder, slack, behind) as bot:
        yield Held(bot, backends[0])
        backends[0].let_go()
