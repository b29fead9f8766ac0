"""Incidents of a hosted product, brought over with everything that belongs to them. Once for each.

They keep the ids and, where it is free, the number that they have there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tocsin.backends.local import create
from tocsin.backends.local.choices import SCOPE, insert_row, ruled_tables, update_row
from tocsin.backends.local.connection import Row, SqlConnection
from tocsin.backends.local.create import NUMBERING, ulid
from tocsin.backends.local.queries import ID, written
from tocsin.config import IncidentConfig
from tocsin.incidents.hosted import HostedAttachment, HostedIncident, HostedToDo, actor
from tocsin.incidents.model import (
    OPEN_CATEGORIES,
    FieldEntry,
    FieldValue,
    Form,
    Incident,
    Person,
    Status,
    TimelineEntry,
)
from tocsin.incidents.permissions import Verb
from tocsin.incidents.transitions import is_accepted
from tocsin.incidents.validation import FOLLOW_UP_WORDS, clean_text

NEEDED = ("triage", "live", "closed", "declined", "merged", "canceled")
"""Categories of which a status must stay, also where the hosted product has none."""

DECLARING = timedelta(minutes=1)
"""Time after its declaration within which the first update of an incident is a part of it."""

Ids = dict[tuple[str, str], str]
"""Our id of each choice, by its table and the id that it has there."""


@dataclass(frozen=True)
class Brought:
    """The outcome for one incident."""

    reference: str
    hosted_reference: str


def key_of(incident_id: str) -> str:
    """Return the idempotency key of an incident that was brought over."""
    return f"incident.io/{incident_id}"


def _key_of_to_do(one: HostedToDo) -> str:
    return key_of(f"{one.kind}/{one.id}")


def own_id(incident: Incident) -> str:
    """Return the id that the incident has here: the hosted one, or one made of it if it has another form."""
    if ID.fullmatch(incident.id):
        return incident.id
    chance = int.from_bytes(hashlib.sha256(incident.id.encode()).digest()[:10])
    return ulid(incident.created_at, chance)


# Choices.


def bring_choices(db: SqlConnection, form: Form, config: IncidentConfig, now: datetime) -> Ids:
    """Bring severities, statuses, types, roles, fields and timestamps; return our ids of them.

    In a database without incidents they take the place of the defaults, with their own ids. Otherwise, and
    where the configuration file rules, those with the same name are one. What the file rules and does not
    name is kept as archived.
    """
    with db.transaction(SCOPE):
        bringing = _Choices(db, config, written(now))
        bringing.bring("severities", [one.model_dump() for one in form.severities])
        bringing.bring("incident_statuses", [one.model_dump() for one in form.statuses])
        bringing.bring("incident_types", [one.model_dump() for one in form.incident_types])
        bringing.bring("incident_roles", [one.model_dump() for one in form.roles])
        times = [one.model_dump() for one in form.incident_timestamps]
        bringing.bring("incident_timestamps", times, replaces=False)
        bringing.bring_fields(form)
        return bringing.ids


class _Choices:
    """The choices, within one transaction."""

    def __init__(self, db: SqlConnection, config: IncidentConfig, now: str) -> None:
        self._db = db
        self._now = now
        self._ruled = ruled_tables(config)
        self._is_new = db.execute("SELECT 1 FROM incidents LIMIT 1").fetchone() is None
        self.ids: Ids = {}

    def bring(self, table: str, hosted: Sequence[Row], *, replaces: bool = True) -> None:
        """Bring the rows of one kind; with `replaces` they may take the place of the defaults."""
        if not hosted:
            return
        here = list(self._db.query(f"SELECT * FROM {table}"))
        if replaces and self._is_new and table not in self._ruled:
            self._archive(table, here, hosted)
            here = [row for row in here if _has_id(row, hosted)]
        for row in hosted:
            self.ids[table, row["id"]] = self._bring(table, row, here)

    def bring_fields(self, form: Form) -> None:
        """Bring the custom fields, and the options of each."""
        fields = [
            {**one.model_dump(include={"id", "name", "description", "field_type", "required"}), "rank": rank}
            for rank, one in enumerate(form.custom_fields)
        ]
        self.bring("custom_fields", fields)
        for field in form.custom_fields:
            field_id = self.ids["custom_fields", field.id]
            there = self._db.query("SELECT * FROM custom_field_options WHERE custom_field_id = ?", [field_id])
            here = list(there)
            for option in field.options:
                row = {"custom_field_id": field_id, **option.model_dump()}
                our_id = self._bring("custom_field_options", row, here)
                self.ids[f"options of {field.id}", option.id] = our_id

    def _archive(self, table: str, here: Sequence[Row], hosted: Sequence[Row]) -> None:
        """Archive what is not hosted, but for a status of each category that would be missing."""
        kept = {one["category"] for one in hosted if "category" in one}
        for row in here:
            is_needed = row.get("category") in NEEDED and row.get("category") not in kept
            if row["archived_at"] is None and not is_needed and not _has_id(row, hosted):
                update_row(self._db, table, {"id": row["id"], "archived_at": self._now}, ("id",), self._now)

    def _bring(self, table: str, row: Row, here: list[Row]) -> str:
        """Return the id of the row here, which is added if there is none with its id or its name."""
        row = {column: int(value) if isinstance(value, bool) else value for column, value in row.items()}
        named = next((one for one in here if one["id"] == row["id"]), None)
        named = named or next((one for one in here if _is_named(one, row)), None)
        if named is not None:
            if self._is_new and table not in self._ruled:
                # A default that has its id or its name: it is as it is there from now on.
                keys = tuple(key for key in ("custom_field_id", "id") if key in row)
                known: Row = {key: named[key] for key in keys}
                update_row(self._db, table, {**row, **known, "archived_at": None}, keys, self._now)
            return str(named["id"])
        archived = {"archived_at": self._now} if table in self._ruled else {}
        _insert(self._db, table, {**row, "created_at": self._now, "updated_at": self._now, **archived})
        here.append({**row, "archived_at": archived.get("archived_at")})
        return str(row["id"])


def _has_id(row: Row, hosted: Sequence[Row]) -> bool:
    return any(row["id"] == one["id"] for one in hosted)


def _is_named(row: Row, other: Row) -> bool:
    """True if an unarchived row has the other's name; *Reported at* is *Reported*."""
    name = "value" if "value" in row else "name"
    called, wanted = (str(one[name]).casefold().removesuffix(" at") for one in (row, other))
    return row["archived_at"] is None and called == wanted


# Incidents.


def known_ids(db: SqlConnection, ids: Collection[str]) -> set[str]:
    """Return those of the hosted ids whose incidents were brought by an earlier run."""
    keys = {key_of(one): one for one in ids}
    marks = ", ".join("?" * len(keys))
    query = f"SELECT idempotency_key FROM incidents WHERE idempotency_key IN ({marks})"
    return {keys[row[0]] for row in db.execute(query, list(keys))} if keys else set()


def bring_incident(db: SqlConnection, hosted: HostedIncident, ids: Ids, now: datetime) -> Brought:
    """Bring one incident with everything that belongs to it, unless it is there."""
    key = key_of(hosted.incident.id)
    with db.transaction(NUMBERING):
        known = db.execute("SELECT reference FROM incidents WHERE idempotency_key = ?", [key]).fetchone()
        if known is not None:
            return Brought(known[0], hosted.incident.reference)
        for person in hosted.people:
            create.remember_person(db, person, written(now))
        return _Bringing(db, hosted, ids, now).bring()


class _Bringing:
    """One incident, within one transaction."""

    def __init__(self, db: SqlConnection, hosted: HostedIncident, ids: Ids, now: datetime) -> None:
        self._db = db
        self._hosted = hosted
        self._incident = hosted.incident
        self._ids = ids
        self._now = now
        self.id = own_id(self._incident)

    def bring(self) -> Brought:
        number = _number(self._db, self._incident.reference)
        _insert(self._db, "incidents", self._row(number))
        self._roles()
        for person in self._incident.members:
            row = {
                "incident_id": self.id,
                "slack_user_id": person.slack_user_id,
                "created_at": written(self._incident.created_at),
            }
            _insert(self._db, "incident_memberships", row)
        self._db.index_words(number)
        self._answers()
        for value in self._incident.incident_timestamp_values:
            timestamp = self._choice("incident_timestamps", value.incident_timestamp.model_dump())
            create.set_time(self._db, self.id, str(timestamp), value.value)
        for entry_key, entry in self._timeline(f"INC-{number}"):
            text = clean_text(entry.text, lines=True)
            told = entry.model_copy(update={"verb": clean_text(entry.verb), "text": text})
            create.add_to_timeline(self._db, self.id, told, entry_key)
        self._record_updates()
        for one in self._hosted.to_dos:
            self._to_do(one)
        self._attachments()
        return Brought(f"INC-{number}", self._incident.reference)

    def _row(self, number: int) -> Row:
        incident = self._incident
        is_open = incident.incident_status.category in OPEN_CATEGORIES
        ended = incident.closed_at or incident.updated_at
        return {
            "id": self.id,
            "number": number,
            "reference": f"INC-{number}",
            "idempotency_key": key_of(incident.id),
            "name": clean_text(incident.name) or incident.reference,
            "summary": clean_text(incident.summary, lines=True),
            "severity_id": incident.severity and self._choice("severities", incident.severity.model_dump()),
            "incident_status_id": self._choice("incident_statuses", incident.incident_status.model_dump()),
            "incident_type_id": incident.incident_type
            and self._choice("incident_types", incident.incident_type.model_dump()),
            "visibility": "private" if incident.is_private else "public",
            "mode": incident.mode,
            "slack_team_id": incident.slack_team_id,
            "slack_channel_id": incident.slack_channel_id,
            "slack_channel_name": incident.slack_channel_name,
            "call_url": incident.call_url,
            **self._creator(),
            "created_at": written(incident.created_at),
            "updated_at": written(incident.updated_at),
            "closed_at": None if is_open else written(ended),
        }

    def _creator(self) -> Row:
        creator, automation = self._incident.creator, self._incident.automation
        return {
            "creator_slack_user_id": creator.slack_user_id,
            "creator_name": automation.name if automation is not None else creator.name,
            "creator_email": creator.email,
            "creator_kind": automation and automation.kind,
            "creator_id": automation and automation.id,
        }

    def _choice(self, table: str, hosted: Mapping[str, Any], place: str = "") -> str:
        """Return our id of a choice; one that was deleted there is added, as archived."""
        known = self._ids.get((place or table, hosted["id"]))
        if known is None:
            keys = [key for key in ("custom_field_id", "id") if key in hosted]
            there = f"SELECT id FROM {table} WHERE {' AND '.join(f'{key} = ?' for key in keys)}"
            if self._db.execute(there, [hosted[key] for key in keys]).fetchone() is None:
                now = written(self._now)
                stamps = dict.fromkeys(("created_at", "updated_at", "archived_at"), now)
                plain = {k: int(v) if isinstance(v, bool) else v for k, v in hosted.items()}
                _insert(self._db, table, {**plain, **stamps})
            known = self._ids[place or table, hosted["id"]] = str(hosted["id"])
        return known

    def _roles(self) -> None:
        given: set[str] = set()
        for held in self._incident.incident_role_assignments:
            role = self._choice("incident_roles", held.role.model_dump())
            person = held.assignee or Person()
            if role in given or person == Person():
                continue
            given.add(role)
            row = {
                "incident_id": self.id,
                "incident_role_id": role,
                "assignee_slack_user_id": person.slack_user_id,
                "assignee_name": person.name,
                "assignee_email": person.email,
            }
            _insert(self._db, "incident_role_assignments", row)

    def _answers(self) -> None:
        for entry in self._incident.custom_field_entries:
            field = entry.custom_field
            plain = field.model_dump(include={"id", "name", "description", "field_type", "required"})
            field_id = self._choice("custom_fields", plain)
            create.insert_answers(self._db, self.id, field_id, self._values(entry, field_id))

    def _values(self, entry: FieldEntry, field_id: str) -> Iterator[FieldValue]:
        """Yield the answers; an entry of a catalog is an option here."""
        for value in entry.values:
            chosen = value.value_option
            if (catalogued := value.value_catalog_entry) is not None:
                chosen_row: Row = {"id": catalogued.id, "value": catalogued.name, "sort_key": 0}
            elif chosen is not None:
                chosen_row = chosen.model_dump()
            else:
                yield value
                continue
            place = f"options of {entry.custom_field.id}"
            row = {"custom_field_id": field_id, **chosen_row}
            option_id = self._choice("custom_field_options", row, place)
            yield FieldValue(value_option={**chosen_row, "id": option_id})  # type: ignore[arg-type]

    def _timeline(self, reference: str) -> Iterator[tuple[str, TimelineEntry]]:
        """Yield the entries with their keys: the declaration, updates and items, and where it came from."""
        incident = self._incident
        by = actor(incident.creator, incident.automation)
        severity = f" ({incident.severity.name})" if incident.severity else ""
        text = f"{incident.name}{severity}"
        yield "declared", TimelineEntry(at=incident.created_at, by=by, verb="declared", text=text)
        yield from self._updates()
        for item in self._hosted.items:
            entry = TimelineEntry(at=item.at, by=item.by, verb=item.title, text=item.description)
            yield key_of(item.id), entry
        for one in self._hosted.to_dos:
            word = FOLLOW_UP_WORDS[one.kind]
            verb = f"added {'an' if one.kind == 'action' else 'a'} {word}:"
            entry = TimelineEntry(at=one.created_at, by=one.creator, verb=verb, text=one.title)
            yield f"{_key_of_to_do(one)}:added", entry
            if one.done_at is not None:
                entry = TimelineEntry(at=one.done_at, verb=f"Done, the {word}:", text=one.title)
                yield f"{_key_of_to_do(one)}:completed", entry
        came = " ".join(filter(None, [incident.reference, incident.permalink]))
        yield key_of("import"), TimelineEntry(at=self._now, verb="Brought over from incident.io:", text=came)

    def _updates(self) -> Iterator[tuple[str, TimelineEntry]]:
        """Yield an entry for each new status, each new severity and each message of the updates."""
        status: Status | None = None
        severity = ""
        for one in sorted(self._hosted.updates, key=lambda update: update.at):
            if one.status is not None and (status is None or one.status.id != status.id):
                # The first update may tell the status that it was declared with.
                if status is not None or one.at - self._incident.created_at > DECLARING:
                    entry = TimelineEntry(
                        at=one.at, by=one.by, verb=_status_verb(status, one.status), text=one.status.name
                    )
                    yield f"{key_of(one.id)}:incident_status_id", entry
                status = one.status
            if one.severity is not None and one.severity.id != severity:
                entry = TimelineEntry(
                    at=one.at, by=one.by, verb=Verb.SEVERITY.timeline, text=one.severity.name
                )
                yield f"{key_of(one.id)}:severity_id", entry
                severity = one.severity.id
            if one.message:
                entry = TimelineEntry(at=one.at, by=one.by, verb=Verb.UPDATE.timeline, text=one.message)
                yield f"{key_of(one.id)}:message", entry

    def _record_updates(self) -> None:
        """Keep each update with the status and the severity that the incident had afterwards."""
        incident = self._incident
        status = self._choice("incident_statuses", incident.incident_status.model_dump())
        severity = incident.severity and self._choice("severities", incident.severity.model_dump())
        # From the last on: an update that sets nothing left what the next one found.
        rows: list[Row] = []
        for one in sorted(self._hosted.updates, key=lambda update: update.at, reverse=True):
            if one.status is not None:
                status = self._choice("incident_statuses", one.status.model_dump())
            if one.severity is not None:
                severity = self._choice("severities", one.severity.model_dump())
            by = one.by or Person()
            rows.append(
                {
                    "id": one.id,
                    "incident_id": self.id,
                    "idempotency_key": key_of(one.id),
                    "timestamp": written(one.at),
                    "actor_slack_user_id": by.slack_user_id,
                    "actor_name": by.name,
                    "actor_email": by.email,
                    "message": one.message,
                    "incident_status_id": status,
                    "severity_id": severity,
                }
            )
        for row in reversed(rows):
            _insert(self._db, "incident_updates", row)

    def _to_do(self, one: HostedToDo) -> None:
        assignee = one.assignee or Person()
        row = {
            "id": one.id,
            "incident_id": self.id,
            "idempotency_key": _key_of_to_do(one),
            "kind": one.kind,
            "text": one.title,
            "description": one.description,
            "status": one.status,
            "assignee_slack_user_id": assignee.slack_user_id,
            "assignee_name": assignee.name,
            "assignee_email": assignee.email,
            "issue_url": one.issue_url,
            "created_at": written(one.created_at),
            "updated_at": written(one.updated_at),
            "done_at": written(one.done_at) if one.done_at else None,
        }
        _insert(self._db, "follow_ups", row)

    def _attachments(self) -> None:
        """Bring what is attached, which the timeline says too: what is exported has it there."""
        for one in self._all_attachments():
            stamped = {"incident_id": self.id, "created_at": written(self._incident.created_at)}
            _insert(self._db, "incident_attachments", {**one.model_dump(), **stamped})
            text = " ".join(dict.fromkeys(filter(None, [one.title, one.permalink])))
            entry = TimelineEntry(at=self._incident.created_at, verb="attached", text=text)
            create.add_to_timeline(self._db, self.id, entry, f"{one.id}:attached")

    def _all_attachments(self) -> Iterator[HostedAttachment]:
        """Yield the attachments, and the post-incident document and the issue as further ones."""
        incident, seen = self._incident, set[tuple[str, str]]()
        issue = incident.external_issue_reference
        links = {
            incident.postmortem_document_url: "Post-incident document",
            issue.issue_permalink if issue else None: issue.issue_name if issue else "",
        }
        further = (
            HostedAttachment(id=ulid(self._now), external_id=url, permalink=url, title=title)
            for url, title in links.items()
            if url
        )
        for one in (*self._hosted.attachments, *further):
            if (identity := (one.resource_type, one.external_id)) not in seen:
                seen.add(identity)
                yield one


def _status_verb(before: Status | None, after: Status) -> str:
    """Return the verb of the entry for a new status; `before` is None if the earlier one is not known."""
    accepts = before is not None and is_accepted(before.category, after.category)
    return (Verb.ACCEPT if accepts else Verb.STATUS).timeline


def _number(db: SqlConnection, reference: str) -> int:
    """Return the number of the reference; the next one if it is taken or the reference has none."""
    _, _, digits = reference.rpartition("-")
    number = int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < 10 else 0
    taken = db.execute("SELECT 1 FROM incidents WHERE number = ?", [number]).fetchone() is not None
    if number and not taken:
        return number
    return int(db.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM incidents").fetchone()[0])


def _insert(db: SqlConnection, table: str, row: Row) -> None:
    """Insert a row, without the one character that PostgreSQL keeps in no text."""
    insert_row(db, table, {k: v.replace("\0", "") if isinstance(v, str) else v for k, v in row.items()})
