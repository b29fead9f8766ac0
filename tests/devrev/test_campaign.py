"""A sample of the campaign that `python -m tests.devrev` runs at length."""

from __future__ import annotations

from pathlib import Path

from devrev.campaign import campaign


async def test_none_is_lost_or_doubled_where_the_list_lags_by_up_to_a_minute(tmp_path: Path) -> None:
    tally = await campaign(tmp_path, runs=40, lags=(0.0, 60.0), seed=11)
    assert (tally.lost, tally.doubled, tally.late) == (0, 0, 0), tally.worst
    assert tally.unknown > 10
    assert tally.crashes > 10


async def test_where_it_lags_for_longer_none_is_lost_and_the_sweeps_mark_every_second_one(
    tmp_path: Path,
) -> None:
    tally = await campaign(tmp_path, runs=15, lags=(100.0, 600.0), seed=12)
    assert tally.lost == 0
    assert tally.doubled > 0
    assert tally.marked == tally.doubled
