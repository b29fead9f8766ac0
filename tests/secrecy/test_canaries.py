"""Whatever people do, a private incident is read by its own people alone."""

from __future__ import annotations

import os
import random
from pathlib import Path

from fakes.bot import running_bot

from secrecy.canaries import Canaries

OPERATIONS = int(os.environ.get("TOCSIN_TEST_OPERATIONS", "600"))


async def test_no_word_of_a_private_incident_is_where_others_read_it(tmp_path: Path) -> None:
    async with running_bot(tmp_path) as bot:
        canaries = Canaries(bot, random.Random(OPERATIONS))
        await canaries.run(OPERATIONS)
        print(f"{OPERATIONS} operations: {dict(canaries.done)}; {len(canaries.leaks)} leaks")
        assert sum(kept.private for kept in canaries.kept) >= 3
        assert canaries.leaks == []
