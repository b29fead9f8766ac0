"""What two replicas on one PostgreSQL carry, beside what one carries."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest
from support.postgresql import PostgresqlServer

from benchmarks.servers import Running, forget, module, pressed, tocsin, until_asked
from benchmarks.table import Row, at_least

pytestmark = [pytest.mark.benchmark, pytest.mark.timed, pytest.mark.process]

PAIRS = 5
PEOPLE, EACH = 20, 5
"""People who declare at once, and how often each does."""


async def test_two_replicas_with_a_core_each_carry_almost_twice_what_one_does(
    tmp_path: Path, postgresql: PostgresqlServer, measured: Callable[[Row], None]
) -> None:
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(module("benchmarks.stub_slack"))
        fleets = []
        for size in (1, 2):
            database = postgresql.create_database()
            bots = []
            for number in range(size):
                folder = tmp_path / f"{number}-of-{size}"
                folder.mkdir()
                settings = {"TOCSIN_DATABASE_URL": database}
                bots.append(await stack.enter_async_context(tocsin(folder, f"{slack.url}/api/", **settings)))
            fleets.append(bots)
        numbers = count(1, PEOPLE * EACH)
        ratios = []
        for number in range(PAIRS + 1):
            one, two = [await seconds_of_each(bots, slack, next(numbers)) for bots in fleets]
            if number:
                ratios.append(2 * one / two)
    spread = f"one: 1; {min(ratios):.2f} to {max(ratios):.2f}"
    said = "declarations of two replicas with a core each, by their processor's time"
    measured(at_least(said, spread, statistics.median(ratios), 1.7, "times as many"))


async def seconds_of_each(bots: list[Running], slack: Running, first: int) -> float:
    """For how long the replicas together were on the processor for one declaration and all that follows."""
    await forget(slack)
    before = sum(bot.seconds() for bot in bots)
    share = PEOPLE // len(bots)
    crowds = [
        pressed(bot, "submission", share, 60, EACH, first=first + number * share * EACH)
        for number, bot in enumerate(bots)
    ]
    assert [crowd.refused for crowd in await asyncio.gather(*crowds)] == [0] * len(bots)
    await until_asked(slack, "pins.add", PEOPLE * EACH)
    return (sum(bot.seconds() for bot in bots) - before) / (PEOPLE * EACH)
