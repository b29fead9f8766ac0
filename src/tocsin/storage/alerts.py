"""Alerts in the database: each episode of an alert, and the groups that became incidents."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock
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
    AlertRule,
    pause_after,
)
from tocsin.incidents.model import AlertSummary
from tocsin.storage.database import TABLES, Database
from tocsin.storage.slack_state import page_keys
from tocsin.workflows.ports import AlertStore

_alerts = sa.Table(
    "tocsin_alerts",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("deduplication_key", sa.Text, nullable=False),
    # Counts how often the alert began to fire: what is resolved may fire again.
    sa.Column("episode", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("source_url", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("resolved_at", sa.Float),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("group_key", sa.Text, nullable=False),
    sa.Column("group_id", sa.Text),
    # Batches of the group in which it fired and was resolved; empty until then.
    sa.Column("fired_batch", sa.Integer),
    sa.Column("resolved_batch", sa.Integer),
    sa.Column("is_pending", sa.Boolean, nullable=False),
    sa.UniqueConstraint("source", "deduplication_key", "episode"),
)
_by_group = sa.Index("tocsin_alerts_by_group", _alerts.c.group_id, _alerts.c.status)
_pending = sa.Index(
    "tocsin_alerts_pending",
    _alerts.c.group_key,
    _alerts.c.group_id,
    # SQLite uses the index only for the condition as queries write it.
    sqlite_where=_alerts.c.is_pending == sa.true(),
    postgresql_where=_alerts.c.is_pending,
)
_aged = sa.Index("tocsin_alerts_by_age", _alerts.c.updated_at)

_groups = sa.Table(
    "tocsin_alert_groups",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("group_key", sa.Text, nullable=False),
    # The group's key while further alerts join it: one group for each key, whichever replica makes it.
    sa.Column("open_key", sa.Text, unique=True),
    sa.Column("rule_key", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("incident_id", sa.Text, index=True),
    sa.Column("failure", sa.Text, nullable=False),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("batch_at", sa.Float, nullable=False),
    sa.Column("pace", sa.Integer, nullable=False),
    sa.Column("is_busy", sa.Boolean, nullable=False),
    # Since when all of its alerts are resolved, if an incident that nobody accepted is declined for that.
    sa.Column("quiet_at", sa.Float),
    sa.Column("is_closing", sa.Boolean, nullable=False),
)
_busy = sa.Index(
    "tocsin_alert_groups_busy",
    _groups.c.id,
    sqlite_where=sa.or_(_groups.c.is_busy, _groups.c.is_closing),
    postgresql_where=sa.or_(_groups.c.is_busy, _groups.c.is_closing),
)
_quiet = sa.Index("tocsin_alert_groups_quiet", _groups.c.quiet_at)
_of_rule = sa.Index("tocsin_alert_groups_of_rule", _groups.c.rule_key, _groups.c.open_key)

AT_ONCE = 500
"""Keys in one query, and groups in one look."""

SHOWN = 5
"""Alerts that a batch names; the others are counted."""

_WITH_GROUP = sa.select(
    _alerts,
    _groups.c.incident_id,
    sa.func.coalesce(_groups.c.failure, "").label("failure"),
).select_from(_alerts.outerjoin(_groups, _groups.c.id == _alerts.c.group_id))


class _Ids:
    """Ids of 32 characters that sort by their time, and within one process by their order."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = Lock()

    def new(self, at: datetime) -> str:
        with self._lock:
            by_time = int(at.timestamp() * 1000) << 80 | secrets.randbits(79)
            is_later = by_time >> 80 > self._last >> 80
            self._last = by_time if is_later else self._last + 1 + secrets.randbits(32)
            return f"{self._last:032x}"


_ids = _Ids()


class SqlAlertStore(AlertStore):
    """AlertStore in the same database as the workflows, and what pages and programs read of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # What comes in.

    async def receive(
        self, source: str, events: Sequence[tuple[AlertEvent, AlertRoute]], at: datetime
    ) -> None:
        if events:
            intake = _Intake(source, at.timestamp(), at)
            await self._database.do(lambda connection: intake.store(connection, events), synced=True)

    # What is to be done with it.

    async def due(self) -> tuple[list[tuple[str, str | None]], list[AlertGroup]]:
        a = _alerts.c
        new = sa.select(a.group_key, a.group_id).where(a.is_pending).distinct().limit(AT_ONCE)
        begun = sa.select(_groups).where(sa.or_(_groups.c.is_busy, _groups.c.is_closing)).limit(AT_ONCE)

        def look(connection: sa.Connection) -> tuple[list[tuple[str, str | None]], list[AlertGroup]]:
            pairs = [(row.group_key, row.group_id) for row in connection.execute(new)]
            return pairs, [_group(row) for row in connection.execute(begun)]

        return await self._database.do(look)

    async def begin_batch(self, group_key: str, group_id: str | None, at: datetime) -> AlertGroup | None:
        def begin(connection: sa.Connection) -> AlertGroup | None:
            row = _find(connection, group_key, group_id) or _found(connection, group_key, at)
            if row is None or row.is_busy or not _is_paced(row, at):
                return None
            batch, c, now = row.batch + 1, _groups.c, at.timestamp()
            ours: sa.ColumnElement[bool] = _alerts.c.group_id == row.id
            if row.open_key is not None:
                ours = sa.or_(_alerts.c.group_id.is_(None), ours)
            mine = sa.and_(c.id == row.id, c.batch == row.batch, c.is_busy.is_(False))
            pace = 0 if now - row.batch_at > 2 * pause_after(row.pace) + 1 else row.pace
            taken = (
                _groups.update().where(mine).values(batch=batch, is_busy=True, batch_at=now, pace=pace + 1)
            )
            if connection.execute(taken).rowcount == 0:
                return None
            wanted = sa.and_(_alerts.c.is_pending, _alerts.c.group_key == group_key, ours)
            connection.execute(_alerts.update().where(wanted).values(_in_batch(row.id, batch)))
            return _group(connection.execute(sa.select(_groups).where(c.id == row.id)).one())

        return await self._database.do(begin, synced=True)

    async def pause(self, group_key: str, group_id: str | None, at: datetime) -> float:
        row = await self._database.do(lambda connection: _find(connection, group_key, group_id))
        if row is None:
            return 0.0
        return max(0.0, float(row.batch_at) + pause_after(row.pace) - at.timestamp())

    async def group(self, group_id: str) -> AlertGroup | None:
        found = sa.select(_groups).where(_groups.c.id == group_id)
        row = await self._database.do(lambda connection: connection.execute(found).first())
        return None if row is None else _group(row)

    async def batch(self, group_id: str, number: int) -> AlertBatch:
        a = _alerts.c

        def read(connection: sa.Connection) -> AlertBatch:
            found: dict[str, Any] = {}
            for name, column in (("fired", a.fired_batch), ("resolved", a.resolved_batch)):
                mine = sa.and_(a.group_id == group_id, column == number)
                newest = _WITH_GROUP.where(mine).order_by(a.id.desc()).limit(SHOWN)
                found[name] = tuple(map(_alert, connection.execute(newest)))
                count = sa.select(sa.func.count()).select_from(_alerts).where(mine)
                found[f"{name}_count"] = connection.scalar(count) or 0
            first = _WITH_GROUP.where(a.group_id == group_id).order_by(a.id).limit(1)
            row = connection.execute(first).first()
            return AlertBatch(**found, first=None if row is None else _alert(row))

        return await self._database.do(read)

    async def set_incident(self, group_id: str, incident_id: str) -> None:
        c = _groups.c
        known = _groups.update().where(c.id == group_id, c.incident_id.is_(None))
        await self._run(known.values(incident_id=incident_id, failure=""))

    async def fail(self, group_id: str, failure: str) -> None:
        await self._run(
            _groups.update().where(_groups.c.id == group_id).values(failure=failure, open_key=None)
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
            quiet_at = at.timestamp() if is_quiet else None
            mine = sa.and_(c.id == group_id, c.batch == number, c.is_busy)
            connection.execute(_groups.update().where(mine).values(is_busy=False, quiet_at=quiet_at))

        await self._database.do(done)

    async def end_quiet(self, at: datetime) -> None:
        a, c = _alerts.c, _groups.c
        late = (at - RESOLVED_FOR).timestamp()
        new = sa.exists().where(a.is_pending, a.group_key == c.group_key)
        due = sa.and_(c.quiet_at <= late, c.is_busy.is_(False), c.open_key.is_not(None), ~new)
        await self._run(
            _groups.update().where(due).values(open_key=None, quiet_at=None, is_closing=True), synced=True
        )

    async def next_quiet(self) -> datetime | None:
        earliest = sa.select(sa.func.min(_groups.c.quiet_at))
        found = await self._database.do(lambda connection: connection.scalar(earliest))
        return None if found is None else datetime.fromtimestamp(found, UTC) + RESOLVED_FOR

    async def closed(self, group_id: str) -> None:
        await self._run(_groups.update().where(_groups.c.id == group_id).values(is_closing=False))

    async def forget(self, before: datetime) -> None:
        a, c = _alerts.c, _groups.c
        attached = sa.exists().where(c.id == a.group_id, c.incident_id.is_not(None))
        old = sa.and_(a.updated_at < before.timestamp(), a.is_pending.is_(False), ~attached)
        await self._run(_alerts.delete().where(old))

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
        found = await self._read(_WITH_GROUP.where(_alerts.c.id == alert_id))
        return next(iter(found), None)

    async def alerts(
        self,
        after: str | None = None,
        limit: int = 50,
        *,
        sources: Collection[str] | None = None,
        statuses: Collection[str] | None = None,
        deduplication_key: str | None = None,
        incident_id: str | None = None,
        attached: bool = False,
    ) -> list[Alert]:
        """Return a page of alerts, newest first; `after` is the id of the last one of the page before.

        With `attached`, only those that have an incident.
        """
        a, c = _alerts.c, _groups.c
        asked = _WITH_GROUP.order_by(a.id.desc()).limit(limit)
        for column, among in ((a.source, sources), (a.status, statuses)):
            if among is not None:
                asked = asked.where(column.in_(among))
        if deduplication_key is not None:
            asked = asked.where(a.deduplication_key == deduplication_key)
        if incident_id is not None:
            asked = asked.where(_of_incident(incident_id))
        if after is not None:
            asked = asked.where(a.id < after)
        return await self._read(asked.where(c.incident_id.is_not(None)) if attached else asked)

    async def _read(self, asked: sa.Select[Any]) -> list[Alert]:
        rows = await self._database.do(lambda connection: connection.execute(asked).all())
        return [_alert(row) for row in rows]

    async def _run(self, statement: sa.Update | sa.Delete, *, synced: bool = False) -> None:
        await self._database.do(lambda connection: connection.execute(statement) and None, synced=synced)


class _Intake:
    """Storing of one request's events; it may run again after a conflict with another replica."""

    def __init__(self, source: str, now: float, at: datetime) -> None:
        self._source = source
        self._now = now
        self._at = at

    def store(self, connection: sa.Connection, events: Sequence[tuple[AlertEvent, AlertRoute]]) -> None:
        keys = sorted({event.deduplication_key for event, _ in events})
        ours = page_keys(connection, keys)
        known = self._known(connection, keys)
        changed: dict[str, dict[str, Any]] = {}
        added: dict[str, dict[str, Any]] = {}
        for event, route in events:
            key = event.deduplication_key
            if key in ours:
                continue
            row = known.get(key)
            if row is not None and not self._begins_anew(row, event):
                if self._tell(row, event) and row["id"] not in added:
                    changed[row["id"]] = row
            else:
                known[key] = self._new(event, route, row)
                added[known[key]["id"]] = known[key]
        # In one order, so that two replicas never wait for each other.
        if added:
            connection.execute(_alerts.insert(), sorted(added.values(), key=_key_of))
        for row in sorted(changed.values(), key=_key_of):
            values = {name: row[name] for name in _CHANGING}
            connection.execute(_alerts.update().where(_alerts.c.id == row["id"]).values(values))

    def _known(self, connection: sa.Connection, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the last episode of each alert, locked until the end of the transaction."""
        a, found = _alerts.c, dict[str, dict[str, Any]]()
        b = _alerts.alias().c
        # An alert that fires and ends all day has many episodes, of which one is read.
        last = sa.select(sa.func.max(b.episode)).where(
            b.source == a.source, b.deduplication_key == a.deduplication_key
        )
        for first in range(0, len(keys), AT_ONCE):
            some = keys[first : first + AT_ONCE]
            asked = sa.select(_alerts).where(
                a.source == self._source,
                a.deduplication_key.in_(some),
                a.episode == last.correlate(_alerts).scalar_subquery(),
            )
            asked = asked.order_by(a.deduplication_key).with_for_update(of=_alerts)
            for row in connection.execute(asked).mappings():
                found[row["deduplication_key"]] = dict(row)
        return found

    @staticmethod
    def _begins_anew(row: Mapping[str, Any], event: AlertEvent) -> bool:
        """True if a resolved alert fires again: not if an older event of the same episode came late."""
        if row["status"] == "firing" or event.status == "resolved":
            return False
        started = event.started_at.timestamp() if event.started_at is not None else None
        return started is None or started != row["started_at"]

    def _tell(self, row: dict[str, Any], event: AlertEvent) -> bool:
        """Change the row by one more event of its episode."""
        row["times"] += 1
        row["updated_at"] = self._now
        if event.status == "resolved" and row["status"] == "firing":
            row |= {"status": "resolved", "resolved_at": self._now}
            row["is_pending"] = _is_wanted(AlertRoute.model_validate_json(row["route"]))
        elif event.status == "firing" and row["status"] == "firing":
            row |= {"title": event.title, "description": event.description, "source_url": event.source_url}
            row["labels"] = json.dumps(event.labels)
        return True

    def _new(self, event: AlertEvent, route: AlertRoute, before: Mapping[str, Any] | None) -> dict[str, Any]:
        is_firing = event.status == "firing"
        return {
            "id": _ids.new(self._at),
            "source": self._source,
            "deduplication_key": event.deduplication_key,
            "episode": (before["episode"] if before is not None else 0) + 1,
            "status": event.status,
            "title": event.title,
            "description": event.description,
            "source_url": event.source_url,
            "labels": json.dumps(event.labels),
            "times": 1,
            "started_at": event.started_at.timestamp() if event.started_at is not None else None,
            "created_at": self._now,
            "updated_at": self._now,
            "resolved_at": None if is_firing else self._now,
            "route": route.model_dump_json(),
            "group_key": route.group_key,
            "group_id": None,
            "fired_batch": None,
            "resolved_batch": None,
            # What was never seen firing is kept, and nothing is done with it.
            "is_pending": is_firing and _is_wanted(route),
        }


_CHANGING = (
    *("status", "title", "description", "source_url", "labels"),
    *("times", "updated_at", "resolved_at", "is_pending"),
)


def _is_wanted(route: AlertRoute) -> bool:
    return route.rule.do != "nothing"


def _key_of(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["deduplication_key"], row["episode"]


def _of_incident(incident_id: str) -> sa.ColumnElement[bool]:
    return _alerts.c.group_id.in_(sa.select(_groups.c.id).where(_groups.c.incident_id == incident_id))


def _find(connection: sa.Connection, group_key: str, group_id: str | None) -> sa.Row[Any] | None:
    """Return a group by its id, else the one that alerts with this key join; None if there is none."""
    c = _groups.c
    wanted = c.id == group_id if group_id is not None else c.open_key == group_key
    return connection.execute(sa.select(_groups).where(wanted)).first()


def _found(connection: sa.Connection, group_key: str, at: datetime) -> sa.Row[Any] | None:
    """Begin a group with the first alert that waits for it; None if none does.

    Beyond so many groups of one rule with an incident, alerts join the newest of them.
    """
    a, c = _alerts.c, _groups.c
    waiting = sa.select(a.route, a.source).where(a.is_pending, a.group_key == group_key, a.group_id.is_(None))
    first = connection.execute(waiting.order_by(a.id).limit(1)).first()
    if first is None:
        return None
    rule = AlertRoute.model_validate_json(first.route).rule
    others = sa.select(_groups).where(c.rule_key == rule.key, c.open_key.is_not(None))
    others = others.order_by(c.created_at.desc(), c.id).limit(MOST_OPEN)
    known = connection.execute(others).all()
    if len(known) >= MOST_OPEN:
        return known[0]
    row = {
        "id": _ids.new(at),
        "group_key": group_key,
        "open_key": group_key,
        "rule_key": rule.key,
        "rule": rule.model_dump_json(),
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
    return connection.execute(sa.select(_groups).where(c.id == row["id"])).one()


def _is_paced(row: sa.Row[Any], at: datetime) -> bool:
    return bool(row.batch == 0 or at.timestamp() >= row.batch_at + pause_after(row.pace))


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


def _group(row: sa.Row[Any]) -> AlertGroup:
    return AlertGroup(
        id=row.id,
        group_key=row.group_key,
        source=row.source,
        rule=AlertRule.model_validate_json(row.rule),
        incident_id=row.incident_id or "",
        batch=row.batch,
        is_busy=bool(row.is_busy),
        ended=row.open_key is None,
        is_closing=bool(row.is_closing),
    )


def _alert(row: sa.Row[Any]) -> Alert:
    rule = AlertRoute.model_validate_json(row.route).rule
    return Alert(
        id=row.id,
        source=row.source,
        title=row.title,
        status=row.status,
        deduplication_key=row.deduplication_key,
        description=row.description,
        source_url=row.source_url,
        labels=json.loads(row.labels),
        times=row.times,
        created_at=datetime.fromtimestamp(row.created_at, UTC),
        updated_at=datetime.fromtimestamp(row.updated_at, UTC),
        resolved_at=datetime.fromtimestamp(row.resolved_at, UTC) if row.resolved_at is not None else None,
        do=rule.do,
        is_private=rule.visibility == "private",
        group_id=row.group_id or "",
        incident_id=row.incident_id or "",
        failure=row.failure,
    )
