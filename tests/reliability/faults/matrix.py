"""The fault matrix: where something may go wrong, how, and the tests that show what people may rely on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HOSTED = "a hosted backend"
"""In place of tests: what only a backend elsewhere can do, and comes to be tested with the first of these."""


@dataclass(frozen=True)
class Cell:
    step: str
    fault: str
    shown_by: tuple[str, ...]
    """`file::test`, below `tests/`."""

    @property
    def is_hosted(self) -> bool:
        return self.shown_by == (HOSTED,)


def _cell(line: str) -> Cell:
    step, fault, shown_by = line.split(" | ")
    return Cell(step, fault, (HOSTED,) if shown_by == HOSTED else tuple(shown_by.split()))


MATRIX = tuple(map(_cell, Path(__file__).with_name("matrix.txt").read_text().splitlines()))
