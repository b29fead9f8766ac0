"""A storm of alerts: how soon each is answered, whether all are kept, and what Slack hears of it."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import httpx
import pytest
from support.alerts import MONITORING, TOKEN, VARIABLE, declared_by, fired
from support.patience import LIMIT

from benchmarks.servers import Running, counted, forget, module, tocsin
from benchmarks.table import Row, at_most
from tocsin.incidents.alert_payloads import path_of

pytestmark = [pytest.mark.benchmark, pytest.mark.timed, pytest.mark.process]

ALERTS, SECONDS = 10_000, 60.0
CONNECTIONS = 20
GLANCE_SECONDS = 0.1


async def test_a_storm_of_ten_thousand_alerts_in_a_minute_loses_none_and_keeps_slack_quiet(
    tmp_path: Path, measured: Callable[[Row], None]
) -> None:
    (tmp_path / "tocsin.toml").write_text(declared_by("team"))
    settings = {"TOCSIN_CONFIG": str(tmp_path / "tocsin.toml"), VARIABLE: TOKEN}
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(module("benchmarks.stub_slack"))
        bot = await stack.enter_async_context(tocsin(tmp_path, f"{slack.url}/api/", **settings))
        await forget(slack)
        before = bot.seconds()
        answered = sorted(await storm(bot))
        await all_attached(tmp_path / "kept" / "journal.db")
        processor = bot.seconds() - before
        calls = len((await counted(slack)).calls)
    with closing(sqlite3.connect(tmp_path / "kept" / "incidents.db")) as incidents:
        (made,) = incidents.execute("SELECT count(*) FROM incidents").fetchone()
    middle, late = statistics.median(answered), answered[int(len(answered) * 0.99)]
    storm_of = f"{ALERTS:,} in a minute"
    measured(at_most(f"answer to an alert, {storm_of}, p50", "", 1000 * middle, 50, "ms"))
    measured(at_most(f"answer to an alert, {storm_of}, p99", "", 1000 * late, 50, "ms"))
    measured(at_most("incidents of that storm", "", made, 1))
    measured(at_most("calls to Slack for all of it", "", calls, 60))
    measured(at_most("processor for an alert of it", "", 1000 * processor / ALERTS, 5, "ms"))


async def storm(bot: Running) -> list[float]:
    """Seconds that each alert was waited for, from the moment at which it was due."""
    limits = httpx.Limits(max_connections=CONNECTIONS)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        base_url=bot.url, headers=headers, limits=limits, timeout=LIMIT, trust_env=False, verify=False
    ) as client:
        begun = time.monotonic()

        async def one(number: int) -> float:
            due = begun + number * SECONDS / ALERTS
            await asyncio.sleep(due - time.monotonic())
            body = fired(f"host {number} is down", metadata={"team": "storm"})
            answer = await client.post(path_of(MONITORING), json=body)
            assert answer.status_code == 202, answer.text
            return time.monotonic() - due

        return await asyncio.gather(*map(one, range(ALERTS)))


async def all_attached(journal: Path) -> None:
    """Until every alert is kept, and is with its incident."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as kept:
        async with asyncio.timeout(LIMIT):
            while True:
                query = "SELECT count(*), coalesce(sum(is_pending), 0) FROM tocsin_alerts"
                if kept.execute(query).fetchone() == (ALERTS, 0):
                    return
                await asyncio.sleep(GLANCE_SECONDS)
