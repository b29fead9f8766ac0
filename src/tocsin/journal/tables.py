"""Tables of ours beside the journal, in the same database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from tocsin.incidents.errors import Unavailable
from tocsin.journal.durable import cause, make_ready
from tocsin.journal.ledger import made, prepared

T = TypeVar("T")


class Tables:
    """Some tables at this SQLAlchemy address; nothing is opened before it is first asked."""

    def __init__(self, url: str, tables: sa.MetaData) -> None:
        self._url, self._tables = url, tables
        self._engine: sa.Engine | None = None

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    async def do(self, act: Callable[[sa.Connection], T]) -> T:
        """Act within one transaction. Raises Unavailable."""

        def transaction() -> T:
            if self._engine is None:
                make_ready(self._url)
                self._engine = made(prepared(self._url), self._tables)
            with self._engine.begin() as connection:
                return act(connection)

        try:
            try:
                return await asyncio.to_thread(transaction)
            except sa.exc.IntegrityError:
                # Another replica wrote the same row first; asking again finds it.
                return await asyncio.to_thread(transaction)
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable(f"Tocsin's journal cannot be used ({cause(error)}).") from error


def put(connection: sa.Connection, table: sa.Table, key: dict[str, str], rest: dict[str, str | None]) -> None:
    """Write the row with this key, in place of the one before."""
    there = sa.and_(*(table.c[column] == value for column, value in key.items()))
    if not connection.execute(table.update().where(there).values(rest)).rowcount:
        connection.execute(table.insert().values({**key, **rest}))
