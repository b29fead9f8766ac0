"""`python -m tests.reliability.hostile --requests 10000`: sends a bot requests that Slack would not send."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reliability.hostile.strangers import hostility


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.hostile", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(hostility(Path(folder), asked.requests, asked.seed))
    print("\n".join(found.lines()))
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
