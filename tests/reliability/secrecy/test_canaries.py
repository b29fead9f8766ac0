"""Whatever people do, a private incident is read by its own people alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support.bot import running_bot

from reliability.secrecy.canaries import Canaries

FEW, SAMPLE = 120, 600


@pytest.mark.parametrize(
    "operations",
    [
        FEW,
        pytest.param(
            SAMPLE, marks=pytest.mark.campaign("python -m tests.reliability.secrecy --operations 20000")
        ),
    ],
)
async def test_no_word_of_a_private_incident_is_where_others_read_it(operations: int, tmp_path: Path) -> None:
    async with running_bot(tmp_path) as bot:
        canaries = Canaries(bot, random.Random(600))
        await canaries.run(operations)
        print("\n".join(canaries.lines()))
        assert sum(kept.private for kept in canaries.kept) >= 3
        assert canaries.leaks == []
