"""`tocsin playground` as a newcomer starts it: a process, an empty home, nothing in the environment."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support.forked import Forked, forked
from support.patience import LIMIT

GLANCE_SECONDS = 0.05
OURS = ("TOCSIN_", "SLACK_", "INCIDENT_IO_", "DEVREV_")


@dataclass
class Playground:
    """One running playground, and the address it printed."""

    address: str
    folder: Path
    process: Forked
    output: Path

    @property
    def said(self) -> list[str]:
        """What it has printed, line by line."""
        return self.output.read_text().splitlines()

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
    said = Path(tempfile.mkstemp(dir=folder, prefix="said-")[1])
    process = forked(
        ["playground", *(() if browser else ("--no-browser",)), "--port", "0", *options],
        cwd=home,
        env={
            **environment,
            **settings,
            "HOME": str(home),
            "TOCSIN_DATA_DIR": str(folder / "kept"),
            "COLUMNS": "200",
        },
        out=said,
    )
    playground = Playground("", folder / "kept", process, said)
    try:
        async with asyncio.timeout(LIMIT):
            playground.address = await _address(playground)
        yield playground
    finally:
        if process.returncode is None:
            await playground.interrupt()


async def _address(playground: Playground) -> str:
    while playground.process.returncode is None:
        # Whatever was printed whole: the last line may be on its way.
        printed = playground.output.read_text().rpartition("\n")[0]
        if found := re.search(r"http://[\d.]+:\d+/\?token=\S+", printed):
            return found[0]
        await asyncio.sleep(GLANCE_SECONDS)
    raise AssertionError("The playground ended before it was there: " + "\n".join(playground.said))
