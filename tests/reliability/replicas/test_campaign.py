"""A sample of the campaign in which replicas die, sleep and are cut off; see `campaign.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.postgresql import PostgresqlServer

from reliability.replicas.campaign import campaign

pytestmark = pytest.mark.process


@pytest.mark.campaign("python -m tests.reliability.replicas --declarations 3000 --changes 1000")
async def test_replicas_that_die_sleep_and_are_cut_off_lose_nothing_and_double_nothing(
    tmp_path: Path, stoppable_postgresql: PostgresqlServer
) -> None:
    report = await campaign(tmp_path, stoppable_postgresql, declarations=60, changes=20, seed=1)
    print("\n".join(report.lines()))
    assert report.violations == []
    assert report.declared >= 60
    assert report.troubles.total() >= 2
