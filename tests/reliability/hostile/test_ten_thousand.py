"""Requests that Slack would not send: no 500, no listener for what is unsigned, no word kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliability.hostile.strangers import hostility

pytestmark = pytest.mark.process

FEW, SAMPLE = 300, 4_000


async def test_hostile_requests_break_nothing_do_nothing_and_are_not_written_down(tmp_path: Path) -> None:
    found = await hostility(tmp_path, FEW, seed=41)
    assert found.wrong == []
    assert found.sent >= FEW


@pytest.mark.campaign("python -m tests.reliability.hostile --requests 10000")
async def test_thousands_of_hostile_requests_break_nothing_do_nothing_and_are_not_written_down(
    tmp_path: Path,
) -> None:
    found = await hostility(tmp_path, SAMPLE, seed=42)
    print("\n".join(found.lines()))
    assert found.wrong == []
