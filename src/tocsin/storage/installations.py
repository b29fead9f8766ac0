"""Installations of the app in workspaces and organizations; the caller encrypts their contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa

from tocsin.storage.database import TABLES, Database, upsert

_installations = sa.Table(
    "tocsin_installations",
    TABLES,
    sa.Column("home", sa.Text, primary_key=True),
    # NULL once Tocsin has been uninstalled there.
    sa.Column("body", sa.Text),
)
_orgs = sa.Table(
    "tocsin_orgs",
    TABLES,
    sa.Column("team", sa.Text, primary_key=True),
    sa.Column("org", sa.Text, nullable=False),
)
_seals = sa.Table("tocsin_seals", TABLES, sa.Column("id", sa.Integer, primary_key=True))
"""One row once all plain-text installations have been encrypted."""


class SqlInstallationStore:
    """Store of installations by the id of their workspace or organization."""

    def __init__(self, database: Database, changed: Callable[[str], None] = lambda home: None) -> None:
        """`changed` is told where something changed, for the other replicas to hear."""
        self._database = database
        self._changed = changed

    async def bodies(self, home: str | None = None) -> Mapping[str, str]:
        asked = sa.select(_installations).where(_installations.c.body.is_not(None))
        if home is not None:
            asked = asked.where(_installations.c.home == home)
        rows = await self._database.do(lambda connection: connection.execute(asked).all())
        return {row.home: row.body for row in rows}

    async def save(self, home: str, body: str) -> None:
        await self._database.do(
            lambda connection: upsert(connection, _installations, {"home": home}, {"body": body}), synced=True
        )
        self._changed(home)

    async def mark_uninstalled(self, home: str) -> None:
        """Delete the installation's contents but keep its row, which marks it as uninstalled."""
        await self._database.do(
            lambda connection: upsert(connection, _installations, {"home": home}, {"body": None}), synced=True
        )
        self._changed(home)

    async def orgs(self) -> Mapping[str, str]:
        rows = await self._database.do(lambda connection: connection.execute(sa.select(_orgs)).all())
        return {row.team: row.org for row in rows}

    async def save_org(self, team: str, org: str) -> None:
        """Store that a workspace is served through its organization's installation."""
        await self._database.do(
            lambda connection: upsert(connection, _orgs, {"team": team}, {"org": org}), synced=True
        )

    async def encrypt_all(self, encrypt: Callable[[str], str] | None) -> None:
        """Encrypt every installation with `closed` in one transaction, unless that was done before.

        With None, only deletes the mark that it was done.
        """

        def act(connection: sa.Connection) -> None:
            if encrypt is None:
                drop_seal(connection)
            elif not connection.scalar(sa.select(_seals.c.id)):
                table = _installations
                for row in connection.execute(sa.select(table).where(table.c.body.is_not(None))).all():
                    sealed = table.update().where(table.c.home == row.home).values(body=encrypt(row.body))
                    connection.execute(sealed)
                connection.execute(_seals.insert().values(id=1))

        await self._database.do(act, synced=True)

    async def is_encrypted(self) -> bool:
        return bool(await self._database.do(lambda connection: connection.scalar(sa.select(_seals.c.id))))


def drop_seal(connection: sa.Connection) -> None:
    """Delete the mark that all installations are encrypted, so that the next start encrypts them anew."""
    connection.execute(_seals.delete())


def uninstalled(connection: sa.Connection) -> set[str]:
    """Return ids of workspaces and organizations that uninstalled Tocsin, and the latter's workspaces."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(_installations.name):
        return set()
    left = set(connection.scalars(sa.select(_installations.c.home).where(_installations.c.body.is_(None))))
    placed = connection.execute(sa.select(_orgs)).all() if inspector.has_table(_orgs.name) else []
    return left | {row.team for row in placed if row.org in left}
