"""A bot of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reliability.faults.run import Run, run


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[Run]:
    async with run(tmp_path / "data") as day:
        yield day
