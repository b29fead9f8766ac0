"""What is left of forgotten stories: their keys, so that nothing is done twice, and what they came to."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from tocsin.actions.ports import Ended
from tocsin.journal.tables import Tables, put

_tables = sa.MetaData()
_ended = sa.Table(
    "tocsin_ended",
    _tables,
    sa.Column("key", sa.Text, primary_key=True),
    # The kind of its outcome, and the incident's id; of what people wrote, nothing.
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("incident_id", sa.Text, nullable=False),
)


class SqlEndings:
    """The keys of forgotten stories, beside the journal in the same database."""

    def __init__(self, url: str) -> None:
        self._kept = Tables(url, _tables)

    def open(self) -> None:
        self._kept.open()

    def close(self) -> None:
        self._kept.close()

    async def find(self, key: str) -> Ended | None:
        asked = sa.select(_ended).where(_ended.c.key == key)
        row = await self._kept.do(lambda connection: connection.execute(asked).first())
        return None if row is None else Ended(kind=row.kind, incident_id=row.incident_id)

    async def remember(self, endings: Mapping[str, Ended]) -> None:
        def keep(connection: sa.Connection) -> None:
            for key, ended in endings.items():
                put(connection, _ended, {"key": key}, {**ended.model_dump()}, replacing=False)

        await self._kept.do(keep)
