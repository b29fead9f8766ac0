"""`tocsin incidents import`: the move from the embedded files to PostgreSQL."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from sqlalchemy import Engine
from sqlite_utils import Database as SqliteFile

from tocsin.backends.local.choices import ruled_tables
from tocsin.backends.local.importing import SETTINGS, import_incidents
from tocsin.backends.local.postgresql import SESSION, PostgresqlDatabase
from tocsin.backends.local.sqlite import open_to_import
from tocsin.data_dir import now, only_one, open_database, open_incident_config, secret
from tocsin.incidents.errors import Refused, Unavailable
from tocsin.settings import ConfigurationError, Settings
from tocsin.storage.importing import copy_journal
from tocsin.storage.postgresql import is_postgresql, postgresql_engine
from tocsin.storage.workflow_engine import fetch_pending


async def import_file(settings: Settings, file: Path) -> str:
    """Bring an incident file, and the journal beside it, over into PostgreSQL; return a sentence about it.

    Raises ConfigurationError if the file or the database cannot be used, and Refused with the reason if
    nothing was imported.
    """
    url, config = _target_url(settings), open_incident_config(settings)
    journal = file.with_name("journal.db")
    with ExitStack() as stack:
        if (file.parent / "lock").exists():
            # A bot that still runs on the file would go on writing to it.
            stack.enter_context(only_one(file.parent))
        source = _open_source(file)
        stack.callback(source.conn.close)
        await _refuse_unfinished(journal)
        open_database(url).close()
        database = await _open_target(
            postgresql_engine(url, session={**SESSION, **SETTINGS}, autocommit=True)
        )
        also = partial(copy_journal, journal) if journal.exists() else None
        ruled = ruled_tables(config)
        try:
            done = await database.run(lambda db: import_incidents(db, source, file, now(), also, ruled))
        finally:
            await database.close()
    return done.sentence


def _target_url(settings: Settings) -> str:
    url = secret(settings.tocsin_database_url)
    if url is None or not is_postgresql(url):
        raise ConfigurationError(
            "TOCSIN_DATABASE_URL is not the address of a PostgreSQL database: set postgresql://… to import "
            "there."
        )
    return url


def _open_source(file: Path) -> SqliteFile:
    try:
        return open_to_import(file)
    except Unavailable as error:
        raise ConfigurationError(str(error)) from None


async def _refuse_unfinished(journal: Path) -> None:
    """Raise Refused if declarations or changes are unfinished: only a bot can finish them, in Slack."""
    unfinished = len(await fetch_pending(f"sqlite:///{journal}"))
    if unfinished:
        raise Refused(
            f"Unfinished in {journal}: {unfinished}. Nothing was imported: start Tocsin once more with the "
            "file and let them finish; `tocsin incidents pending` lists them."
        )


async def _open_target(engine: Engine) -> PostgresqlDatabase:
    try:
        return await PostgresqlDatabase.open(engine)
    except Unavailable as error:
        raise ConfigurationError(f"TOCSIN_DATABASE_URL: {error}") from None
