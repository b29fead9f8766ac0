"""A few facts that outlive the process, beside the journal in the same database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from tocsin.incidents.errors import Unavailable
from tocsin.journal.durable import cause, make_ready
from tocsin.journal.ledger import made, prepared

T = TypeVar("T")
_tables = sa.MetaData()
_facts = sa.Table(
    "tocsin_facts",
    _tables,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("fact", sa.Text, nullable=False),
)


class SqlMemory:
    """The memory of whichever backend is configured; nothing is opened before it is first asked."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine: sa.Engine | None = None

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    async def recall(self, name: str) -> str | None:
        def look(connection: sa.Connection) -> str | None:
            found = connection.scalar(_fact(name))
            return None if found is None else str(found)

        return await self._do(look)

    async def remember(self, name: str, fact: str) -> None:
        def put(connection: sa.Connection) -> None:
            changed = connection.execute(_facts.update().where(_facts.c.name == name).values(fact=fact))
            if not changed.rowcount:
                connection.execute(_facts.insert().values(name=name, fact=fact))

        await self._do(put)

    async def remember_first(self, name: str, fact: str) -> str:
        def put(connection: sa.Connection) -> str:
            there = connection.scalar(_fact(name))
            if there is None:
                connection.execute(_facts.insert().values(name=name, fact=fact))
            return fact if there is None else str(there)

        return await self._do(put)

    async def forget(self, name: str) -> None:
        def drop(connection: sa.Connection) -> None:
            connection.execute(_facts.delete().where(_facts.c.name == name))

        await self._do(drop)

    async def _do(self, act: Callable[[sa.Connection], T]) -> T:
        def transaction() -> T:
            if self._engine is None:
                make_ready(self._url)
                self._engine = made(prepared(self._url), _tables)
            with self._engine.begin() as connection:
                return act(connection)

        try:
            try:
                return await asyncio.to_thread(transaction)
            except sa.exc.IntegrityError:
                # Another replica wrote the same fact first; asking again finds it.
                return await asyncio.to_thread(transaction)
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable(f"Tocsin's journal cannot be used ({cause(error)}).") from error


def _fact(name: str) -> sa.Select[tuple[str]]:
    return sa.select(_facts.c.fact).where(_facts.c.name == name)
