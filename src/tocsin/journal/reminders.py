"""When the next update on an incident is due, beside the ledger in the same database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tocsin.incidents.model import Person
from tocsin.incidents.updates import Reminder
from tocsin.journal.ledger import SqlLedger, reminders


class SqlReminders:
    """One reminder for each incident at most."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    async def find_reminder(self, incident_id: str) -> Reminder | None:
        asked = sa.select(reminders).where(reminders.c.incident_id == incident_id)
        return next(iter(await self._read(asked)), None)

    async def due(self, now: datetime) -> Sequence[Reminder]:
        """Those whose time has come, the longest due first, 100 at most."""
        asked = sa.select(reminders).where(reminders.c.due_at <= now.timestamp())
        return await self._read(asked.order_by(reminders.c.due_at).limit(100))

    async def remember_reminder(self, reminder: Reminder) -> None:
        row = {
            "incident_id": reminder.incident_id,
            "due_at": reminder.due_at.timestamp(),
            "key": reminder.key,
            "asking": reminder.asking,
            "by": reminder.by.model_dump_json(),
        }

        def put(connection: sa.Connection) -> None:
            connection.execute(reminders.delete().where(reminders.c.incident_id == reminder.incident_id))
            connection.execute(reminders.insert().values(row))

        await self._ledger.do(put)

    async def claim_reminder(self, reminder: Reminder) -> bool:
        mark = reminders.update().where(_same(reminder.incident_id, reminder.key)).values(asking=True)
        return await self._ledger.do(lambda connection: connection.execute(mark).rowcount == 1)

    async def forget_reminder(self, incident_id: str, key: str | None = None) -> None:
        gone = reminders.delete().where(_same(incident_id, key))
        await self._ledger.do(lambda connection: connection.execute(gone) and None)

    async def _read(self, asked: sa.Select[Any]) -> Sequence[Reminder]:
        rows = await self._ledger.do(lambda connection: connection.execute(asked).all())
        return [
            Reminder(
                incident_id=row.incident_id,
                due_at=datetime.fromtimestamp(row.due_at, UTC),
                key=row.key,
                asking=bool(row.asking),
                by=Person.model_validate_json(row.by),
            )
            for row in rows
        ]


def _same(incident_id: str, key: str | None) -> sa.ColumnElement[bool]:
    ours = reminders.c.incident_id == incident_id
    return ours if key is None else sa.and_(ours, reminders.c.key == key)
