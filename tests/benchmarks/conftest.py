"""The measurements of a run, told at its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.table import Row, as_json, as_plot, as_text

HERE = Path(__file__).parent
ROWS = pytest.StashKey[list[Row]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[Row], None]:
    """Put a row into the table; the test fails where its target is missed."""

    def measure(row: Row) -> None:
        request.config.stash[ROWS].append(row)
        assert row.is_met, f"{row.metric}: {row.measured}, and the target is {row.target}"

    return measure


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[ROWS]
    if not rows:
        return
    terminalreporter.write_line("")
    terminalreporter.write_line(as_text(rows))
    if any(not row.counted for row in rows) and all(
        any(row.metric == known for row in rows) for known in ALWAYS
    ):
        (HERE / "figures.json").write_text(as_json(rows), encoding="utf-8")
        (HERE / "figures.svg").write_text(as_plot(rows), encoding="utf-8")


ALWAYS = ("Slack calls to open the form", "acknowledgement, one at a time, p50")
"""Rows of a whole run: only such a run is written down."""
