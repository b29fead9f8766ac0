"""A process that declares: `python declaring_process.py FILE FIRST COUNT` uses keys FIRST.. and `raced`.

With a PostgreSQL address in place of the file, it declares all of them at once.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.postgresql import SESSION
from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import Person
from tocsin.incidents.requests import Declaration
from tocsin.storage.postgresql import postgresql_engine

sys.path.insert(0, str(Path(__file__).parents[2]))

from support.declarations import DAWN, Ticking


async def main(where: str, first: int, count: int) -> None:
    is_file = not where.startswith("postgresql:")
    place = Path(where) if is_file else postgresql_engine(where, session=SESSION, autocommit=True)
    backend = await LocalBackend.open(
        place, IncidentConfig(), public_url="http://127.0.0.1:8080", clock=Ticking()
    )
    keys = [key for number in range(first, first + count) for key in (f"key-{number}", "raced")]
    declaring = [declare(backend, key) for key in keys]
    if is_file:
        for one in declaring:
            await one
    else:
        await asyncio.gather(*declaring)
    await backend.close()


async def declare(backend: LocalBackend, key: str) -> None:
    """As the bot does it: again, where the incidents were held for too long."""
    while True:
        try:
            await backend.create(Declaration(key=key, name=key, reporter=Person(name="Ana"), at=DAWN))
            return
        except Unavailable as error:
            if error.retry_after is None:
                raise


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
