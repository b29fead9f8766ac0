"""The bot's lives in one run: started, watched, and started again on the same folder when it was killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from support.alerts import TOKEN as ALERTS_TOKEN
from support.alerts import VARIABLE as ALERTS_VARIABLE
from support.paging import VARIABLES
from support.webhooks import SECRET as WEBHOOKS_SECRET
from support.webhooks import VARIABLE as WEBHOOKS_VARIABLE

from reliability.crash.clock import Hurry
from reliability.crash.switch import Kill

TESTS = Path(__file__).resolve().parents[2]
UP_SECONDS = 120.0
QUIET_SECONDS = 240.0
MOST_LIVES = 10
GLANCE_SECONDS = 0.02
HASTE = 20.0
"""How many times as fast the waiting of a bot goes by that nobody waits for, over a hosted backend."""

CALMER_SECONDS = 25.0
"""After so many seconds it is hurried half as much."""


class Zygote:
    """The warm process that bots are forked from."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def bear(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")


@asynccontextmanager
async def warm() -> AsyncIterator[Zygote]:
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")]))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "reliability.crash.zygote",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            **VARIABLES,
            ALERTS_VARIABLE: ALERTS_TOKEN,
            WEBHOOKS_VARIABLE: WEBHOOKS_SECRET,
            "PYTHONPATH": path,
        },
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError("the warm process did not start")
        yield Zygote(process)
    finally:
        process.stdin.close()
        await process.wait()


@dataclass
class Life:
    """One process of the bot."""

    kill: Kill | None
    pid: int = 0
    port: int = 0
    """Of its pages and its API."""
    up: asyncio.Event = field(default_factory=asyncio.Event)
    dead: asyncio.Event = field(default_factory=asyncio.Event)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    passed: Counter[str] = field(default_factory=Counter)
    killed_at: str | None = None
    failed: str | None = None
    stopped: bool = False
    """Killed by the scenario, where it wanted a new one."""
    line: asyncio.StreamWriter | None = None
    handle: int | None = None
    """Of the process: readable once it has ended, and all that it held is free."""

    def signalled(self, number: signal.Signals) -> None:
        # It may be gone a moment before we hear of it.
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def ended(self) -> None:
        if self.handle is None:
            return
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.handle, gone.set)
        await gone.wait()
        loop.remove_reader(self.handle)
        os.close(self.handle)


class Lives:
    """Whoever acts asks `alive` first; when a life ends, the next one is begun at once."""

    def __init__(
        self,
        zygote: Zygote,
        folder: Path,
        settings: dict[str, Any],
        kills: list[Kill],
        now: Callable[[], float],
        hurry: Hurry | None = None,
    ) -> None:
        """With `hurry`, the lives are in a time that can be hurried; the clock is `clock` in the folder."""
        self._zygote = zygote
        self._folder = folder
        self._settings = settings
        self._kills = list(kills)
        self._server: asyncio.Server | None = None
        self._now = now
        self._hurry = hurry
        self.haste = HASTE
        self._over = False
        self.free = asyncio.Event()
        """Cleared while a scenario holds one of the bot's files."""
        self.free.set()
        self.killed_when: list[float] = []
        self.past: list[Life] = []
        self.now = Life(None)

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._talk, self._folder / "line")
        self._begin()

    def _begin(self) -> None:
        number = len(self.past)
        self.now = Life(self._kills[number] if number < len(self._kills) else None)
        self.past.append(self.now)
        order = {
            "line": str(self._folder / "line"),
            "note": str(self._folder / f"note-{number}"),
            "log": str(self._folder / "log"),
            "settings": self._settings,
            "kill": asdict(self.now.kill) if self.now.kill else None,
            "clock": str(self._folder / "clock") if self._hurry is not None else None,
        }
        self._zygote.bear(order)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        life, number = self.now, len(self.past) - 1
        life.line = writer
        try:
            while said := await reader.readline():
                self._heard(life, json.loads(said))
        except ConnectionError:
            pass
        finally:
            writer.close()
        await life.ended()
        if life.failed and not self.free.is_set():
            # Nobody can start on files that another program holds; who runs the bot tries again later.
            life.failed = None
            await self.free.wait()
        self._ended(life, self._folder / f"note-{number}")

    def _heard(self, life: Life, said: dict[str, Any]) -> None:
        if "pid" in said:
            life.pid = said["pid"]
            # One that is dead already needs no watching.
            with suppress(ProcessLookupError):
                life.handle = os.pidfd_open(life.pid)
        life.failed = said.get("why", life.failed)
        if said.get("event") == "up":
            life.port = said["port"]
            life.up.set()
        if said.get("event") == "quiet":
            life.passed = Counter(said["passed"])
            life.quiet.set()

    def _ended(self, life: Life, note: Path) -> None:
        if note.exists():
            told = json.loads(note.read_text())
            # Written just before the kill: who found nobody there from then on was not left unanswered.
            self.killed_when.append(self._now() - (time.time() - note.stat().st_mtime))
            life.killed_at, life.passed = told["point"], Counter(told["passed"])
        life.dead.set()
        if not self._over and len(self.past) < MOST_LIVES:
            self._begin()

    async def alive(self) -> Life:
        """The present life, once it is up."""
        async with asyncio.timeout(UP_SECONDS):
            while True:
                life = self.now
                await first(life.up.wait(), life.dead.wait())
                if life.up.is_set() and not life.dead.is_set():
                    return life
                if life.dead.is_set() and life is self.now:
                    raise RuntimeError(f"the bot does not start any more: {life.failed}")

    async def quiet(self) -> None:
        """Until a life that has nothing left to do; TimeoutError when there is none within four minutes."""
        async with asyncio.timeout(QUIET_SECONDS), self._hurried():
            while True:
                life = await self.alive()
                assert life.line is not None
                life.quiet.clear()
                life.line.write(b"quiet?\n")
                await first(life.quiet.wait(), life.dead.wait())
                if life.quiet.is_set():
                    return

    async def again(self) -> None:
        """Kill the present life, wherever it stands; the next one is begun at once."""
        life = await self.alive()
        life.stopped = True
        self.killed_when.append(self._now())
        life.signalled(signal.SIGKILL)
        await life.dead.wait()

    @asynccontextmanager
    async def _hurried(self) -> AsyncIterator[None]:
        """Meanwhile nobody waits for an answer, so that all other waiting may be short."""
        if self._hurry is None:
            yield
            return
        hurrying = asyncio.create_task(self._keep_hurrying(self._hurry))
        try:
            yield
        finally:
            hurrying.cancel()
            self._hurry.speed = 1.0

    async def _keep_hurrying(self, hurry: Hurry) -> None:
        """As fast as this machine can answer just now: on a busy one, whoever is asked takes longer, too.

        A bot that is hurried more than it can stand loses one connection after the other, and comes to no
        end: the longer it takes, the less it is hurried.
        """
        late, since = 1.0, time.monotonic()
        while True:
            began = time.monotonic()
            await asyncio.sleep(GLANCE_SECONDS)
            late += 0.3 * ((time.monotonic() - began) / GLANCE_SECONDS - late)
            calm = 2 ** ((began - since) / CALMER_SECONDS)
            hurry.speed = max(1.0, self.haste / late / calm)

    def dump(self) -> None:
        """Have the present life write into its log where each of its threads stands."""
        if self.now.pid and not self.now.dead.is_set():
            self.now.signalled(signal.SIGUSR1)

    async def close(self) -> None:
        self._over = True
        life = self.now
        if life.pid and not life.dead.is_set():
            life.signalled(signal.SIGKILL)
            await life.dead.wait()
        if self._server is not None:
            self._server.close()

    @property
    def kills(self) -> list[str]:
        """The points at which the bot was killed, in order."""
        return [life.killed_at for life in self.past if life.killed_at]


async def first(*waits: Awaitable[Any]) -> None:
    """Until one of them is done; the others are given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
