"""Key-value store for a few durable facts, in the same database as the workflows."""

from __future__ import annotations

import sqlalchemy as sa

from tocsin.storage.database import TABLES, Database, upsert

_facts = sa.Table(
    "tocsin_facts",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("fact", sa.Text, nullable=False),
)
_claims = sa.Table(
    "tocsin_claims",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("until", sa.BigInteger, nullable=False, index=True),
)
"""Names that are good once and were taken, such as those of OAuth states."""


class SqlKeyValueStore:
    """KeyValueStore in SQLite or PostgreSQL; the database is opened at the first query."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def get(self, name: str) -> str | None:
        def look(connection: sa.Connection) -> str | None:
            found = connection.scalar(_fact(name))
            return None if found is None else str(found)

        return await self.database.do(look)

    async def set(self, name: str, fact: str) -> None:
        await self.database.do(
            lambda connection: upsert(connection, _facts, {"name": name}, {"fact": fact}), synced=True
        )

    async def set_if_absent(self, name: str, fact: str) -> str:
        def look_and_put(connection: sa.Connection) -> str:
            there = connection.scalar(_fact(name))
            if there is None:
                connection.execute(_facts.insert().values(name=name, fact=fact))
            return fact if there is None else str(there)

        return await self.database.do(look_and_put, synced=True)

    async def delete(self, name: str) -> None:
        def drop(connection: sa.Connection) -> None:
            connection.execute(_facts.delete().where(_facts.c.name == name))

        await self.database.do(drop, synced=True)

    async def claim(self, name: str, until: int, now: int) -> bool:
        """Take this name until then (seconds, as `now`); False if a replica has taken it before."""

        def take(connection: sa.Connection) -> bool:
            connection.execute(_claims.delete().where(_claims.c.until <= now))
            if connection.scalar(sa.select(_claims.c.name).where(_claims.c.name == name)) is not None:
                return False
            # Where another replica takes it at the same time this fails, and runs again.
            connection.execute(_claims.insert().values(name=name, until=until))
            return True

        return await self.database.do(take, synced=True)


def _fact(name: str) -> sa.Select[tuple[str]]:
    return sa.select(_facts.c.fact).where(_facts.c.name == name)
