"""A DevRev organisation on this machine, and Tocsin's backend over it, with a memory in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.devrev.desk import DevRevDesk, devrev_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[DevRevDesk]:
    async with devrev_desk(tmp_path) as opened:
        yield opened
