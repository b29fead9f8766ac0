"""Two processes after the same things: each goes to one of them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from support.patience import LIMIT

pytestmark = pytest.mark.process

FEW, MANY = 100, 2_000

TESTS = str(Path(__file__).parents[2])


@pytest.mark.parametrize(
    "keys",
    [FEW, pytest.param(MANY, marks=pytest.mark.campaign("pytest -m campaign tests/reliability/faults"))],
)
async def test_of_two_processes_one_wins_each_key(tmp_path: Path, keys: int) -> None:
    paths = os.pathsep.join(filter(None, [TESTS, os.environ.get("PYTHONPATH")]))

    async def racer(name: str) -> dict[str, list[str]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "reliability.faults.racer", str(tmp_path), name, str(keys),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), LIMIT)
        assert process.returncode == 0
        got: dict[str, list[str]] = json.loads(said)
        return got

    one, other = await asyncio.gather(racer("one"), racer("other"))
    assert one == other
    assert len(one) == keys
    assert {owner for owner, _ in one.values()} <= {"one", "other"}
    assert {reference for _, reference in one.values()} == {f"INC-{n}" for n in range(1, keys + 1)}
