"""A sample of each campaign: a bot killed anywhere loses nothing and does nothing twice."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from reliability.crash.__main__ import FAMILIES
from reliability.crash.backends import BACKENDS
from reliability.crash.campaign import campaign
from reliability.crash.unreached import LEAST_REACHED

SEED, RUNS = 3, 92


@pytest.mark.process
@pytest.mark.parametrize(
    ("backend", "runs"),
    [
        pytest.param(
            "local", RUNS, marks=pytest.mark.campaign("python -m tests.reliability.crash --runs 3000")
        ),
        *(
            pytest.param(
                backend,
                45,
                marks=pytest.mark.campaign(
                    f"python -m tests.reliability.crash --backend {backend} --family declaring --runs 3000"
                ),
            )
            for backend in ("incident_io", "devrev")
        ),
    ],
)
def test_a_killed_bot_loses_nothing_and_does_nothing_twice(backend: str, runs: int) -> None:
    if not hasattr(os, "pidfd_open"):
        pytest.skip("killing and watching processes this way needs Linux")
    sampled = asyncio.run(campaign(runs, SEED, backend=BACKENDS[backend], lanes=4))
    print("\n".join(sampled.lines()))
    assert not sampled.broken, "\n".join(sampled.broken)
    assert sampled.lost == sampled.duplicated == sampled.violations == 0
    assert sampled.runs == runs
    assert sampled.hit >= runs / 5, "the first run of each scenario is not killed, most others are"
    reached = BACKENDS[backend].shares(sampled.never_reached)
    short = {package: share for package, share in reached.items() if share < LEAST_REACHED[backend][package]}
    assert short == {}, f"less was reached than tests/reliability/crash/unreached.py asks for: {reached}"


def test_who_reads_of_the_campaigns_reads_of_every_family_and_how_many_runs_are_a_sample() -> None:
    said = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"--family ([a-z-]+)", said)) == {*FAMILIES, "declaring"}
    assert re.findall(r"(\d+) runs over all families", said) == [str(RUNS)]
