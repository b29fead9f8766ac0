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

from reliability.crash.backends import BACKENDS, LOCAL, Backend
from reliability.crash.lives import warm
from reliability.crash.points import Point
from reliability.crash.run import Plan, Report, Runner, ram_folder
from reliability.crash.switch import NEVER, Kill

WAYS_KEPT = 8
SECOND_KILLS = 0.35
"""The share of runs in which the restarted bot is killed again."""

RECOVERY_PASSES = 600
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
    deeds: int = 0
    lost: int = 0
    duplicated: int = 0
    violations: int = 0
    seconds: float = 0.0
    never_reached: list[str] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        words = ("hit", "second", "third", "intents", "deeds", "lost", "duplicated", "violations")
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
    "deeds": "other verbs done",
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

    def __init__(self, points: list[Point], seed: int, backend: Backend = LOCAL) -> None:
        self._scenarios = list(backend.scenarios)
        self._backend = backend.name
        self._rng = Random(seed)
        self._ways: defaultdict[str, list[Way]] = defaultdict(list)
        self._planned: Counter[str] = Counter()
        self._first = list(self._scenarios)
        self._known = {point.name for point in points}

    def next(self) -> Plan:
        seed = self._rng.getrandbits(32)
        if self._first:
            return Plan(self._first.pop(0), seed, backend=self._backend)
        if not self._ways:
            return Plan(self._rng.choice(self._scenarios), seed, backend=self._backend)
        point = self._fewest(list(self._ways))
        way = self._rng.choice(self._ways[point])
        hit = 1 if self._rng.random() < 0.5 else self._rng.randint(1, way.passes)
        kills = (*way.before, Kill(point, hit))
        if self._rng.random() < SECOND_KILLS:
            kills = (*kills, Kill(None, self._rng.randint(1, RECOVERY_PASSES)))
        return Plan(way.scenario, seed, kills, self._backend)

    def _fewest(self, names: list[str]) -> str:
        fewest = min(self._planned[name] for name in names)
        point = self._rng.choice([name for name in names if self._planned[name] == fewest])
        self._planned[point] += 1
        return point

    def learn(self, report: Report) -> None:
        before: tuple[Kill, ...] = ()
        planned = itertools.chain(report.plan.kills, itertools.repeat(NEVER))
        for passed, stopped, kill in zip(report.lives, report.stopped, planned, strict=False):
            for name in passed.keys() & self._known:
                self._remember(name, Way(report.plan.scenario, before, passed[name]))
            before = (*before, NEVER if stopped else kill)
            # A way that needs more than one kill before the point is too long to be worth keeping.
            if sum(one != NEVER for one in before) > 1:
                return

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
    backend: Backend = LOCAL,
    lanes: int = 3,
    seconds: float = float("inf"),
    told: Callable[[str], None] = print,
) -> Totals:
    """So many runs, some side by side; none is begun after `seconds`. Violations are told at once."""
    points = backend.points()
    planner, totals = Planner(points, seed, backend), Totals(points=len(points))
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="tocsin-crash-", dir=ram_folder()))
    left = itertools.count()

    async def lane(runner: Runner) -> None:
        while next(left) < runs and time.monotonic() - began < seconds:
            report = await runner.run(planner.next())
            planner.learn(report)
            _count(totals, report, told)

    async with warm() as zygote:
        runner = Runner(zygote, folder, backend)
        await runner.prepare()
        async with asyncio.TaskGroup() as group:
            for _ in range(lanes):
                group.create_task(lane(runner))
    totals.seconds = time.monotonic() - began
    finish(totals, planner.reached, backend)
    if not totals.violations:
        shutil.rmtree(folder)
    return totals


def finish(totals: Totals, reached: set[str], backend: Backend = LOCAL) -> None:
    names = [point.name for point in backend.points()]
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
    totals.deeds += report.deeds
    totals.lost += report.lost
    totals.duplicated += report.duplicated
    totals.violations += len(report.violations)
    for violation in report.violations:
        again = f"python -m tests.reliability.crash {report.plan}"
        said = f"{violation}\n    killed at {report.kills}\n    again: {again}"
        totals.broken.append(said)
        told(said)


async def again(plan: Plan) -> Report:
    """One run, its folder kept when something is wrong."""
    async with warm() as zygote:
        folder = Path(tempfile.mkdtemp(prefix="tocsin-crash-", dir=ram_folder()))
        runner = Runner(zygote, folder, BACKENDS[plan.backend])
        await runner.prepare()
        return await runner.run(plan)


def as_json(totals: Totals) -> dict[str, Any]:
    return asdict(totals)


def merged(parts: list[dict[str, Any]], seconds: float, backend: Backend = LOCAL) -> Totals:
    """The totals of several workers as one."""
    whole = Totals(points=parts[0]["points"], seconds=seconds)
    for name in ("runs", "hit", "second", "third", "intents", "deeds", "lost", "duplicated", "violations"):
        setattr(whole, name, sum(part[name] for part in parts))
    whole.kills = dict(sum((Counter(part["kills"]) for part in parts), Counter()))
    whole.broken = [said for part in parts for said in part["broken"]]
    missed = set.intersection(*(set(part["never_reached"]) for part in parts))
    finish(whole, {point.name for point in backend.points()} - missed, backend)
    return whole
