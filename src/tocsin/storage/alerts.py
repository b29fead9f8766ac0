"""Alerts in the database: each episode of an alert, and the groups that became incidents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tocsin.incidents.alerts import (
    LATEST,
    MOST_OPEN,
    RESOLVED_FOR,
    Alert,
    AlertBatch,
    AlertEvent,
    AlertGroup,
    AlertRoute,
    pause_after,
)
from tocsin.incidents.model import AlertSummary
from tocsin.storage.alert_intake import Intake
from tocsin.storage.alert_rows import AT_ONCE, WITH_GROUP, AlertIds, alert_of, earliest_id, group_of
from tocsin.storage.alert_rows import alerts as _alerts
from tocsin.storage.alert_rows import groups as _groups
from tocsin.storage.database import Database
from tocsin.workflows.ports import AlertStore

SET_BACK = timedelta(hours=1)
"""Time by which an alert may be older than its id, after a clock was set back."""

SHOWN = 5
"""Alerts that a batch names; the others are counted."""


class SqlAlertStore(AlertStore):
    """AlertStore in the same database as the workflows, and what pages and programs read of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids = AlertIds()

    # What comes in.

    async def receive(
        self, source: str, events: Sequence[tuple[AlertEvent, AlertRoute]], at: datetime
    ) -> None:
        if events:
            intake = Intake(source, at, self._ids)
            await self._database.do(lambda connection: intake.store(connection, events), synced=True)

    # What is to be done with it.

    async def due(self) -> tuple[list[tuple[str, str | None]], list[AlertGroup]]:
        a = _alerts.c
        # One pair for each group that has alerts already, whichever keys they have.
        new = sa.select(sa.func.min(a.group_key).label("group_key"), a.group_id).where(a.is_pending)
        new = new.group_by(sa.func.coalesce(a.group_id, a.group_key), a.group_id).limit(AT_ONCE)
        begun = sa.select(_groups).where(sa.or_(_groups.c.is_busy, _groups.c.is_closing)).limit(AT_ONCE)

        def look(connection: sa.Connection) -> tuple[list[tuple[str, str | None]], list[AlertGroup]]:
            pairs = [(row.group_key, row.group_id) for row in connection.execute(new)]
            return pairs, [group_of(row) for row in connection.execute(begun)]

        return await self._database.do(look)

    async def begin_batch(self, group_key: str, group_id: str | None, at: datetime) -> AlertGroup | None:
        def begin(connection: sa.Connection) -> AlertGroup | None:
            found = _joined(connection, group_key, group_id)
            row = found or _begun(connection, group_key, at, self._ids)
            if row is None or row.is_busy or _seconds_left(row, at):
                return None
            batch, c, now = row.batch + 1, _groups.c, at.timestamp()
            mine = sa.and_(c.id == row.id, c.batch == row.batch, c.is_busy.is_(False))
            pace = 0 if now - row.batch_at > 2 * pause_after(row.pace) + 1 else row.pace
            taken = (
                _groups.update().where(mine).values(batch=batch, is_busy=True, batch_at=now, pace=pace + 1)
            )
            if connection.execute(taken).rowcount == 0:
                return None
            # A group that begins is named after its own first alert.
            newest = _overflow(connection, row.rule_key) if found is not None else None
            wanted = _waiting_for(row, takes_all=newest is not None and newest.id == row.id)
            connection.execute(_alerts.update().where(wanted).values(_in_batch(row.id, batch)))
            return group_of(connection.execute(sa.select(_groups).where(c.id == row.id)).one())

        # Most of what waits for its turn is found by reading, which writes nothing to the disk.
        if await self._database.do(lambda connection: _waits(connection, group_key, group_id, at)):
            return None
        return await self._database.do(begin, synced=True)

    async def pause(self, group_key: str, group_id: str | None, at: datetime) -> float:
        row = await self._database.do(lambda connection: _joined(connection, group_key, group_id))
        return 0.0 if row is None else _seconds_left(row, at)

    async def crowding(self, group_key: str, at: datetime) -> list[AlertGroup]:
        def look(connection: sa.Connection) -> list[AlertGroup]:
            row = _joined(connection, group_key, None)
            if row is None or row.open_key == group_key or row.is_busy or _seconds_left(row, at):
                return []
            return [group_of(one) for one in connection.execute(_open_of(row.rule_key))]

        return await self._database.do(look)

    async def end(self, group_id: str) -> None:
        ended = _groups.update().where(_groups.c.id == group_id)
        await self._run(ended.values(open_key=None, quiet_at=None))

    async def group(self, group_id: str) -> AlertGroup | None:
        found = sa.select(_groups).where(_groups.c.id == group_id)
        row = await self._database.do(lambda connection: connection.execute(found).first())
        return None if row is None else group_of(row)

    async def batch(self, group_id: str, number: int) -> AlertBatch:
        a = _alerts.c

        def read(connection: sa.Connection) -> AlertBatch:
            found: dict[str, Any] = {}
            for name, column in (("fired", a.fired_batch), ("resolved", a.resolved_batch)):
                mine = sa.and_(a.group_id == group_id, column == number)
                newest = WITH_GROUP.where(mine).order_by(a.id.desc()).limit(SHOWN)
                found[name] = tuple(map(alert_of, connection.execute(newest)))
                count = sa.select(sa.func.count()).select_from(_alerts).where(mine)
                found[f"{name}_count"] = connection.scalar(count) or 0
            first = WITH_GROUP.where(a.group_id == group_id).order_by(a.id).limit(1)
            row = connection.execute(first).first()
            return AlertBatch(**found, first=None if row is None else alert_of(row))

        return await self._database.do(read)

    async def set_incident(self, group_id: str, incident_id: str) -> None:
        c = _groups.c
        known = _groups.update().where(c.id == group_id, c.incident_id.is_(None))
        await self._run(known.values(incident_id=incident_id, failure=""))

    async def move(self, group_id: str, incident_id: str) -> None:
        await self._run(_groups.update().where(_groups.c.id == group_id).values(incident_id=incident_id))

    async def group_before(self, group: AlertGroup) -> AlertGroup | None:
        c = _groups.c
        earlier = sa.select(_groups).where(c.group_key == group.group_key, c.id < group.id)
        newest = earlier.order_by(c.id.desc()).limit(1)
        row = await self._database.do(lambda connection: connection.execute(newest).first())
        return None if row is None else group_of(row)

    async def fail(self, group_id: str, failure: str) -> None:
        await self._run(
            _groups.update()
            .where(_groups.c.id == group_id)
            .values(failure=failure, open_key=None, quiet_at=None)
        )

    async def begin_again(self, group_id: str, number: int) -> None:
        a = _alerts.c

        def split(connection: sa.Connection) -> None:
            ended = _groups.update().where(_groups.c.id == group_id)
            connection.execute(ended.values(open_key=None, quiet_at=None))
            fired = sa.and_(a.group_id == group_id, a.fired_batch == number)
            alone = {"group_id": None, "fired_batch": None, "resolved_batch": None, "is_pending": True}
            connection.execute(_alerts.update().where(fired).values(alone))

        await self._database.do(split)

    async def finish(self, group_id: str, number: int, at: datetime, *, closes: bool) -> None:
        a, c = _alerts.c, _groups.c
        firing = sa.select(a.id).where(a.group_id == group_id, a.status == "firing").limit(1)

        def done(connection: sa.Connection) -> None:
            is_quiet = closes and connection.execute(firing).first() is None
            quiet_at = sa.case((c.open_key.is_not(None), at.timestamp())) if is_quiet else None
            mine = sa.and_(c.id == group_id, c.batch == number, c.is_busy)
            connection.execute(_groups.update().where(mine).values(is_busy=False, quiet_at=quiet_at))

        await self._database.do(done)

    async def end_quiet(self, at: datetime) -> None:
        due = sa.and_(_groups.c.quiet_at <= (at - RESOLVED_FOR).timestamp(), _is_quiet())
        some = sa.select(_groups.c.id).where(due).limit(1)
        if await self._database.do(lambda connection: connection.scalar(some)) is not None:
            ended = _groups.update().where(due).values(open_key=None, quiet_at=None, is_closing=True)
            await self._run(ended, synced=True)

    async def next_quiet(self) -> datetime | None:
        earliest = sa.select(sa.func.min(_groups.c.quiet_at)).where(_groups.c.quiet_at > 0, _is_quiet())
        found = await self._database.do(lambda connection: connection.scalar(earliest))
        return None if found is None else datetime.fromtimestamp(found, UTC) + RESOLVED_FOR

    async def closed(self, group_id: str) -> None:
        await self._run(_groups.update().where(_groups.c.id == group_id).values(is_closing=False))

    async def forget(self, before: datetime) -> None:
        a, c = _alerts.c, _groups.c
        attached = sa.exists().where(c.id == a.group_id, c.incident_id.is_not(None))
        old = sa.and_(a.updated_at < before.timestamp(), a.is_pending.is_(False), ~attached)
        done = sa.and_(c.incident_id.is_(None), c.is_busy.is_(False), c.is_closing.is_(False))
        empty = sa.and_(c.created_at < before.timestamp(), done, ~sa.exists().where(a.group_id == c.id))

        def delete(connection: sa.Connection) -> None:
            connection.execute(_alerts.delete().where(old))
            connection.execute(_groups.delete().where(empty))

        await self._database.do(delete)

    # What people and programs read.

    async def summary(self, incident_id: str) -> AlertSummary:
        a = _alerts.c
        mine = _of_incident(incident_id)
        counted = sa.select(a.status, sa.func.count()).where(mine).group_by(a.status)
        newest = sa.select(a.title).where(mine).order_by(a.status, a.id.desc()).limit(SHOWN * LATEST)

        def read(connection: sa.Connection) -> AlertSummary:
            numbers = {row[0]: row[1] for row in connection.execute(counted)}
            titles = dict.fromkeys(connection.scalars(newest))
            return AlertSummary(
                firing=numbers.get("firing", 0),
                resolved=numbers.get("resolved", 0),
                latest=tuple(titles)[:LATEST],
            )

        return await self._database.do(read)

    async def find(self, alert_id: str) -> Alert | None:
        found = await self._read(WITH_GROUP.where(_alerts.c.id == alert_id))
        return next(iter(found), None)

    async def alerts(
        self,
        after: str | None = None,
        limit: int = 50,
        *,
        deduplication_key: str | None = None,
        group_ids: Collection[str] | None = None,
        incident_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Alert]:
        """Return a page of alerts, newest first; `after` is the id of the last one of the page before.

        Each filter walks along an index. Ids are in the order of time, so those from `since` until `until`
        are all among what is returned; a few that are a little newer or older may be as well.
        """
        a = _alerts.c
        asked = WITH_GROUP.order_by(a.id.desc()).limit(limit)
        if deduplication_key is not None:
            asked = asked.where(a.deduplication_key == deduplication_key)
        if group_ids is not None:
            asked = asked.where(a.group_id.in_(group_ids))
        if incident_id is not None:
            asked = asked.where(_of_incident(incident_id))
        if since is not None:
            asked = asked.where(a.id >= earliest_id(since))
        if until is not None:
            asked = asked.where(a.id < earliest_id(until, SET_BACK))
        return await self._read(asked if after is None else asked.where(a.id < after))

    async def _read(self, asked: sa.Select[Any]) -> list[Alert]:
        rows = await self._database.do(lambda connection: connection.execute(asked).all())
        return [alert_of(row) for row in rows]

    async def _run(self, statement: sa.Update | sa.Delete, *, synced: bool = False) -> None:
        await self._database.do(lambda connection: connection.execute(statement) and None, synced=synced)


def _is_quiet() -> sa.ColumnElement[bool]:
    """Return the condition that a group with `quiet_at` is open and nothing new waits for it."""
    a, c = _alerts.c, _groups.c
    new = sa.exists().where(a.is_pending, a.group_key == c.group_key)
    return sa.and_(c.is_busy.is_(False), c.open_key.is_not(None), ~new)


def _of_incident(incident_id: str) -> sa.ColumnElement[bool]:
    return _alerts.c.group_id.in_(sa.select(_groups.c.id).where(_groups.c.incident_id == incident_id))


def _joined(connection: sa.Connection, group_key: str, group_id: str | None) -> sa.Row[Any] | None:
    """Return the group that alerts with this id or key join; None if the first of them begins one.

    Beyond so many open groups of one rule, alerts join the newest of them.
    """
    c = _groups.c
    wanted = c.id == group_id if group_id is not None else c.open_key == group_key
    known = connection.execute(sa.select(_groups).where(wanted)).first()
    if known is not None:
        return known
    first = _first_waiting(connection, group_key)
    return None if first is None else _overflow(connection, first.rule_key)


def _first_waiting(connection: sa.Connection, group_key: str) -> sa.Row[Any] | None:
    """Return the first alert that waits for a group of this key."""
    a = _alerts.c
    waiting = sa.select(_alerts).where(a.is_pending, a.group_key == group_key)
    return connection.execute(waiting.where(a.group_id.is_(None)).order_by(a.id).limit(1)).first()


def _overflow(connection: sa.Connection, rule_key: str) -> sa.Row[Any] | None:
    """Return the newest open group of a rule that may have no more of them; None while it may."""
    known = connection.execute(_open_of(rule_key)).all()
    return known[0] if len(known) >= MOST_OPEN else None


def _open_of(rule_key: str) -> sa.Select[Any]:
    """Return the query of the open groups of a rule, newest first."""
    c = _groups.c
    mine = sa.select(_groups).where(c.rule_key == rule_key, c.open_key.is_not(None))
    return mine.order_by(c.created_at.desc(), c.id.desc()).limit(MOST_OPEN)


def _waits(connection: sa.Connection, group_key: str, group_id: str | None, at: datetime) -> bool:
    """True if no batch may begin: its group is not ready, or its alerts are in a batch already."""
    row = _joined(connection, group_key, group_id)
    if row is None:
        return _first_waiting(connection, group_key) is None
    return bool(row.is_busy) or _seconds_left(row, at) > 0


def _waiting_for(row: sa.Row[Any], *, takes_all: bool) -> sa.ColumnElement[bool]:
    """Return the condition of the alerts of a group's next batch.

    With `takes_all`, the alerts of the same rule that have no open group are among them.
    """
    a, other = _alerts.c, _groups.alias().c
    ours: sa.ColumnElement[bool] = a.group_id == row.id
    if row.open_key is not None:
        new: sa.ColumnElement[bool] = a.group_key == row.group_key
        if takes_all:
            new = sa.or_(new, ~sa.exists().where(other.open_key == a.group_key))
        ours = sa.or_(ours, sa.and_(a.group_id.is_(None), new))
    return sa.and_(a.is_pending, a.rule_key == row.rule_key, ours)


def _begun(connection: sa.Connection, group_key: str, at: datetime, ids: AlertIds) -> sa.Row[Any] | None:
    """Begin a group with the first alert that waits for it; None if none does."""
    first = _first_waiting(connection, group_key)
    if first is None:
        return None
    row = {
        "id": ids.new(at),
        "group_key": group_key,
        "open_key": group_key,
        "rule_key": first.rule_key,
        "rule": AlertRoute.model_validate_json(first.route).rule.model_dump_json(),
        "source": first.source,
        "created_at": at.timestamp(),
        "incident_id": None,
        "failure": "",
        "batch": 0,
        "batch_at": 0.0,
        "pace": 0,
        "is_busy": False,
        "quiet_at": None,
        "is_closing": False,
    }
    connection.execute(_groups.insert().values(row))
    return connection.execute(sa.select(_groups).where(_groups.c.id == row["id"])).one()


def _seconds_left(row: sa.Row[Any], at: datetime) -> float:
    """Return the seconds until the next batch of a group may begin; 0 if the clock was set back since."""
    since = at.timestamp() - float(row.batch_at)
    return 0.0 if row.batch == 0 or since < 0 else max(0.0, pause_after(row.pace) - since)


def _in_batch(group_id: str, batch: int) -> dict[str, Any]:
    """Return the values of the alerts that are put into a batch: they fired in it, or were resolved."""
    a = _alerts.c
    is_resolved = sa.and_(a.status == "resolved", a.resolved_batch.is_(None))
    return {
        "group_id": group_id,
        "fired_batch": sa.func.coalesce(a.fired_batch, batch),
        "resolved_batch": sa.case((is_resolved, batch), else_=a.resolved_batch),
        "is_pending": False,
    }
