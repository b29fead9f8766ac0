"""The files of a first start: their tables are made once for a test process, and copied into new folders."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from dbos._dbos import _get_or_create_dbos_registry

from tocsin.backends.local.sqlite import IncidentFile
from tocsin.storage.database import Database
from tocsin.storage.sqlite import give_subseconds
from tocsin.storage.workflow_engine import DbosEngine

GLANCE_SECONDS = 0.01
QUEUE_SECONDS = 0.1
_first = TemporaryDirectory(prefix="tocsin-first-")


def poll_often(engine: DbosEngine) -> None:
    """Let DBOS's threads, which wait as the machine's time passes, end and take workflows up soon."""
    engine.poll_seconds = GLANCE_SECONDS
    _get_or_create_dbos_registry().get_internal_queue()._polling_interval_sec = QUEUE_SECONDS


async def first_journal() -> Path:
    """A journal as a first start leaves it."""
    made = Path(_first.name) / "journal.db"
    if not made.exists():
        database = Database(f"sqlite:///{made}")
        journal = DbosEngine(database)
        poll_often(journal)
        journal.open()
        await journal.close()
        database.close()
        # It is copied without its log.
        with closing(sqlite3.connect(made)) as kept:
            kept.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return made


def opened_journal(path: Path) -> sqlite3.Connection:
    """A connection that writes DBOS's rows as DBOS does, with any SQLite."""
    connection = sqlite3.connect(path)
    give_subseconds(connection)
    return connection


def own_tables(path: Path) -> str:
    """The URL of a new SQLite file at this path, with Tocsin's own tables and no workflows."""
    made = Path(_first.name) / "own.db"
    if not made.exists():
        database = Database(f"sqlite:///{made}")
        database.open()
        database.close()
    _copied(made, path)
    return f"sqlite:///{path}"


async def new_incidents(path: Path) -> Path:
    """This path, at which there is an empty incident file now; one that is there already stays."""
    made = Path(_first.name) / "incidents.db"
    if not made.exists():
        # Another test's coroutine may be here, too: a file is there once it is whole.
        new = Path(mkdtemp(dir=_first.name)) / made.name
        await (await IncidentFile.open(new)).close()
        new.replace(made)
    _copied(made, path)
    return path


def copied_into(folder: Path, file: Path) -> None:
    """Give a new data folder this file; one of its name that is there already stays."""
    _copied(file, folder / file.name)


def _copied(made: Path, path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(made, path)
