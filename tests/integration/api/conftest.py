"""One served API for each module of tests: what a test makes stays, so each makes keys of its own names."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.api import ApiSite, served_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with served_api(tmp_path_factory.mktemp("api")) as site:
        yield site
