"""What a declaration costs at the least: `python -m benchmarks.floor journal folder 300 10` prints it.

`journal` is the journal alone: stories of so many steps that do nothing. `sqlite` is SQLite alone: as many
commits, written through once a story, as Tocsin's own journal is. What is printed are seconds of the
processor for each story.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from tocsin.storage.database import Database
from tocsin.storage.workflow_engine import DbosEngine

AT_ONCE = 20
RECORD = {"kind": "declared", "words": "x" * 400}


async def journal(folder: Path, stories: int, steps: int) -> None:
    """So many stories, twenty at a time, each begun as a declaration is."""
    kept = DbosEngine(Database(f"sqlite:///{folder / 'journal.db'}"))

    async def nothing(_: bool) -> dict[str, Any]:
        return RECORD

    async def story(_: dict[str, Any]) -> Any:
        for number in range(steps):
            await kept.step(f"step {number}", nothing)
        return RECORD

    kept.register("nothing", story)
    kept.open()
    waiting = iter(range(stories))

    async def somebody() -> None:
        for number in waiting:
            await kept.start("nothing", f"story-{number}", RECORD)

    await asyncio.gather(*(somebody() for _ in range(AT_ONCE)))
    await kept.settled()
    await kept.close()


async def sqlite(folder: Path, stories: int, steps: int) -> None:
    """A commit for the beginning and the end of each story and for each of its steps."""
    path = folder / "bare.db"
    with sqlite3.connect(path, isolation_level=None) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = NORMAL")
        file.execute("CREATE TABLE steps (story TEXT, number INTEGER, said TEXT, UNIQUE (story, number))")
        log = os.open(f"{path}-wal", os.O_RDWR)
        for story in range(stories):
            for number in range(steps + 2):
                file.execute("INSERT INTO steps VALUES (?, ?, ?)", [f"story-{story}", number, str(RECORD)])
            os.fdatasync(log)
        os.close(log)


def main() -> None:
    what, folder, stories, steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    began = time.process_time()
    asyncio.run({"journal": journal, "sqlite": sqlite}[what](folder, stories, steps))
    print((time.process_time() - began) / stories)


if __name__ == "__main__":
    main()
