"""The checker finds nothing wrong with the bot as it is, and everything that was made wrong on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from history.checker import violations
from history.history import History
from history.managing import VERB_DEATHS
from history.scenario import DEATHS, SCENARIOS, history_of
from history.seeded import Edit, SeedDoesNotFit, source_of
from history.seeds import SEEDS, Seed
from history.stage import Zygote, zygote
from history.taking import TAKING_DEATHS
from history.violation import Violation

ALL_DEATHS = {**DEATHS, **VERB_DEATHS, **TAKING_DEATHS}

EXPECTED = {"in private": 3, "declared another": 2, "refused": 0}
"""Incidents that a scenario comes to, where it is not one."""

AT_ONCE = 3
"""Runs side by side: most of a run is waiting for a restart."""

Histories = dict[str, asyncio.Task[History]]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Zygote]:
    async with zygote(tmp_path_factory.mktemp("sockets")) as forking:
        yield forking


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def honest(forking: Zygote, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Histories]:
    """Every scenario, with the bot as it is."""
    taking = asyncio.Semaphore(AT_ONCE)

    async def run(name: str) -> History:
        async with taking:
            return await history_of(SCENARIOS[name], tmp_path_factory.mktemp("honest"), forking)

    running = {name: asyncio.create_task(run(name)) for name in SCENARIOS}
    yield running
    for task in running.values():
        task.cancel()
    await asyncio.wait(running.values())


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_the_bot_keeps_every_promise(scenario: str, honest: Histories) -> None:
    assert [str(broken) for broken in violations(await honest[scenario])] == []


async def test_every_scenario_comes_to_what_it_is_about(honest: Histories) -> None:
    made = {name: len((await history).tables["incidents"]) for name, history in honest.items()}
    assert made == {name: EXPECTED.get(name, 1) for name in SCENARIOS}


@pytest.mark.parametrize("death", ALL_DEATHS.values(), ids=ALL_DEATHS)
async def test_a_bot_that_is_to_die_still_finds_its_place_in_the_source(death: Edit) -> None:
    compile(death.made_in(source_of(death.module)), death.module, "exec")


async def test_a_history_that_was_kept_is_judged_as_it_was(honest: Histories) -> None:
    history = await honest["in private"]
    assert History.from_json(history.to_json()) == history


async def test_each_seeded_bug_is_caught_by_the_promise_it_breaks(
    forking: Zygote, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    taking = asyncio.Semaphore(AT_ONCE)

    async def run(seed: Seed) -> list[Violation]:
        async with taking:
            folder = tmp_path_factory.mktemp("seeded")
            return violations(await history_of(SCENARIOS[seed.scenario], folder, forking, seed.edits))

    found = dict(zip(SEEDS, await asyncio.gather(*map(run, SEEDS)), strict=True))
    with capsys.disabled():
        print(table(found))
    missed = [s.bug for s, broken in found.items() if s.breaks not in {v.invariant for v in broken}]
    assert missed == []
    assert len(SEEDS) >= 20


def table(found: dict[Seed, list[Violation]]) -> str:
    """A line for each seeded bug: what it breaks, what was found, and the first sentence about it."""
    lines = ["", ""]
    for seed, broken in found.items():
        invariants = " ".join(sorted({violation.invariant for violation in broken})) or "-"
        said = next((v.sentence for v in broken if v.invariant == seed.breaks), "NOT CAUGHT")
        lines.append(f"{seed.breaks}  {seed.bug:<56} {invariants:<12} {said[:100]}")
    caught = sum(any(v.invariant == seed.breaks for v in broken) for seed, broken in found.items())
    return "\n".join([*lines, f"{caught} of {len(found)} seeded bugs caught", ""])


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.bug)
async def test_a_seed_still_fits_the_source(seed: Seed) -> None:
    sources = {edit.module: source_of(edit.module) for edit in seed.edits}
    for edit in seed.edits:
        sources[edit.module] = edit.made_in(sources[edit.module])
    for module, source in sources.items():
        compile(source, module, "exec")


async def test_a_seed_that_no_longer_fits_is_an_error_and_not_a_bot_without_the_bug() -> None:
    with pytest.raises(SeedDoesNotFit):
        Edit("tocsin.actions.declare", "what nobody wrote", "").made_in(source_of("tocsin.actions.declare"))
