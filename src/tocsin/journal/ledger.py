"""What Tocsin did in Slack: which message became which incident, and where its cards are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import Card, ChannelId, Incident, MessageTs, SourceMessage
from tocsin.journal.durable import cause, identity, make_ready, through
from tocsin.journal.turns import in_turns

T = TypeVar("T")
_tables = sa.MetaData()

_sources = sa.Table(
    "tocsin_sources",
    _tables,
    sa.Column("team", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("timestamp", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
)
_declared = sa.Table(
    "tocsin_declared",
    _tables,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("incident_id", sa.Text, nullable=False, index=True),
)
_cards = sa.Table(
    "tocsin_cards",
    _tables,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("ts", sa.Text, primary_key=True),
    sa.Column("incident_id", sa.Text, nullable=False, index=True),
    sa.Column("place", sa.Text, nullable=False),
)

_channels = sa.Table(
    "tocsin_channels",
    _tables,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("incident_id", sa.Text, nullable=False),
)
_faces = sa.Table(
    "tocsin_faces",
    _tables,
    sa.Column("incident_id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("thing", sa.Text, primary_key=True),
    sa.Column("face", sa.Text, nullable=False),
)
_watched = sa.Table(
    "tocsin_watched",
    _tables,
    sa.Column("incident_id", sa.Text, primary_key=True),
    sa.Column("seen", sa.Text, nullable=False),
)

reminders = sa.Table(
    "tocsin_reminders",
    _tables,
    sa.Column("incident_id", sa.Text, primary_key=True),
    sa.Column("due_at", sa.Float, nullable=False, index=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("asking", sa.Boolean, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
)

_pulse = sa.Table("tocsin_pulse", _tables, sa.Column("id", sa.Integer, primary_key=True))


class SqlLedger:
    """The ledger, beside the journal in the same database."""

    def __init__(self, url: str) -> None:
        make_ready(url)
        self._url, self._identity = url, identity(url)
        self._engine = made(prepared(url, synchronous="NORMAL"), _tables)

    def close(self) -> None:
        self._engine.dispose()

    async def claim_source(self, team: str, source: SourceMessage, key: str) -> str:
        def claim(connection: sa.Connection) -> str:
            owner = connection.scalar(_owner(team, source))
            if owner is None:
                row = {"team": team, "channel": source.channel, "timestamp": source.timestamp, "key": key}
                connection.execute(_sources.insert().values(row))
            return str(owner or key)

        taken_by = await self.do(claim)
        if taken_by == key:
            await asyncio.to_thread(through, self._url)
        return taken_by

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
        """Which incident a channel is for; the first one stays."""
        await self._put(_channels, {"channel": channel}, {"incident_id": incident_id})

    async def incident_of_channel(self, channel: ChannelId) -> str | None:
        """The id of the incident that this channel is, or was, for."""
        found = await self._scalar(sa.select(_channels.c.incident_id).where(_channels.c.channel == channel))
        if found is not None:
            return found
        pinned = sa.and_(_cards.c.channel == channel, _cards.c.place == "headline")
        return await self._scalar(sa.select(_cards.c.incident_id).where(pinned).limit(1))

    async def faces(self, incident_id: str) -> Mapping[tuple[str, str], str]:
        asked = sa.select(_faces).where(_faces.c.incident_id == incident_id)
        rows = await self.do(lambda connection: connection.execute(asked).all())
        return {(row.channel, row.thing): row.face for row in rows}

    async def remember_face(self, incident_id: str, channel: str, thing: str, face: str) -> None:
        where = {"incident_id": incident_id, "channel": channel, "thing": thing}
        await self._put(_faces, where, {"face": face}, replacing=True)

    async def forget_face(self, incident_id: str, channel: str, thing: str) -> None:
        c = _faces.c
        ours = sa.and_(c.incident_id == incident_id, c.channel == channel, c.thing == thing)
        await self.do(lambda connection: connection.execute(_faces.delete().where(ours)) and None)

    async def watched(self) -> Mapping[str, str]:
        """By id, what every incident that was open when last looked at was then."""
        rows = await self.do(lambda connection: connection.execute(sa.select(_watched)).all())
        return {row.incident_id: row.seen for row in rows}

    async def remember_watched(self, incident_id: str, seen: str | None) -> None:
        """What the incident is now; None when it need not be watched any more."""
        if seen is not None:
            await self._put(_watched, {"incident_id": incident_id}, {"seen": seen}, replacing=True)
            return
        gone = _watched.delete().where(_watched.c.incident_id == incident_id)
        await self.do(lambda connection: connection.execute(gone) and None)

    async def beat(self) -> None:
        """Write something. Raises Unavailable when nothing can be promised on this journal now."""
        await self.do(
            lambda connection: (
                connection.execute(_pulse.delete()),
                connection.execute(_pulse.insert().values(id=1)),
            )
        )

    async def _scalar(self, asked: sa.Select[tuple[str]]) -> str | None:
        def ask(connection: sa.Connection) -> str | None:
            found = connection.scalar(asked)
            return None if found is None else str(found)

        return await self.do(ask)

    async def _put(
        self, table: sa.Table, where: dict[str, str], what: dict[str, str], *, replacing: bool = False
    ) -> None:
        """Insert the row; one that is there already stays, unless it is `replacing`."""

        def put(connection: sa.Connection) -> None:
            there = sa.and_(*(table.c[column] == value for column, value in where.items()))
            if connection.execute(sa.select(table).where(there)).first() is None:
                connection.execute(table.insert().values({**where, **what}))
            elif replacing:
                connection.execute(table.update().where(there).values(what))

        await self.do(put)

    async def do(self, act: Callable[[sa.Connection], T]) -> T:
        """What `act` answers within one transaction. Raises Unavailable."""

        def transaction() -> T:
            if identity(self._url) != self._identity:
                raise Unavailable(
                    "Tocsin's journal was moved or deleted; put it back and start Tocsin again."
                )
            with self._engine.begin() as connection:
                return act(connection)

        try:
            try:
                return await asyncio.to_thread(transaction)
            except sa.exc.IntegrityError:
                # Another replica wrote the same row first; asking again finds it.
                return await asyncio.to_thread(transaction)
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable(f"Tocsin's journal cannot be used ({cause(error)}).") from error


def prepared(url: str, *, synchronous: str = "FULL") -> sa.Engine:
    """An engine whose SQLite connections wait for each other.

    With `synchronous` as NORMAL a commit reaches the disk at the next `through`, or the next checkpoint.
    """
    engine = in_turns(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_prepare_sqlite, synchronous))
    return engine


def made(engine: sa.Engine, tables: sa.MetaData) -> sa.Engine:
    """The engine, with these tables there."""
    for _ in tables.sorted_tables:
        # Another process may make a table between our looking and our making; what is wrong stays so.
        with contextlib.suppress(sa.exc.DBAPIError):
            tables.create_all(engine)
    tables.create_all(engine)
    return engine


def _owner(team: str, source: SourceMessage) -> sa.Select[tuple[str]]:
    return sa.select(_sources.c.key).where(
        _sources.c.team == team,
        _sources.c.channel == source.channel,
        _sources.c.timestamp == source.timestamp,
    )


def _prepare_sqlite(synchronous: str, connection: Any, _record: Any) -> None:
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=1500")
    connection.execute(f"PRAGMA synchronous={synchronous}")
