"""A bot of its own for each test, or one for a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from support.beginning import Beginning

from reliability.faults.run import Run, run


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[Run]:
    async with run(tmp_path / "data") as day:
        yield day


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_day(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Run, Beginning]]:
    async with run(tmp_path_factory.mktemp("tocsin") / "data") as day:
        with closing(Beginning(day.bot)) as beginning:
            yield day, beginning


@pytest_asyncio.fixture(loop_scope="module")
async def shared_day(running_day: tuple[Run, Beginning]) -> Run:
    """The file's bot, as if it had just started, with nothing pressed yet."""
    day, beginning = running_day
    await beginning.again()
    return Run(day.bot)
