"""`tocsin run` as a process, over incidents that the API can read, with a key of the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from slack_emulator.manifest import Manifest
from support.api_sdk import Sdk
from support.api_world import World, filled_world
from support.declarations import Ticking
from support.operated import free_port, operated
from support.slack import running_workspace
from support.terminal import Terminal
from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.slack import routes


@dataclass
class Run:
    """The running bot, the incidents that it found, and the SDK with a key of the command line."""

    url: str
    world: World
    sdk: Sdk


@asynccontextmanager
async def running_api(folder: Path, may: str = "view") -> AsyncIterator[Run]:
    """Run the bot, with a key that may do this; at the end its log has no trace of a fault or of the key."""
    port, data = free_port(), folder / "data"
    data.mkdir(mode=0o700)
    backend = await LocalBackend.open(
        data / "incidents.db", IncidentConfig(), public_url=f"http://127.0.0.1:{port}", clock=Ticking()
    )
    world = await filled_world(backend)
    await backend.close()
    manifest = routes.manifest(None, pages="http://127.0.0.1")
    async with (
        running_workspace(Manifest.from_dict(manifest)) as slack,
        operated(slack, folder, port) as bot,
    ):
        made = await Terminal(folder).run("keys", "create", "sdk", "--may", may, TOCSIN_DATA_DIR=str(data))
        assert (made.code, made.lines) == (0, ["It is not shown again."]), made
        yield Run(bot.url, world, Sdk(bot.url, made.out.strip()))
        log = bot.log
        assert await bot.stopped() == 0
    assert "Traceback" not in log
    assert made.out.strip() not in log
