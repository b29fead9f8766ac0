"""Changes of an incident and its follow-ups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from tocsin.backends.local import create
from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.create import INSERT_ROLE, ulid
from tocsin.backends.local.outbox import Outbox
from tocsin.backends.local.queries import incident_row, readable, written, written_after
from tocsin.backends.local.updates import add_update
from tocsin.incidents.errors import Conflict, Refused, Unchanged, gone
from tocsin.incidents.model import OPEN_CATEGORIES, FollowUp, Person, TimelineEntry, display_name
from tocsin.incidents.permissions import NOT_SEEN, Verb
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest, IncidentChange
from tocsin.incidents.timestamps import TimestampRule, set_by
from tocsin.incidents.tracker import issue_at
from tocsin.incidents.transitions import (
    MERGED_INTO,
    STATUS_VERBS,
    TIMELINE_VERBS,
    UPDATE_VERBS,
    call_words,
    is_accepted,
    timeline_of_field,
    unchanged,
)
from tocsin.incidents.validation import FOLLOW_UP_WORDS, TIME_FIELD, ago

# A change to an incident, made in one transaction with its timeline entries.

_TAKE_ROLE = "DELETE FROM incident_role_assignments WHERE incident_id = ? AND incident_role_id = ?"
_LAST_STATUS = """
SELECT l.timestamp, COALESCE(p.name, l.actor_name, 'Somebody')
FROM incident_timeline_items l LEFT JOIN people p ON p.slack_user_id = l.actor_slack_user_id
WHERE l.incident_id = ? AND l.verb IN (?, ?) ORDER BY l.timestamp DESC, l.id DESC LIMIT 1
"""

_TIMES_OF = "SELECT incident_timestamp_id, value FROM incident_timestamp_values WHERE incident_id = ?"

# The table of each choice, and the error sentence for a choice that the table lacks.
_CHOICES = {
    "severity_id": ("severities", gone("severity")),
    "incident_status_id": ("incident_statuses", gone("status")),
}

UPDATED = frozenset({"message", "incident_status_id", "severity_id"})
"""Parts of a change that make it an update."""

Said = tuple[str, str, str]
"""A timeline entry to be added: the suffix of its key, its verb, and the new value in words."""

OF_FOLLOW_UP = "follow-up "
"""Beginning of the keys of changes to actions and follow-ups among those of incidents."""

_APPLIED = "INSERT INTO incident_changes VALUES (?, ?, ?)"


def _is_applied(db: SqlConnection, key: str) -> bool:
    """True if the change with this idempotency key was made before."""
    asked = "SELECT 1 FROM incident_changes WHERE idempotency_key = ?"
    return db.execute(asked, [key]).fetchone() is not None


def change(
    db: SqlConnection,
    incident_id: str,
    change: IncidentChange,
    now: datetime,
    rules: Sequence[TimestampRule],
    outbox: Outbox,
) -> None:
    """Apply the change unless its key was used before; `rules` set timestamps by it.

    Raises Conflict if another person changed the status first, Refused if a choice is unknown, and Unchanged
    if nothing would change: the same verb typed twice at once is applied and announced once.
    """
    with db.transaction(incident_id):
        row = incident_row(db, incident_id)
        if _is_applied(db, change.key):
            return
        _refuse_conflict(db, row, change, now)
        _refuse_unknown(db, row, change)
        for person in change.assignees:
            create.remember_person(db, person, written(now))
        said = [
            *_columns(db, row, change, now),
            *_roles(db, incident_id, change),
            *_members(db, row, change, now, outbox),
            *_fields(db, incident_id, change),
            *_times(db, row, change, rules),
        ]
        if change.message:
            category = _category(db, change.incident_status_id or row["incident_status_id"])
            closes = change.incident_status_id is not None and category not in OPEN_CATEGORIES
            said.append(("message", UPDATE_VERBS[closes], change.message))
        if not said:
            status, severity = row["incident_status_id"], row["severity_id"] or ""
            status = _name(db, "incident_statuses", status) or status
            severity = _name(db, "severities", severity) or severity
            raise Unchanged(unchanged(row["reference"], status, severity))
        for what, verb, text in said:
            entry = TimelineEntry(at=change.at, by=change.by, verb=verb, text=text)
            create.add_to_timeline(db, incident_id, entry, f"{change.key}:{what}")
        db.execute(_APPLIED, [change.key, incident_id, written(now)])
        if {what for what, _, _ in said} & UPDATED:
            add_update(db, incident_id, change, now)
        people = change.incident_role_assignments or change.invited or change.removed
        if people or {change.name, change.summary, change.visibility} != {None}:
            db.index_words(row["number"])
        updated_at = written_after(row["updated_at"], now)
        db.execute("UPDATE incidents SET updated_at = ? WHERE id = ?", [updated_at, incident_id])
        outbox.changed(db, incident_id, change, row["incident_status_id"], now)


def _refuse_conflict(db: SqlConnection, row: dict[str, Any], change: IncidentChange, now: datetime) -> None:
    if change.seen_status_id is None or change.seen_status_id == row["incident_status_id"]:
        return
    status = _name(db, "incident_statuses", row["incident_status_id"]) or row["incident_status_id"]
    sentence = f"{row['reference']} is {status} by now."
    last = db.execute(_LAST_STATUS, [row["id"], *STATUS_VERBS]).fetchone()
    if last is not None:
        when = ago(datetime.fromisoformat(last[0]), now)
        sentence = f"{last[1]} set the status of {row['reference']} to {status} {when}."
    raise Conflict(f"{sentence} Nothing was changed: look again.", {"incident_status_id": sentence})


def _refuse_unknown(db: SqlConnection, row: dict[str, Any], change: IncidentChange) -> None:
    wrong = {
        field: sentence
        for field, (table, sentence) in _CHOICES.items()
        if (chosen := getattr(change, field)) is not None and not _name(db, table, chosen)
    }
    for role_id in change.incident_role_assignments:
        if not _name(db, "incident_roles", role_id):
            wrong[f"incident_role_assignments.{role_id}"] = gone("role", "Leave it empty.")
    for timestamp_id in change.incident_timestamp_values:
        if not _name(db, "incident_timestamps", timestamp_id):
            wrong[f"{TIME_FIELD}{timestamp_id}"] = "That time is not kept here any more."
    for place, sentence, query, parameters in create.field_lookups(change.custom_field_entries):
        if not db.execute(query, parameters).fetchone():
            wrong[place] = sentence
    into = change.merged_into
    if into is not None and (
        into == row["reference"]
        or not db.execute("SELECT 1 FROM incidents WHERE reference = ?", [into]).fetchone()
    ):
        wrong["merged_into"] = f"{into} is no other incident."
    if wrong:
        raise Refused("Some of that cannot be done: " + " ".join(wrong.values()), wrong)


def _columns(db: SqlConnection, row: dict[str, Any], change: IncidentChange, now: datetime) -> Iterator[Said]:
    """Update the columns that are set and differ; yield one timeline entry for each."""
    for column, verb in TIMELINE_VERBS.items():
        wanted = getattr(change, column)
        if wanted is None or wanted == row[column]:
            continue
        db.execute(f"UPDATE incidents SET {column} = ? WHERE id = ?", [wanted, row["id"]])
        if column == "incident_status_id" and is_accepted(_category(db, row[column]), _category(db, wanted)):
            verb = Verb.ACCEPT.timeline
        table = _CHOICES.get(column, ("", ""))[0]
        yield column, verb, _name(db, table, wanted) if table else _words(column, wanted)
    if change.incident_status_id is not None:
        closed = _category(db, change.incident_status_id) not in OPEN_CATEGORIES
        at = (row["closed_at"] or written(now)) if closed else None
        db.execute("UPDATE incidents SET closed_at = ? WHERE id = ?", [at, row["id"]])
    if (into := change.merged_into) is not None:
        yield "merged", MERGED_INTO, into


def _words(column: str, wanted: str) -> str:
    """Return a new value in the words of the timeline; "" if the verb says all of it."""
    if column == "call_url":
        return call_words(wanted)
    return "" if column == "visibility" else wanted


def _roles(db: SqlConnection, incident_id: str, change: IncidentChange) -> Iterator[Said]:
    for role_id, person in change.incident_role_assignments.items():
        held = db.execute(
            "SELECT assignee_slack_user_id FROM incident_role_assignments"
            " WHERE incident_id = ? AND incident_role_id = ?",
            [incident_id, role_id],
        ).fetchone()
        if (held[0] if held else None) == person:
            continue
        db.execute(_TAKE_ROLE, [incident_id, role_id])
        role = _name(db, "incident_roles", role_id)
        if person is None:
            yield role_id, "gave up the role", role
            continue
        holder = create.person_with_id([change.by, *change.assignees], person)
        db.execute(INSERT_ROLE, [incident_id, role_id, holder.slack_user_id, holder.name, holder.email])
        taken = person == change.by.slack_user_id
        # The timeline shows the person's name in place of the id once the name is known (queries.timeline).
        yield role_id, *(("took the role", role) if taken else (f"set {role} to", f"<@{person}>"))


def _times(
    db: SqlConnection, row: dict[str, Any], change: IncidentChange, rules: Sequence[TimestampRule]
) -> Iterator[Said]:
    """Set the timestamps of the change, with an entry for each, and those that its events set by themselves.

    What sets itself needs no entry of its own, since the timeline has the event.
    """
    known = dict(db.execute(_TIMES_OF, [row["id"]]).fetchall())
    for timestamp_id, value in change.incident_timestamp_values.items():
        if known.get(timestamp_id) == (value and written(value)):
            continue
        create.set_time(db, row["id"], timestamp_id, value)
        name = _name(db, "incident_timestamps", timestamp_id)
        said = f"{name}: {value.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if value else f"{name}: cleared"
        yield f"time:{timestamp_id}", Verb.TIME.timeline, said
    known |= dict.fromkeys(change.incident_timestamp_values, "")
    for event in _events(db, row, change):
        for timestamp_id in set_by(rules, event, known):
            create.set_time(db, row["id"], timestamp_id, change.at)
            known[timestamp_id] = written(change.at)


def _events(db: SqlConnection, row: dict[str, Any], change: IncidentChange) -> Iterator[str]:
    """Yield the events of the change at which timestamps are set: its new status, and a lead."""
    if (status := change.incident_status_id) not in {None, row["incident_status_id"]}:
        yield from create.events_of(str(status), _name(db, "incident_statuses", str(status)))
    leads = db.execute("SELECT id FROM incident_roles WHERE role_type = 'lead'").fetchall()
    if any(change.incident_role_assignments.get(lead) for (lead,) in leads):
        yield "lead"


def _members(
    db: SqlConnection, row: dict[str, Any], change: IncidentChange, now: datetime, outbox: Outbox
) -> Iterator[Said]:
    """Make the invited people members of a private incident, and end the membership of removed ones.

    Raises Refused if the incident has become private and the person who invites may not see it any more.
    """
    if not (change.invited or change.removed):
        return
    is_private = row["visibility"] != "public"
    sees = "SELECT 1 FROM incident_people WHERE number = ? AND slack_user_id = ?"
    by = change.by.slack_user_id
    # An API key is nobody in Slack; the API has checked that it may see private incidents.
    is_person = by is not None
    if is_private and is_person and db.execute(sees, [row["number"], by]).fetchone() is None:
        raise Refused(NOT_SEEN)
    for person in change.invited:
        # People who were brought into the channel of a public incident do not see it once it is private.
        if is_private and db.execute(sees, [row["number"], person]).fetchone() is None:
            db.execute("INSERT INTO incident_memberships VALUES (?, ?, ?)", [row["id"], person, written(now)])
            outbox.membership(db, row["id"], change, person, now)
        yield f"invited:{person}", Verb.INVITE.timeline, f"<@{person}>"
    for person in change.removed:
        removed = db.execute(
            "DELETE FROM incident_memberships WHERE incident_id = ? AND slack_user_id = ?",
            [row["id"], person],
        )
        if removed.rowcount:
            outbox.membership(db, row["id"], change, person, now)
        yield f"removed:{person}", Verb.REMOVE.timeline, f"<@{person}>"


_ANSWERS = """
SELECT COALESCE(value_text, value_link, value_numeric, value_option_id) FROM custom_field_entries
WHERE incident_id = ? AND custom_field_id = ? ORDER BY position
"""
_TAKE_ANSWERS = "DELETE FROM custom_field_entries WHERE incident_id = ? AND custom_field_id = ?"


def _fields(db: SqlConnection, incident_id: str, change: IncidentChange) -> Iterator[Said]:
    """Replace the answers to each field that the change names; others stay as they are."""
    for field_id, values in change.custom_field_entries.items():
        there = [row[0] for row in db.execute(_ANSWERS, [incident_id, field_id]).fetchall()]
        if there == [value.entered for value in values]:
            continue
        db.execute(_TAKE_ANSWERS, [incident_id, field_id])
        create.insert_answers(db, incident_id, field_id, values)
        yield (
            f"custom_field_entries.{field_id}",
            *timeline_of_field(_name(db, "custom_fields", field_id), values),
        )


def _name(db: SqlConnection, table: str, thing_id: str) -> str:
    """Return the name of a row, or "". `table` always comes from this module, never from user input."""
    found = db.execute(f"SELECT name FROM {table} WHERE id = ?", [thing_id]).fetchone()
    return str(found[0]) if found else ""


def _category(db: SqlConnection, status_id: str) -> str:
    found = db.execute("SELECT category FROM incident_statuses WHERE id = ?", [status_id]).fetchone()
    return str(found[0]) if found else ""


# Actions and follow-ups.

_FOLLOW_UPS = """
SELECT f.*, COALESCE(p.name, f.assignee_name) AS known_name,
    COALESCE(p.email, f.assignee_email) AS known_email
FROM follow_ups f LEFT JOIN people p ON p.slack_user_id = f.assignee_slack_user_id
"""
OF_INCIDENT = _FOLLOW_UPS + "WHERE f.incident_id = ? ORDER BY f.created_at, f.id"
DELETED = "deleted"
BY_ID = _FOLLOW_UPS + "WHERE f.id = ?"
OPEN_OF_PERSON = (
    _FOLLOW_UPS
    + "WHERE f.assignee_slack_user_id = ? AND f.done_at IS NULL ORDER BY f.created_at, f.id LIMIT ?"
)
BY_KEY = _FOLLOW_UPS + "WHERE f.idempotency_key = ?"


def listed(db: SqlConnection, query: str, *values: str | int) -> list[FollowUp]:
    """Return the follow-ups that one of this module's queries finds."""
    return [follow_up_in(dict(row)) for row in db.query(query, values)]


def add(
    db: SqlConnection, incident_id: str, request: FollowUpRequest, now: datetime, outbox: Outbox
) -> FollowUp:
    """Add an action or follow-up, or return the one that was added with the same key."""
    with db.transaction(incident_id):
        if earlier := listed(db, BY_KEY, request.key):
            return earlier[0]
        assignee = request.assignee or Person()
        create.remember_person(db, assignee, written(now))
        db.execute(
            """INSERT INTO follow_ups (id, incident_id, idempotency_key, kind, text, assignee_slack_user_id,
                assignee_name, assignee_email, created_at, runbook_url, issue_url, description, updated_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
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
                request.runbook_url,
                request.issue_url,
                request.description,
                written(request.at),
            ],
        )
        _note(db, incident_id, request.by, request.at, "added", request.kind, request.text, request.key)
        added = listed(db, BY_KEY, request.key)[0]
        outbox.task(db, added, "created", request.key, now)
        return added


def complete(
    db: SqlConnection, follow_up_id: str, by: Person, at: datetime, key: str, now: datetime, outbox: Outbox
) -> FollowUp:
    """Mark an action or follow-up as done; one that is done already stays unchanged.

    Raises Refused if there is none with this id.
    """
    with db.transaction(_there(db, follow_up_id).incident_id):
        found = _there(db, follow_up_id)
        if not found.is_done:
            db.execute(
                "UPDATE follow_ups SET done_at = ?, updated_at = ?, status = 'completed' WHERE id = ?",
                [written(at), written(at), follow_up_id],
            )
            _note(db, found.incident_id, by, at, "completed", found.kind, found.text, key)
            outbox.task(db, listed(db, BY_ID, follow_up_id)[0], "updated", key, now)
        return listed(db, BY_ID, follow_up_id)[0]


def change_follow_up(
    db: SqlConnection, follow_up_id: str, change: FollowUpChange, now: datetime, outbox: Outbox
) -> FollowUp:
    """Change an action or follow-up unless the change's key was used before; return it as it is then.

    What it has already stays unchanged. Raises Refused if there is none with this id, or if it was deleted.
    """
    incident = next((one.incident_id for one in listed(db, BY_ID, follow_up_id)), follow_up_id)
    with db.transaction(incident):
        known = listed(db, BY_ID, follow_up_id)
        applied = f"{OF_FOLLOW_UP}{change.key}"
        if known and _is_applied(db, applied):
            return known[0]
        found = _there(db, follow_up_id)
        db.execute(_APPLIED, [applied, found.incident_id, written(now)])
        said = [
            *_assignee(db, found, change, now),
            *_words_of(db, found, change),
            *_status(db, found, change),
            *_issue(db, found, change),
        ]
        for did, text in said:
            _note(db, found.incident_id, change.by, change.at, did, found.kind, text, change.key)
        if said:
            values = [written(change.at), follow_up_id]
            db.execute("UPDATE follow_ups SET updated_at = ? WHERE id = ?", values)
        changed = listed(db, BY_ID, follow_up_id)[0]
        if said:
            outbox.task(db, changed, "updated", change.key, now)
        return changed


def _there(db: SqlConnection, follow_up_id: str) -> FollowUp:
    found = next(iter(listed(db, BY_ID, follow_up_id)), None)
    if found is None or found.status == DELETED:
        raise Refused("That is not here any more.")
    return found


Did = tuple[str, str]
"""A timeline entry about an action or follow-up: the verb before its kind, and the text."""


def _assignee(db: SqlConnection, found: FollowUp, change: FollowUpChange, now: datetime) -> Iterator[Did]:
    to = Person() if change.unassigned else change.assignee
    if to is None or to.slack_user_id == _slack_id(found.assignee):
        return
    create.remember_person(db, to, written(now))
    db.execute(
        """UPDATE follow_ups SET assignee_slack_user_id = ?, assignee_name = ?, assignee_email = ?
            WHERE id = ?""",
        [to.slack_user_id, to.name, to.email, found.id],
    )
    if change.unassigned:
        yield "unassigned", found.text
    elif to.slack_user_id == change.by.slack_user_id:
        yield "took", found.text
    else:
        yield "assigned", f"{found.text} ({display_name(to)})"


def _words_of(db: SqlConnection, found: FollowUp, change: FollowUpChange) -> Iterator[Did]:
    for column in ("text", "description"):
        wanted = getattr(change, column)
        if wanted is not None and wanted != getattr(found, column):
            db.execute(f"UPDATE follow_ups SET {column} = ? WHERE id = ?", [wanted, found.id])
            yield ("renamed", wanted) if column == "text" else ("described", found.text)


_STATUS_WORDS = {
    "outstanding": "reopened",
    "completed": "completed",
    "not_doing": "decided against",
    DELETED: "deleted",
}
"""Words of the timeline entry for the new status of an action or follow-up."""


def _status(db: SqlConnection, found: FollowUp, change: FollowUpChange) -> Iterator[Did]:
    wanted = change.status
    if wanted is None or wanted == found.status:
        return
    done_at = None if wanted == "outstanding" else written(change.at)
    db.execute("UPDATE follow_ups SET status = ?, done_at = ? WHERE id = ?", [wanted, done_at, found.id])
    yield _STATUS_WORDS[wanted], change.text or found.text


def _issue(db: SqlConnection, found: FollowUp, change: FollowUpChange) -> Iterator[Did]:
    known = found.external_issue_reference
    if change.issue_url is not None and change.issue_url != (known.issue_permalink if known else None):
        db.execute("UPDATE follow_ups SET issue_url = ? WHERE id = ?", [change.issue_url, found.id])
        yield "linked the issue of", f"{found.text} {change.issue_url}"


def _slack_id(person: Person | None) -> str | None:
    return person.slack_user_id if person is not None else None


def _note(
    db: SqlConnection, incident_id: str, by: Person, at: datetime, did: str, kind: str, text: str, key: str
) -> None:
    article = "the" if did != "added" else "an" if kind == "action" else "a"
    actor = by if display_name(by) else None
    entry = TimelineEntry(at=at, by=actor, verb=f"{did} {article} {FOLLOW_UP_WORDS[kind]}:", text=text)
    create.add_to_timeline(db, incident_id, entry, f"{key}:{did}")


def follow_up_in(kept: dict[str, Any]) -> FollowUp:
    """Return the action or follow-up in a row of its table with the assignee's known name and address."""
    row = readable(kept)
    assignee = Person(
        slack_user_id=row["assignee_slack_user_id"], name=row["known_name"] or None, email=row["known_email"]
    )
    # A file that is only read may be an earlier version's.
    is_done = row["done_at"] is not None
    status = kept.get("status")
    return FollowUp(
        id=row["id"],
        incident_id=row["incident_id"],
        kind="follow_up" if row["kind"] == "follow_up" else "action",
        text=row["text"],
        description=row.get("description") or "",
        assignee=assignee if any(assignee.model_dump().values()) else None,
        status=status if status in _STATUS_WORDS else "completed" if is_done else "outstanding",
        is_done=is_done,
        created_at=row["created_at"],
        updated_at=row["updated_at"] if kept.get("updated_at") else row["done_at"] or row["created_at"],
        done_at=row["done_at"],
        runbook_url=row.get("runbook_url") or None,
        external_issue_reference=issue_at(url) if (url := row.get("issue_url")) else None,
    )
