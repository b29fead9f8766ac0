"""One of two processes that race for the same keys; prints, for each key, who got it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from support.declarations import Ticking, declaration

from tocsin.backends.local.backend import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.model import SourceMessage
from tocsin.storage.database import Database
from tocsin.storage.slack_state import SqlSlackStateStore
from tocsin.workflows.retry import retry

AT_ONCE = 8


async def race(folder: Path, me: str, keys: int) -> dict[str, list[str]]:
    catalogue = IncidentConfig.from_toml({})
    backend = await LocalBackend.open(
        folder / "incidents.db", catalogue, public_url="http://127.0.0.1", clock=Ticking()
    )
    database = Database(f"sqlite:///{folder / 'journal.db'}")
    ledger = SqlSlackStateStore(database)
    got: dict[str, list[str]] = {}

    async def one(number: int) -> None:
        source = SourceMessage(channel="C0ALERTS001", timestamp=f"1772334000.{number:06}")
        owner = await retry(ledger.claim_source, "T0NORTH", source, me, attempts=None)
        made = await retry(backend.create, declaration(f"key-{number}"), attempts=None)
        got[f"key-{number}"] = [owner, made.reference]

    for start in range(0, keys, AT_ONCE):
        await asyncio.gather(*(one(number) for number in range(start, min(start + AT_ONCE, keys))))
    await backend.close()
    database.close()
    return got


if __name__ == "__main__":
    print(json.dumps(asyncio.run(race(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))))
