"""Processes that are measured: a stub of Slack, bare frameworks, and `tocsin run` itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import IO

import httpx
from support.operated import free_port
from support.patience import LIMIT
from support.playground import OURS

from benchmarks.crowd import Pressed
from benchmarks.wire import SECRET

TESTS = Path(__file__).parent.parent
LONGEST_WAIT = 300.0


@dataclass(frozen=True)
class Running:
    """A server in a process of its own."""

    port: int
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def memory(self) -> int:
        """What it holds in memory, in bytes (Linux, proc(5): VmRSS)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def seconds(self) -> float:
        """For how long it was on the processor (Linux, proc(5): utime and stime)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    path = os.pathsep.join(filter(None, [str(TESTS), kept.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, **more}


@asynccontextmanager
async def module(*words: str) -> AsyncIterator[Running]:
    """`python -m …`, once it has printed its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, env=environment(), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT):
            port = int(await process.stdout.readline())
        yield Running(port, process)
    finally:
        await _ended(process)


def written_to(path: Path) -> IO[bytes]:
    return path.open("wb")


@asynccontextmanager
async def tocsin(folder: Path, slack: str, **settings: str) -> AsyncIterator[Running]:
    """`tocsin run` over HTTP, once it is ready."""
    port = free_port()
    given = {
        "HOME": str(folder),
        "SLACK_API_URL": slack,
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_SIGNING_SECRET": SECRET,
        "TOCSIN_DATA_DIR": str(folder / "kept"),
        "TOCSIN_PORT": str(port),
        **settings,
    }
    with written_to(folder / "log") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tocsin", "run"), cwd=folder, env=environment(**given), stderr=log
        )
    running = Running(port, process)
    try:
        async with asyncio.timeout(LIMIT):
            await ready(running)
        yield running
    finally:
        await _ended(process)


async def ready(running: Running) -> None:
    """Until it says that something could be declared."""
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        while True:
            assert running.process.returncode is None, "tocsin run has ended"
            try:
                if (await client.get(f"{running.url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.01)


async def at_rest(folder: Path, followed: int) -> None:
    """Until so many open incidents are followed, as they are from the first minute of a first start on."""
    with closing(sqlite3.connect(f"file:{folder / 'kept' / 'journal.db'}?mode=ro", uri=True)) as journal:
        while True:
            (seen,) = journal.execute("SELECT count(*) FROM tocsin_watched").fetchone()
            if seen >= followed:
                return
            await asyncio.sleep(0.05)


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def pressed(
    running: Running, kind: str, people: int, seconds: float, each: int | None = None, first: int = 1
) -> Pressed:
    """What a crowd saw that pressed for so long, in a process of its own; it counts from `first`."""
    words = [str(running.port), kind, str(people), str(seconds), *([str(each), str(first)] if each else [])]
    crowd = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.crowd", *words), env=environment(), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await crowd.communicate()
    return Pressed(**json.loads(out))


@dataclass(frozen=True)
class Asked:
    """What the stub of Slack was asked, and over how many new connections."""

    calls: list[tuple[str, float, float]]
    """Each call's method, begin and end."""
    connections: int

    @property
    def methods(self) -> Counter[str]:
        return Counter(method for method, _, _ in self.calls)

    @property
    def most_at_once(self) -> int:
        """The most calls that were under way at one moment."""
        begun = sorted([(began, 1) for _, began, _ in self.calls] + [(end, -1) for _, _, end in self.calls])
        return max(accumulate(step for _, step in begun), default=0)

    @property
    def rounds(self) -> int:
        """The longest row of calls of which each began after the one before had ended."""
        length = 0
        ended = float("-inf")
        for _, began, end in sorted(self.calls, key=lambda call: call[2]):
            if began >= ended:
                length, ended = length + 1, end
        return length


async def counted(slack: Running) -> Asked:
    return await _asked(slack, "counted")


async def until_asked(slack: Running, method: str, times: int) -> Asked:
    """Once a method has been called so many times since it was told to forget."""
    return await _asked(slack, f"until?method={method}&times={times}")


async def _asked(slack: Running, what: str) -> Asked:
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=LONGEST_WAIT) as client:
        told = (await client.get(f"{slack.url}/{what}")).json()
    return Asked([tuple(call) for call in told["calls"]], told["connections"])


async def forget(slack: Running, delay: float = 0.0) -> None:
    """Count anew, and answer after so many seconds from now on."""
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        await client.get(f"{slack.url}/forget", params={"delay": delay})
