"""Queries of the local backend, and conversion of rows to models."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from urllib.parse import quote

from tocsin.backends.local.connection import WORD, Query, Row, SqlConnection
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import (
    OPEN_CATEGORIES,
    SOMEBODY,
    AlertSummary,
    Automation,
    CustomField,
    FieldEntry,
    FieldKind,
    FieldOption,
    FieldValue,
    Incident,
    IncidentTimestamp,
    IncidentType,
    Person,
    Role,
    RoleAssignment,
    Severity,
    SourceMessage,
    Status,
    TimelineEntry,
    TimestampValue,
)
from tocsin.incidents.requests import IncidentFilter
from tocsin.incidents.transitions import MERGED_INTO, MERGED_INTO_IT, NAMELESS, PEOPLE_VERBS, TIMELINE_VERBS

# Filtered lists. Each page walks along one index, so its cost depends on the page's size alone.

_NO_NUMBER = 1 << 62
ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
REFERENCE = re.compile(r"(?:INC-)?([1-9][0-9]{0,14})", re.ASCII | re.IGNORECASE)

# Index to use for each combination of filters (see schema.py).
_INDEXES = {
    (): "incidents_listed",
    ("open",): "incidents_by_openness",
    ("open", "severity"): "incidents_by_openness_and_severity",
    ("severity",): "incidents_by_severity",
    ("status",): "incidents_by_status",
    ("status", "severity"): "incidents_by_status_and_severity",
}


def matching_numbers(db: SqlConnection, wanted: IncidentFilter, after: str | None, limit: int) -> list[int]:
    """Return the numbers of matching incidents, newest first; none if `after` is an unknown id."""
    before = _NO_NUMBER
    if after is not None:
        row = db.execute("SELECT number FROM incidents WHERE id = ?", [after]).fetchone()
        if row is None:
            return []
        before = row[0]
    if _contradicts_itself(db, wanted):
        return []
    if wanted.reference:
        return _named(db, wanted)[:limit]
    found: set[int] = set()
    for walk in _walks(db, wanted, before):
        found |= _walked(db, walk, limit)
    return sorted(found, reverse=True)[:limit]


def _walked(db: SqlConnection, walk: Sequence[Query], limit: int) -> set[int]:
    """Return the first numbers of a walk, whose queries follow each other until there are enough."""
    numbers: set[int] = set()
    for query, parameters in walk:
        numbers |= {row[0] for row in db.execute(f"{query} LIMIT ?", [*parameters, limit - len(numbers)])}
        if len(numbers) >= limit:
            break
    return numbers


def named_number(db: SqlConnection, reference: str) -> int:
    """Return the number for a reference, number or id; 0, which no incident has, if it is none of these."""
    wanted = reference.strip()
    if number := REFERENCE.fullmatch(wanted):
        return int(number[1])
    if not ID.fullmatch(wanted):
        return 0
    row = db.execute("SELECT number FROM incidents WHERE id = ?", [wanted]).fetchone()
    return int(row[0]) if row is not None else 0


# The next lower number stands in for one that is missing or hidden, and is thrown away like it.
_ALONE = """SELECT i.number FROM (SELECT i.number, i.slack_team_id FROM incidents i{indexed}
    WHERE {public} = ? AND i.number <= ? ORDER BY i.number DESC LIMIT 1) i WHERE i.number = ?"""
_THEIR_OWN = """SELECT p.number FROM incident_people p
    WHERE p.slack_user_id = ? AND p.is_public = 0 AND p.is_open = ? AND p.number <= ?
    ORDER BY p.number DESC LIMIT 1"""


def _named(db: SqlConnection, wanted: IncidentFilter) -> list[int]:
    """Return the number of the incident with this reference, if the viewer may see it; else an empty list.

    A hidden incident takes the same queries and as many steps as a missing one, so that timing reveals
    nothing: the index keeps public and private incidents apart, and a private one is looked up among the
    viewer's own.
    """
    # For an id that is not there, the newest number stands in.
    number, viewer = named_number(db, wanted.reference), wanted.visible_to
    at_most = number or _NO_NUMBER
    conditions, parameters = _conditions(db, IncidentFilter(teams=wanted.teams))
    alone = _ALONE.format(indexed=db.indexed_by(_INDEXES[()]), public=db.is_public)
    where = " AND ".join([alone, *conditions])
    may_see = [1, 0] if viewer is None or _is_their_own(db, viewer, number, at_most) else [1]
    return [row[0] for public in may_see for row in db.execute(where, [public, at_most, number, *parameters])]


def _is_their_own(db: SqlConnection, person: str, number: int, at_most: int) -> bool:
    """True if this private incident involves the person."""
    nearest = [db.execute(_THEIR_OWN, [person, is_open, at_most]).fetchone() for is_open in (1, 0)]
    return any(row is not None and row[0] == number for row in nearest)


def _contradicts_itself(db: SqlConnection, wanted: IncidentFilter) -> bool:
    """True if nothing can match: a closed incident in an open status, or words without a letter."""
    if wanted.text.strip() and not WORD.search(wanted.text):
        return True
    if wanted.incident_status_id is None or wanted.is_open is None:
        return False
    asked = "SELECT category FROM incident_statuses WHERE id = ?"
    row = db.execute(asked, [wanted.incident_status_id]).fetchone()
    return row is None or (row[0] in OPEN_CATEGORIES) != wanted.is_open


def _walks(db: SqlConnection, wanted: IncidentFilter, before: int) -> Iterator[Sequence[Query]]:
    """Yield one walk over public incidents and one over the private ones that the viewer may see."""
    if wanted.text.strip() and wanted.visible_to is None and wanted.involving is None:
        yield _among_words(db, wanted, before)
        return
    for public in (1, 0):
        if not public and wanted.visible_to is not None:
            yield from _among_their_own(db, wanted, wanted.visible_to, public, before)
        elif wanted.involving is not None:
            yield from _among_their_own(db, wanted, wanted.involving, public, before)
        else:
            yield _among_all(db, wanted, public, before)


def _among_words(
    db: SqlConnection,
    wanted: IncidentFilter,
    before: int,
    public: int | None = None,
    people: Sequence[str] = (),
) -> Sequence[Query]:
    """Build queries over the incidents that contain all the words; each stops once the page is full."""
    conditions, parameters = _conditions(db, wanted)
    if public is not None:
        conditions, parameters = [f"{db.is_public} = ?", *conditions], [public, *parameters]
    for person in people:
        # A person may see what the table of people says; the index of words only finds it sooner.
        conditions.append(
            "EXISTS (SELECT 1 FROM incident_people q WHERE q.number = i.number AND q.slack_user_id = ?)"
        )
        parameters.append(person)
    also = "".join(f" AND {condition}" for condition in conditions)
    return [
        (query.format(conditions=also), [*given, *parameters])
        for query, given in db.word_searches(wanted.text, before, public, people)
    ]


def _among_all(db: SqlConnection, wanted: IncidentFilter, public: int, before: int) -> Sequence[Query]:
    if wanted.text.strip():
        return _among_words(db, wanted, before, public)
    conditions, parameters = _conditions(db, wanted)
    where = [f"{db.is_public} = ?", *conditions, "i.number < ?"]
    start = f"SELECT i.number FROM incidents i{db.indexed_by(_INDEXES[_asked(wanted)])}"
    query = f"{start} WHERE {' AND '.join(where)} ORDER BY i.number DESC"
    return [(query, [public, *parameters, before])]


def _among_their_own(
    db: SqlConnection, wanted: IncidentFilter, person: str, public: int, before: int
) -> Iterator[Sequence[Query]]:
    """Yield walks over one person's incidents: one over open ones and one over closed ones.

    Words, and a second person, are looked for among both at once where the database can.
    """
    conditions, parameters = _conditions(db, wanted)
    also = wanted.involving
    has_words = db.has_words("p.number", wanted.text)
    if has_words is None and (wanted.text.strip() or also not in {None, person}):
        yield _among_words(db, wanted, before, public, sorted({person, also or person}))
        return
    if also is not None and also != person:
        conditions.append(
            "EXISTS (SELECT 1 FROM incident_people q WHERE q.slack_user_id = ?"
            " AND q.is_public = p.is_public AND q.is_open = p.is_open AND q.number = p.number)"
        )
        parameters.append(also)
    if has_words is not None:
        conditions.append(has_words[0])
        parameters += has_words[1]
    where = ["p.slack_user_id = ?", "p.is_public = ?", "p.is_open = ?", "p.number < ?"]
    start = (
        f"SELECT DISTINCT p.number FROM incident_people p {db.join_in_order} incidents i"
        " ON i.number = p.number"
    )
    for is_open in (1, 0) if wanted.is_open is None else (int(wanted.is_open),):
        query = f"{start} WHERE {' AND '.join([*where, *conditions])} ORDER BY p.number DESC"
        yield [(query, [person, public, is_open, before, *parameters])]


def _asked(wanted: IncidentFilter) -> tuple[str, ...]:
    """Return the filters that select the index; a status implies open or closed, so both are never needed."""
    first = ("status",) if wanted.incident_status_id is not None else ("open",) * (wanted.is_open is not None)
    return (*first, *(("severity",) * (wanted.severity_id is not None)))


def _conditions(db: SqlConnection, wanted: IncidentFilter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    parameters: list[Any] = []
    if wanted.is_open is not None and wanted.incident_status_id is None:
        conditions.append(f"{db.is_open} = ?")
        parameters.append(int(wanted.is_open))
    for column, value in (
        ("incident_status_id", wanted.incident_status_id),
        ("severity_id", wanted.severity_id),
    ):
        if value is not None:
            conditions.append(f"i.{column} = ?")
            parameters.append(value)
    if wanted.teams is not None:
        conditions.append(f"i.slack_team_id IN ({marks(tuple(wanted.teams))})")
        parameters += sorted(wanted.teams)
    return conditions, parameters


# From one status to the next along the index, so that it costs the same however many incidents there are.
_STATUSES_IN_USE = """
WITH RECURSIVE used(id) AS (
    SELECT ({next} ORDER BY i.incident_status_id LIMIT 1)
    UNION ALL
    SELECT ({next} AND i.incident_status_id > used.id ORDER BY i.incident_status_id LIMIT 1)
    FROM used WHERE used.id IS NOT NULL)
SELECT u.id FROM used u LEFT JOIN incident_statuses s ON s.id = u.id WHERE u.id IS NOT NULL AND s.id IS NULL
"""


def unknown_statuses(db: SqlConnection, seen: Sequence[int] = (1,)) -> list[str]:
    """Return the ids of statuses that incidents have and that are not there.

    `seen` has 1 for public incidents and 0 for private ones, which cost who may not see them nothing.
    """
    indexed, found = db.indexed_by(_INDEXES["status",]), set[str]()
    for public in seen:
        following = f"SELECT i.incident_status_id FROM incidents i{indexed} WHERE {db.is_public} = {public}"
        found |= {str(row[0]) for row in db.execute(_STATUSES_IN_USE.format(next=following))}
    return sorted(found)


def marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


# Coercion of hand-edited rows to the expected types. SQLite keeps any value in any column, and one odd row
# must not break the page, the list or the card.

UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)

_NUMBERS = frozenset({"rank", "sort_key", "severity_rank", "status_rank", "option_sort_key"})
_SWITCHES = frozenset(
    {"required", "is_default", "private_incidents_only", "type_is_default", "type_private_only"}
)
_TIMES = frozenset({"created_at", "updated_at", "timestamp"})
_MAYBE_TIMES = frozenset({"closed_at", "done_at", "set_to"})
_PERHAPS = (
    "_id", "_email", "_option", "_permalink", "_url", "by_name", "by_email", "assignee_name", "actor_name",
    "member_name",
    "value_text", "value_link", "value_numeric",
)  # fmt: skip
_KINDS = frozenset(get_args(FieldKind))
_AUTOMATIONS = frozenset(get_args(Automation.model_fields["kind"].annotation))
_AS_TEXT = frozenset({"source_message_timestamp"})


def readable(row: Mapping[str, Any]) -> Row:
    """Coerce every value to the type of its column; a value that cannot be converted is left empty."""
    return {column: _readable(column, value) for column, value in row.items()}


def _readable(column: str, value: Any) -> Any:
    if column in _TIMES:
        return _moment(value)
    if column in _MAYBE_TIMES:
        return None if value is None else _moment(value)
    if column in _NUMBERS:
        return value if isinstance(value, int) else 0
    if column in _SWITCHES:
        return value == 1
    if column == "field_type":
        return value if value in _KINDS else "text"
    if value is None:
        return None if column.endswith(_PERHAPS) or column in _AS_TEXT else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def stripped(row: Row) -> Row:
    """Return the row with its texts as people read them: a client may have ended one with a line break."""
    texts: Row = {name: row[name].strip() for name in ("description", "instructions") if name in row}
    return {**row, **texts}


def _moment(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN_TIME


# Rows of incidents as models.

_GIVEN = re.compile(r"<@[UW][A-Z0-9]+>|[UW][A-Z0-9]{8,}")
"""Text of a timeline entry that is a Slack user id: `<@U…>`, or the bare id in older entries."""

# A choice that is not there, since the row was edited by hand, is shown by its id.

CATEGORY = "COALESCE(s.category, CASE WHEN i.closed_at IS NULL THEN 'live' ELSE 'closed' END)"
"""Category of the status `s` of `incidents i`: one that is not there is open as long as the incident is."""

_INCIDENTS = f"""
SELECT i.*,
    COALESCE(p.name, i.creator_name) AS by_name, COALESCE(p.email, i.creator_email) AS by_email,
    COALESCE(v.name, i.severity_id) AS severity_name, v.description AS severity_description,
    v.rank AS severity_rank,
    COALESCE(s.name, i.incident_status_id) AS status_name, s.description AS status_description,
    {CATEGORY} AS status_category, s.rank AS status_rank,
    COALESCE(t.name, i.incident_type_id) AS type_name, t.description AS type_description,
    t.is_default AS type_is_default, t.private_incidents_only AS type_private_only,
    COALESCE(t.create_in_triage, 'optional') AS type_in_triage
FROM incidents i
LEFT JOIN incident_statuses s ON s.id = i.incident_status_id
LEFT JOIN severities v ON v.id = i.severity_id
LEFT JOIN incident_types t ON t.id = i.incident_type_id
LEFT JOIN people p ON p.slack_user_id = i.creator_slack_user_id
"""

BY_ID = _INCIDENTS + "WHERE i.id = ?"
BY_NUMBER = _INCIDENTS + "WHERE i.number = ?"
BY_NUMBERS = _INCIDENTS + "WHERE i.number IN ({marks}) ORDER BY i.number DESC"
NEWEST = _INCIDENTS + "ORDER BY i.number DESC LIMIT ?"
OLDER_THAN = (
    _INCIDENTS + "WHERE i.number < (SELECT number FROM incidents WHERE id = ?) ORDER BY i.number DESC LIMIT ?"
)

_ROLES = """
SELECT a.incident_id, a.assignee_slack_user_id,
    COALESCE(p.name, a.assignee_name) AS assignee_name, COALESCE(p.email, a.assignee_email) AS assignee_email,
    a.incident_role_id AS id, COALESCE(r.name, a.incident_role_id) AS name, r.description, r.instructions,
    COALESCE(r.role_type, 'custom') AS role_type, r.shortform
FROM incident_role_assignments a
LEFT JOIN incident_roles r ON r.id = a.incident_role_id
LEFT JOIN people p ON p.slack_user_id = a.assignee_slack_user_id
WHERE a.incident_id IN ({marks})
ORDER BY r.rowid
"""

_MEMBERS = """
SELECT m.incident_id, m.slack_user_id AS member_slack_user_id, p.name AS member_name, p.email AS member_email
FROM incident_memberships m LEFT JOIN people p ON p.slack_user_id = m.slack_user_id
WHERE m.incident_id IN ({marks}) ORDER BY m.created_at, m.slack_user_id
"""

_ENTRIES = """
SELECT e.incident_id, e.value_text, e.value_link, e.value_numeric, e.value_option_id,
    COALESCE(o.value, e.value_option_id) AS option_value, o.sort_key AS option_sort_key,
    e.custom_field_id AS id, COALESCE(f.name, e.custom_field_id) AS name, f.description, f.field_type,
    f.required
FROM custom_field_entries e
LEFT JOIN custom_fields f ON f.id = e.custom_field_id
LEFT JOIN custom_field_options o ON o.custom_field_id = e.custom_field_id AND o.id = e.value_option_id
WHERE e.incident_id IN ({marks})
ORDER BY f.rank, e.custom_field_id, e.position
"""

_TIMESTAMPS = """
SELECT w.incident_id, w.value AS set_to, w.incident_timestamp_id AS id,
    COALESCE(t.name, w.incident_timestamp_id) AS name, t.description, t.rank
FROM incident_timestamp_values w LEFT JOIN incident_timestamps t ON t.id = w.incident_timestamp_id
WHERE w.incident_id IN ({marks})
ORDER BY t.rank, w.incident_timestamp_id
"""

_TIMELINE = """
SELECT l.id, l.idempotency_key, l.timestamp, l.verb, l.text, l.actor_slack_user_id,
    COALESCE(p.name, l.actor_name) AS actor_name, COALESCE(p.email, l.actor_email) AS actor_email,
    given.name AS given_name, other.visibility AS other_visibility
FROM incident_timeline_items l
LEFT JOIN people p ON p.slack_user_id = l.actor_slack_user_id
LEFT JOIN people given ON given.slack_user_id = trim(l.text, '<@>')
LEFT JOIN incidents other ON other.reference = l.text
WHERE l.incident_id = ? ORDER BY l.timestamp, l.id
"""


def written(at: datetime) -> str:
    """Format a moment for storage: RFC 3339 in UTC, of fixed length, so that text sorts as time does."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def written_after(previous: datetime, now: datetime) -> str:
    """Return now, or the moment after the previous one if the clock was set back since.

    So a change is never older than the one before it. After year 9999 no later moment can be formed.
    """
    is_set_back = now <= previous and previous.year < datetime.max.year
    return written(previous + timedelta(microseconds=1) if is_set_back else now)


def incident_row(db: SqlConnection, incident_id: str) -> dict[str, Any]:
    """Return the incident's own row, `updated_at` as a datetime. Raises Refused without such a row."""
    found = next(iter(db.query("SELECT * FROM incidents WHERE id = ?", [incident_id])), None)
    if found is None:
        raise Refused("That incident is not here any more.")
    return {**found, "updated_at": readable(found)["updated_at"]}


def incidents(db: SqlConnection, query: str, parameters: Sequence[Any], public_url: str) -> list[Incident]:
    """Return the incidents that one of this module's queries finds, with roles, fields and timestamps."""
    found = [readable(row) for row in db.query(query, parameters)]
    ids = [row["id"] for row in found]
    roles, entries, times = (_by_incident(db, part, ids) for part in (_ROLES, _ENTRIES, _TIMESTAMPS))
    members = _by_incident(db, _MEMBERS, [row["id"] for row in found if row["visibility"] != "public"])
    return [
        _incident(row, roles[row["id"]], entries[row["id"]], public_url).model_copy(
            update={
                "members": tuple(filter(None, (person_in(one, "member") for one in members[row["id"]]))),
                "incident_timestamp_values": tuple(map(_time, times[row["id"]])),
            }
        )
        for row in found
    ]


def _time(row: Row) -> TimestampValue:
    return TimestampValue(incident_timestamp=IncidentTimestamp(**row), value=row["set_to"])


def timeline(db: SqlConnection, incident_id: str) -> list[TimelineEntry]:
    """Return the timeline, oldest first."""
    return [
        TimelineEntry(
            at=row["timestamp"],
            by=person_in(row, "actor"),
            verb=row["verb"],
            text=_text(row),
            id=row["id"],
            key=row["idempotency_key"],
        )
        for row in map(readable, db.query(_TIMELINE, [incident_id]))
    ]


def _text(row: Row) -> str:
    """Return the entry's text, with the name for the id of a person who got a role or was invited.

    An incident into which it was merged, or that was merged into it, is named unless it is private now: a
    reader of this one may be one who must not know of it.
    """
    text, verb = str(row["text"]), str(row["verb"])
    if verb in {MERGED_INTO, MERGED_INTO_IT} and row["other_visibility"] == "private":
        return NAMELESS
    gave_role = verb.startswith("set ") and verb not in TIMELINE_VERBS.values()
    if not _GIVEN.fullmatch(text) or not (gave_role or verb in PEOPLE_VERBS):
        return text
    return str(row["given_name"] or SOMEBODY)


def _by_incident(db: SqlConnection, query: str, ids: Sequence[str]) -> defaultdict[str, list[Row]]:
    grouped: defaultdict[str, list[Row]] = defaultdict(list)
    if ids:
        for row in map(readable, db.query(query.format(marks=", ".join("?" * len(ids))), ids)):
            grouped[row["incident_id"]].append(row)
    return grouped


def _incident(row: Row, roles: Sequence[Row], entries: Sequence[Row], public_url: str) -> Incident:
    automation = _automation(row)
    creator = Person(slack_user_id=row["creator_slack_user_id"], name=row["by_name"], email=row["by_email"])
    return Incident(
        **{field: row[field] for field in Incident.model_fields if field in row and field != "alerts"},
        permalink=f"{public_url.rstrip('/')}/incidents/{quote(row['reference'], safe='')}",
        severity=_severity(row),
        incident_status=Status(
            id=row["incident_status_id"],
            name=row["status_name"],
            description=row["status_description"].strip(),
            category=row["status_category"],
            rank=row["status_rank"],
        ),
        incident_type=_type(row),
        source=_source(row),
        creator=creator if automation is None else Person(),
        automation=automation,
        alerts=_alerts(row),
        incident_role_assignments=tuple(
            RoleAssignment(role=Role(**stripped(role)), assignee=person_in(role, "assignee"))
            for role in roles
        ),
        custom_field_entries=tuple(_entries(entries)),
    )


def _automation(row: Row) -> Automation | None:
    # A file that is only read may be an earlier version's, without these columns.
    kind: Any = row.get("creator_kind")
    if kind not in _AUTOMATIONS:
        return None
    return Automation(kind=kind, id=row["creator_id"] or "", name=row["by_name"] or "")


def _alerts(row: Row) -> AlertSummary | None:
    try:
        return AlertSummary.model_validate_json(row["alerts"]) if row.get("alerts") else None
    except ValueError:
        # Somebody edited the row by hand.
        return None


def _severity(row: Row) -> Severity | None:
    if row["severity_id"] is None:
        return None
    return Severity(
        id=row["severity_id"],
        name=row["severity_name"],
        description=row["severity_description"].strip(),
        rank=row["severity_rank"],
    )


def _type(row: Row) -> IncidentType | None:
    if row["incident_type_id"] is None:
        return None
    return IncidentType(
        id=row["incident_type_id"],
        name=row["type_name"],
        description=row["type_description"],
        is_default=row["type_is_default"],
        private_incidents_only=row["type_private_only"],
        create_in_triage=row["type_in_triage"],
    )


def _source(row: Row) -> SourceMessage | None:
    if row["source_message_channel_id"] is None or row["source_message_timestamp"] is None:
        return None
    return SourceMessage(
        channel=row["source_message_channel_id"],
        timestamp=row["source_message_timestamp"],
        permalink=row["source_message_permalink"],
    )


def person_in(row: Row, prefix: str) -> Person | None:
    """Return the person that the columns with this prefix name; None if they name no one."""
    values = {field: row[f"{prefix}_{field}"] for field in ("slack_user_id", "name", "email")}
    return Person(**values) if any(values.values()) else None


def _entries(rows: Iterable[Row]) -> Iterable[FieldEntry]:
    answers: dict[str, tuple[CustomField, list[FieldValue]]] = {}
    for row in rows:
        _, values = answers.setdefault(row["id"], (CustomField(**row), []))
        values.append(_value(row))
    for field, values in answers.values():
        yield FieldEntry(custom_field=field, values=tuple(values))


def _value(row: Row) -> FieldValue:
    option = None
    if row["value_option_id"] is not None:
        option = FieldOption(
            id=row["value_option_id"], value=row["option_value"], sort_key=row["option_sort_key"]
        )
    return FieldValue(
        value_text=row["value_text"],
        value_link=row["value_link"],
        value_numeric=row["value_numeric"],
        value_option=option,
    )
