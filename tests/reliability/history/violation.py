"""A promise that was not kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Invariant = Literal["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10"]


@dataclass(frozen=True)
class Violation:
    invariant: Invariant
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.sentence}"
