"""`python -m tests.reliability.crash --runs 300`: a campaign, or with --scenario one run again."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reliability.crash.backends import BACKENDS, MANAGED, Backend
from reliability.crash.campaign import Totals, again, as_json, campaign, merged
from reliability.crash.run import Plan
from reliability.crash.switch import Kill
from reliability.crash.unreached import why_unreached

FAMILIES = {**MANAGED, "managing": {name for family in MANAGED.values() for name in family}}
"""By name, the scenarios of each; whatever happens to an incident that exists is of `managing`."""


def main() -> int:
    asked = _arguments()
    # Connections that break off in the middle are what we are here for.
    logging.disable(logging.CRITICAL)
    if asked.scenario:
        plan = Plan(asked.scenario, asked.seed, tuple(_kill(said) for said in asked.kill), asked.backend)
        report = asyncio.run(again(plan))
        print("\n".join([f"killed at {report.kills}", *(report.violations or ["all is well"])]))
        return bool(report.violations)
    if asked.worker:
        part = asyncio.run(_part(asked))
        print(json.dumps(as_json(part)))
        return 0
    totals = _by_workers(asked)
    print("\n".join(totals.lines()))
    for name in totals.never_reached:
        if why_unreached(asked.backend, name) is None:
            print(f"never reached: {name}")
    for package, share in BACKENDS[asked.backend].shares(totals.never_reached).items():
        print(f"reached of {package:<24} {share:.0%}")
    for said in totals.broken:
        print(said)
    return bool(totals.violations)


def _part(asked: argparse.Namespace) -> Coroutine[Any, Any, Totals]:
    return campaign(
        asked.runs,
        asked.seed,
        backend=_backend(asked),
        lanes=asked.lanes,
        seconds=asked.minutes * 60,
        told=_aside,
    )


def _backend(asked: argparse.Namespace) -> Backend:
    """With the scenarios of one family alone, where one is asked for."""
    backend = BACKENDS[asked.backend]
    wanted = {name: scenario for name, scenario in backend.scenarios.items() if _is_of(name, asked.family)}
    if not wanted:
        raise SystemExit(f"No scenario of {asked.family} is played over {asked.backend}.")
    return replace(backend, scenarios=wanted)


def _is_of(scenario: str, family: str) -> bool:
    """Whether a scenario is of a family; whatever manages nothing declares."""
    if family == "declaring":
        return not any(scenario in known for known in FAMILIES.values())
    return family == "all" or scenario in FAMILIES[family]


def _by_workers(asked: argparse.Namespace) -> Totals:
    began = time.monotonic()
    share = -(-asked.runs // asked.workers)
    given = {"--runs": share, "--lanes": asked.lanes, "--minutes": asked.minutes, "--family": asked.family}
    command = [sys.executable, "-m", "tests.reliability.crash", "--worker", "--backend", asked.backend]
    command += [str(part) for pair in given.items() for part in pair]
    workers = [
        subprocess.Popen([*command, "--seed", str(asked.seed * 1000 + number)], stdout=subprocess.PIPE)
        for number in range(asked.workers)
    ]
    parts = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in workers]
    return merged(parts, time.monotonic() - began, BACKENDS[asked.backend])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.crash", description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="begin no run after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes that run side by side")
    parser.add_argument("--lanes", type=int, default=3, help="runs side by side in each of them")
    parser.add_argument("--backend", choices=list(BACKENDS), default="local", help="where incidents are kept")
    parser.add_argument(
        "--family", choices=["all", "declaring", *FAMILIES], default="all", help="which scenarios"
    )
    parser.add_argument("--scenario", help="do one run again")
    parser.add_argument(
        "--kill", action="append", default=[], help="point#hit, or any#hit; once for each life"
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _kill(said: str) -> Kill:
    point, _, hit = said.rpartition("#")
    return Kill(None if point == "any" else point, int(hit))


def _aside(said: str) -> None:
    print(said, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
