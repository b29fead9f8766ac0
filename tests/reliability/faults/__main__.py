"""`python -m tests.reliability.faults`: the fault matrix, and the test that shows each cell."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from reliability.faults.matrix import MATRIX


def words(shown_by: str) -> str:
    return shown_by.partition("::")[2].removeprefix("test_").replace("_", " ") or shown_by


if __name__ == "__main__":
    for cell in MATRIX:
        lines = [words(shown) for shown in cell.shown_by]
        print(f"{cell.step:<15} {cell.fault:<66} {lines[0]}")
        for line in lines[1:]:
            print(f"{'':<83}{line}")
    hosted = sum(cell.is_hosted for cell in MATRIX)
    empty = sum(not cell.shown_by for cell in MATRIX)
    shown = len(MATRIX) - hosted - empty
    print(f"\n{len(MATRIX)} cells: {shown} shown by tests, {hosted} of hosted backends, {empty} empty")
