"""People who declare one incident after the other, together so many a second."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_hex

from support.bot import chosen, submitted, typed
from support.slack import RunningWorkspace

from reliability.history.history import Press
from slack_emulator.models import Person, View

FORM_SECONDS = 5.0
"""How long somebody waits for a form before they type the command again."""

NOT_ANSWERED = ("operation_timeout", "app_not_responding")
PLACES = ("general", "alerts", "incidents")


@dataclass
class Crowd:
    """`rate` declarations are begun each second, each by somebody who has none under way.

    Where answers are slow, so are they: a machine that is busy with other things is not drowned.
    """

    slack: RunningWorkspace
    rate: float
    size: int = 40
    presses: list[Press] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    """How often a form came or did not, and a press was answered or was not."""
    _took: deque[float] = field(default_factory=lambda: deque(maxlen=5))
    """How long the latest answers took, in seconds."""
    _idle: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _pressed: asyncio.Event = field(default_factory=asyncio.Event)
    _opened: dict[str, asyncio.Future[View]] = field(default_factory=dict)

    async def gather(self) -> None:
        """Bring the people into the workspace and its channels."""
        for number in range(self.size):
            person = Person(f"USOAK{number:05}", f"soak{number}", f"Soak {number}", f"s{number}@example.com")
            self.slack.workspace.state.save(person)
            for place in PLACES:
                assert (await self.slack.workspace.join(person.id, self.slack.channel(place))).ok
            self._idle.put_nowait(person.id)

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """While inside, everybody sees the modals that open."""
        with self.slack.workspace.subscribe() as changes:

            async def look() -> None:
                async for change in changes:
                    waiting = self._opened.get(change.person or "")
                    stack = self.slack.workspace.stack(change.person) if change.person else []
                    if change.kind == "view_opened" and waiting and stack and not waiting.done():
                        waiting.set_result(stack[-1])

            task = asyncio.create_task(look())
            try:
                yield
            finally:
                task.cancel()

    async def pressed(self, count: int) -> None:
        """Until so many have pressed *Declare*."""
        while len(self.presses) < count:
            await self._pressed.wait()

    async def declare(self, count: int) -> None:
        """Until so many have declared and everybody has been answered."""
        loop, pause = asyncio.get_running_loop(), 1 / self.rate
        async with asyncio.TaskGroup() as group:
            next_at = loop.time()
            for _ in range(count):
                await asyncio.sleep(next_at - loop.time())
                group.create_task(self._declare(await self._idle.get()))
                next_at += max(pause, statistics.median(self._took or [0.0]))

    async def _declare(self, person: str) -> None:
        token = f"tok{token_hex(5)}"
        workspace = self.slack.workspace
        where = self.slack.channel(PLACES[len(self.presses) % len(PLACES)])
        view, tries = None, 0
        while view is None:
            # What is said to them of each try is then no repetition.
            tries += 1
            view = await self._form(person, where, f"{token} try {tries}")
        workspace.type_into(person, view.id, "severity_id", "severity_id", chosen("major"))
        workspace.type_into(person, view.id, "name", "name", typed(f"{token} is slow"))
        self.presses.append(Press(view.id, person, token, origin=where))
        self._pressed.set()
        self._pressed = asyncio.Event()
        await self._press(person, view)
        await workspace.dismiss(person, whole_stack=True)
        self._idle.put_nowait(person)

    async def _press(self, person: str, view: View) -> None:
        """*Declare* pressed, and again where Slack could not hand it over or had no answer in time."""
        loop = asyncio.get_running_loop()
        ended = ""
        while ended in {"", *NOT_ANSWERED}:
            pressed_at = loop.time()
            outcome = await submitted(self.slack.workspace, person, view.id)
            self._took.append(loop.time() - pressed_at)
            ended = "answered" if outcome.ok else str(outcome.error)
            self.ended[ended] += 1

    async def _form(self, person: str, where: str, text: str) -> View | None:
        opened: asyncio.Future[View] = asyncio.get_running_loop().create_future()
        self._opened[person] = opened
        outcome = await self.slack.workspace.command(person, where, f"/incident {text}")
        await asyncio.wait({opened}, timeout=FORM_SECONDS if outcome.ok else 1.0)
        self.ended["form" if opened.done() else f"no form ({outcome.error or 'not opened'})"] += 1
        return opened.result() if opened.done() else None
