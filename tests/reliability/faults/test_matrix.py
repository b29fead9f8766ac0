"""The fault matrix has no empty cell, and names no test that is not there."""

from __future__ import annotations

import ast
from pathlib import Path

from measures import nodes_of

from reliability.faults.matrix import MATRIX

TESTS = Path(__file__).parents[2]


def test_every_cell_of_the_fault_matrix_is_shown_by_a_test_that_exists() -> None:
    assert all(cell.shown_by for cell in MATRIX)
    named = {shown for cell in MATRIX if not cell.is_hosted for shown in cell.shown_by}
    assert [name for name in sorted(named) if name.partition("::")[2] not in found_in(name)] == []


def found_in(name: str) -> set[str]:
    path = TESTS / name.partition("::")[0]
    nodes = nodes_of(path) if path.exists() else ()
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_of_a_fault_is_in_the_matrix() -> None:
    named = {shown for cell in MATRIX for shown in cell.shown_by}
    there = {
        f"reliability/faults/{path.name}::{name}"
        for path in sorted(Path(__file__).parent.glob("test_*.py"))
        for name in found_in(f"reliability/faults/{path.name}")
        if name.startswith("test_") and path != Path(__file__)
    }
    assert there
    assert there - named == set()
