"""Whatever happens, in whatever order: one incident for each declaration, and nobody is left without a word.

A few examples always; more as a campaign, and with the long profile 20,000 of 100 steps and 500 with kills.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test
from support.bot import submitted
from support.postgresql import PostgresqlServer

from reliability.stateful.forked import Forked
from reliability.stateful.machine import WHICH, People
from reliability.stateful.replicated import Replicated
from reliability.stateful.scene import OneProcess

LONG = settings.get_current_profile_name() == "long"
CAMPAIGN = pytest.mark.campaign("pytest tests/reliability/stateful --hypothesis-profile=long -m campaign")
FEW, SAMPLE, EXAMPLES = (10, 30), (60, 50), (20_000, 100)
KILLED_FEW, KILLED_SAMPLE, KILLED_EXAMPLES = (2, 20), (10, 30), (500, 50)
SHARED_FEW, SHARED_SAMPLE, SHARED_EXAMPLES = (2, 25), (4, 30), (300, 50)
"""Examples and the steps of each: always, as a campaign, and as a long one."""

WORKERS = 2
RARELY = st.integers(0, 19)
"""A restart takes as long as a dozen other steps."""


class InOneProcess(People):
    scene: ClassVar[OneProcess]

    def begin(self) -> None:
        self.scene.fresh()

    async def quiet(self) -> None:
        await self.scene.quiet()

    @rule(which=WHICH)
    def declare_while_the_backend_is_slow(self, which: int) -> None:
        if (form := self._to_declare(which)) is None:
            return
        self._fill(form, private=False, led=False)
        form.submitted = True
        self.scene.held.asked.clear()
        who, view = form.view.user, form.view.id
        self.scene.run(self.scene.while_held(lambda: submitted(self.workspace, who, view)))

    @rule(die=RARELY)
    def the_bot_is_restarted(self, die: int) -> None:
        if die == 0:
            self.scene.run(self.scene.restart())


class WithKills(People):
    scene: ClassVar[Forked]

    def begin(self) -> None:
        """Begun once it is drawn when the bot is to die."""

    @initialize(hits=st.lists(st.integers(1, 400), max_size=2))
    def start(self, hits: list[int]) -> None:
        self.scene.fresh(hits)

    async def quiet(self) -> None:
        await self.scene.quiet()

    @rule()
    def the_bot_is_killed(self) -> None:
        self.scene.run(self.scene.kill())


class OnReplicas(People):
    scene: ClassVar[Replicated]

    def begin(self) -> None:
        self.scene.fresh()

    async def quiet(self) -> None:
        await self.scene.quiet()

    @rule(die=RARELY, which=WHICH)
    def a_replica_is_killed(self, die: int, which: int) -> None:
        if die < 2:
            self.scene.run(self.scene.kill(which))

    @rule(die=RARELY, which=WHICH)
    def a_replica_is_replaced(self, die: int, which: int) -> None:
        if die == 0:
            self.scene.run(self.scene.replace_one(which))

    @rule(die=RARELY)
    def the_database_ends_all_sessions(self, die: int) -> None:
        if die < 5:
            self.scene.cut_connections()


def figures(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if LONG else (Phase.generate,),
        report_multiple_bugs=False,
        print_blob=False,
    )


def in_one_process(number: int, chosen: settings) -> None:
    """One worker's share of the examples; raises what the first wrong one raised."""
    scene = InOneProcess.scene = OneProcess()
    try:
        run_state_machine_as_test(seed(number)(InOneProcess), settings=chosen)
    finally:
        scene.close()
        assert not InOneProcess.wrong, "\n".join(InOneProcess.wrong)


def with_kills(number: int, chosen: settings) -> int:
    """How often a bot was killed in all the examples; raises what the first wrong one raised."""
    scene = WithKills.scene = Forked()
    try:
        run_state_machine_as_test(seed(number)(WithKills), settings=chosen)
        return scene.killed
    finally:
        scene.close()
        assert not WithKills.wrong, "\n".join(WithKills.wrong)


def on_replicas(number: int, server: PostgresqlServer, chosen: settings) -> int:
    """How often a replica was killed in all the examples; raises what the first wrong one raised."""
    scene = OnReplicas.scene = Replicated(server)
    try:
        run_state_machine_as_test(seed(number)(OnReplicas), settings=chosen)
        return scene.killed
    finally:
        scene.close()
        assert not OnReplicas.wrong, "\n".join(OnReplicas.wrong)


def test_every_declaration_is_made_once_in_a_few_examples() -> None:
    in_one_process(1, figures(*FEW))


@pytest.mark.process
def test_every_declaration_is_made_once_in_a_few_examples_with_kills() -> None:
    assert with_kills(7, figures(*KILLED_FEW)) >= 1


@pytest.mark.process
def test_every_declaration_is_made_once_by_two_replicas_in_a_few_steps(postgresql: PostgresqlServer) -> None:
    assert on_replicas(3, postgresql, figures(*SHARED_FEW)) >= 1


@CAMPAIGN
def test_every_declaration_is_made_once_whatever_people_and_slack_do() -> None:
    if not LONG:
        return in_one_process(2, figures(*SAMPLE))
    examples, steps = EXAMPLES
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as workers:
        # A worker knows nothing of the profile that was asked for here.
        chosen = figures(examples // WORKERS, steps)
        for _ in workers.map(in_one_process, range(WORKERS), repeat(chosen, WORKERS)):
            pass


@CAMPAIGN
@pytest.mark.process
def test_every_declaration_is_made_once_however_often_the_bot_is_killed() -> None:
    examples, steps = KILLED_EXAMPLES if LONG else KILLED_SAMPLE
    assert with_kills(8, figures(examples, steps)) >= examples


@CAMPAIGN
@pytest.mark.process
def test_every_declaration_is_made_once_whichever_replica_is_asked_killed_or_replaced(
    postgresql: PostgresqlServer,
) -> None:
    assert on_replicas(34, postgresql, figures(*(SHARED_EXAMPLES if LONG else SHARED_SAMPLE))) >= 1
