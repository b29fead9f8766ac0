"""What a declaration costs in this checkout, as a part of what it costs in another one.

`PYTHONPATH=src:tests python -m benchmarks.pair --against ../before` runs both in turn, over one stub of
Slack, and prints the median of the pairs. Only ratios are told, and the processor's time rather than the
clock's where that will do: the machine may have other things to do meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.servers import TESTS, Running, forget, module, pressed, tocsin, until_asked

ALONE, CROWD, EACH, AT_ONCE = 20, 20, 10, 50
"""Declarations of one person in a row; people who declare several times; how often; people at one moment."""

SLOW_SLACK = 0.1
"""Seconds until an answer of Slack while everybody declares at one moment."""


@dataclass(frozen=True)
class Cost:
    """What one run took, in seconds and bytes."""

    processor: float
    all_done: float
    acknowledged: float
    memory: float


SAID = {
    "processor": "processor for a declaration, with all that follows",
    "all_done": f"{AT_ONCE} at once, until all is done",
    "acknowledged": "acknowledgement, one at a time, p50",
    "memory": "memory after it",
}


class Run:
    """One run of a bot, in which every declaration is a new one."""

    def __init__(self, bot: Running, slack: Running) -> None:
        self._bot, self._slack = bot, slack
        self._declared = 0

    async def cost(self) -> Cost:
        await self._declare(1, 5)
        alone = await self._declare(1, ALONE)
        before = self._bot.seconds()
        await self._declare(CROWD, EACH)
        processor = (self._bot.seconds() - before) / (CROWD * EACH)
        all_done = (await self._declare(AT_ONCE, 1, SLOW_SLACK))[1]
        return Cost(processor, all_done, alone[0], float(self._bot.memory()))

    async def _declare(self, people: int, each: int, delay: float = 0.0) -> tuple[float, float]:
        """Return how long an answer took and how long everything took, once everything is done."""
        await forget(self._slack, delay)
        crowd = await pressed(self._bot, "submission", people, 60, each, first=self._declared + 1)
        assert crowd.refused == 0, f"{crowd.refused} presses were refused"
        self._declared += people * each
        asked = await until_asked(self._slack, "pins.add", people * each)
        began = min(begun for _, begun, _ in asked.calls)
        return crowd.p50, crowd.worst + max(end for _, _, end in asked.calls) - began


async def one_run(checkout: Path, slack: Running) -> Cost:
    with TemporaryDirectory() as folder:
        async with tocsin(Path(folder), f"{slack.url}/api/", PYTHONPATH=str(checkout / "src")) as bot:
            return await Run(bot, slack).cost()


async def pairs(ours: Path, other: Path, count: int) -> list[dict[str, tuple[float, float]]]:
    """For each pair and each figure, what it is here and there; each pair begins with the other one."""
    found = []
    async with module("benchmarks.stub_slack") as slack:
        for number in range(count):
            order = (ours, other) if number % 2 else (other, ours)
            costs = {checkout: asdict(await one_run(checkout, slack)) for checkout in order}
            found.append({name: (costs[ours][name], costs[other][name]) for name in SAID})
            print(as_text(found[-1:]), flush=True)
    return found


def as_text(found: list[dict[str, tuple[float, float]]]) -> str:
    """Return a line for each figure: the median ratio, the spread, and the medians of both."""
    lines = [f"{'median of ' + str(len(found)):<52} ratio   spread          here      there"]
    for name, said in SAID.items():
        ratios = sorted(one[name][0] / one[name][1] for one in found)
        here, there = (statistics.median(one[name][side] for one in found) for side in (0, 1))
        unit, scale = ("MB", 1e-6) if name == "memory" else ("ms", 1e3)
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        lines.append(
            f"{said:<52} {statistics.median(ratios):.2f}    {spread:<15} "
            f"{here * scale:.1f} {unit}   {there * scale:.1f} {unit}"
        )
    return "\n".join(lines)


def main() -> None:
    asked = argparse.ArgumentParser(description="A declaration here, as a part of what it costs elsewhere.")
    asked.add_argument("--against", type=Path, required=True, help="another checkout")
    asked.add_argument("--pairs", type=int, default=5)
    given = asked.parse_args()
    found = asyncio.run(pairs(TESTS.parent, given.against.resolve(), given.pairs))
    print(as_text(found))


if __name__ == "__main__":
    main()
