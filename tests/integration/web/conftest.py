"""The pages, served on a free port over a real incident file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.site import Site, served


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Bound to loopback: public incidents need no token."""
    async with served(tmp_path, public=True, slack_url="https://northwind.slack.com") as open_site:
        yield open_site


@pytest.fixture
async def closed_site(tmp_path: Path) -> AsyncIterator[Site]:
    """Bound to an address that others can reach: every page needs the token."""
    async with served(tmp_path, public=False) as guarded:
        yield guarded
