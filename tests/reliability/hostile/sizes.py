"""How often a test does what it does by chance: a little always, and much when a campaign is asked for."""

from __future__ import annotations

import pytest


def sizes(
    some: int, many: int, command: str = "pytest -m campaign tests/reliability/hostile"
) -> list[object]:
    """Values for a parameter of a test: `some`, and as a campaign `many`."""
    return [some, pytest.param(many, marks=pytest.mark.campaign(command))]
