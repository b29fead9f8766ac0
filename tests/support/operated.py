"""`tocsin run` as an operator starts it: a process of its own, its settings, its log and its pages."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.forked import Forked, forked
from support.patience import LIMIT
from support.slack import RunningWorkspace

GLANCE_SECONDS = 0.05
_REQUESTS, _LABELS = "tocsin_requests_total{", re.compile(r'(?:outcome|route)="([^"]*)"')
DEAD_PROXY = "http://127.0.0.1:9"
"""Named in the environment, as a shell may have it; nothing of ours goes through it, so nothing is lost."""

UNFINISHED = (
    "SELECT COUNT(*) FROM workflow_status "
    "WHERE name = 'story' AND status IN ('PENDING', 'ENQUEUED', 'DELAYED')"
)


_kept: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody else is given: it stays bound, and a server that reuses addresses may listen there.

    Linux, socket(7): with SO_REUSEADDR on both, bind fails only where somebody listens already.
    """
    free = socket.socket()
    free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    free.bind(("127.0.0.1", 0))
    _kept.append(free)
    port: int = free.getsockname()[1]
    return port


def settings(slack: RunningWorkspace, folder: Path, port: int, http: bool) -> dict[str, str]:
    """What an operator sets: tokens, and where Slack is; with `http` a signing secret, no app token."""
    given = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"), DEAD_PROXY),
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "TOCSIN_DATA_DIR": str(folder / "data"),
        "TOCSIN_PORT": str(port),
        "TOCSIN_ANNOUNCE_CHANNEL": slack.channel("incidents"),
    }
    way_in = {"SLACK_SIGNING_SECRET": slack.signing_secret} if http else {"SLACK_APP_TOKEN": slack.app_token}
    return given | way_in


async def figures(url: str) -> dict[str, float]:
    """What the bot there counts for Prometheus, by series."""
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        page = (await client.get(f"{url}/metrics")).text
    lines = [line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#")]
    return {series: float(value) for series, _, value in lines}


def handled(counted: Mapping[str, float]) -> Counter[str]:
    """How many requests of each route were answered. None may have ended in any other way."""
    requests = {tuple(_LABELS.findall(s)): int(n) for s, n in counted.items() if s.startswith(_REQUESTS)}
    assert {labels: n for labels, n in requests.items() if n and labels[0] != "answered"} == {}
    return Counter({route: n for (outcome, route), n in requests.items() if outcome == "answered"})


@dataclass
class Operated:
    """One running process. What it says is appended to the file `log` in its folder."""

    process: Forked | asyncio.subprocess.Process
    folder: Path
    url: str

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def unfinished(self) -> int:
        """How many stories have begun and not ended."""
        address = f"{(self.folder / 'data' / 'journal.db').as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as journal:
            return int(journal.execute(UNFINISHED).fetchone()[0])

    async def quiet(self, seconds: float = LIMIT) -> int:
        """Until every story has ended, for so many seconds at most; how many have not."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            left = self.unfinished
            if not left or loop.time() >= until:
                return left
            await asyncio.sleep(GLANCE_SECONDS)

    async def busy(self) -> None:
        """Until a story has begun that has not ended."""
        async with asyncio.timeout(LIMIT):
            while True:
                if self.unfinished:
                    return
                await asyncio.sleep(GLANCE_SECONDS)

    async def figures(self) -> dict[str, float]:
        return await figures(self.url)

    async def answered(self, route: str, more_than: int, seconds: float = LIMIT) -> bool:
        """Whether it counts more requests of this route, within so many seconds.

        It counts one once its last call to Slack has come back, which is after what people see of it.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            counted = handled(await self.figures())[route]
            if counted > more_than or loop.time() >= until:
                return counted > more_than
            await asyncio.sleep(GLANCE_SECONDS)

    async def stopped(self) -> int:
        """SIGTERM, until the process is gone; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), LIMIT)


@asynccontextmanager
async def operated(
    slack: RunningWorkspace,
    folder: Path,
    port: int,
    *,
    http: bool = False,
    source: Path | None = None,
    **more: str,
) -> AsyncIterator[Operated]:
    """The bot until left, then killed if it still runs; yields once it can declare.

    Its sources are these, where `source` names no others.
    """
    given = settings(slack, folder, port, http) | more
    process: Forked | asyncio.subprocess.Process
    if source is None:
        process = forked(["run"], cwd=folder, env=given, out=folder / "log")
    else:
        process = await _started(source, folder, given)
    bot = Operated(process, folder, f"http://127.0.0.1:{port}")
    try:
        if not http:
            await _connected(bot, slack)
        await _ready(bot)
        yield bot
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _started(source: Path, folder: Path, given: dict[str, str]) -> asyncio.subprocess.Process:
    """`tocsin run` of other sources than these."""
    with (folder / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tocsin", "run"),
            cwd=folder,
            env=given | {"PYTHONPATH": str(source)},
            stdout=log,
            stderr=log,
        )


async def _connected(bot: Operated, slack: RunningWorkspace) -> None:
    connecting = asyncio.create_task(slack.workspace.sockets.connected(slack.app.app_id, 2, LIMIT))
    while not connecting.done():
        if bot.process.returncode is not None:
            connecting.cancel()
            raise AssertionError(f"It ended before it was connected: {bot.log}")
        await asyncio.wait({connecting}, timeout=GLANCE_SECONDS)
    try:
        await connecting
    except TimeoutError as error:
        raise AssertionError(f"It is not connected: {bot.log}") from error


async def _ready(bot: Operated) -> None:
    async with asyncio.timeout(LIMIT), httpx.AsyncClient(trust_env=False, verify=False) as client:
        while bot.process.returncode is None:
            try:
                if (await client.get(f"{bot.url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(GLANCE_SECONDS)
    raise AssertionError(f"It ended before it could declare: {bot.log}")


def canaries(slack: RunningWorkspace, written: Mapping[str, str]) -> dict[str, str]:
    """What may be in no log: every secret that went over the wire, and what people wrote, by what it is."""
    app, found = slack.app, dict(written)
    found |= {
        "bot token": app.bot_token,
        "app token": app.app_token,
        "signing secret": app.signing_secret,
        "client secret": app.client_secret,
        "verification token": app.verification_token,
    }
    for number, request in enumerate(slack.workspace.requests):
        for name in ("trigger_id", "response_url", "token"):
            if isinstance(value := request.args.get(name), str) and len(value) > 8:
                found[f"{name} {number}"] = value
    return found
