"""A workspace and the bot in it, both in this process, emptied between one example and the next."""

from __future__ import annotations

import asyncio
import copy
import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any, TypeVar

import httpx
from support.alerts import declared_by, keyed
from support.autojump import AutojumpLoop
from support.bot import resumed
from support.clock import fitting_clock
from support.failures import noted_failures
from support.held_backend import HeldBackend
from support.patience import LIMIT
from support.slack import RunningWorkspace

from reliability.crash.life import API_TOKEN
from reliability.history.deeds import Deed
from reliability.history.history import INCIDENT_TABLES, Answered, History, Press
from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import Outcome
from slack_emulator.seed import seed
from slack_emulator.server import served
from slack_emulator.workspace import Workspace
from tocsin.app import App, open_app
from tocsin.backends.local import LocalBackend
from tocsin.data_dir import folder_of
from tocsin.resources import open_resources
from tocsin.server import listen, serving
from tocsin.settings import read_settings
from tocsin.slack import routes
from tocsin.slack.context import DeclarationLimiter
from tocsin.start import connected
from tocsin.workflows.ports import IncidentBackend

T = TypeVar("T")
INCIDENTS = ("incidents",)
"""What belongs to an incident goes with it."""

JOURNAL = (
    "tocsin_sources", "tocsin_declared", "tocsin_cards", "tocsin_watched",
    "tocsin_alerts", "tocsin_alert_groups", "operation_outputs", "workflow_status",
)  # fmt: skip


def ram_folder() -> Path | None:
    """Where files are kept in memory, if this machine has such a place."""
    found = Path("/dev/shm")
    return found if found.is_dir() else None


class Scene:
    """The workspace, whoever serves it, and the loop in which both live."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-stateful-", dir=ram_folder()))
        self.hung = asyncio.Event()
        self.kills: list[float] = []
        self._stack = AsyncExitStack()
        self.failures = self._stack.enter_context(noted_failures())
        self._stack.enter_context(keyed())
        self.run(self._begin())
        state = self.workspace.state
        self._seeded = copy.deepcopy((state.channels, state.messages))

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Let everything go on until `doing` is done."""
        return self.loop.run_until_complete(doing)

    async def _begin(self) -> None:
        (self.folder / "tocsin.toml").write_text(declared_by("team"))
        clock = fitting_clock()
        workspace = Workspace(clock=clock)
        seed(workspace)
        app = workspace.install(Manifest.from_dict(routes.manifest()))
        url = await self._stack.enter_async_context(served(workspace))
        self.slack = RunningWorkspace(workspace, app, url, clock)

    @property
    def workspace(self) -> Workspace:
        return self.slack.workspace

    @property
    def files(self) -> Path:
        """The bot's data folder."""
        return self.folder / "kept"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "tocsin_data_dir": str(self.files),
            "slack_bot_token": self.slack.bot_token,
            "slack_app_token": self.slack.app_token,
            "slack_api_url": self.slack.api_url,
            "tocsin_announce_channel": self.slack.channel("incidents"),
            "tocsin_config": str(self.folder / "tocsin.toml"),
        }

    def forget(self) -> None:
        """The workspace as it was seeded: nothing said, nothing made, nothing on the wire."""
        state = self.workspace.state
        for person in self.workspace.people():
            self.workspace.views.close_all(person.id)
        state.channels, state.messages = copy.deepcopy(self._seeded)
        self.workspace.clear()
        self.workspace.faults.clear()
        self.kills.clear()
        self.failures.clear()

    def fail(self, method: str, faults: Iterable[Fault]) -> None:
        self.workspace.faults.plan(method, *faults)

    def recover(self) -> None:
        """Slack is well again; what hung is answered."""
        self.workspace.faults.clear()
        hung, self.hung = self.hung, asyncio.Event()
        hung.set()

    def kept(self) -> Sequence[Mapping[str, Any]]:
        """The rows of the incidents, by number."""
        path = self.files / "incidents.db"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as file:
            file.row_factory = sqlite3.Row
            return [dict(row) for row in file.execute("SELECT * FROM incidents ORDER BY number")]

    def rows(self, table: str) -> Sequence[Mapping[str, Any]]:
        """Of a table that the bot has, wherever that is."""
        path = self.files / ("incidents.db" if table in INCIDENT_TABLES else "journal.db")
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as file:
            file.row_factory = sqlite3.Row
            return [dict(row) for row in file.execute(f"SELECT * FROM {table}")]

    def history(
        self, presses: Iterable[Press], answered: Sequence[Answered] = (), deeds: Sequence[Deed] = ()
    ) -> History:
        return History.of(
            self.workspace, self.files, presses, kills=self.kills, answered=answered, deeds=deeds
        )

    async def address(self) -> str:
        """Where programs find the bot that is there now."""
        raise NotImplementedError

    async def asked(self, path: str, body: Mapping[str, Any], token: str) -> httpx.Response | None:
        """What a program's request is answered; None where the bot died or stopped first."""
        headers = {"Authorization": f"Bearer {token}"}
        try:
            url = f"{await self.address()}{path}"
            async with httpx.AsyncClient(trust_env=False, timeout=LIMIT) as http:
                return await http.post(url, json=body, headers=headers)
        except httpx.TransportError:
            return None

    async def gesture(self, doing: Awaitable[Outcome]) -> Outcome:
        """What Slack makes of something that a person does."""
        return await doing

    async def opening(self, doing: Awaitable[Outcome]) -> Outcome:
        """The same for what opens a form, once the bot has tried to."""
        before = sum(r.method == "views.open" for r in self.workspace.requests)
        outcome = await self.gesture(doing)
        if outcome.ok:
            await self.tried("views.open", before + 1)
        return outcome

    async def tried(self, method: str, count: int) -> None:
        """Until the bot has made so many calls of a method, whatever came of them."""
        await self.workspace.heard(method, count, timeout=LIMIT)

    def close(self) -> None:
        self.run(self._stack.aclose())
        self.loop.close()
        shutil.rmtree(self.folder)


class _Held(HeldBackend):
    """A backend that may be held, of the local one's class: the API is served over that alone."""

    @property
    def __class__(self) -> type[Any]:
        return LocalBackend


class OneProcess(Scene):
    """The bot in this process: no kills, and no more of a start than a graceful restart."""

    def __init__(self) -> None:
        super().__init__(AutojumpLoop())
        self.run(self._start())

    async def _start(self) -> None:
        read = read_settings(**self.settings, tocsin_api_token=API_TOKEN)
        self._life = AsyncExitStack()
        parts = await self._life.enter_async_context(open_resources(read, folder_of(read)))
        self.held = _Held(parts.backend)
        self.held.go_on.set()
        parts.backend = _as_backend(self.held)
        self.app: App = await self._life.enter_async_context(open_app(parts))
        listening = listen("127.0.0.1", 0)
        self._port = listening.getsockname()[1]
        await self._life.enter_async_context(serving(self.app.pages(), listening))
        await self._life.enter_async_context(connected(self.app))
        await self.workspace.sockets.connected(self.slack.app.app_id, 2)

    async def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def tried(self, method: str, count: int) -> None:
        # A kept-alive connection may end as it is used again: then Slack never hears of the call.
        await self.app.resources.tasks.settled()

    async def restart(self) -> None:
        """Stopped as an operator stops it, perhaps in the middle of something, and started again."""
        await self._life.aclose()
        await self._start()
        # The loop stands still between two gestures here, and what is resumed then would run on another.
        await resumed(self.app.resources.engine)

    async def quiet(self) -> None:
        """Until nothing is in hand any more."""
        self.recover()
        self.held.go_on.set()
        while True:
            if not any(await self.app.alerting.store.due()):
                return await self.app.settled()
            await asyncio.sleep(1.0)

    def fresh(self) -> None:
        """As after the very first start."""
        self.run(self.quiet())
        self.forget()
        _emptied(self.files / "incidents.db", INCIDENTS)
        _emptied(self.files / "journal.db", JOURNAL)
        # A look of the bot's may be under way, and have found what there was; this one comes after it.
        for context in self.app.contexts.open:
            self.run(context.workflows.watching.poll())
            context.declaration_limiter = DeclarationLimiter()

    async def while_held(self, act: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Do it while the backend answers nothing, until the form says that it is saved."""
        self.held.go_on.clear()
        try:
            return await self.gesture(act())
        finally:
            self.held.go_on.set()

    def close(self) -> None:
        self.run(self._life.aclose())
        super().close()


def _as_backend(held: HeldBackend) -> IncidentBackend:
    # It passes on whatever it does not hold, which a type checker cannot see.
    backend: Any = held
    return backend


def _emptied(path: Path, tables: Iterable[str]) -> None:
    with closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as file:
        file.execute("PRAGMA synchronous = OFF")
        file.execute("PRAGMA foreign_keys = ON")
        for table in tables:
            file.execute(f"DELETE FROM {table}")
