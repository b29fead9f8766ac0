"""A local backend's file with as many incidents as one likes, made by SQLite itself."""

from __future__ import annotations

from sqlite_utils import Database

from tocsin.backends.local.file import transaction

# Every fiftieth is open, every hundredth private, every tenth names checkout; all by ten people in turn.
_INCIDENTS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :size)
INSERT INTO incidents (
    id, number, reference, idempotency_key, name, summary, severity_id, incident_status_id, incident_type_id,
    visibility, mode, creator_slack_user_id, created_at, updated_at)
SELECT printf('%026d', n), n, 'INC-' || n, 'key-' || n,
    CASE n % 10 WHEN 0 THEN 'Checkout is slow, case ' ELSE 'Search is down, case ' END || n,
    'Half of it fails.',
    CASE n % 3 WHEN 0 THEN 'minor' WHEN 1 THEN 'major' ELSE 'critical' END,
    CASE n % 50 WHEN 0 THEN 'investigating' ELSE 'closed' END, 'incident',
    CASE n % 100 WHEN 1 THEN 'private' ELSE 'public' END, 'standard', printf('U%010d', n % 10),
    '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z'
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


def fill(db: Database, size: int, *, entries: int = 20) -> None:
    """Put in so many incidents, the one in the middle with so many entries in its timeline."""
    with transaction(db):
        db.execute(_INCIDENTS, {"size": size})
        db.execute(_TIMELINE, {"entries": entries, "incident": size // 2})
