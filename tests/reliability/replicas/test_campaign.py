"""A sample of the campaign in which replicas die, sleep and are cut off; see `campaign.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.earlier_version import commit_before, commit_of_earlier_format, exported
from support.postgresql import PostgresqlServer

from reliability.replicas.campaign import REPLICAS, campaign, rolling_upgrade

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


@pytest.mark.campaign("python -m tests.reliability.replicas --upgrade --declarations 300 --changes 100")
@pytest.mark.parametrize("version", [commit_before, commit_of_earlier_format])
async def test_a_rolling_upgrade_while_people_declare_loses_nothing_and_doubles_nothing(
    tmp_path: Path, stoppable_postgresql: PostgresqlServer, version: Callable[[], str]
) -> None:
    before = exported(version(), tmp_path / "before")
    folder = tmp_path / "replicas"
    folder.mkdir()
    report = await rolling_upgrade(folder, stoppable_postgresql, before, declarations=22, changes=6, seed=2)
    print("\n".join(report.lines()))
    assert report.violations == []
    assert report.troubles["upgrade"] == REPLICAS
