"""Rules for every test: what runs only when it is asked for by name, and how patient a property test is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from fakes.autojump import AutojumpLoop
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

ASKED_FOR_BY_NAME = {
    "campaign": "a campaign: `pytest -m campaign` runs a sample of it, and `{}` runs it long",
    "timed": "measures time, so it needs a machine to itself: `pytest -m 'benchmark or timed' -s`",
}
"""Markers of tests that are skipped unless `-m` names them, with the reason; `campaign` takes a command."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip campaigns and timed tests, unless the command line's `-m` names their marker."""
    for item in items:
        for name, reason in ASKED_FOR_BY_NAME.items():
            mark = item.get_closest_marker(name)
            if mark is not None and name not in config.option.markexpr:
                item.add_marker(pytest.mark.skip(reason=reason.format(*mark.args)))


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time, unless a test waits for another process or for a browser."""
    outside = any(item.get_closest_marker(name) for name in ("process", "browser", "timed"))
    return {"machine's time": asyncio.new_event_loop} if outside else {"virtual time": AutojumpLoop}
