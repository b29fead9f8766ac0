"""What a journal still has in hand, asked from outside, whether or not the bot runs."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from dbos import DBOSClient

from tocsin.incidents.errors import Unavailable
from tocsin.journal.durable import cause, file_of

UNFINISHED = ["PENDING", "ENQUEUED"]


async def fetch_pending(url: str) -> list[datetime]:
    """When each unfinished story was begun, oldest first; none where there is no journal yet.

    Nothing is made or changed. Raises Unavailable in one line when the journal cannot be used.
    """
    return await asyncio.to_thread(_pending, url)


def _pending(url: str) -> list[datetime]:
    file = file_of(url)
    if file is not None and not file.exists():
        return []
    try:
        if file is not None:
            _refuse_damaged(file)
        engine = sa.create_engine(url)
        try:
            return _begun(engine)
        finally:
            engine.dispose()
    except (OSError, ImportError, sqlite3.Error, sa.exc.SQLAlchemyError) as error:
        raise Unavailable(f"The journal cannot be used ({cause(error)}).") from error


def _begun(engine: sa.Engine) -> list[datetime]:
    on_sqlite = engine.dialect.name == "sqlite"
    if not sa.inspect(engine).has_table("workflow_status", schema=None if on_sqlite else "dbos"):
        return []
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    client = DBOSClient(system_database_engine=engine, retry_connection_errors=False)
    try:
        found = client.list_workflows(status=UNFINISHED, load_input=False, load_output=False)
    finally:
        client.destroy()
    return sorted(datetime.fromtimestamp((story.created_at or 0) / 1000, UTC) for story in found)


def _refuse_damaged(file: Path) -> None:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=1.5)
    try:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    finally:
        connection.close()
    if said != "ok":
        raise sqlite3.DatabaseError(said)
