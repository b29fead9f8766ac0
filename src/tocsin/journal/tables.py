"""Tables of ours beside the journal, in the same database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.incidents.errors import Unavailable
from tocsin.journal.files import cause, identity, make_ready
from tocsin.journal.turns import in_turns

T = TypeVar("T")


class Tables:
    """Some tables at this SQLAlchemy address; nothing is opened before `open`, or before it is first asked.

    With `synchronous` as NORMAL a commit in SQLite reaches the disk at the next `through`, or the next
    checkpoint; with FULL before it is answered.
    """

    def __init__(self, url: str, tables: sa.MetaData, *, synchronous: str = "FULL") -> None:
        self._url, self._tables, self._synchronous = url, tables, synchronous
        self._engine: sa.Engine | None = None
        self._identity: tuple[int, int] | None = None
        self._opening = Lock()
        self.failed = False
        """A transaction failed since this was last set to False."""

    def open(self) -> sa.Engine:
        """The engine, with the tables there. Raises SQLAlchemyError or OSError."""
        with self._opening:
            if self._engine is None:
                make_ready(self._url)
                self._identity = identity(self._url)
                self._engine = _made(_prepared(self._url, self._synchronous), self._tables)
            return self._engine

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    async def do(self, act: Callable[[sa.Connection], T]) -> T:
        """What `act` answers within one transaction. Raises Unavailable."""

        def transaction() -> T:
            engine = self.open()
            if identity(self._url) != self._identity:
                raise Unavailable(
                    "Tocsin's journal was moved or deleted; put it back and start Tocsin again."
                )
            with engine.begin() as connection:
                return act(connection)

        try:
            try:
                return await asyncio.to_thread(transaction)
            except sa.exc.IntegrityError:
                # Another replica wrote the same row first; asking again finds it.
                return await asyncio.to_thread(transaction)
        except sa.exc.SQLAlchemyError as error:
            self.failed = True
            raise Unavailable(f"Tocsin's journal cannot be used ({cause(error)}).") from error


def put(
    connection: sa.Connection,
    table: sa.Table,
    key: dict[str, str],
    rest: dict[str, str | None],
    *,
    replacing: bool = True,
) -> None:
    """Write the row with this primary key; one that is there already stays, unless it is `replacing`."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = insert(table).values({**key, **rest})
    if replacing:
        connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=rest))
    else:
        connection.execute(row.on_conflict_do_nothing(index_elements=list(key)))


def _prepared(url: str, synchronous: str) -> sa.Engine:
    """An engine whose SQLite connections wait for each other."""
    engine = in_turns(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_prepare_sqlite, synchronous))
    return engine


def _made(engine: sa.Engine, tables: sa.MetaData) -> sa.Engine:
    for _ in tables.sorted_tables:
        # Another process may make a table between our looking and our making; what is wrong stays so.
        with contextlib.suppress(sa.exc.DBAPIError):
            tables.create_all(engine)
    tables.create_all(engine)
    return engine


def _prepare_sqlite(synchronous: str, connection: Any, _record: Any) -> None:
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=1500")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute(f"PRAGMA synchronous={synchronous}")
