"""Actions and follow-ups in the incident file."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlite_utils import Database

from tocsin.backends.local import declaring
from tocsin.backends.local.file import transaction
from tocsin.backends.local.lenient import readable
from tocsin.backends.local.rows import written
from tocsin.backends.local.ulid import ulid
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import FollowUp, Person, TimelineEntry
from tocsin.incidents.requests import FollowUpRequest
from tocsin.incidents.validation import FOLLOW_UP_WORDS

_FOLLOW_UPS = """
SELECT f.*, COALESCE(p.name, f.assignee_name) AS known_name,
    COALESCE(p.email, f.assignee_email) AS known_email
FROM follow_ups f LEFT JOIN people p ON p.slack_user_id = f.assignee_slack_user_id
"""
OF_INCIDENT = _FOLLOW_UPS + "WHERE f.incident_id = ? ORDER BY f.created_at, f.id"
BY_ID = _FOLLOW_UPS + "WHERE f.id = ?"
BY_KEY = _FOLLOW_UPS + "WHERE f.idempotency_key = ?"


def listed(db: Database, query: str, value: str) -> list[FollowUp]:
    """What one of this module's queries finds."""
    return [_follow_up(dict(row)) for row in db.query(query, [value])]


def add(db: Database, incident_id: str, request: FollowUpRequest, now: datetime) -> FollowUp:
    """Add one, unless this key added one before."""
    with transaction(db):
        if earlier := listed(db, BY_KEY, request.key):
            return earlier[0]
        assignee = request.assignee or Person()
        declaring.remember_person(db, assignee, written(now))
        db.execute(
            "INSERT INTO follow_ups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            [
                ulid(now),
                incident_id,
                request.key,
                request.kind,
                request.text,
                assignee.slack_user_id,
                assignee.name,
                assignee.email,
                written(request.at),
            ],
        )
        _note(db, incident_id, request.by, request.at, "added", request.kind, request.text, request.key)
        return listed(db, BY_KEY, request.key)[0]


def complete(db: Database, follow_up_id: str, by: Person, at: datetime, key: str) -> FollowUp:
    """Mark one as done; what is done already stays as it is."""
    with transaction(db):
        found = next(iter(listed(db, BY_ID, follow_up_id)), None)
        if found is None:
            raise Refused("That is not here any more.")
        if not found.is_done:
            db.execute("UPDATE follow_ups SET done_at = ? WHERE id = ?", [written(at), follow_up_id])
            _note(db, found.incident_id, by, at, "completed", found.kind, found.text, key)
        return listed(db, BY_ID, follow_up_id)[0]


def _note(
    db: Database, incident_id: str, by: Person, at: datetime, did: str, kind: str, text: str, key: str
) -> None:
    article = "the" if did == "completed" else "an" if kind == "action" else "a"
    entry = TimelineEntry(at=at, by=by, verb=f"{did} {article} {FOLLOW_UP_WORDS[kind]}:", text=text)
    declaring.add_to_timeline(db, incident_id, entry, f"{key}:{did}")


def _follow_up(kept: dict[str, Any]) -> FollowUp:
    row = readable(kept)
    assignee = Person(
        slack_user_id=row["assignee_slack_user_id"], name=kept["known_name"], email=row["known_email"]
    )
    return FollowUp(
        id=row["id"],
        incident_id=row["incident_id"],
        kind="follow_up" if row["kind"] == "follow_up" else "action",
        text=row["text"],
        assignee=assignee if any(assignee.model_dump().values()) else None,
        is_done=row["done_at"] is not None,
        created_at=row["created_at"],
        done_at=row["done_at"],
    )
