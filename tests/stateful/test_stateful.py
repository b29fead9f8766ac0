"""Whatever happens, in whatever order: one incident for each declaration, and nobody is left without a word.

150 examples of 50 steps, and 500 under `CI=true`; 20 of 30 steps with kills. The long profile, with 20,000
examples of 100 steps and 500 with kills: `pytest tests/stateful --hypothesis-profile=long`.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import ClassVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from stateful.forked import Forked
from stateful.machine import WHICH, People
from stateful.scene import OneProcess

LONG = settings.get_current_profile_name() == "long"
IN_CI = os.environ.get("CI") == "true"
EXAMPLES, STEPS = (20_000, 100) if LONG else (500 if IN_CI else 150, 50)
KILLED_EXAMPLES, KILLED_STEPS = (500, 50) if LONG else (20, 30)
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
        self.scene.run(self.scene.while_held(lambda: self.workspace.submit(who, view)))

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


def test_every_declaration_is_made_once_whatever_people_and_slack_do() -> None:
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as workers:
        # A worker knows nothing of the profile that was asked for here.
        chosen = figures(EXAMPLES // WORKERS, STEPS)
        for _ in workers.map(in_one_process, range(WORKERS), repeat(chosen, WORKERS)):
            pass


def test_every_declaration_is_made_once_however_often_the_bot_is_killed() -> None:
    scene = WithKills.scene = Forked()
    try:
        run_state_machine_as_test(seed(7)(WithKills), settings=figures(KILLED_EXAMPLES, KILLED_STEPS))
        assert scene.killed >= KILLED_EXAMPLES, scene.killed
    finally:
        scene.close()
        assert not WithKills.wrong, "\n".join(WithKills.wrong)
