"""A process that declares: `python declaring_process.py FILE FIRST COUNT` uses keys FIRST.. and `raced`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.model import Person
from tocsin.incidents.requests import Declaration

sys.path.insert(0, str(Path(__file__).parents[2]))

from support.declarations import DAWN, Ticking


async def main(path: Path, first: int, count: int) -> None:
    backend = await LocalBackend.open(
        path, IncidentConfig(), public_url="http://127.0.0.1:8080", clock=Ticking()
    )
    for number in range(first, first + count):
        for key in (f"key-{number}", "raced"):
            await backend.create(Declaration(key=key, name=key, reporter=Person(name="Ana"), at=DAWN))
    await backend.close()


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
