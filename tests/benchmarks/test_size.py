"""How soon it is ready, how much it holds, and how fast its pages come when there is much on them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from benchmarks.filling import OPEN_EACH
from benchmarks.servers import Running, at_rest, module, pressed, tocsin, until_asked
from benchmarks.table import Row, at_most
from tocsin.workflows.sync import MOST_WATCHED

pytestmark = [pytest.mark.benchmark, pytest.mark.timed, pytest.mark.process]
Measure = Callable[[Row], None]
MEGABYTE = 1_000_000
LOOKS = 1_000


async def test_it_is_soon_ready_and_does_not_grow(tmp_path: Path, measured: Measure) -> None:
    async with module("benchmarks.stub_slack") as slack:
        began = time.monotonic()
        async with tocsin(tmp_path, f"{slack.url}/api/") as bot:
            measured(
                at_most("from start to ready", "a peer: 1.1 s to import", time.monotonic() - began, 1.5, "s")
            )
            await pressed(bot, "command", 10, 60, 100)
            before = bot.memory()
            measured(at_most("memory, idle", "a peer: 119 MB", before / MEGABYTE, 150, "MB"))
            await pressed(bot, "command", 20, 120, 500)
            await until_asked(slack, "views.open", 11_000)
            grown = max(0, bot.memory() - before) / MEGABYTE
            measured(at_most("memory after 10,000 commands more", "", grown, 2, "MB"))


async def test_pages_are_as_fast_among_a_million_incidents(
    tmp_path: Path, filled: Callable[[int], Path], measured: Measure
) -> None:
    p99: dict[int, dict[str, float]] = {}
    for size in (1_000, 1_000_000):
        folder = tmp_path / str(size)
        (folder / "kept").mkdir(mode=0o700, parents=True)
        shutil.copy(filled(size), folder / "kept" / "incidents.db")
        async with module("benchmarks.stub_slack") as slack, tocsin(folder, f"{slack.url}/api/") as bot:
            await at_rest(folder, min(size // OPEN_EACH, MOST_WATCHED))
            p99[size] = {
                path: await slowest(bot, path) for path in ("/incidents", f"/incidents/INC-{size // 2}")
            }
    listing, page = list(p99[1_000_000].values())
    few = p99[1_000]["/incidents"]
    for row in (
        at_most("page with 1,000 timeline entries, first byte p99", "", page * 1000, 50, "ms"),
        at_most("list among 1,000,000 incidents, first byte p99", "", listing * 1000, 50, "ms"),
        at_most("the same against 1,000 incidents", f"{few * 1000:.1f} ms", listing / few, 1.05, "times"),
    ):
        measured(row)


async def slowest(bot: Running, path: str) -> float:
    """The time until the first byte that one look in a hundred takes longer than, in seconds."""
    took = []
    async with httpx.AsyncClient(base_url=bot.url, trust_env=False, verify=False) as client:
        for _ in range(LOOKS):
            began = time.perf_counter()
            async with client.stream("GET", path) as answer:
                took.append(time.perf_counter() - began)
                assert answer.status_code == 200, answer.status_code
                await answer.aread()
    return sorted(took)[int(LOOKS * 0.99)]
