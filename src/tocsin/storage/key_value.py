"""Key-value store for a few durable facts, in the same database as the workflows."""

from __future__ import annotations

import sqlalchemy as sa

from tocsin.storage.database import Database, upsert

_tables = sa.MetaData()
_facts = sa.Table(
    "tocsin_facts",
    _tables,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("fact", sa.Text, nullable=False),
)


class SqlKeyValueStore:
    """KeyValueStore in SQLite or PostgreSQL; the database is opened at the first query."""

    def __init__(self, url: str) -> None:
        self._kept = Database(url, _tables)

    def close(self) -> None:
        self._kept.close()

    async def get(self, name: str) -> str | None:
        def look(connection: sa.Connection) -> str | None:
            found = connection.scalar(_fact(name))
            return None if found is None else str(found)

        return await self._kept.do(look)

    async def set(self, name: str, fact: str) -> None:
        await self._kept.do(lambda connection: upsert(connection, _facts, {"name": name}, {"fact": fact}))

    async def set_if_absent(self, name: str, fact: str) -> str:
        def look_and_put(connection: sa.Connection) -> str:
            there = connection.scalar(_fact(name))
            if there is None:
                connection.execute(_facts.insert().values(name=name, fact=fact))
            return fact if there is None else str(there)

        return await self._kept.do(look_and_put)

    async def delete(self, name: str) -> None:
        def drop(connection: sa.Connection) -> None:
            connection.execute(_facts.delete().where(_facts.c.name == name))

        await self._kept.do(drop)


def _fact(name: str) -> sa.Select[tuple[str]]:
    return sa.select(_facts.c.fact).where(_facts.c.name == name)
