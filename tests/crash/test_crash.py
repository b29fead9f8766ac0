"""A fair sample of the campaign: a bot killed anywhere loses nothing and does nothing twice."""

from __future__ import annotations

import ast
import asyncio
import os

import pytest

from crash.backends import LOCAL
from crash.campaign import Totals, campaign
from crash.points import PLACES, found_points, package_folder, rewritten
from crash.unreached import UNREACHED, why_unreached

RUNS = 80
SECONDS = 150.0
AT_MOST = 480.0
"""Seconds that a busy machine may take to reach every point; a quiet one needs no more than `SECONDS`."""
SEED = 3


def test_a_killed_bot_loses_nothing_and_does_nothing_twice(sampled: Totals) -> None:
    print("\n".join(sampled.lines()))
    assert not sampled.broken, "\n".join(sampled.broken)
    assert sampled.lost == sampled.duplicated == sampled.violations == 0
    others = sampled.runs - len(LOCAL.scenarios)
    assert sampled.hit >= others / 2 > 0, "the first run of each scenario is not killed, most others are"


def test_there_are_at_least_sixty_points_and_a_scenario_reaches_every_one(sampled: Totals) -> None:
    missed = [name for name in sampled.never_reached if why_unreached(name) is None]
    assert not missed, f"no scenario passes these, and tests/crash/unreached.py gives no reason: {missed}"
    assert sampled.reached >= 60


def test_every_reason_for_an_unreached_point_is_of_a_point_there_is() -> None:
    names = [point.name for point in found_points()]
    gone = [stem for stem in UNREACHED if not any(name.startswith(stem) for name in names)]
    assert not gone


def test_a_new_await_is_a_new_point() -> None:
    for place in PLACES:
        source = (package_folder() / place).read_text(encoding="utf-8")
        awaits = sum(isinstance(node, ast.Await) for node in ast.walk(ast.parse(source)))
        points = rewritten(source, place)[1]
        everything = not PLACES[place]
        assert len({point.name for point in points}) == len(points)
        assert not everything or sum(":await" in point.name for point in points) == 2 * awaits


def test_a_turn_of_a_loop_in_a_list_is_a_point_too() -> None:
    _, points = rewritten("async def f(xs):\n    return [x async for x in xs]\n", "actions/declare.py")
    assert [point.name.rpartition(":")[2] for point in points] == ["before", "after"]


@pytest.fixture(scope="module")
def sampled() -> Totals:
    if not hasattr(os, "pidfd_open"):
        pytest.skip("killing and watching processes this way needs Linux")
    wanted = LOCAL.wanted()
    return asyncio.run(campaign(RUNS, SEED, lanes=4, seconds=SECONDS, wanted=wanted, at_most=AT_MOST))
