"""What a soak came to, in figures."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field

GROWTH_MEGABYTES = 40.0
GROWTH_DESCRIPTORS = 100
"""As many connections as aiohttp keeps at once; one lost with every declaration would be three times that."""


@dataclass
class Figures:
    seconds: float = 0.0
    presses: int = 0
    kept: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    answers: list[float] = field(default_factory=list)
    """Seconds until each press was answered, sorted."""
    quiet_after: float = 0.0
    """Seconds from the last answer until no story was unfinished."""
    memory: list[float] = field(default_factory=list)
    """Megabytes, two samples a second."""
    descriptors: list[int] = field(default_factory=list)
    exit_code: int | None = None
    unfinished: int = 0
    violations: list[str] = field(default_factory=list)

    @property
    def megabytes_grown(self) -> float:
        return _grown(self.memory)

    @property
    def descriptors_grown(self) -> float:
        return _grown(self.descriptors)

    @property
    def sound(self) -> bool:
        flat = self.megabytes_grown < GROWTH_MEGABYTES and self.descriptors_grown < GROWTH_DESCRIPTORS
        ended = self.exit_code == 0 and not self.unfinished
        return flat and ended and not self.violations and self.kept == self.presses

    def lines(self) -> list[str]:
        share = self.met["429"] / max(1, self.met["calls"])
        middle, slow = (at_part(self.answers, part) * 1000 for part in (0.5, 0.99))
        return [
            f"{self.presses} declarations in {self.seconds:.0f} s, {self.kept} incidents kept",
            f"{self.met['calls']} calls met the weather: {share:.0%} limited, {self.met['reset']} reset, "
            f"{self.met['500']} broken; {self.met['refresh']} connections refreshed",
            f"answers after {middle:.0f} ms (half), {slow:.0f} ms (99 of 100); {dict(self.ended)}",
            f"quiet {self.quiet_after:.0f} s after the last press; {self.unfinished} unfinished",
            f"memory {self.memory[0]:.0f} MB at first, {self.memory[-1]:.0f} MB at last, grown by "
            f"{self.megabytes_grown:.1f} MB; descriptors {self.descriptors[0]} and {self.descriptors[-1]}",
            f"stopped with exit code {self.exit_code}",
            f"{len(self.violations)} promises broken",
            *self.violations[:20],
        ]


def _grown(samples: list[float] | list[int]) -> float:
    """By how much the last quarter is above the second, which is past the warming up."""
    quarter = max(1, len(samples) // 4)
    return statistics.median(samples[-quarter:]) - statistics.median(samples[quarter : 2 * quarter])


def at_part(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0
