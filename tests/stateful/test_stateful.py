"""Whatever happens, in whatever order: one incident for each declaration, and nobody is left without a word.

`pytest tests/stateful --hypothesis-profile=long` runs 20,000 examples of 100 steps instead of the usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from stateful.machine import WHICH, People
from stateful.scene import OneProcess

EXAMPLES, STEPS = (20_000, 100) if settings.get_current_profile_name() == "long" else (500, 50)
FIGURES = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
    print_blob=False,
)


class InOneProcess(People):
    scene: ClassVar[OneProcess]

    def begin(self) -> None:
        self.scene.fresh()
        self.restarts = 0

    async def quiet(self) -> None:
        await self.scene.quiet()

    @precondition(lambda self: self.may_declare)
    @rule(which=WHICH)
    def declare_while_the_backend_is_slow(self, which: int) -> None:
        form = self._form(which)
        self._fill(form, private=False, led=False)
        form.submitted = True
        self.scene.held.asked.clear()
        who, view = form.view.user, form.view.id
        self.scene.run(self.scene.while_held(lambda: self.workspace.submit(who, view)))


@pytest.fixture(scope="module")
def one_process() -> Iterator[OneProcess]:
    scene = OneProcess()
    yield scene
    scene.close()


def test_every_declaration_is_made_once_whatever_people_and_slack_do(one_process: OneProcess) -> None:
    InOneProcess.scene = one_process
    run_state_machine_as_test(InOneProcess, settings=FIGURES)
