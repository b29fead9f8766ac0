"""A bot with a backend that the test holds: of its own for each test, or one for a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from support.beginning import Beginning
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_held(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Held, Beginning]]:
    async with held_bot(tmp_path_factory.mktemp("tocsin")) as held:
        with closing(Beginning(held.bot)) as beginning:
            yield held, beginning


@pytest_asyncio.fixture(loop_scope="module")
async def shared_held(running_held: tuple[Held, Beginning]) -> Held:
    """The file's bot and its backend, as if they had just started."""
    held, beginning = running_held
    held.backend.let_go()
    await beginning.again()
    held.backend.hold_again()
    return held


@pytest_asyncio.fixture(loop_scope="module")
async def shared_bot(shared_held: Held) -> RunningBot:
    """The file's bot, as if it had just started, with a backend that answers at once."""
    shared_held.backend.go_on.set()
    return shared_held.bot
