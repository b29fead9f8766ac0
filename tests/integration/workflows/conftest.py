"""A bot of its own for each test, with a backend that the test holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.bot import RunningBot
from support.held_backend import Held, held_bot


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[Held]:
    async with held_bot(tmp_path) as held:
        yield held


@pytest.fixture
async def bot(held: Held) -> RunningBot:
    """A bot whose backend answers at once."""
    held.backend.go_on.set()
    return held.bot
