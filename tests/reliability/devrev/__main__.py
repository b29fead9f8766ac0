"""`python -m tests.reliability.devrev --runs 3000`: how often DevRev ends with no incident, or with two."""

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import structlog

from reliability.devrev.campaign import campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.devrev", description=__doc__)
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--lag", type=float, nargs=2, default=(0.0, 60.0), help="seconds, from and to")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        lags = (given.lag[0], given.lag[1])
        tally = asyncio.run(campaign(Path(folder), runs=given.runs, lags=lags, seed=given.seed))
    print(f"List behind by {lags[0]:g} to {lags[1]:g} s: {tally.line}.")
    print("\n".join(tally.worst[:20]))
    return 1 if tally.lost else 0


if __name__ == "__main__":
    sys.exit(main())
