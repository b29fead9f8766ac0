"""Which channels are to be archived, beside the ledger in the same database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tocsin.incidents.model import ChannelId, MessageTs
from tocsin.incidents.postmortem import Departure
from tocsin.journal.ledger import SqlLedger, departures


class SqlDepartures:
    """One row for each incident at most."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    async def find_departure(self, incident_id: str) -> Departure | None:
        asked = sa.select(departures).where(departures.c.incident_id == incident_id)
        return next(iter(await self._read(asked)), None)

    async def departing(self, until: datetime) -> Sequence[Departure]:
        """The longest due first, 100 at most."""
        asked = sa.select(departures).where(
            departures.c.due_at <= until.timestamp(), departures.c.stage.not_in(["kept", "gone"])
        )
        return await self._read(asked.order_by(departures.c.due_at).limit(100))

    async def remember_departure(self, departure: Departure) -> None:
        row = {
            **departure.model_dump(exclude={"ended_at", "due_at"}),
            "ended_at": departure.ended_at.timestamp(),
            "due_at": departure.due_at.timestamp(),
        }

        def put(connection: sa.Connection) -> None:
            connection.execute(departures.delete().where(departures.c.incident_id == departure.incident_id))
            connection.execute(departures.insert().values(row))

        await self._ledger.do(put)

    async def _read(self, asked: sa.Select[Any]) -> Sequence[Departure]:
        rows = await self._ledger.do(lambda connection: connection.execute(asked).all())
        return [
            Departure(
                incident_id=row.incident_id,
                ended_at=datetime.fromtimestamp(row.ended_at, UTC),
                due_at=datetime.fromtimestamp(row.due_at, UTC),
                stage=row.stage,
                channel=ChannelId(row.channel),
                ts=MessageTs(row.ts),
            )
            for row in rows
        ]
