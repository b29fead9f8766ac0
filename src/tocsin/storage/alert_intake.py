"""Intake of alerts: each event of a request begins an episode of its alert, changes it, or is counted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tocsin.incidents.alerts import AlertEvent, AlertRoute
from tocsin.storage.alert_rows import AT_ONCE, AlertIds
from tocsin.storage.alert_rows import alerts as _alerts
from tocsin.storage.slack_state import page_keys


class Intake:
    """Storing of one request's events; it may run again after a conflict with another replica."""

    def __init__(self, source: str, at: datetime, ids: AlertIds) -> None:
        self._source = source
        self._now = at.timestamp()
        self._at = at
        self._ids = ids

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
                self._tell(row, event)
                if row["id"] not in added:
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
        """True if a resolved alert fires again: not if an event of that or an earlier episode came late."""
        if row["status"] == "firing" or event.status == "resolved":
            return False
        started, known = _started_at(event), row["started_at"]
        return started is None or known is None or started > known

    def _tell(self, row: dict[str, Any], event: AlertEvent) -> None:
        """Count one more event, and change the row by it unless it is of an earlier episode."""
        row["times"] += 1
        row["updated_at"] = self._now
        started, known = _started_at(event), row["started_at"]
        if started is not None and known is not None and started < known:
            return
        if event.status == "resolved" and row["status"] == "firing":
            row |= {"status": "resolved", "resolved_at": self._now}
            row["is_pending"] = _is_wanted(AlertRoute.model_validate_json(row["route"]))
        elif event.status == "firing" and row["status"] == "firing":
            row |= {"title": event.title, "description": event.description, "source_url": event.source_url}
            row |= {"labels": json.dumps(event.labels), "started_at": known if started is None else started}

    def _new(self, event: AlertEvent, route: AlertRoute, before: Mapping[str, Any] | None) -> dict[str, Any]:
        is_firing = event.status == "firing"
        return {
            "id": self._ids.new(self._at),
            "source": self._source,
            "deduplication_key": event.deduplication_key,
            "episode": (before["episode"] if before is not None else 0) + 1,
            "status": event.status,
            "title": event.title,
            "description": event.description,
            "source_url": event.source_url,
            "labels": json.dumps(event.labels),
            "times": 1,
            "started_at": _started_at(event),
            "created_at": self._now,
            "updated_at": self._now,
            "resolved_at": None if is_firing else self._now,
            "route": route.model_dump_json(),
            "group_key": route.group_key,
            "rule_key": route.rule.key,
            "group_id": None,
            "fired_batch": None,
            "resolved_batch": None,
            # What was never seen firing is kept, and nothing is done with it.
            "is_pending": is_firing and _is_wanted(route),
        }


_CHANGING = (
    *("status", "title", "description", "source_url", "labels"),
    *("times", "started_at", "updated_at", "resolved_at", "is_pending"),
)


def _started_at(event: AlertEvent) -> float | None:
    return event.started_at.timestamp() if event.started_at is not None else None


def _is_wanted(route: AlertRoute) -> bool:
    return route.rule.do != "nothing"


def _key_of(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["deduplication_key"], row["episode"]
