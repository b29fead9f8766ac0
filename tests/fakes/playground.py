"""`tocsin playground` as a newcomer starts it: its own process, an empty home, nothing in the environment."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fakes.patience import LIMIT

TOCSIN = Path(sys.executable).with_name("tocsin")
OURS = ("TOCSIN_", "SLACK_", "INCIDENT_IO_", "DEVREV_")


@dataclass
class Playground:
    """One running playground: the address it printed, and what it has said so far."""

    address: str
    folder: Path
    process: asyncio.subprocess.Process
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.address.partition("/?")[0]

    async def interrupt(self) -> int:
        """Ctrl-C, until the process is gone; its exit code."""
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LIMIT):
            return await self.process.wait()


@asynccontextmanager
async def running_playground(
    folder: Path, *options: str, browser: bool = False, **settings: str
) -> AsyncIterator[Playground]:
    """Start it on a free port, with `folder` as HOME and the data folder in it; interrupted at the end.

    `settings` are put into its environment.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    process = await asyncio.create_subprocess_exec(
        TOCSIN,
        *("playground", *(() if browser else ("--no-browser",)), "--port", "0", *options),
        cwd=home,
        env={
            **environment,
            **settings,
            "HOME": str(home),
            "TOCSIN_DATA_DIR": str(folder / "kept"),
            "COLUMNS": "200",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    playground = Playground("", folder / "kept", process)
    reading = None
    try:
        async with asyncio.timeout(LIMIT):
            playground.address = await _address(playground)
        # Nobody else reads the pipe, and a full one would stop the process.
        reading = asyncio.create_task(_read(playground))
        yield playground
    finally:
        if process.returncode is None:
            await playground.interrupt()
        if reading is not None:
            await reading


async def _address(playground: Playground) -> str:
    async for line in _lines(playground):
        if found := re.search(r"http://[\d.]+:\d+/\?token=\S+", line):
            return found[0]
    raise AssertionError("The playground ended before it was there: " + "\n".join(playground.said))


async def _read(playground: Playground) -> None:
    async for _ in _lines(playground):
        pass


async def _lines(playground: Playground) -> AsyncIterator[str]:
    assert playground.process.stdout is not None
    async for raw in playground.process.stdout:
        playground.said.append(raw.decode().rstrip())
        yield playground.said[-1]
