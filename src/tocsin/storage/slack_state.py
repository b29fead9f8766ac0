"""State of each incident in Slack: posted cards and their contents, channels, reminders, archiving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tocsin.incidents.model import Card, ChannelId, Incident, MessageTs, Person, SourceMessage
from tocsin.incidents.paging import Acknowledgement, Page
from tocsin.incidents.postmortem import ScheduledArchive
from tocsin.incidents.updates import Reminder
from tocsin.storage.database import TABLES, Database, upsert

_sources = sa.Table(
    "tocsin_sources",
    TABLES,
    sa.Column("team", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("timestamp", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
)
_declared = sa.Table(
    "tocsin_declared",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("incident_id", sa.Text, nullable=False, index=True),
)
_cards = sa.Table(
    "tocsin_cards",
    TABLES,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("ts", sa.Text, primary_key=True),
    sa.Column("incident_id", sa.Text, nullable=False, index=True),
    sa.Column("place", sa.Text, nullable=False),
)

_channels = sa.Table(
    "tocsin_channels",
    TABLES,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("incident_id", sa.Text, nullable=False),
)
_faces = sa.Table(
    "tocsin_faces",
    TABLES,
    sa.Column("incident_id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("thing", sa.Text, primary_key=True),
    sa.Column("face", sa.Text, nullable=False),
)
_watched = sa.Table(
    "tocsin_watched",
    TABLES,
    sa.Column("incident_id", sa.Text, primary_key=True),
    sa.Column("seen", sa.Text, nullable=False),
)

_departures = sa.Table(
    "tocsin_departures",
    TABLES,
    sa.Column("incident_id", sa.Text, primary_key=True),
    sa.Column("ended_at", sa.Float, nullable=False),
    sa.Column("due_at", sa.Float, nullable=False, index=True),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("ts", sa.Text, nullable=False),
)

_reminders = sa.Table(
    "tocsin_reminders",
    TABLES,
    sa.Column("incident_id", sa.Text, primary_key=True),
    sa.Column("due_at", sa.Float, nullable=False, index=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("asking", sa.Boolean, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
)

_overdue = sa.Table(
    "tocsin_overdue_updates",
    TABLES,
    sa.Column("incident_id", sa.Text, primary_key=True),
    sa.Column("due_at", sa.Float, nullable=False),
)

_pages = sa.Table(
    "tocsin_pages",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("incident_id", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False, index=True),
    sa.Column("page", sa.Text, nullable=False),
    sa.Column("acknowledgement", sa.Text),
    sa.Column("ended_at", sa.Float),
    sa.UniqueConstraint("incident_id", "target", "after"),
)

AT_ONCE = 500
"""Keys in one query."""

MANY = 4000
"""Rows that take about as much space as the largest step of a workflow."""

_pulse = sa.Table("tocsin_pulse", TABLES, sa.Column("id", sa.Integer, primary_key=True))


MOST_OVERDUE = 1_000
"""Overdue updates that are read, longest due first."""


class SqlSlackStateStore:
    """SlackStateStore in the same database as the workflows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.do = database.do

    async def claim_source(self, team: str, source: SourceMessage, key: str) -> str:
        def claim(connection: sa.Connection) -> str:
            owner = connection.scalar(_owner(team, source))
            if owner is None:
                row = {"team": team, "channel": source.channel, "timestamp": source.timestamp, "key": key}
                connection.execute(_sources.insert().values(row))
            return str(owner or key)

        return await self.do(claim, synced=True)

    async def release_source(self, team: str, source: SourceMessage, key: str) -> None:
        ours = sa.and_(
            _sources.c.team == team,
            _sources.c.channel == source.channel,
            _sources.c.timestamp == source.timestamp,
            _sources.c.key == key,
        )
        await self.do(lambda connection: connection.execute(_sources.delete().where(ours)) and None)

    async def source_key(self, team: str, source: SourceMessage) -> str | None:
        return await self._scalar(_owner(team, source))

    async def remember_incident(self, key: str, incident: Incident) -> None:
        await self._put(_declared, {"key": key}, {"incident_id": incident.id})

    async def incident_id(self, key: str) -> str | None:
        asked = sa.select(_declared.c.incident_id).where(_declared.c.key == key)
        return await self._scalar(asked)

    async def remember_card(self, incident_id: str, card: Card) -> None:
        where = {"channel": card.channel, "ts": card.ts}
        await self._put(_cards, where, {"incident_id": incident_id, "place": card.place})

    async def cards(self, incident_id: str) -> Sequence[Card]:
        asked = sa.select(_cards).where(_cards.c.incident_id == incident_id).order_by(_cards.c.ts)
        rows = await self.do(lambda connection: connection.execute(asked).all())
        return [Card(channel=ChannelId(r.channel), ts=MessageTs(r.ts), place=r.place) for r in rows]

    async def forget_card(self, card: Card) -> None:
        def drop(connection: sa.Connection) -> None:
            ours = sa.and_(_cards.c.channel == card.channel, _cards.c.ts == card.ts)
            connection.execute(_cards.delete().where(ours))

        await self.do(drop)

    async def remember_channel(self, channel: ChannelId, incident_id: str) -> None:
        await self._put(_channels, {"channel": channel}, {"incident_id": incident_id})

    async def claim_channel(
        self, channel: ChannelId, incident_id: str, *, instead_of: str | None = None
    ) -> str:
        ours = _channels.c.channel == channel

        def claim(connection: sa.Connection) -> str:
            owner = connection.scalar(sa.select(_channels.c.incident_id).where(ours))
            if owner is None:
                connection.execute(_channels.insert().values(channel=channel, incident_id=incident_id))
                return incident_id
            if owner != instead_of:
                return str(owner)
            same = sa.and_(ours, _channels.c.incident_id == instead_of)
            taken = connection.execute(_channels.update().where(same).values(incident_id=incident_id))
            return (
                incident_id
                if taken.rowcount
                else str(connection.scalar(sa.select(_channels.c.incident_id).where(ours)))
            )

        return await self.do(claim, synced=True)

    async def incident_of_channel(self, channel: ChannelId) -> str | None:
        found = await self._scalar(sa.select(_channels.c.incident_id).where(_channels.c.channel == channel))
        if found is not None:
            return found
        pinned = sa.and_(_cards.c.channel == channel, _cards.c.place == "headline")
        return await self._scalar(sa.select(_cards.c.incident_id).where(pinned).limit(1))

    async def fingerprints(self, incident_id: str) -> Mapping[tuple[str, str], str]:
        asked = sa.select(_faces).where(_faces.c.incident_id == incident_id)
        rows = await self.do(lambda connection: connection.execute(asked).all())
        return {(row.channel, row.thing): row.face for row in rows}

    async def save_fingerprint(self, incident_id: str, channel: str, thing: str, face: str) -> None:
        where = {"incident_id": incident_id, "channel": channel, "thing": thing}
        await self._put(_faces, where, {"face": face}, replacing=True)

    async def save_rendered(self, incident: Incident, card: Card, face: str, seen: str) -> None:
        where = {"incident_id": incident.id, "channel": card.channel, "thing": card.ts}

        def remember(connection: sa.Connection) -> None:
            posted = {"channel": card.channel, "ts": card.ts}
            kept: dict[str, str | None] = {"incident_id": incident.id, "place": card.place}
            upsert(connection, _cards, posted, kept, replacing=False)
            upsert(connection, _faces, where, {"face": face})
            upsert(connection, _watched, {"incident_id": incident.id}, {"seen": seen})

        await self.do(remember)

    async def delete_fingerprint(self, incident_id: str, channel: str, thing: str) -> None:
        c = _faces.c
        ours = sa.and_(c.incident_id == incident_id, c.channel == channel, c.thing == thing)
        await self.do(lambda connection: connection.execute(_faces.delete().where(ours)) and None)

    async def watched(self) -> Mapping[str, str]:
        rows = await self.do(lambda connection: connection.execute(sa.select(_watched)).all())
        return {row.incident_id: row.seen for row in rows}

    async def remember_watched(self, incident_id: str, seen: str | None) -> None:
        if seen is not None:
            await self._put(_watched, {"incident_id": incident_id}, {"seen": seen}, replacing=True)
            return
        gone = _watched.delete().where(_watched.c.incident_id == incident_id)
        await self.do(lambda connection: connection.execute(gone) and None)

    async def find_reminder(self, incident_id: str) -> Reminder | None:
        asked = sa.select(_reminders).where(_reminders.c.incident_id == incident_id)
        return next(iter(await self._reminders(asked)), None)

    async def due_reminders(self, now: datetime) -> Sequence[Reminder]:
        asked = sa.select(_reminders).where(_reminders.c.due_at <= now.timestamp())
        return await self._reminders(asked.order_by(_reminders.c.due_at).limit(100))

    async def remember_reminder(self, reminder: Reminder) -> None:
        row = {
            "incident_id": reminder.incident_id,
            "due_at": reminder.due_at.timestamp(),
            "key": reminder.key,
            "asking": reminder.asking,
            "by": reminder.by.model_dump_json(),
        }

        def replace(connection: sa.Connection) -> None:
            connection.execute(_reminders.delete().where(_reminders.c.incident_id == reminder.incident_id))
            connection.execute(_reminders.insert().values(row))
            connection.execute(_overdue.delete().where(_overdue.c.incident_id == reminder.incident_id))

        await self.do(replace)

    async def claim_reminder(self, reminder: Reminder) -> bool:
        mark = _reminders.update().where(_same(reminder.incident_id, reminder.key)).values(asking=True)
        return await self.do(lambda connection: connection.execute(mark).rowcount == 1)

    async def forget_reminder(
        self, incident_id: str, key: str | None = None, *, overdue_since: datetime | None = None
    ) -> None:
        def forget(connection: sa.Connection) -> None:
            is_gone = connection.execute(_reminders.delete().where(_same(incident_id, key))).rowcount
            if is_gone or key is None:
                connection.execute(_overdue.delete().where(_overdue.c.incident_id == incident_id))
            if is_gone and overdue_since is not None:
                row = {"incident_id": incident_id, "due_at": overdue_since.timestamp()}
                connection.execute(_overdue.insert().values(row))

        await self.do(forget)

    async def overdue_updates(self) -> Mapping[str, datetime]:
        asked = sa.select(_overdue).order_by(_overdue.c.due_at).limit(MOST_OVERDUE)

        def look(connection: sa.Connection) -> dict[str, datetime]:
            return {
                row.incident_id: datetime.fromtimestamp(row.due_at, UTC) for row in connection.execute(asked)
            }

        return await self.do(look)

    async def find_scheduled_archive(self, incident_id: str) -> ScheduledArchive | None:
        asked = sa.select(_departures).where(_departures.c.incident_id == incident_id)
        return next(iter(await self._scheduled_archives(asked)), None)

    async def archives_due(self, until: datetime) -> Sequence[ScheduledArchive]:
        asked = sa.select(_departures).where(
            _departures.c.due_at <= until.timestamp(), _departures.c.stage.not_in(["kept", "gone"])
        )
        return await self._scheduled_archives(asked.order_by(_departures.c.due_at).limit(100))

    async def save_scheduled_archive(self, archive: ScheduledArchive) -> None:
        row = {
            **archive.model_dump(exclude={"ended_at", "due_at"}),
            "ended_at": archive.ended_at.timestamp(),
            "due_at": archive.due_at.timestamp(),
        }

        def replace(connection: sa.Connection) -> None:
            connection.execute(_departures.delete().where(_departures.c.incident_id == archive.incident_id))
            connection.execute(_departures.insert().values(row))

        await self.do(replace)

    async def claim_page(self, page: Page) -> Page:
        row = {
            **page.model_dump(include={"key", "incident_id", "target", "after"}),
            "at": page.at.timestamp(),
            "page": page.model_dump_json(exclude={"acknowledgement", "ended_at"}),
        }
        c = _pages.c
        place = sa.and_(c.incident_id == page.incident_id, c.target == page.target, c.after == page.after)

        def claim(connection: sa.Connection) -> Page:
            # A row with the same place that another replica writes meanwhile fails, and this runs again.
            known = connection.execute(sa.select(_pages).where(place)).first()
            if known is None:
                connection.execute(_pages.insert().values(row))
            return _page(known) if known is not None else page

        return await self.do(claim, synced=True)

    async def mark_page(
        self, key: str, acknowledged: Acknowledgement | None, ended_at: datetime | None
    ) -> None:
        def mark(connection: sa.Connection) -> None:
            if acknowledged is not None:
                first = sa.and_(_pages.c.key == key, _pages.c.acknowledgement.is_(None))
                said = acknowledged.model_dump_json()
                connection.execute(_pages.update().where(first).values(acknowledgement=said))
            if ended_at is not None:
                first = sa.and_(_pages.c.key == key, _pages.c.ended_at.is_(None))
                connection.execute(_pages.update().where(first).values(ended_at=ended_at.timestamp()))

        await self.do(mark)

    async def pages(self, incident_id: str) -> Sequence[Page]:
        asked = sa.select(_pages).where(_pages.c.incident_id == incident_id).order_by(_pages.c.at)
        rows = await self.do(lambda connection: connection.execute(asked).all())
        return [_page(row) for row in rows]

    async def open_pages(self, since: datetime) -> Sequence[Page]:
        asked = sa.select(_pages).where(_pages.c.at >= since.timestamp(), _pages.c.ended_at.is_(None))
        asked = asked.order_by(_pages.c.at.desc()).limit(100)
        rows = await self.do(lambda connection: connection.execute(asked).all())
        return [_page(row) for row in rows]

    async def beat(self) -> None:
        """Write a row to test the database. Raises Unavailable if commands cannot be saved now.

        On a full disk one row may fit where a workflow does not, so many are written after a failure.
        """
        beats = [{"id": number} for number in range(MANY if self._database.failed else 1)]
        await self.do(
            lambda connection: (
                connection.execute(_pulse.delete()),
                connection.execute(_pulse.insert(), beats),
            )
        )
        self._database.failed = False

    async def _scalar(self, asked: sa.Select[tuple[str]]) -> str | None:
        def ask(connection: sa.Connection) -> str | None:
            found = connection.scalar(asked)
            return None if found is None else str(found)

        return await self.do(ask)

    async def _put(
        self, table: sa.Table, where: dict[str, str], what: dict[str, str | None], *, replacing: bool = False
    ) -> None:
        """Insert the row; an existing one is updated if `replacing`, else it stays."""
        await self.do(lambda connection: upsert(connection, table, where, what, replacing=replacing))

    async def _reminders(self, asked: sa.Select[Any]) -> Sequence[Reminder]:
        rows = await self.do(lambda connection: connection.execute(asked).all())
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

    async def _scheduled_archives(self, asked: sa.Select[Any]) -> Sequence[ScheduledArchive]:
        rows = await self.do(lambda connection: connection.execute(asked).all())
        return [
            ScheduledArchive(
                incident_id=row.incident_id,
                ended_at=datetime.fromtimestamp(row.ended_at, UTC),
                due_at=datetime.fromtimestamp(row.due_at, UTC),
                stage=row.stage,
                channel=ChannelId(row.channel),
                ts=MessageTs(row.ts),
            )
            for row in rows
        ]


def page_keys(connection: sa.Connection, keys: Sequence[str]) -> set[str]:
    """Return those of the keys, in any number, that are keys of pages which Tocsin sent."""
    found: set[str] = set()
    for first in range(0, len(keys), AT_ONCE):
        wanted = _pages.c.key.in_(keys[first : first + AT_ONCE])
        found |= set(connection.scalars(sa.select(_pages.c.key).where(wanted)))
    return found


def _page(row: sa.Row[Any]) -> Page:
    said, ended_at = row.acknowledgement, row.ended_at
    return Page.model_validate_json(row.page).model_copy(
        update={
            "acknowledgement": Acknowledgement.model_validate_json(said) if said else None,
            "ended_at": datetime.fromtimestamp(ended_at, UTC) if ended_at is not None else None,
        }
    )


def _owner(team: str, source: SourceMessage) -> sa.Select[tuple[str]]:
    return sa.select(_sources.c.key).where(
        _sources.c.team == team,
        _sources.c.channel == source.channel,
        _sources.c.timestamp == source.timestamp,
    )


def _same(incident_id: str, key: str | None) -> sa.ColumnElement[bool]:
    ours = _reminders.c.incident_id == incident_id
    return ours if key is None else sa.and_(ours, _reminders.c.key == key)
