"""A short soak in bad weather, over each way in; a long one is `python -m tests.soak`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from soak.soak import soak

SECONDS, RATE = (60.0, 5.0) if os.environ.get("CI") else (12.0, 1.0)
"""Two minutes in all where everything is run, and briefly on a desk."""

LEAST = 0.1
"""The share of them that people get to on the slowest of machines."""


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """The workspace's server reports each answer that breaks off, which here is wanted."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_a_soak_in_bad_weather_loses_nothing_doubles_nothing_and_does_not_grow(
    way: str, tmp_path: Path
) -> None:
    figures = await soak(tmp_path, seconds=SECONDS, rate=RATE, http=way == "http")
    print("\n".join(figures.lines()))
    assert figures.violations == []
    assert figures.kept == figures.presses >= LEAST * SECONDS * RATE
    assert figures.met["429"] > 0.1 * figures.met["calls"]
    assert figures.met["refresh"] > 0 or way == "http"
    assert figures.sound, figures.lines()
