"""Insertion of a declared incident, with its number and id."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.outbox import Outbox
from tocsin.backends.local.queries import written
from tocsin.config import slug
from tocsin.incidents.errors import Refused, gone
from tocsin.incidents.model import FieldValue, Form, Person, PersonId, Status, TimelineEntry
from tocsin.incidents.requests import Declaration
from tocsin.incidents.timestamps import TimestampRule, set_by
from tocsin.incidents.validation import TIME_FIELD

# Ids that sort by their time of creation (the ULID specification: 48 bits of time, 80 random bits).

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(at: datetime, chance: int | None = None) -> str:
    """Return a new id of 26 characters for this moment, to the millisecond; `chance` are its 80 last bits."""
    number = (int(at.timestamp() * 1000) << 80) | (secrets.randbits(80) if chance is None else chance)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -5, -5))


# Insertion of an incident, in one transaction.

_INSERT_INCIDENT = """
INSERT INTO incidents (
    id, number, reference, idempotency_key, name, summary,
    severity_id, incident_status_id, incident_type_id, visibility, mode, slack_team_id, call_url,
    source_message_channel_id, source_message_timestamp, source_message_permalink,
    creator_slack_user_id, creator_name, creator_email, creator_kind, creator_id,
    alerts, created_at, updated_at, closed_at
) VALUES (
    :id, :number, :reference, :key, :name, :summary,
    :severity_id, :incident_status_id, :incident_type_id, :visibility, :mode, :slack_team_id, :call_url,
    :source_channel, :source_timestamp, :source_permalink,
    :slack_user_id, :person_name, :email, :creator_kind, :creator_id, :alerts, :at, :at, :closed_at
)
"""
INSERT_ROLE = """
INSERT INTO incident_role_assignments
    (incident_id, incident_role_id, assignee_slack_user_id, assignee_name, assignee_email)
VALUES (?, ?, ?, ?, ?)
"""
_INSERT_ENTRY = """
INSERT INTO custom_field_entries
    (incident_id, custom_field_id, position, value_text, value_link, value_numeric, value_option_id)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_CLEAR_TIME = "DELETE FROM incident_timestamp_values WHERE incident_id = ? AND incident_timestamp_id = ?"
_INSERT_TIME = "INSERT INTO incident_timestamp_values VALUES (?, ?, ?)"
_INSERT_TIMELINE = """
INSERT INTO incident_timeline_items
    (incident_id, idempotency_key, timestamp, actor_slack_user_id, actor_name, actor_email, verb, text)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (incident_id, idempotency_key) DO NOTHING
"""
_INSERT_PERSON = """
INSERT INTO people (slack_user_id, name, email, updated_at) VALUES (?, ?, ?, ?)
ON CONFLICT (slack_user_id) DO UPDATE SET
    name = COALESCE(excluded.name, people.name), email = COALESCE(excluded.email, people.email),
    updated_at = excluded.updated_at
WHERE COALESCE(people.name, '') <> COALESCE(excluded.name, people.name, '')
    OR COALESCE(people.email, '') <> COALESCE(excluded.email, people.email, '')
"""


NUMBERING = "numbering"
"""Scope of the transactions that give numbers: one after the other, so that no number is left out."""


def declare(
    db: SqlConnection,
    declaration: Declaration,
    form: Form,
    rules: Sequence[TimestampRule],
    now: datetime,
    outbox: Outbox,
) -> str:
    """Create the incident and return its id; a key that was used before returns the first incident's id.

    `rules` set its first timestamps.

    Raises Refused with a sentence for each choice that never existed.
    """
    with db.transaction(NUMBERING):
        earlier = db.execute(
            "SELECT id FROM incidents WHERE idempotency_key = ?", [declaration.key]
        ).fetchone()
        if earlier is not None:
            return str(earlier[0])
        _refuse_unknown(db, declaration)
        number = db.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM incidents").fetchone()[0]
        incident_id = ulid(now)
        _insert_incident(db, declaration, form, incident_id, number)
        _insert_roles(db, declaration, form, incident_id)
        db.index_words(number)
        _insert_entries(db, declaration, incident_id)
        _set_times(db, declaration, form, rules, incident_id)
        first = TimelineEntry(
            at=declaration.at, by=declaration.declared_by, verb="declared", text=_headline(db, declaration)
        )
        add_to_timeline(db, incident_id, first, key="declared")
        outbox.created(db, incident_id, declaration.key, now)
    return incident_id


def add_to_timeline(db: SqlConnection, incident_id: str, entry: TimelineEntry, key: str) -> None:
    """Add a timeline entry, unless this incident has one with the same key."""
    by = entry.by or Person()
    remember_person(db, by, written(entry.at))
    db.execute(
        _INSERT_TIMELINE,
        [
            incident_id,
            key,
            written(entry.at),
            by.slack_user_id,
            by.name,
            by.email,
            entry.verb,
            entry.text,
        ],
    )


def take_out_of_timeline(db: SqlConnection, incident_id: str, key: str) -> None:
    """Remove the entry with this key, if there is one."""
    db.execute(
        "DELETE FROM incident_timeline_items WHERE incident_id = ? AND idempotency_key = ?",
        [incident_id, key],
    )


def remember_person(db: SqlConnection, person: Person, now: str) -> None:
    """Store a person's name and email address, so that pages can show them in place of the Slack id."""
    if person.slack_user_id and (person.name or person.email):
        db.execute(_INSERT_PERSON, [person.slack_user_id, person.name, person.email, now])


def _insert_incident(
    db: SqlConnection, declaration: Declaration, form: Form, incident_id: str, number: int
) -> None:
    source, reporter, automation = declaration.source, declaration.reporter, declaration.automation
    is_over = declaration.mode == "retrospective"
    for person in (reporter, *declaration.assignees):
        remember_person(db, person, written(declaration.at))
    values: dict[str, Any] = {
        "id": incident_id,
        "number": number,
        "reference": f"INC-{number}",
        "key": declaration.key,
        "name": declaration.name,
        "summary": declaration.summary,
        "severity_id": declaration.severity_id,
        "incident_status_id": (_closed_status(form) if is_over else start_status(form, declaration)).id,
        "incident_type_id": _type_of(form, declaration),
        "visibility": declaration.visibility,
        "mode": declaration.mode,
        "slack_team_id": declaration.slack_team_id,
        "call_url": declaration.call_url,
        "source_channel": source and source.channel,
        "source_timestamp": source and source.timestamp,
        "source_permalink": source and source.permalink,
        "slack_user_id": reporter.slack_user_id,
        "person_name": automation.name if automation is not None else reporter.name,
        "email": reporter.email,
        "creator_kind": automation and automation.kind,
        "creator_id": automation and automation.id,
        "alerts": declaration.alerts and declaration.alerts.model_dump_json(),
        "at": written(declaration.at),
        "closed_at": written(_ended(declaration)) if is_over else None,
    }
    db.execute(_INSERT_INCIDENT, values)


def start_status(form: Form, declaration: Declaration) -> Status:
    """Return the status in which this declaration starts: the first of category `triage` or `live`."""
    kind = form.incident_type(_type_of(form, declaration) or "")
    if form.triage_status is not None and (
        declaration.status == "triage" or (kind is not None and kind.create_in_triage == "always")
    ):
        return form.triage_status
    asked = form.status(declaration.incident_status_id or "")
    return asked or _first_status(form, "live")


def _closed_status(form: Form) -> Status:
    """Return the status of an incident that is declared in retrospect."""
    return _first_status(form, "closed")


def _first_status(form: Form, category: str) -> Status:
    found = (status for status in form.statuses if status.category == category)
    # A file that was edited by hand may have none.
    return next(found, form.statuses[0])


def _type_of(form: Form, declaration: Declaration) -> str | None:
    """Return the id of the type: the declaration's own, else the default, else the first."""
    usual = form.usual_type or next(iter(form.incident_types), None)
    return declaration.incident_type_id or (usual.id if usual is not None else None)


def _ended(declaration: Declaration) -> datetime:
    """Return the end of what is declared in retrospect: the latest of its times, else the declaration."""
    return max(declaration.incident_timestamp_values.values(), default=declaration.at)


def _set_times(
    db: SqlConnection, declaration: Declaration, form: Form, rules: Sequence[TimestampRule], incident_id: str
) -> None:
    """Set the timestamps of a declaration; what was over before has those that the reporter gave, alone."""
    times = dict(declaration.incident_timestamp_values)
    if declaration.mode != "retrospective":
        lead = {role.id for role in form.roles if role.role_type == "lead"}
        start = start_status(form, declaration)
        events = ["declared", *events_of(start.id, start.name)]
        events += ["lead"] * (not lead.isdisjoint(declaration.incident_role_assignments))
        for event in events:
            times |= dict.fromkeys(set_by(rules, event, times), declaration.at)
    for timestamp_id, value in times.items():
        set_time(db, incident_id, timestamp_id, value)


def events_of(status_id: str, name: str) -> list[str]:
    """Return the words by which rules mean a status: its id, and the id that a file makes of its name."""
    return list(dict.fromkeys([status_id, slug(name)]))


def set_time(db: SqlConnection, incident_id: str, timestamp_id: str, value: datetime | None) -> None:
    """Set a timestamp, or clear it."""
    db.execute(_CLEAR_TIME, [incident_id, timestamp_id])
    if value is not None:
        db.execute(_INSERT_TIME, [incident_id, timestamp_id, written(value)])


def _insert_roles(db: SqlConnection, declaration: Declaration, form: Form, incident_id: str) -> None:
    reporter = declaration.reporter
    holders: dict[str, PersonId | None] = dict(declaration.incident_role_assignments)
    if reporter != Person():
        holders |= {role.id: reporter.slack_user_id for role in form.roles if role.role_type == "reporter"}
    for role_id, person in holders.items():
        known = person_with_id([reporter, *declaration.assignees], person)
        db.execute(INSERT_ROLE, [incident_id, role_id, known.slack_user_id, known.name, known.email])


def person_with_id(known: Iterable[Person], person: PersonId | None) -> Person:
    """Return the person with this Slack id from `known`, or a Person with the id alone."""
    return next((one for one in known if one.slack_user_id == person), Person(slack_user_id=person))


def _insert_entries(db: SqlConnection, declaration: Declaration, incident_id: str) -> None:
    for field_id, values in declaration.custom_field_entries.items():
        insert_answers(db, incident_id, field_id, values)


def insert_answers(db: SqlConnection, incident_id: str, field_id: str, values: Iterable[FieldValue]) -> None:
    """Insert the answers to one custom field."""
    for position, value in enumerate(values):
        option_id = value.value_option.id if value.value_option else None
        kinds = [value.value_text, value.value_link, value.value_numeric, option_id]
        db.execute(_INSERT_ENTRY, [incident_id, field_id, position, *kinds])


def _headline(db: SqlConnection, declaration: Declaration) -> str:
    severity = db.execute("SELECT name FROM severities WHERE id = ?", [declaration.severity_id]).fetchone()
    return f"{declaration.name} ({severity[0]})" if severity else declaration.name


def _refuse_unknown(db: SqlConnection, declaration: Declaration) -> None:
    """Raise Refused for choices that never existed; one that was archived meanwhile is still accepted."""
    wrong = {
        field: sentence
        for field, sentence, query, parameters in _lookups(declaration)
        if db.execute(query, parameters).fetchone() is None
    }
    if wrong:
        raise Refused("Some fields need another look.", wrong)


Lookup = tuple[str, str, str, list[Any]]
"""Field of a choice, the sentence if the choice never existed, and the query that finds it."""


def _lookups(declaration: Declaration) -> Iterator[Lookup]:
    if declaration.severity_id is not None:
        query = "SELECT 1 FROM severities WHERE id = ?"
        yield "severity_id", _gone("severity"), query, [declaration.severity_id]
    if declaration.incident_type_id is not None:
        query = "SELECT 1 FROM incident_types WHERE id = ?"
        yield "incident_type_id", _gone("incident type"), query, [declaration.incident_type_id]
    for role_id in declaration.incident_role_assignments:
        query = "SELECT 1 FROM incident_roles WHERE id = ?"
        yield f"incident_role_assignments.{role_id}", _gone("role"), query, [role_id]
    for timestamp_id in declaration.incident_timestamp_values:
        query = "SELECT 1 FROM incident_timestamps WHERE id = ?"
        yield f"{TIME_FIELD}{timestamp_id}", _gone("time"), query, [timestamp_id]
    yield from field_lookups(declaration.custom_field_entries)


def field_lookups(entries: Mapping[str, Sequence[FieldValue]]) -> Iterator[Lookup]:
    """Yield the look-ups of each answered field and of each option that was chosen."""
    for field_id, values in entries.items():
        place = f"custom_field_entries.{field_id}"
        yield place, _gone("field"), "SELECT 1 FROM custom_fields WHERE id = ?", [field_id]
        for value in values:
            yield from _option_lookup(place, field_id, value)


def _option_lookup(place: str, field_id: str, value: FieldValue) -> Iterator[Lookup]:
    if value.value_option is not None:
        query = "SELECT 1 FROM custom_field_options WHERE custom_field_id = ? AND id = ?"
        yield place, _gone("choice"), query, [field_id, value.value_option.id]


def _gone(what: str) -> str:
    return gone(what, "Choose another, or leave it empty.")
