"""Every command of `routes.py`, used in a workspace that `tocsin run` serves."""

from __future__ import annotations

import pytest

from e2e.wire.every import CONFIG, followed, of_kind
from e2e.wire.journey import Journey

__all__ = ["CONFIG"]

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("way", ["socket"], indirect=True)
@pytest.mark.parametrize("route", of_kind("command"))
async def test_the_command_does_what_it_says(way: Journey, route: str) -> None:
    await followed(way, route)
