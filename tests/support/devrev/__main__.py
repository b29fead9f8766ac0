"""`python -m tests.support.devrev --port 8091`: the organisation by itself, to point a bot at."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from support.devrev import FakeOrg, running_org
from support.devrev.org import TOKEN


async def serve(port: int, lag: float, refused: list[str]) -> None:
    async with running_org(FakeOrg(lag=lag, refused=set(refused)), port) as (_, url):
        print(f"DEVREV_URL={url} DEVREV_TOKEN={TOKEN} TOCSIN_BACKEND=devrev", flush=True)
        await asyncio.Event().wait()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--port", type=int, default=8091)
parser.add_argument("--lag", type=float, default=0.0, help="seconds until a list shows a new incident")
parser.add_argument("--refuse", action="append", default=[], help="a field that the schema does not have")
given = parser.parse_args()
asyncio.run(serve(given.port, given.lag, given.refuse))
