"""Keys of the API: their hashes, names and scopes, in the database that all replicas share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tocsin.incidents.api_keys import SCOPES, ApiKey, Scope, key_hash, new_key, shown
from tocsin.incidents.errors import Refused, Unavailable
from tocsin.storage.database import TABLES, Database

_keys = sa.Table(
    "tocsin_api_keys",
    TABLES,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("last_used_at", sa.Text),
    # Set once it is revoked: timelines go on naming it.
    sa.Column("revoked_at", sa.Text),
)
sa.Index(
    "tocsin_api_keys_in_use",
    _keys.c.name,
    unique=True,
    sqlite_where=_keys.c.revoked_at.is_(None),
    postgresql_where=_keys.c.revoked_at.is_(None),
)

TOUCHED = timedelta(minutes=1)
"""Longest time that the last use of a key may be older than it says, so that reading writes nothing."""

ID_LENGTH = 16


class SqlKeyStore:
    """Store of the API's keys. Every method raises Unavailable if the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str, scopes: frozenset[Scope], now: datetime) -> str:
        """Store a new key and return it, which is the only time that it can be read.

        Raises Refused if a key of this name is in use.
        """
        key = new_key()
        row = {"hash": key_hash(key), "name": name, "scopes": shown(scopes), "created_at": _written(now)}

        def add(connection: sa.Connection) -> bool:
            if connection.scalar(_in_use(_keys.c.name == name)) is not None:
                return False
            connection.execute(_keys.insert().values(**row))
            return True

        if not await self._database.do(add, synced=True):
            raise Refused(f"There is a key “{name}” already. Revoke it first, or choose another name.")
        return key

    async def find(self, key: str, now: datetime) -> ApiKey | None:
        """Return the key and note its use; None if there is none, or it was revoked."""
        asked = sa.select(_keys).where(_keys.c.hash == key_hash(key), _keys.c.revoked_at.is_(None))
        row = await self._database.do(lambda connection: connection.execute(asked).one_or_none())
        if row is None:
            return None
        if row.last_used_at is None or row.last_used_at < _written(now - TOUCHED):
            used = _keys.update().where(_keys.c.hash == row.hash).values(last_used_at=_written(now))
            # A full disk must not keep anybody from reading.
            with suppress(Unavailable):
                await self._database.do(lambda connection: connection.execute(used))
        return _key(row)

    async def all(self) -> Sequence[ApiKey]:
        """Return the keys that are in use, oldest first."""
        asked = (
            sa.select(_keys).where(_keys.c.revoked_at.is_(None)).order_by(_keys.c.created_at, _keys.c.name)
        )
        rows = await self._database.do(lambda connection: connection.execute(asked).all())
        return [_key(row) for row in rows]

    async def revoke(self, name: str, now: datetime) -> bool:
        """Revoke the key of this name, at once and on every replica; False if there is none in use."""

        def end(connection: sa.Connection) -> bool:
            known_by = connection.scalar(_in_use(_keys.c.name == name))
            if known_by is None:
                return False
            ended = _keys.update().where(_keys.c.hash == known_by).values(revoked_at=_written(now))
            connection.execute(ended)
            return True

        return await self._database.do(end, synced=True)


def _in_use(condition: sa.ColumnElement[bool]) -> sa.Select[tuple[str]]:
    return sa.select(_keys.c.hash).where(condition, _keys.c.revoked_at.is_(None))


def _key(row: sa.Row[Any]) -> ApiKey:
    given = set(row.scopes.split(","))
    return ApiKey(
        # The beginning of the hash says nothing of the key, and is one name for it on all replicas.
        id=row.hash[:ID_LENGTH],
        name=row.name,
        scopes=frozenset(scope for scope in SCOPES if scope in given),
        created_at=datetime.fromisoformat(row.created_at),
        last_used_at=datetime.fromisoformat(row.last_used_at) if row.last_used_at else None,
    )


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
