"""Rules for every test: what runs only when it is asked for by name, and how patient a property test is."""

from __future__ import annotations

import pytest
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
