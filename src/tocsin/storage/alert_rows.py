"""Tables of alerts and of their groups, and what their rows mean."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import sqlalchemy as sa

from tocsin.incidents.alerts import Alert, AlertGroup, AlertRoute, AlertRule
from tocsin.storage.database import TABLES

alerts = sa.Table(
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
    # The rule's key: what exceeds the limit of a rule's incidents is found by it.
    sa.Column("rule_key", sa.Text, nullable=False),
    sa.Column("group_id", sa.Text),
    # Batches of the group in which it fired and was resolved; empty until then.
    sa.Column("fired_batch", sa.Integer),
    sa.Column("resolved_batch", sa.Integer),
    sa.Column("is_pending", sa.Boolean, nullable=False),
    sa.UniqueConstraint("source", "deduplication_key", "episode"),
)
_by_group = sa.Index("tocsin_alerts_by_group", alerts.c.group_id, alerts.c.status)
_pending = sa.Index(
    "tocsin_alerts_pending",
    alerts.c.group_key,
    alerts.c.group_id,
    # SQLite uses the index only for the condition as queries write it.
    sqlite_where=alerts.c.is_pending == sa.true(),
    postgresql_where=alerts.c.is_pending,
)
_pending_of_rule = sa.Index(
    "tocsin_alerts_pending_of_rule",
    alerts.c.rule_key,
    alerts.c.group_id,
    sqlite_where=alerts.c.is_pending == sa.true(),
    postgresql_where=alerts.c.is_pending,
)
_by_key = sa.Index("tocsin_alerts_by_key", alerts.c.deduplication_key, alerts.c.id)
_aged = sa.Index("tocsin_alerts_by_age", alerts.c.updated_at)

groups = sa.Table(
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
    groups.c.id,
    sqlite_where=sa.or_(groups.c.is_busy, groups.c.is_closing),
    postgresql_where=sa.or_(groups.c.is_busy, groups.c.is_closing),
)
_quiet = sa.Index("tocsin_alert_groups_quiet", groups.c.quiet_at)
_of_key = sa.Index("tocsin_alert_groups_by_key", groups.c.group_key, groups.c.id)
_of_rule = sa.Index("tocsin_alert_groups_of_rule", groups.c.rule_key, groups.c.open_key)

AT_ONCE = 500
"""Keys in one query; groups in one look."""

WITH_GROUP = sa.select(
    alerts,
    groups.c.incident_id,
    sa.func.coalesce(groups.c.failure, "").label("failure"),
).select_from(alerts.outerjoin(groups, groups.c.id == alerts.c.group_id))


class AlertIds:
    """Ids of 32 characters that sort by their time, and those of one store by their order."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = Lock()

    def new(self, at: datetime) -> str:
        with self._lock:
            by_time = int(at.timestamp() * 1000) << 80 | secrets.randbits(79)
            is_later = by_time >> 80 > self._last >> 80
            self._last = by_time if is_later else self._last + 1 + secrets.randbits(32)
            return f"{self._last:032x}"


def earliest_id(at: datetime, later: timedelta = timedelta()) -> str:
    """Return the lowest id that an alert of this time may have, or of a time so much later.

    Not a sum of both: the last years of a calendar have no later time.
    """
    return f"{max(int((at.timestamp() + later.total_seconds()) * 1000), 0) << 80:032x}"


def group_of(row: sa.Row[Any]) -> AlertGroup:
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


def alert_of(row: sa.Row[Any]) -> Alert:
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
