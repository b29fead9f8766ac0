"""The checker finds nothing wrong with the bot as it is, and everything that was made wrong on purpose."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from reliability.history.bugs import BUGS
from reliability.history.checker import violations
from reliability.history.deaths import DEATHS
from reliability.history.history import History
from reliability.history.planting import NotPlanted, StandIn, function_in
from reliability.history.scenario import SCENARIOS, history_of
from reliability.history.stage import NoBot, Zygote, stage, zygote
from reliability.history.violation import Violation

EXPECTED = {"in private": 3, "declared another": 2, "refused": 0}
"""Incidents that a scenario comes to, where it is not one."""

A_FEW_SCENARIOS = ("in private", "managed", "killed before the first post is recorded")
A_FEW_BUGS = (
    "a private incident is on the pages",
    "a resumed step is not told that it may have been done",
    "a change is answered before it is made",
    "a workflow is never told that its step is done",
)

AT_ONCE = 3
"""Runs side by side: most of a run is waiting for a restart."""

CAMPAIGN = pytest.mark.campaign("pytest tests/reliability/history -m campaign")
STAND_INS = [*DEATHS.values(), *(one for bug in BUGS.values() for one in bug.stand_ins)]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Zygote]:
    async with zygote(tmp_path_factory.mktemp("sockets")) as forking:
        yield forking


async def histories(
    runs: Iterable[tuple[str, str | None]], forking: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> list[History]:
    """Of each scenario, played by bots with the bug beside it."""
    taking = asyncio.Semaphore(AT_ONCE)

    async def run(scenario: str, bug: str | None) -> History:
        async with taking:
            return await history_of(SCENARIOS[scenario], tmp_path_factory.mktemp("run"), forking, bug)

    return await asyncio.gather(*(run(scenario, bug) for scenario, bug in runs))


@pytest.mark.process
@pytest.mark.parametrize(
    "scenarios",
    [pytest.param(A_FEW_SCENARIOS, id="a few"), pytest.param(SCENARIOS, id="all", marks=CAMPAIGN)],
)
async def test_the_bot_keeps_every_promise_and_every_scenario_comes_to_what_it_is_about(
    scenarios: Iterable[str], forking: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> None:
    played = await histories(((name, None) for name in scenarios), forking, tmp_path_factory)
    found = dict(zip(scenarios, played, strict=True))
    broken = {name: [str(one) for one in violations(history)] for name, history in found.items()}
    assert broken == {name: [] for name in scenarios}
    made = {name: len(history.tables["incidents"]) for name, history in found.items()}
    assert made == {name: EXPECTED.get(name, 1) for name in scenarios}
    kept = found["in private"]
    assert History.from_json(kept.to_json()) == kept, "a history that was kept is judged as it was"


@pytest.mark.process
@pytest.mark.parametrize(
    "bugs", [pytest.param(A_FEW_BUGS, id="a few"), pytest.param(BUGS, id="all", marks=CAMPAIGN)]
)
async def test_each_planted_bug_is_caught_by_the_promise_it_breaks(
    bugs: Iterable[str],
    forking: Zygote,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    played = await histories(((BUGS[bug].scenario, bug) for bug in bugs), forking, tmp_path_factory)
    found = {bug: violations(history) for bug, history in zip(bugs, played, strict=True)}
    with capsys.disabled():
        print(table(found))
    assert [bug for bug, broken in found.items() if not is_caught(bug, broken)] == []


def is_caught(bug: str, broken: Iterable[Violation]) -> bool:
    return BUGS[bug].breaks in {violation.invariant for violation in broken}


def table(found: Mapping[str, list[Violation]]) -> str:
    """A line for each planted bug: what it breaks, what was found, and the first sentence about it."""
    lines = ["", ""]
    for bug, broken in found.items():
        breaks = BUGS[bug].breaks
        invariants = " ".join(sorted({violation.invariant for violation in broken})) or "-"
        said = next((v.sentence for v in broken if v.invariant == breaks), "NOT CAUGHT")
        lines.append(f"{breaks}  {bug:<56} {invariants:<12} {said[:100]}")
    caught = sum(is_caught(bug, broken) for bug, broken in found.items())
    return "\n".join([*lines, f"{caught} of {len(found)} planted bugs caught", ""])


async def test_as_many_bugs_are_planted_as_it_is_said_each_in_a_scenario_that_there_is() -> None:
    said = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(\d+) bugs", said)) == {str(len(BUGS))}
    assert {bug.scenario for bug in BUGS.values()} <= SCENARIOS.keys()
    assert BUGS.keys() >= set(A_FEW_BUGS)


@pytest.mark.parametrize("stand_in", STAND_INS, ids=lambda one: one.target)
async def test_what_is_planted_stands_in_for_a_function_that_there_is(stand_in: StandIn) -> None:
    function_in(importlib.import_module(stand_in.module), stand_in.target)


@pytest.mark.parametrize("function", ["MessagePoster.nothing", "Nothing.post", "nothing", "EVENT"])
async def test_what_stands_in_for_no_function_is_an_error(function: str) -> None:
    module = importlib.import_module("tocsin.slack.messages")
    with pytest.raises(NotPlanted):
        StandIn(f"tocsin.slack.messages:{function}", print).plant_in(module)


@pytest.mark.process
async def test_a_bug_that_there_is_not_is_an_error_and_not_a_bot_without_the_bug(
    forking: Zygote, tmp_path: Path
) -> None:
    async with stage(tmp_path, forking, "what nobody wrote") as run:
        with pytest.raises(NoBot, match="what nobody wrote"):
            await run.start()
