"""How fast it answers, against bare frameworks in the same run: pairs, interleaved, the median of them."""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.crowd import Pressed
from benchmarks.servers import Running, environment, forget, module, pressed, tocsin, until_asked
from benchmarks.table import Row, at_least, at_most

pytestmark = [pytest.mark.benchmark, pytest.mark.timed, pytest.mark.process]
Measure = Callable[[Row], None]

PAIRS = 5
SECONDS = 2.0
STEPS = 2
"""Recorded steps of a declaration; what follows them is recorded by its end."""


@dataclass
class Servers:
    """One of each, all talking to one stub of Slack; only one is pressed at a time."""

    slack: Running
    bolt: Running
    tuned: Running
    raw: Running
    tocsin: Running

    async def compare(self, press: Callable[[Running], Awaitable[Pressed]]) -> list[dict[str, Pressed]]:
        """What a crowd saw at each of them, turn by turn, after a turn that is not counted."""
        turns = []
        for _ in range(PAIRS + 1):
            turn = {}
            for name in ("bolt", "tuned", "raw", "tocsin"):
                await forget(self.slack)
                turn[name] = await press(getattr(self, name))
                assert not turn[name].refused, f"{name} refused {turn[name].refused}"
            turns.append(turn)
        return turns[1:]


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(module("benchmarks.stub_slack"))
        api = f"{slack.url}/api/"
        yield Servers(
            slack,
            await stack.enter_async_context(module("benchmarks.bare", "bolt", api)),
            await stack.enter_async_context(module("benchmarks.bare", "tuned", api)),
            await stack.enter_async_context(module("benchmarks.bare", "raw", api)),
            await stack.enter_async_context(tocsin(tmp_path, api)),
        )


def at_once(turn: dict[str, Pressed], name: str) -> float:
    """The time until the answer, as a part of bare Bolt's."""
    return turn[name].p50 / turn["bolt"].p50


def opened(turn: dict[str, Pressed], name: str, of: str = "bolt") -> float:
    """How many times as many forms as the other one opens."""
    return turn[name].a_second / turn[of].a_second


def middle(turns: list[dict[str, Pressed]], of: Callable[..., float], *names: str) -> float:
    return statistics.median(of(turn, *names) for turn in turns)


def spread(turns: list[dict[str, Pressed]], of: Callable[..., float], *names: str) -> str:
    found = sorted(of(turn, *names) for turn in turns)
    return f"{found[0]:.3f} to {found[-1]:.3f}"


async def test_an_acknowledgement_takes_a_twentieth_of_bare_bolt(servers: Servers, measured: Measure) -> None:
    turns = await servers.compare(lambda server: pressed(server, "command", 1, SECONDS))
    bare = statistics.median(turn["bolt"].p50 for turn in turns) * 1000
    against = f"bare Bolt: {bare:.1f} ms; {spread(turns, at_once, 'tocsin')}"
    against += f"; a signature check and no more: {middle(turns, at_once, 'raw'):.3f}"
    found = middle(turns, at_once, "tocsin")
    measured(at_most("acknowledgement, one at a time, p50", against, found, 0.05, "of bare Bolt's"))


async def test_a_hundred_people_open_forms_twice_as_fast_as_with_bare_bolt(
    servers: Servers, measured: Measure
) -> None:
    turns = await servers.compare(lambda server: pressed(server, "command", 100, SECONDS))
    against = f"bare Bolt on Starlette; {spread(turns, opened, 'tocsin')}"
    against += f"; Bolt with the same tuning: {middle(turns, opened, 'tuned'):.2f}"
    found = middle(turns, opened, "tocsin")
    measured(at_least("forms opened by 100 people", against, found, 2.0, "times as many"))
    against = f"a signature check and no more; {spread(turns, opened, 'tocsin', 'raw')}"
    found = middle(turns, opened, "tocsin", "raw")
    measured(
        at_least("forms opened by 100 people, of what is possible", against, found, 0.5, "times as many")
    )


async def test_fifty_people_declare_at_once_and_nobody_waits(tmp_path: Path, measured: Measure) -> None:
    async with module("benchmarks.stub_slack") as slack, tocsin(tmp_path, f"{slack.url}/api/") as bot:
        await pressed(bot, "submission", 1, 60, 1)
        await until_asked(slack, "pins.add", 1)
        await forget(slack, 0.1)
        crowd = await pressed(bot, "submission", 50, 60, 1)
        # The crowd begins with what was declared before it.
        asked = await until_asked(slack, "pins.add", 49)
        began = min(begun for method, begun, _ in asked.calls)
        last = max(end for _, _, end in asked.calls)
        assert (crowd.refused, crowd.answers) == (0, 50)
        peer = "a peer: {} s"
        for row in (
            at_most("50 declare at once: worst acknowledgement", peer.format(8.0), crowd.worst, 0.5, "s"),
            at_most("50 declare at once: all references seen", peer.format(8.2), crowd.worst, 1.0, "s"),
            at_most(
                "50 declare at once: all is done", peer.format(8.9), crowd.worst + last - began, 2.5, "s"
            ),
        ):
            measured(row)


async def test_a_hundred_incidents_a_second_are_declared_durably(tmp_path: Path, measured: Measure) -> None:
    async with module("benchmarks.stub_slack") as slack, tocsin(tmp_path, f"{slack.url}/api/") as bot:
        await pressed(bot, "submission", 1, 60, 1)
        await until_asked(slack, "pins.add", 1)
        before = bot.seconds()
        crowd = await pressed(bot, "submission", 20, 60, 15)
        # The crowd begins with what was declared before it.
        await until_asked(slack, "pins.add", 300)
        each = (bot.seconds() - before) / 299
        assert (crowd.refused, crowd.answers) == (0, 300)
    sqlite, journal = [await floor(what, tmp_path) for what in ("sqlite", "journal")]
    parts = {"SQLite": sqlite, "DBOS": journal - sqlite, "Tocsin and Slack's calls": each - journal}
    said = ", ".join(f"{name} {part / each:.0%}" for name, part in parts.items())
    against = f"of {each * 1000:.0f} ms of processor: {said}"
    measured(at_least("incidents declared durably, and all that follows", against, 1 / each, 100, "a second"))
    measured(at_least("references given, 20 people at once", "", crowd.a_second, 100, "a second"))


async def floor(what: str, folder: Path) -> float:
    """Seconds of the processor that as many steps alone take, with nothing done in them."""
    words = ("-m", "benchmarks.floor", what, str(folder), "300", str(STEPS))
    bare = await asyncio.create_subprocess_exec(
        sys.executable, *words, env=environment(), stdout=asyncio.subprocess.PIPE
    )
    return float((await bare.communicate())[0].split()[-1])
