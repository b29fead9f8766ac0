"""What a slash command costs the processor, counted in calls of functions and in instructions."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.instructions import FEW, MANY
from benchmarks.servers import environment, module
from benchmarks.table import Row, at_most

pytestmark = [pytest.mark.benchmark, pytest.mark.process]
NO_VALGRIND = "needs Debian's valgrind"


async def test_a_command_calls_at_most_half_as_many_functions_more_than_in_bare_bolt(
    tmp_path: Path, measured: Callable[[Row], None]
) -> None:
    # Both ways need a process whose modules and loop are their own: that takes three seconds.
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o700)
    async with module("benchmarks.stub_slack") as slack:
        counting = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.instructions", "calls", f"{slack.url}/api/", str(kept)),
            env=environment(),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told, said = await counting.communicate()
    assert counting.returncode == 0, said.decode()[-2000:]
    calls = dict(map(json.loads, told.splitlines()))
    against = f"Bolt, tuned alike, with the same form: {calls['bolt']:.0f}"
    ratio = calls["tocsin"] / calls["bolt"]
    measured(at_most("functions called for a command", against, ratio, 1.5, "times", counted=True))


# Counted, but under valgrind, which takes half a minute: only when asked for.
@pytest.mark.timed
@pytest.mark.skipif(shutil.which("valgrind") is None, reason=NO_VALGRIND)
async def test_a_command_costs_little_more_than_in_bare_bolt_however_many_verbs_there_are(
    tmp_path: Path, measured: Callable[[Row], None]
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o700)
    async with module("benchmarks.stub_slack") as slack:
        counting = await asyncio.create_subprocess_exec(
            *("valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"),
            f"--callgrind-out-file={tmp_path}/out",
            *(sys.executable, "-m", "benchmarks.instructions", "instructions"),
            *(f"{slack.url}/api/", str(kept)),
            env=environment(PYTHONHASHSEED="0"),
            cwd=tmp_path,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await counting.communicate()
    assert counting.returncode == 0, said.decode()[-2000:]
    cost = costs(tmp_path)
    bolt, ours, many = (cost[way] for way in ("bolt", "tocsin", "tocsin with 200 verbs"))
    against = f"Bolt, tuned alike, with the same form: {bolt / 1e6:.2f} million"
    measured(at_most("instructions of a command", against, ours / bolt, 1.5, "times", counted=True))
    measured(at_most("the same with 200 verbs", "with ours", many / ours, 1.05, "times", counted=True))


def costs(folder: Path) -> dict[str, float]:
    """Instructions of one command, for each way: the many less the few, by how many more they are.

    Only of the thread that answers: what looks after the journal does so now and then, whoever types.
    """
    counted: dict[str, dict[int, int]] = {}
    for file in folder.glob("out.*-01"):
        text = file.read_text(errors="replace")
        named = re.search(r"^desc: Trigger: dump (.+) (\d+)$", text, re.MULTILINE)
        total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
        if named and total:
            counted.setdefault(named[1], {})[int(named[2])] = int(total[1])
    return {way: (found[MANY] - found[FEW]) / (MANY - FEW) for way, found in counted.items()}
