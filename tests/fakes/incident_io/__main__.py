"""`python -m tests.fakes.incident_io --port 8099`: the stand-in on a port, to point a playground at."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fakes.incident_io.account import Account
from fakes.incident_io.server import IncidentIoServer, running_incident_io


async def _open_channels(server: IncidentIoServer, seconds: float) -> None:
    """What incident.io does some time after each creation."""
    opened: set[str] = set()
    while True:
        await asyncio.sleep(0.2)
        for incident in [i for i in server.account.incidents if i["id"] not in opened]:
            opened.add(incident["id"])
            name = f"{incident['reference'].lower()}-green-parrot"
            number = incident["reference"].removeprefix("INC-")
            asyncio.get_running_loop().call_later(
                seconds, server.account.open_channel, incident, f"C0IO{number:0>6}", name
            )


async def serve(port: int, key: str, seconds: float, people: list[str]) -> None:
    account = Account(key=key)
    for person in people:
        account.knows(person, person)
    async with running_incident_io(account, port) as server:
        print(f"INCIDENT_IO_URL={server.url} INCIDENT_IO_API_KEY={key}", flush=True)
        await _open_channels(server, seconds)


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
