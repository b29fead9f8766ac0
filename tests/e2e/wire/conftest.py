"""`tocsin run` as a process of its own, for each file of journeys and each way Slack reaches it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.operated import canaries, free_port, operated
from support.paging import CONFIG, VARIABLES, running_services
from support.slack import running_workspace

from e2e.wire.journey import WRITTEN, Journey, over
from slack_emulator.manifest import Manifest
from tocsin.slack import routes


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["socket", "http"])
async def way(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Journey]:
    """Configured by the file's own `CONFIG` (TOML), if it has one, and with targets that can be paged."""
    http, folder, port = request.param == "http", tmp_path_factory.mktemp("tocsin"), free_port()
    config = folder / "tocsin.toml"
    manifest = routes.manifest(f"http://127.0.0.1:{port}" if http else None, pages="http://127.0.0.1")
    async with running_services() as services, running_workspace(Manifest.from_dict(manifest)) as slack:
        config.write_text(getattr(request.module, "CONFIG", "") + CONFIG.format(url=services.url))
        given = {"TOCSIN_CONFIG": str(config), **VARIABLES}
        async with operated(slack, folder, port, http=http, **given) as bot:
            yield over(slack, bot, http)
            assert await bot.stopped() == 0
        hits = [
            name
            for name, secret in canaries(slack, {"written": WRITTEN, **VARIABLES}).items()
            if secret in bot.log
        ]
        assert hits == []
        assert "Traceback" not in bot.log
