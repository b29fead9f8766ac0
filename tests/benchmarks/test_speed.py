"""How fast it answers, against bare frameworks in the same run: pairs, interleaved, the median of them."""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.crowd import Pressed
from benchmarks.servers import Running, forget, module, pressed, tocsin, until_asked
from benchmarks.table import Row, at_least, at_most

pytestmark = [pytest.mark.benchmark, pytest.mark.timed]
Measure = Callable[[Row], None]

PAIRS = 5
SECONDS = 2.0


@dataclass
class Servers:
    """One of each, all talking to one stub of Slack; only one is pressed at a time."""

    slack: Running
    bolt: Running
    raw: Running
    tocsin: Running

    async def compare(self, press: Callable[[Running], Awaitable[Pressed]]) -> list[dict[str, Pressed]]:
        """What a crowd saw at each of them, turn by turn, after a turn that is not counted."""
        turns = []
        for _ in range(PAIRS + 1):
            turn = {}
            for name in ("bolt", "raw", "tocsin"):
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
            await stack.enter_async_context(module("benchmarks.bare", "raw", api)),
            await stack.enter_async_context(tocsin(tmp_path, api)),
        )


def median(turns: list[dict[str, Pressed]], of: Callable[[dict[str, Pressed]], float]) -> float:
    return statistics.median(map(of, turns))


def spread(turns: list[dict[str, Pressed]], of: Callable[[dict[str, Pressed]], float]) -> str:
    found = sorted(map(of, turns))
    return f"{found[0]:.3f} to {found[-1]:.3f}"


async def test_an_acknowledgement_takes_a_twentieth_of_bare_bolt(servers: Servers, measured: Measure) -> None:
    turns = await servers.compare(lambda server: pressed(server, "command", 1, SECONDS))

    def ratio(turn: dict[str, Pressed]) -> float:
        return turn["tocsin"].p50 / turn["bolt"].p50

    bare = median(turns, lambda turn: turn["bolt"].p50) * 1000
    against = f"bare Bolt: {bare:.1f} ms; {spread(turns, ratio)}"
    measured(
        at_most("acknowledgement, one at a time, p50", against, median(turns, ratio), 0.05, "of bare Bolt's")
    )


async def test_a_hundred_people_open_forms_twice_as_fast_as_with_bare_bolt(
    servers: Servers, measured: Measure
) -> None:
    turns = await servers.compare(lambda server: pressed(server, "command", 100, SECONDS))

    def to_bolt(turn: dict[str, Pressed]) -> float:
        return turn["tocsin"].a_second / turn["bolt"].a_second

    def to_raw(turn: dict[str, Pressed]) -> float:
        return turn["tocsin"].a_second / turn["raw"].a_second

    against = f"bare Bolt on Starlette; {spread(turns, to_bolt)}"
    measured(at_least("forms opened by 100 people", against, median(turns, to_bolt), 2.0, "times as many"))
    against = f"a signature check and no more; {spread(turns, to_raw)}"
    measured(at_least("forms opened by 100 people ", against, median(turns, to_raw), 0.5, "times as many"))


async def test_fifty_people_declare_at_once_and_nobody_waits(tmp_path: Path, measured: Measure) -> None:
    async with module("benchmarks.stub_slack") as slack, tocsin(tmp_path, f"{slack.url}/api/") as bot:
        await pressed(bot, "submission", 1, 60, 1)
        await until_asked(slack, "pins.add", 1)
        await forget(slack, 0.1)
        crowd = await pressed(bot, "submission", 50, 60, 1)
        asked = await until_asked(slack, "pins.add", 50)
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
        crowd = await pressed(bot, "submission", 20, 60, 15)
        assert (crowd.refused, crowd.answers) == (0, 300)
        measured(
            at_least("incidents declared durably", "one process, embedded", crowd.a_second, 100, "a second")
        )
