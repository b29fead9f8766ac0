"""The timeline of an incident as comments in DevRev, each there once for its key."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from tocsin.backends.devrev.client import DevRevClient, DevRevRefused
from tocsin.backends.devrev.declaring import key_of
from tocsin.backends.devrev.mapping import as_typed, inert
from tocsin.backends.devrev.wire import EntryTold
from tocsin.incidents.errors import OutcomeUnknown, Unavailable
from tocsin.incidents.model import Incident, Person, PersonId, TimelineEntry

OURS = "tocsin"
VERB, BY, AT = "verb:", "by:", "at:"
LABEL_LIMIT = 64
"""Characters in a label; 16 of them at most (Timeline Entries, Create)."""

REF_LIMIT = 512
"""Characters in an `external_ref`, which is unique within an object's timeline (Timeline Entries, Create)."""


async def note(client: DevRevClient, incident_id: str, entry: TimelineEntry, key: str) -> None:
    """Add a comment for colleagues alone, once for its key: left to DevRev, customers could see it."""
    reference = key_of(key)[:REF_LIMIT]
    try:
        await client.do(
            "timeline-entries.create",
            {
                "type": "timeline_comment",
                "object": incident_id,
                "body": _said(entry),
                "body_type": "text",
                "external_ref": reference,
                "visibility": "internal",
                "labels": _labels(entry),
            },
        )
    except DevRevRefused as refusal:
        # The reference is taken where an earlier attempt arrived.
        if refusal.status == 404 or await _find(client, incident_id, reference) is None:
            raise
    except OutcomeUnknown as error:
        # The reference makes a repeat harmless, so that nobody need know whether this one arrived.
        raise Unavailable(str(error), error.retry_after) from None


async def unnote(client: DevRevClient, incident_id: str, key: str) -> None:
    """Take the comment with this key away (Timeline Entries, Get by `external_ref`, and Delete)."""
    entry_id = await _find(client, incident_id, key_of(key)[:REF_LIMIT])
    if entry_id is None:
        return
    try:
        await client.do("timeline-entries.delete", {"id": entry_id})
    except DevRevRefused as refusal:
        if not refusal.is_missing:
            raise


async def _find(client: DevRevClient, incident_id: str, reference: str) -> str | None:
    try:
        answer = await client.ask("timeline-entries.get", {"id": incident_id, "external_ref": reference})
    except DevRevRefused as refusal:
        if refusal.is_missing:
            return None
        raise
    entry = answer.get("timeline_entry")
    return str(entry["id"]) if isinstance(entry, dict) and entry.get("id") else None


async def timeline(client: DevRevClient, incident: Incident) -> Sequence[TimelineEntry]:
    """The declaration, and every comment, oldest first."""
    severity = f" ({incident.severity.name})" if incident.severity else ""
    entries = [
        TimelineEntry(
            at=incident.created_at, by=incident.creator, verb="declared", text=f"{incident.name}{severity}"
        )
    ]
    async for found in client.pages("timeline-entries.list", {"object": incident.id}, "timeline_entries"):
        entry = _read(found)
        if entry is not None:
            entries.append(entry)
    return sorted(entries, key=lambda entry: entry.at)


def _said(entry: TimelineEntry) -> str:
    who = _name(entry.by)
    told = " ".join(part for part in (who, entry.verb) if part)
    return inert(f"{told.removesuffix(':')}: {entry.text}" if entry.text else told)


def _name(by: Person | None) -> str:
    return (by.name or "Somebody in Slack") if by is not None and by != Person() else ""


def _labels(entry: TimelineEntry) -> list[str]:
    """What the words do not tell a program; labels are cut to what DevRev takes."""
    by = entry.by.slack_user_id if entry.by else None
    labels = [OURS, f"{VERB}{entry.verb}", f"{AT}{entry.at.astimezone(UTC).isoformat()}"]
    labels += [f"{BY}{by}"] if by else []
    return [label[:LABEL_LIMIT] for label in labels]


def _read(found: dict[str, Any]) -> TimelineEntry | None:
    """A comment as an entry; what is no comment, or was deleted, is passed over."""
    try:
        told = EntryTold.model_validate(found)
    except ValidationError:
        return None
    if told.type != "timeline_comment" or not told.body:
        return None
    at = told.created_date or datetime.fromtimestamp(0, UTC)
    if OURS in told.labels:
        return _ours(told, at)
    by = told.created_by
    person = Person(name=by.name or None, email=by.email) if by else None
    return TimelineEntry(at=at, by=person, verb="commented", text=as_typed(told.body))


def _ours(told: EntryTold, at: datetime) -> TimelineEntry:
    labels = {label.partition(":")[0]: label.partition(":")[2] for label in told.labels}
    verb, who = labels.get("verb", ""), labels.get("by")
    with suppress(ValueError):
        at = datetime.fromisoformat(labels["at"]) if "at" in labels else at
    name, found, text = as_typed(told.body).partition(verb.removesuffix(":")) if verb else ("", "", told.body)
    by = Person(slack_user_id=PersonId(who) if who else None, name=name.strip() or None)
    return TimelineEntry(
        at=at, by=by if by != Person() else None, verb=verb or found, text=text.removeprefix(": ")
    )
