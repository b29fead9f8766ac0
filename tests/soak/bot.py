"""`tocsin run` as a process of its own: its start, its size, and what it has not finished."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
from fakes.slack import RunningWorkspace

START_SECONDS = 60.0
GLANCE_SECONDS = 0.5
UNFINISHED = "SELECT COUNT(*) FROM workflow_status WHERE name = 'story' AND status IN ('PENDING', 'ENQUEUED')"


@asynccontextmanager
async def running(slack: RunningWorkspace, folder: Path, port: int, http: bool) -> AsyncIterator[Process]:
    """`tocsin run`, as an operator starts it; what it says goes to the file `log`."""
    given = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "TOCSIN_DATA_DIR": str(folder / "data"),
        "TOCSIN_PORT": str(port),
        "TOCSIN_ANNOUNCE_CHANNEL": slack.channel("incidents"),
    }
    given |= {"SLACK_SIGNING_SECRET": slack.signing_secret} if http else {"SLACK_APP_TOKEN": slack.app_token}
    with (folder / "log").open("wb") as log:
        bot = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tocsin", "run", env=given, cwd=folder, stdout=log, stderr=log
        )
        try:
            if http:
                await _ready(port)
            else:
                await slack.workspace.sockets.connected(slack.app.app_id, 2, START_SECONDS)
            yield bot
        finally:
            if bot.returncode is None:
                bot.kill()
                await bot.wait()


async def _ready(port: int) -> None:
    async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(GLANCE_SECONDS)


async def quiet(folder: Path, seconds: float) -> int:
    """Until every story has ended, for so many seconds at most; how many have not."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        left = unfinished(folder)
        if not left or loop.time() >= until:
            return left
        await asyncio.sleep(GLANCE_SECONDS)


def unfinished(folder: Path) -> int:
    address = f"{(folder / 'data' / 'journal.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as journal:
        return int(journal.execute(UNFINISHED).fetchone()[0])


async def sample(pid: int, memory: list[float], descriptors: list[int]) -> None:
    """Until cancelled, its resident memory (megabytes) and its open descriptors, as Linux tells them."""
    while True:
        memory.append(_resident(pid))
        descriptors.append(len(os.listdir(f"/proc/{pid}/fd")))
        await asyncio.sleep(GLANCE_SECONDS)


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(resident.split()[1]) / 1024
