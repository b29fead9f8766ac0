"""The measurements of a run, told at its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.filling import fill
from benchmarks.table import Row, agreement, as_json, as_plot, as_text

HERE = Path(__file__).parent
ROWS = pytest.StashKey[list[Row]]()
MISSED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[Row], None]:
    """Put a row into the table; once all are there, the test fails where a target is missed."""
    missed = request.node.stash.setdefault(MISSED, [])

    def measure(row: Row) -> None:
        request.config.stash[ROWS].append(row)
        if not row.is_met:
            missed.append(f"{row.metric}: {row.measured}, and the target is {row.target}")

    return measure


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    result = yield
    missed = item.stash.get(MISSED, [])
    assert not missed, "; ".join(missed)
    return result


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A file with so many incidents, made once; whoever writes to it takes a copy."""
    folder = tmp_path_factory.mktemp("filled")

    @cache
    def made(size: int) -> Path:
        path = folder / f"{size}.db"
        with ThreadPoolExecutor(1) as beside:
            beside.submit(lambda: asyncio.run(fill(path, size))).result()
        return path

    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[ROWS]
    if not rows:
        return
    terminalreporter.write_line("")
    terminalreporter.write_line(as_text(rows))
    if any(not row.counted for row in rows) and all(
        any(row.metric == known for row in rows) for known in ALWAYS
    ):
        figures = HERE / "figures.json"
        before = json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else []
        terminalreporter.write_line(agreement(rows, {row["metric"]: row["fills"] for row in before}))
        figures.write_text(as_json(rows), encoding="utf-8")
        (HERE / "figures.svg").write_text(as_plot(rows), encoding="utf-8")


ALWAYS = (
    "Slack calls to open the form",
    "steps of a query, 1,000 to 1,000,000",
    "acknowledgement, one at a time, p50",
)
"""Rows of a whole run: only such a run is written down."""
