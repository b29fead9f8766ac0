"""A short soak in bad weather; as a campaign over each way in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from reliability.soak.soak import soak

pytestmark = pytest.mark.process

FEW, SAMPLE, RATE = 6, 30, 5.0
"""Declarations, and as many a second at most."""


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """The workspace's server reports each answer that breaks off, which here is wanted."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def test_a_few_declarations_in_bad_weather_are_all_kept_once(tmp_path: Path) -> None:
    figures = await soak(tmp_path, declarations=FEW, rate=RATE, refreshed=3)
    print("\n".join(figures.lines()))
    assert figures.violations == []
    assert figures.kept == figures.presses == FEW
    assert (figures.unfinished, figures.exit_code) == (0, 0)
    assert figures.met["429"] > 0
    assert figures.met["refresh"] > 0


@pytest.mark.campaign("python -m tests.reliability.soak --minutes 30 --rate 5")
@pytest.mark.parametrize("way", ["socket", "http"])
async def test_a_soak_in_bad_weather_loses_nothing_doubles_nothing_and_does_not_grow(
    way: str, tmp_path: Path
) -> None:
    figures = await soak(tmp_path, declarations=SAMPLE, rate=RATE, http=way == "http")
    print("\n".join(figures.lines()))
    assert figures.violations == []
    assert figures.kept == figures.presses == SAMPLE
    assert figures.met["429"] > 0.1 * figures.met["calls"]
    assert figures.met["refresh"] > 0 or way == "http"
    assert figures.sound, figures.lines()
