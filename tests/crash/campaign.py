"""Many runs: which point next, with which kills, and what came of all of them."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from crash.lives import warm
from crash.points import Point, found_points
from crash.run import Plan, Report, Runner, ram_folder
from crash.scenarios import SCENARIOS
from crash.switch import Kill

WAYS_KEPT = 8
SECOND_KILLS = 0.35
"""The share of runs in which the restarted bot is killed again."""

RECOVERY_PASSES = 250
"""About as many points as a restarted bot passes until it is quiet."""


@dataclass
class Totals:
    """What a campaign prints."""

    points: int = 0
    reached: int = 0
    killed_at: int = 0
    runs: int = 0
    hit: int = 0
    second: int = 0
    third: int = 0
    intents: int = 0
    lost: int = 0
    duplicated: int = 0
    violations: int = 0
    seconds: float = 0.0
    never_reached: list[str] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        words = ("hit", "second", "third", "intents", "lost", "duplicated", "violations")
        told = {
            "points": f"{self.points}, reached {self.reached}, killed at {self.killed_at}",
            "runs": str(self.runs),
            **{LABELS[word]: str(getattr(self, word)) for word in words},
            "wall time": f"{self.seconds:.0f} s",
        }
        return [f"{name:<28}{value}" for name, value in told.items()]


LABELS = {
    "hit": "runs the kill hit in",
    "second": "second kills",
    "third": "further kills",
    "intents": "declarations submitted",
    "lost": "lost",
    "duplicated": "duplicated",
    "violations": "violations",
}


@dataclass(frozen=True)
class Way:
    """A way to a point: this scenario, after these kills, passes it so many times."""

    scenario: str
    before: tuple[Kill, ...]
    passes: int


class Planner:
    """Chooses the reachable point that was killed at least often, and learns ways to points as it goes."""

    def __init__(self, points: list[Point], seed: int) -> None:
        self._rng = Random(seed)
        self._ways: defaultdict[str, list[Way]] = defaultdict(list)
        self._planned: Counter[str] = Counter()
        self._first = list(SCENARIOS)
        self._known = {point.name for point in points}

    def next(self) -> Plan:
        seed = self._rng.getrandbits(32)
        if self._first:
            return Plan(self._first.pop(0), seed)
        if not self._ways:
            return Plan(self._rng.choice(list(SCENARIOS)), seed)
        fewest = min(self._planned[name] for name in self._ways)
        point = self._rng.choice([name for name in self._ways if self._planned[name] == fewest])
        self._planned[point] += 1
        way = self._rng.choice(self._ways[point])
        hit = 1 if self._rng.random() < 0.5 else self._rng.randint(1, way.passes)
        kills = (*way.before, Kill(point, hit))
        if self._rng.random() < SECOND_KILLS:
            kills = (*kills, Kill(None, self._rng.randint(1, RECOVERY_PASSES)))
        return Plan(way.scenario, seed, kills)

    def learn(self, report: Report) -> None:
        before: tuple[Kill, ...] = ()
        for number, passed in enumerate(report.lives):
            for name in passed.keys() & self._known:
                self._remember(name, Way(report.plan.scenario, before, passed[name]))
            # A way that needs more than one kill before the point is too long to be worth keeping.
            if number >= 1 or number >= len(report.kills):
                return
            before = report.plan.kills[:1]

    def _remember(self, name: str, way: Way) -> None:
        ways = self._ways[name]
        if len(ways) < WAYS_KEPT:
            ways.append(way)
        elif self._rng.random() < 0.3:
            ways[self._rng.randrange(WAYS_KEPT)] = way

    @property
    def reached(self) -> set[str]:
        return set(self._ways)


async def campaign(
    runs: int,
    seed: int,
    *,
    lanes: int = 3,
    seconds: float | None = None,
    wanted: frozenset[str] = frozenset(),
    told: Callable[[str], None] = print,
) -> Totals:
    """So many runs, some side by side, and on until every `wanted` point was reached.

    None is begun after `seconds`; violations are told at once.
    """
    points = found_points()
    planner, totals = Planner(points, seed), Totals(points=len(points))
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="tocsin-crash-", dir=ram_folder()))
    left = itertools.count()

    async def lane(runner: Runner) -> None:
        while next(left) < runs or wanted - planner.reached:
            if seconds is not None and time.monotonic() - began > seconds:
                return
            report = await runner.run(planner.next())
            planner.learn(report)
            _count(totals, report, told)

    async with warm() as zygote:
        runner = Runner(zygote, folder)
        await runner.prepare()
        async with asyncio.TaskGroup() as group:
            for _ in range(lanes):
                group.create_task(lane(runner))
    totals.seconds = time.monotonic() - began
    finish(totals, planner.reached)
    if not totals.violations:
        shutil.rmtree(folder)
    return totals


def finish(totals: Totals, reached: set[str]) -> None:
    names = [point.name for point in found_points()]
    totals.never_reached = [name for name in names if name not in reached]
    totals.reached = len(names) - len(totals.never_reached)
    totals.killed_at = len(totals.kills)


def _count(totals: Totals, report: Report, told: Callable[[str], None]) -> None:
    totals.runs += 1
    totals.hit += bool(report.kills)
    totals.second += len(report.kills) > 1
    totals.third += max(0, len(report.kills) - 2)
    totals.kills = dict(Counter(totals.kills) + Counter(report.kills))
    totals.intents += report.intents
    totals.lost += report.lost
    totals.duplicated += report.duplicated
    totals.violations += len(report.violations)
    for violation in report.violations:
        said = f"{violation}\n    killed at {report.kills}\n    again: python -m tests.crash {report.plan}"
        totals.broken.append(said)
        told(said)


async def again(plan: Plan) -> Report:
    """One run, its folder kept when something is wrong."""
    async with warm() as zygote:
        runner = Runner(zygote, Path(tempfile.mkdtemp(prefix="tocsin-crash-", dir=ram_folder())))
        await runner.prepare()
        return await runner.run(plan)


def as_json(totals: Totals) -> dict[str, Any]:
    return asdict(totals)


def merged(parts: list[dict[str, Any]], seconds: float) -> Totals:
    """The totals of several workers as one."""
    whole = Totals(points=parts[0]["points"], seconds=seconds)
    for name in ("runs", "hit", "second", "third", "intents", "lost", "duplicated", "violations"):
        setattr(whole, name, sum(part[name] for part in parts))
    whole.kills = dict(sum((Counter(part["kills"]) for part in parts), Counter()))
    whole.broken = [said for part in parts for said in part["broken"]]
    missed = set.intersection(*(set(part["never_reached"]) for part in parts))
    finish(whole, {point.name for point in found_points()} - missed)
    return whole
