"""One bot for each file of journeys, and nothing that goes wrong unseen."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import pytest
import pytest_asyncio
import structlog
from structlog.typing import EventDict
from support.beginning import Beginning
from support.bot import RunningBot, running_bot


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_bot(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[RunningBot, Beginning]]:
    """The bot in the seeded workspace, configured by the test file's own `CONFIG` (TOML), if it has one."""
    folder = tmp_path_factory.mktemp("tocsin")
    config = folder / "tocsin.toml"
    config.write_text(getattr(request.module, "CONFIG", ""))
    async with running_bot(folder / "data", tocsin_config=config) as running:
        with closing(Beginning(running)) as beginning:
            yield running, beginning


@pytest_asyncio.fixture(loop_scope="module")
async def bot(shared_bot: tuple[RunningBot, Beginning]) -> RunningBot:
    """The file's bot, as if it had just started."""
    running, beginning = shared_bot
    await beginning.again()
    return running


@pytest.fixture(autouse=True)
def troubles(caplog: pytest.LogCaptureFixture) -> Iterator[list[EventDict]]:
    """What was logged as an error; a test that means to cause one empties the list."""
    with structlog.testing.capture_logs() as logged:
        yield logged
    errors = [entry for entry in logged if entry["log_level"] in {"error", "critical"}]
    errors += [{"event": r.getMessage()} for r in caplog.get_records("call") if _is_trouble(r)]
    assert errors == []


def _is_trouble(record: logging.LogRecord) -> bool:
    """Returns False for what a stand-in says when it cuts a connection on purpose."""
    cut = record.exc_info is not None and isinstance(record.exc_info[1], ConnectionResetError)
    return record.levelno >= logging.ERROR and not (record.name == "uvicorn.error" and cut)
