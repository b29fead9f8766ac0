"""`python -m tests.reliability.secrecy --gestures 5000`: gestures by chance, and what was read by whom."""

import argparse
import asyncio
import logging
import math
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import structlog
from support.autojump import AutojumpLoop
from support.bot import running_bot

from reliability.secrecy.canaries import Canaries
from reliability.secrecy.run import canaries


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.secrecy", description=__doc__)
    parser.add_argument("--gestures", type=int, default=5000)
    parser.add_argument("--operations", type=int, default=0, help="of the verbs alone, before the gestures")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no gesture begins after these")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    # What the bot says of its own work would drown what was found.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=AutojumpLoop) as runner:
        leaks = runner.run(operated(Path(folder) / "verbs", asked.operations, asked.seed))
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=AutojumpLoop) as runner:
        found = runner.run(canaries(Path(folder), asked.gestures, asked.seed, minutes=asked.minutes))
    print("\n".join(found.lines()))
    return 1 if leaks or found.leaks else 0


async def operated(folder: Path, operations: int, seed: int) -> list[str]:
    """The leaks that so many operations of the verbs led to."""
    if not operations:
        return []
    async with running_bot(folder) as bot:
        found = Canaries(bot, random.Random(seed))
        await found.run(operations)
    print("\n".join(found.lines()))
    return found.leaks


if __name__ == "__main__":
    sys.exit(main())
