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


class SqlVault:
    """Installations by the id of their workspace or organization."""

    def __init__(self, url: str) -> None:
        self._kept = Database(url, _tables)

    def close(self) -> None:
        self._kept.close()

    async def bodies(self) -> Mapping[str, str]:
        asked = sa.select(_installations).where(_installations.c.body.is_not(None))
        rows = await self._kept.do(lambda connection: connection.execute(asked).all())
        return {row.home: row.body for row in rows}

    async def keep(self, home: str, body: str) -> None:
        await self._kept.do(
            lambda connection: upsert(connection, _installations, {"home": home}, {"body": body})
        )

    async def drop(self, home: str) -> None:
        """Forget the installation, but not that there was one."""
        await self._kept.do(
            lambda connection: upsert(connection, _installations, {"home": home}, {"body": None})
        )

    async def orgs(self) -> Mapping[str, str]:
        rows = await self._kept.do(lambda connection: connection.execute(sa.select(_orgs)).all())
        return {row.team: row.org for row in rows}

    async def place(self, team: str, org: str) -> None:
        """Remember that a workspace is served through its organization."""
        await self._kept.do(lambda connection: upsert(connection, _orgs, {"team": team}, {"org": org}))

    async def seal(self, closed: Callable[[str], str] | None) -> None:
        """Have every body as `closed` answers, once and all in one transaction; None forgets that it was."""

        def act(connection: sa.Connection) -> None:
            if closed is None:
                connection.execute(_seals.delete())
            elif not connection.scalar(sa.select(_seals.c.id)):
                kept = _installations
                for row in connection.execute(sa.select(kept).where(kept.c.body.is_not(None))).all():
                    sealed = kept.update().where(kept.c.home == row.home).values(body=closed(row.body))
                    connection.execute(sealed)
                connection.execute(_seals.insert().values(id=1))

        await self._kept.do(act)

    async def is_sealed(self) -> bool:
        return bool(await self._kept.do(lambda connection: connection.scalar(sa.select(_seals.c.id))))


def uninstalled(connection: sa.Connection) -> set[str]:
    """The workspaces that Tocsin was in and is in no longer, those of an organization among them."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(_installations.name):
        return set()
    left = set(connection.scalars(sa.select(_installations.c.home).where(_installations.c.body.is_(None))))
    placed = connection.execute(sa.select(_orgs)).all() if inspector.has_table(_orgs.name) else []
    return left | {row.team for row in placed if row.org in left}
