"""A run of the bot as a process of its own, in a workspace that outlives it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
from support.bot import submitted
from support.clock import StillClock
from support.slack import RunningWorkspace

from reliability.history.deeds import Deed
from reliability.history.history import History, Page, Press
from slack_emulator.manifest import Manifest
from slack_emulator.models import Message, Outcome, Request, View
from slack_emulator.seed import seed
from slack_emulator.server import served
from slack_emulator.workspace import Workspace
from tocsin.slack import routes

SECONDS = 120.0
"""Longer than anything takes unless the bot is broken, however busy the machine is."""


class NoBot(Exception):
    """The bot ended before it was connected."""


class Zygote:
    """The forking process, and the socket at which its children report."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._folder = folder

    async def bot(
        self, settings: dict[str, Any], log: Path, bug: str | None = None, death: str | None = None
    ) -> BotProcess:
        """A new bot, once it is connected. Raises NoBot, with the end of its log, when it dies before.

        It has the bug of this name, and dies the death of this name.
        """
        came: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()
        path = self._folder / token_hex(4)
        server = await asyncio.start_unix_server(lambda *ends: came.set_result(ends), path)
        request = {
            "settings": {name: str(value) for name, value in settings.items()},
            "bug": bug,
            "death": death,
            "socket": str(path),
            "log": str(log),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        try:
            async with asyncio.timeout(SECONDS):
                reader, writer = await came
                hello = await reader.readline()
        except BaseException:
            if came.done() and not came.cancelled():
                came.result()[1].close()
            raise
        finally:
            server.close()
        if not hello:
            raise NoBot(await asyncio.to_thread(log.read_text))
        return BotProcess(reader, writer, **json.loads(hello))


@asynccontextmanager
async def zygote(folder: Path) -> AsyncIterator[Zygote]:
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "reliability.history.zygote", stdin=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    try:
        yield Zygote(process, folder)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@dataclass
class BotProcess:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pid: int
    url: str
    token: str

    async def quiet(self) -> None:
        """Until the bot says that nothing is in hand and no story is unfinished."""
        self.writer.write(b"quiet?\n")
        said = await asyncio.wait_for(self.reader.readline(), SECONDS)
        assert said == b"quiet\n", "the bot died"

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Until the process has ended, however it came to that."""
        async with asyncio.timeout(SECONDS):
            while await self.reader.read(4096):
                pass
        self.writer.close()


@dataclass
class Stage:
    """One run: the workspace, the bot that serves it now, and what people did."""

    slack: RunningWorkspace
    folder: Path
    zygote: Zygote
    bug: str | None = None
    """Planted in every bot of this run."""
    presses: list[Press] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    bot: BotProcess | None = None
    rules: str = ""
    """What the configuration has besides."""

    @property
    def workspace(self) -> Workspace:
        return self.slack.workspace

    async def start(self, death: str | None = None) -> None:
        """Start a bot on the folder; `death` is for this process alone: where it is to die."""
        await self._begin(death)
        await self.workspace.sockets.connected(self.slack.app.app_id, 1)

    async def start_and_die(self, death: str) -> None:
        """Start a bot that dies of itself, maybe before it is connected."""
        try:
            await self._begin(death)
        except NoBot:
            self.kills.append(self.slack.clock.now())
        else:
            await self.died()

    async def _begin(self, death: str | None) -> None:
        rules = self.folder / "tocsin.toml"
        rules.write_text(f"[after]\narchive_after_days = 3\n{self.rules}")
        settings = {
            "tocsin_config": rules,
            "tocsin_data_dir": self.folder / "kept",
            "slack_bot_token": self.slack.bot_token,
            "slack_app_token": self.slack.app_token,
            "slack_api_url": self.slack.api_url,
            "tocsin_announce_channel": self.slack.channel("incidents"),
        }
        self.bot = await self.zygote.bot(settings, self.folder / "log", self.bug, death)

    async def kill(self) -> None:
        """kill -9, now."""
        assert self.bot is not None
        self.kills.append(self.slack.clock.now())
        self.bot.kill()
        await self._buried()

    async def died(self) -> None:
        """Until the bot has killed itself where it was told to."""
        assert self.bot is not None
        await self.bot.gone()
        self.kills.append(self.slack.clock.now())
        await self._buried()

    async def _buried(self) -> None:
        assert self.bot is not None
        await self.bot.gone()
        self.bot = None
        await self.workspace.sockets.disconnected(self.slack.app.app_id)

    async def history(self) -> History:
        """The whole run, once the bot is quiet."""
        assert self.bot is not None
        # A story that never ends is judged as it stands.
        with suppress(TimeoutError):
            await self.bot.quiet()
        return History.of(
            self.workspace,
            self.folder / "kept",
            self.presses,
            kills=self.kills,
            pages=self.pages,
            deeds=self.deeds,
            log=await asyncio.to_thread((self.folder / "log").read_text),
        )

    async def command(self, person: str, channel: str, name: str) -> View:
        """`/incident` with a name, and the form it opens."""
        who, where = self.slack.person(person), self.slack.channel(channel)
        return await self._opened(who, lambda: self.workspace.command(who, where, f"/incident {name}"))

    async def shortcut(self, person: str) -> View:
        who = self.slack.person(person)
        return await self._opened(who, lambda: self.workspace.global_shortcut(who, "declare"))

    async def from_message(self, person: str, message: Message) -> View:
        """*Declare incident* on a message, and what it opens."""
        who, where = self.slack.person(person), (message.channel, message.ts)
        return await self._opened(
            who, lambda: self.workspace.message_shortcut(who, "declare_from_message", *where)
        )

    async def _opened(self, person: str, gesture: Callable[[], Awaitable[Outcome]]) -> View:
        """What the gesture opens; it is made again where the bot was too slow for Slack to open anything."""
        there = {view.id for view in self.workspace.stack(person)}
        while True:
            before = self._finished("views.open")
            outcome = await gesture()
            assert outcome.ok, outcome
            await self.workspace.heard("views.open", before + 1, timeout=SECONDS)
            for view in self.workspace.stack(person):
                if view.id not in there:
                    return view

    def _finished(self, method: str) -> int:
        return sum(request.method == method and request.finished for request in self.workspace.requests)

    def fill(self, person: str, view: View, **fields: dict[str, Any]) -> None:
        """`__` stands for the dot of a role, as in `incident_role_assignments__lead`."""
        for name, value in fields.items():
            block = name.replace("__", ".")
            self.workspace.type_into(self.slack.person(person), view.id, block, block, value)

    async def submit(self, press: Press) -> Outcome:
        """Press *Declare*."""
        if press not in self.presses:
            self.presses.append(press)
        return await submitted(self.workspace, press.person, press.view_id)

    async def deliver_again(self, request: Request) -> None:
        """Send the bot what it was sent before, byte for byte."""
        await self.workspace.delivery.deliver(
            self.slack.app, "interactive", request.args, request.method, retry=1, reason="timeout"
        )

    async def press(self, person: str, view: View, action_id: str) -> None:
        """Press a button in a window, and wait until the window has changed."""
        who, before = self.slack.person(person), self._changes(view)
        block = next(b for b in view.payload["blocks"] if action_id in str(b))["block_id"]
        outcome = await self.workspace.press(who, action_id, block, view_id=view.id)
        assert outcome.ok, outcome
        # Somebody else's window may change meanwhile.
        while self._changes(view) == before:
            await self.workspace.heard("views.update", self._finished("views.update") + 1, timeout=SECONDS)

    def _changes(self, view: View) -> int:
        updates = (call for call in self.workspace.requests if call.method == "views.update")
        return sum(bool(call.finished) and call.args.get("view_id") == view.id for call in updates)

    async def fetch(self, path: str) -> None:
        """Look at a page of the bot as anybody could."""
        assert self.bot is not None
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            url = f"{self.bot.url}{path}"
            answer = await client.get(url)
        self.pages.append(Page(url, answer.status_code, answer.text))


@asynccontextmanager
async def stage(folder: Path, forking: Zygote, bug: str | None = None) -> AsyncIterator[Stage]:
    """An empty run, of bots with the bug if there is one; the last of them is killed at the end."""
    (folder / "kept").mkdir(parents=True, mode=0o700)
    (folder / "log").touch()
    # Slack's three seconds pass when a run turns the clock: once the bot is dead.
    clock = StillClock()
    workspace = Workspace(clock=clock)
    seed(workspace)
    app = workspace.install(Manifest.from_dict(routes.manifest(pages="http://127.0.0.1")))
    async with served(workspace) as url:
        run = Stage(RunningWorkspace(workspace, app, url, clock), folder, forking, bug)
        try:
            yield run
        finally:
            if run.bot is not None:
                run.bot.kill()
