"""`python -m tests.reliability.replicas --declarations 3000 --changes 1000`: replicas that die at random."""

import argparse
import asyncio
import logging
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.earlier_version import commit_of_earlier_format, exported
from support.postgresql import running_postgresql

from reliability.replicas.campaign import campaign, rolling_upgrade


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.replicas", description=__doc__)
    parser.add_argument("--declarations", type=int, default=3000)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--upgrade", action="store_true", help="from the newest version with other recorded steps"
    )
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, running_postgresql() as server:
        run = campaign
        if asked.upgrade:
            before = exported(commit_of_earlier_format(), Path(folder) / "before")
            run = partial(rolling_upgrade, before=before)
        amount = {"declarations": asked.declarations, "changes": asked.changes, "seed": asked.seed}
        report = asyncio.run(run(Path(folder), server, **amount))
    print("\n".join(report.lines()))
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
