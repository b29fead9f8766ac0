"""A local backend's file with as many incidents as one likes, made by SQLite itself."""

from __future__ import annotations

from pathlib import Path

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.connection import SqlConnection
from tocsin.config import IncidentConfig
from tocsin.data_dir import now

OPEN_EACH = 50
"""Every so manieth is open."""

# Every fiftieth private, all of one person, so that a thousand have a full page of them; every tenth names
# checkout; all by ten people in turn.
_INCIDENTS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :size)
INSERT INTO incidents (
    id, number, reference, idempotency_key, name, summary, severity_id, incident_status_id, incident_type_id,
    visibility, mode, creator_slack_user_id, created_at, updated_at, closed_at)
SELECT printf('%026d', n), n, 'INC-' || n, 'key-' || n,
    CASE n % 10 WHEN 0 THEN 'Checkout is slow, case ' ELSE 'Search is down, case ' END || n,
    'Half of it fails.',
    CASE n % 3 WHEN 0 THEN 'minor' WHEN 1 THEN 'major' ELSE 'critical' END,
    CASE n % :open_each WHEN 0 THEN 'investigating' ELSE 'closed' END, 'incident',
    CASE n % 50 WHEN 1 THEN 'private' ELSE 'public' END, 'standard', printf('U%010d', n % 10),
    '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z',
    CASE n % :open_each WHEN 0 THEN NULL ELSE '2026-01-01T00:30:00.000000Z' END
FROM numbers
"""

_TIMELINE = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :entries)
INSERT INTO incident_timeline_items (
    incident_id, idempotency_key, timestamp, actor_slack_user_id, verb, text)
SELECT printf('%026d', :incident), 'entry-' || n, '2026-01-01T00:00:00.000000Z', 'U0000000001', 'noted',
    'Entry ' || n || ' of a long night'
FROM numbers
"""


ENTRIES = 1_000


async def kept_incidents(path: Path) -> LocalBackend:
    """The local backend over this file."""
    return await LocalBackend.open(
        path, IncidentConfig.from_toml({}), public_url="http://127.0.0.1", clock=now
    )


async def fill(path: Path, size: int) -> None:
    """A file with so many incidents, the one in the middle with a thousand entries in its timeline."""

    def put_in(db: SqlConnection) -> None:
        with db.transaction("all of them"):
            db.execute(_INCIDENTS, {"size": size, "open_each": OPEN_EACH})
            db.execute(_TIMELINE, {"entries": ENTRIES, "incident": size // 2})

    kept = await kept_incidents(path)
    try:
        await kept.database.run(put_in)
    finally:
        await kept.close()
