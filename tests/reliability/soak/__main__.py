"""`python -m tests.reliability.soak --minutes 30 --rate 5`: a soak; over HTTP with `--http`."""

import argparse
import asyncio
import gc
import logging
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reliability.soak.soak import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="where the rate can be kept")
    parser.add_argument("--rate", type=float, default=5.0, help="declarations a second")
    parser.add_argument("--seed", type=int, default=1, help="of the weather")
    parser.add_argument("--http", action="store_true", help="over signed HTTP instead of Socket Mode")
    parser.add_argument("--folder", type=Path, help="keep the bot's files and its log here")
    asked = parser.parse_args()
    # Answers that break off in the middle are what we are here for.
    logging.disable(logging.CRITICAL)
    # All that happened is kept until it is judged: going through it again and again takes seconds each time.
    gc.disable()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = asyncio.run(
            soak(
                folder,
                declarations=int(asked.minutes * 60 * asked.rate),
                rate=asked.rate,
                http=asked.http,
                seed=asked.seed,
            )
        )
    print("\n".join(figures.lines()))
    return 0 if figures.sound else 1


if __name__ == "__main__":
    sys.exit(main())
