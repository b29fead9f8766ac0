"""`python -m tests.support.incident_io --port 8099`: the stand-in on a port, to point a playground at."""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.incident_io.account import Account, Json
from support.incident_io.server import running_incident_io


def _open_channel(account: Account, seconds: float, incident: Json) -> None:
    """What incident.io does some time after each creation."""
    name = f"{incident['reference'].lower()}-green-parrot"
    channel = f"C0IO{incident['reference'].removeprefix('INC-'):0>6}"
    asyncio.get_running_loop().call_later(seconds, account.open_channel, incident, channel, name)


async def serve(port: int, key: str, seconds: float, people: list[str]) -> None:
    account = Account(key=key)
    for person in people:
        account.knows(person, person)
    account.made = partial(_open_channel, account, seconds)
    async with running_incident_io(account, port) as server:
        print(f"INCIDENT_IO_URL={server.url} INCIDENT_IO_API_KEY={key}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--key", default="a-key")
    parser.add_argument("--channel-after", type=float, default=3.0, help="seconds until a channel is there")
    parser.add_argument("--knows", action="append", default=[], help="a Slack id that the account knows")
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.key, given.channel_after, given.knows))


if __name__ == "__main__":
    main()
