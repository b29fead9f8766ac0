"""Installations, kept beside the journal; their content is sealed by the caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa

from tocsin.storage.database import Database, upsert

_tables = sa.MetaData()
_installations = sa.Table(
    "tocsin_installations",
    _tables,
    sa.Column("home", sa.Text, primary_key=True),
    # Without a body: Tocsin was uninstalled there.
    sa.Column("body", sa.Text),
)
_orgs = sa.Table(
    "tocsin_orgs",
    _tables,
    sa.Column("team", sa.Text, primary_key=True),
    sa.Column("org", sa.Text, nullable=False),
)
_seals = sa.Table("tocsin_seals", _tables, sa.Column("id", sa.Integer, primary_key=True))
"""One row once all that was kept in the clear was sealed."""


class SqlInstallationStore:
    """Installations by the id of their workspace or organization."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, _tables)

    def close(self) -> None:
        self._database.close()

    async def bodies(self) -> Mapping[str, str]:
        asked = sa.select(_installations).where(_installations.c.body.is_not(None))
        rows = await self._database.do(lambda connection: connection.execute(asked).all())
        return {row.home: row.body for row in rows}

    async def save(self, home: str, body: str) -> None:
        await self._database.do(
            lambda connection: upsert(connection, _installations, {"home": home}, {"body": body})
        )

    async def mark_uninstalled(self, home: str) -> None:
        """Forget the installation, but not that there was one."""
        await self._database.do(
            lambda connection: upsert(connection, _installations, {"home": home}, {"body": None})
        )

    async def orgs(self) -> Mapping[str, str]:
        rows = await self._database.do(lambda connection: connection.execute(sa.select(_orgs)).all())
        return {row.team: row.org for row in rows}

    async def save_org(self, team: str, org: str) -> None:
        """Remember that a workspace is served through its organization."""
        await self._database.do(lambda connection: upsert(connection, _orgs, {"team": team}, {"org": org}))

    async def encrypt_all(self, encrypt: Callable[[str], str] | None) -> None:
        """Have every body as `closed` answers, once and all in one transaction; None forgets that it was."""

        def act(connection: sa.Connection) -> None:
            if encrypt is None:
                connection.execute(_seals.delete())
            elif not connection.scalar(sa.select(_seals.c.id)):
                table = _installations
                for row in connection.execute(sa.select(table).where(table.c.body.is_not(None))).all():
                    sealed = table.update().where(table.c.home == row.home).values(body=encrypt(row.body))
                    connection.execute(sealed)
                connection.execute(_seals.insert().values(id=1))

        await self._database.do(act)

    async def is_encrypted(self) -> bool:
        return bool(await self._database.do(lambda connection: connection.scalar(sa.select(_seals.c.id))))


def uninstalled(connection: sa.Connection) -> set[str]:
    """The workspaces that Tocsin was in and is in no longer, those of an organization among them."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(_installations.name):
        return set()
    left = set(connection.scalars(sa.select(_installations.c.home).where(_installations.c.body.is_(None))))
    placed = connection.execute(sa.select(_orgs)).all() if inspector.has_table(_orgs.name) else []
    return left | {row.team for row in placed if row.org in left}
