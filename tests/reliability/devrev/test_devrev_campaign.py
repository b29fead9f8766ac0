"""What becomes of declarations in DevRev whose list lags behind: a few always, more as a campaign."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliability.devrev.campaign import campaign

LONG = pytest.mark.campaign("python -m tests.reliability.devrev --runs 3000")


@pytest.mark.parametrize("runs", [15, pytest.param(300, marks=LONG)])
async def test_none_is_lost_or_doubled_where_the_list_lags_by_up_to_a_minute(
    tmp_path: Path, runs: int
) -> None:
    tally = await campaign(tmp_path, runs=runs, lags=(0.0, 60.0), seed=11)
    assert (tally.lost, tally.doubled, tally.late) == (0, 0, 0), tally.worst
    assert tally.unknown > runs / 4
    assert tally.crashes > runs / 4


@pytest.mark.parametrize("runs", [5, pytest.param(60, marks=LONG)])
async def test_where_it_lags_for_longer_none_is_lost_and_the_sweeps_mark_every_second_one(
    tmp_path: Path, runs: int
) -> None:
    tally = await campaign(tmp_path, runs=runs, lags=(100.0, 600.0), seed=12)
    assert tally.lost == 0
    assert tally.doubled > 0
    assert tally.marked == tally.doubled
