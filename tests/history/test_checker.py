"""The checker finds nothing wrong with the bot as it is, and everything that was made wrong on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from history.checker import violations
from history.scenario import SCENARIOS, history_of
from history.stage import Zygote, zygote


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Zygote]:
    async with zygote(tmp_path_factory.mktemp("sockets")) as forking:
        yield forking


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_the_bot_keeps_every_promise(scenario: str, forking: Zygote, tmp_path: Path) -> None:
    history = await history_of(SCENARIOS[scenario], tmp_path / "run", forking)
    assert history.presses
    assert [str(broken) for broken in violations(history)] == []
