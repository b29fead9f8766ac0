"""The outbox after a run with kills: each change has its event once, and nothing else has one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from support.webhooks import Receiver

from tocsin.backends.local.changes import OF_FOLLOW_UP

PATIENCE = 60.0
"""Seconds for the living bot to deliver what is left."""

GLANCE_SECONDS = 0.05

_ENDED = """
SELECT webhook_id, CASE WHEN visibility <> 'public' AND event LIKE 'incident_status%' THEN state END
FROM webhook_deliveries JOIN webhook_events e ON e.id = event_id JOIN incidents i ON i.id = e.incident_id
"""
"""How each delivery ended where it may be withheld: a private incident's status is not told."""

_ROOMS = """
SELECT incident_id, json_extract(body, '$.slack_channel_name') FROM webhook_events
WHERE idempotency_key LIKE 'channel:%' AND body IS NOT NULL ORDER BY incident_id, id
"""
"""A channel that is renamed is told of again."""

_STATUS = ":incident_status_id"
_TASKS = (
    *(":completed", ":reopened", ":decided against", ":deleted"),
    *(":took", ":assigned", ":unassigned", ":renamed", ":described", ":linked the issue of"),
)
"""Ends of the keys of timeline entries."""


def _rows(data: Path, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(f"{(data / 'incidents.db').as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


async def delivered(data: Path) -> None:
    """Until every event was delivered. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if not _rows(data, "SELECT 1 FROM webhook_deliveries WHERE state = 'pending' LIMIT 1"):
                return
            await asyncio.sleep(GLANCE_SECONDS)


def broken(data: Path, receiver: Receiver) -> Iterator[str]:
    """What is wrong with the outbox, and with what was delivered from it."""
    there = _rows(data, "SELECT event, incident_id, idempotency_key FROM webhook_events")
    found = Counter((event, incident, key) for event, incident, key in there if not _is_channel(key))
    expected = Counter(_expected(data))
    yield from (f"{event} of {key} is not in the outbox" for event, _, key in expected - found)
    yield from (
        f"{event} of {key} is in the outbox, and nothing changed" for event, _, key in found - expected
    )
    rooms = {incident for _, incident, key in there if _is_channel(key)}
    named = _rows(data, "SELECT id FROM incidents WHERE slack_channel_id <> ''")
    yield from (f"the channel of {id_} is not in the outbox" for (id_,) in named if id_ not in rooms)
    for before, after in pairwise(_rows(data, _ROOMS)):
        if before == after:
            yield f"the channel {after[1]} is twice in the outbox"
    ended = dict(_rows(data, _ENDED))
    told = {one.id for one in receiver.received}
    withheld = {id_ for id_, state in ended.items() if state == "withheld"}
    yield from (f"{id_} was never delivered" for id_ in ended.keys() - told - withheld)
    yield from (f"{id_} was delivered and is in no outbox" for id_ in told - ended.keys())
    for one in receiver.received:
        if one.type.startswith("private_incident.") and "zq" in str(one.said):
            yield f"{one.type} says something of a private incident"
        if not one.is_signed():
            yield f"{one.type} is not signed"


def _is_channel(key: str) -> bool:
    return key.startswith("channel:")


def _expected(data: Path) -> Iterator[tuple[str, str, str]]:
    """The events of everything that the database says has happened."""
    for incident, key in _rows(data, "SELECT id, idempotency_key FROM incidents"):
        yield "incident_created_v2", incident, key
    changed = "SELECT incident_id, idempotency_key FROM incident_changes"
    for incident, key in _rows(data, f"{changed} WHERE idempotency_key NOT LIKE '{OF_FOLLOW_UP}%'"):
        yield "incident_updated_v2", incident, key
    for incident, key, kind in _rows(data, "SELECT incident_id, idempotency_key, kind FROM follow_ups"):
        yield f"{kind}_created_v1", incident, key
    yield from _of_timelines(data)
    members = "SELECT event, incident_id, idempotency_key FROM webhook_events WHERE event LIKE 'membership%'"
    changes = {key for (key,) in _rows(data, "SELECT idempotency_key FROM incident_changes")}
    for event, incident, key in _rows(data, members):
        if key.rpartition(":")[0] in changes:
            yield event, incident, key


def _of_timelines(data: Path) -> Iterator[tuple[str, str, str]]:
    """The events of new statuses, while an incident is public, and of what became of a task."""
    secret = {
        (incident, key)
        for incident, key in _rows(
            data, "SELECT incident_id, idempotency_key FROM webhook_events WHERE was_private = 1"
        )
    }
    tasks = set[tuple[str, str, str]]()
    for incident, key, verb in _rows(
        data, "SELECT incident_id, idempotency_key, verb FROM incident_timeline_items"
    ):
        change = key.removesuffix(_STATUS)
        if change != key and (incident, change) not in secret:
            yield "incident_status_updated_v2", incident, change
        done = next((key.removesuffix(end) for end in _TASKS if key.endswith(end)), None)
        if done is not None:
            tasks.add((f"{'follow_up' if 'follow-up' in verb else 'action'}_updated_v1", incident, done))
    yield from tasks
