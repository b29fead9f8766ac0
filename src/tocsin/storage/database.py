"""Database of the workflows and of Tocsin's own tables: one SQLite file, or PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.incidents.errors import Unavailable
from tocsin.storage.barrier import WriteBarrier, root_message, unbarred
from tocsin.storage.postgresql import barred_engine, create_schema, is_postgresql, may_pass
from tocsin.storage.sqlite import create_file, file_identity, fsync_wal, sqlite_engine

T = TypeVar("T")
log = structlog.get_logger()

TABLES = sa.MetaData()
"""Tocsin's own tables, which the modules of the stores declare."""

SHARED_TABLES = sa.MetaData()
"""Tables by which replicas know of each other."""

TRIES = 3


class Database:
    """Database at this URL, opened by `open` or at the first query; all stores of a process share one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_shared = is_postgresql(url)
        """True if several replicas may use it."""
        self.barrier: WriteBarrier | None = None
        """Barrier in front of a shared database, once it is open."""
        self._engine: sa.Engine | None = None
        self._identity: tuple[int, int] | None = None
        self._opening = Lock()
        self.failed = False
        """True if a transaction has failed since this was last set to False."""

    def open(self) -> sa.Engine:
        """Return the engine, creating the tables at first. Raises SQLAlchemyError or OSError."""
        with self._opening:
            if self._engine is None:
                self._engine = self._connect()
            return self._engine

    def _connect(self) -> sa.Engine:
        if self.is_shared:
            engine, self.barrier = barred_engine(self.url)
            try:
                create_schema(engine)
                return _with_tables(engine, TABLES, SHARED_TABLES)
            except BaseException:
                self.barrier.close()
                engine.dispose()
                raise
        create_file(self.url)
        self._identity = file_identity(self.url)
        return _with_tables(sqlite_engine(self.url), TABLES)

    def close(self) -> None:
        if self.barrier is not None:
            self.barrier.close()
        if self._engine is not None:
            self._engine.dispose()

    async def do(self, act: Callable[[sa.Connection], T], *, synced: bool = False) -> T:
        """Return the result of `act`, run within one transaction in a thread. Raises Unavailable.

        With `synced` it is on disk before this returns. `act` may run again: after a lost connection, a
        deadlock, or when another replica has written the same row first.
        """
        try:
            return await asyncio.to_thread(self.run, act, synced)
        except sa.exc.SQLAlchemyError as error:
            self.failed = True
            raise Unavailable(f"Tocsin's journal cannot be used ({root_message(error)}).") from error

    def run(self, act: Callable[[sa.Connection], T], synced: bool = False) -> T:
        """Do as `do`, in the calling thread. Raises SQLAlchemyError, too."""
        with unbarred():
            return self._run(self.open(), act, synced)

    def _run(self, engine: sa.Engine, act: Callable[[sa.Connection], T], synced: bool) -> T:
        if file_identity(self.url) != self._identity:
            raise Unavailable("Tocsin's journal was moved or deleted; put it back and start Tocsin again.")
        tries = 0
        while True:
            tries += 1
            try:
                with engine.begin() as connection:
                    result = act(connection)
                if synced:
                    fsync_wal(self.url)
                return result
            except sa.exc.SQLAlchemyError as error:
                if tries == TRIES or not (isinstance(error, sa.exc.IntegrityError) or may_pass(error)):
                    raise


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    key: dict[str, str],
    rest: dict[str, str | None],
    *,
    replacing: bool = True,
) -> None:
    """Insert the row with this primary key; an existing one is updated if `replacing`, else it stays."""
    statement = _upsert(connection.dialect.name, table, tuple(key), tuple(rest) if replacing else ())
    connection.execute(statement, {**key, **rest})


@lru_cache
def _upsert(
    dialect: str, table: sa.Table, key: tuple[str, ...], replaced: tuple[str, ...]
) -> postgresql.Insert | sqlite.Insert:
    """Return the statement of `upsert`, built once: that takes longer than SQLite takes to run it."""
    row = insert(dialect, table)
    if not replaced:
        return row.on_conflict_do_nothing(index_elements=key)
    return row.on_conflict_do_update(index_elements=key, set_={name: row.excluded[name] for name in replaced})


def insert(dialect: str, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT in the dialect of this name, which knows ON CONFLICT."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _with_tables(engine: sa.Engine, *kinds: sa.MetaData) -> sa.Engine:
    for tables in kinds:
        for _ in tables.sorted_tables:
            # Another process may create a table between our check and our own CREATE. A lasting error is
            # raised by the last attempt, below.
            with contextlib.suppress(sa.exc.DBAPIError):
                tables.create_all(engine)
                break
        else:
            tables.create_all(engine)
        _create_later_indexes(engine, tables)
    return engine


_INDEXES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()",
}


def _create_later_indexes(engine: sa.Engine, tables: sa.MetaData) -> None:
    """Create the indexes that a table from an earlier version lacks: with the tables only new ones come."""
    with engine.connect() as connection:
        there = set(connection.scalars(sa.text(_INDEXES[engine.dialect.name])))
    for index in (index for table in tables.sorted_tables for index in table.indexes):
        if index.name in there:
            continue
        try:
            index.create(engine, checkfirst=True)
        except sa.exc.DBAPIError as error:
            # Without it a look takes longer, and the next start tries again: no reason not to start.
            log.warning("index not created", index=index.name, because=root_message(error))
