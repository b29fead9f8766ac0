"""A bot killed at one certain place loses nothing; and where the places are that it can be killed at."""

from __future__ import annotations

import ast
import importlib
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from measures import nodes_of

from reliability.crash.backends import BACKENDS
from reliability.crash.lives import Zygote, warm
from reliability.crash.points import MODULES, around_call, found_points, points_in, rewritten
from reliability.crash.run import Plan, Runner
from reliability.crash.switch import CLOCK, Kill
from reliability.crash.unreached import LEAST_REACHED, UNREACHED, is_in

KILLED = {
    "the incident exists, and that is not recorded": ("by_command", "remember_incident", "before", "local"),
    "its lead was changed, and that is not recorded": (
        "who_does_what",
        "_backend.change, before.id",
        "after",
        "local",
    ),
    "alerts are noted, and that is not recorded": (
        "by_alerts_at_once",
        "self._finish_batch",
        "before",
        "local",
    ),
    "incident.io's window was finished": ("by_command", "publisher.publish", "after", "incident_io"),
    "DevRev made it, and its answer is not recorded": ("from_a_message", "creation.send", "after", "devrev"),
}
"""When a bot is killed: the scenario, the call of a function before or after which it is, and the backend."""

SEED = 3

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forking() -> AsyncIterator[Zygote]:
    if not hasattr(os, "pidfd_open"):
        pytest.skip("killing and watching processes this way needs Linux")
    async with warm() as zygote:
        yield zygote


@pytest.mark.process
@pytest.mark.parametrize("when", KILLED)
async def test_a_bot_that_is_killed_there_loses_nothing_and_does_nothing_twice(
    when: str, forking: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scenario, called, edge, backend = KILLED[when]
    kill = Kill(around_call(called, edge, backend), 1)
    # The path of a socket in it must be short.
    runner = Runner(forking, tmp_path_factory.mktemp("run"), BACKENDS[backend])
    report = await runner.run(Plan(scenario, SEED, (kill,), backend))
    assert report.kills == [kill.point]
    assert not report.violations, "\n".join(report.violations)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_every_function_that_no_scenario_reaches_is_one_that_there_is(backend: str) -> None:
    names = [point.name for point in found_points(backend)]
    assert [listed for listed in UNREACHED[backend] if not any(is_in(name, listed) for name in names)] == []


@pytest.mark.parametrize("backend", BACKENDS)
async def test_every_package_with_points_has_a_share_of_them_that_must_be_reached(backend: str) -> None:
    assert BACKENDS[backend].shares([]).keys() == LEAST_REACHED[backend].keys()


async def test_a_new_await_is_a_new_point() -> None:
    for module, path in MODULES.items():
        awaits = sum(isinstance(node, ast.Await) for node in nodes_of(path))
        points = points_in(module, path)
        assert len({point.name for point in points}) == len(points)
        assert sum(":await" in point.name for point in points) == 2 * awaits


async def test_a_turn_of_a_loop_in_a_list_is_a_point_too() -> None:
    _, points = rewritten("async def f(xs):\n    return [x async for x in xs]\n", "workflows.declare")
    assert [point.name.rpartition(":")[2] for point in points] == ["before", "after"]


async def test_the_bots_date_is_asked_where_the_tests_turn_it() -> None:
    """Else days would not go by, and what is only wrong after a day would not be seen."""
    now = importlib.import_module(CLOCK).now
    assert now().tzinfo is not None
