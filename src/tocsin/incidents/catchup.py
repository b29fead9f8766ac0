"""Words on what happened in an incident since a person looked last, from its timeline. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tocsin.incidents.model import Incident, PersonId, TimelineEntry, display_name
from tocsin.incidents.permissions import Verb
from tocsin.incidents.transitions import UPDATE_VERBS
from tocsin.incidents.validation import ago

MOST_ENTRIES = 4
"""Latest entries of each group that are told; the earlier ones are counted."""

TEXT_LIMIT = 200
"""Characters of one entry; the incident's page has all of it."""

UPDATES, CHANGES, TO_DO, NOTES = "Updates", "Changes", "To do", "Notes"

UPDATE_WORDS = frozenset({*UPDATE_VERBS.values(), "updated"})
"""Verbs of an update: ours, and that of incident.io's own updates."""

_TO_DO_VERBS = ("added a ", "added an ", "completed the ")


def catch_up(
    incident: Incident,
    timeline: Sequence[TimelineEntry],
    person: PersonId | None,
    since: datetime | None,
    now: datetime,
) -> str:
    """Return what others did after `since`, grouped and short; everything if the person never looked.

    The person's own entries are left out: they know of them.
    """
    others = [entry for entry in timeline if entry.by is None or entry.by.slack_user_id != person]
    new = [entry for entry in others if since is None or entry.at > since]
    looked = f"since you caught up {ago(since, now)}" if since else "since it was declared"
    if not new:
        return f"Nothing new in {incident.reference} {looked}. It is {_state(incident)}."
    lines = [f"{incident.reference} {_short(incident.name)} is {_state(incident)}. What is new {looked}:"]
    for group in (UPDATES, CHANGES, TO_DO, NOTES):
        entries = [entry for entry in new if _group(entry) == group]
        if entries:
            earlier = len(entries) - MOST_ENTRIES
            lines.append(f"{group} ({earlier} earlier not shown)" if earlier > 0 else group)
            lines += [f"• {_line(entry, now)}" for entry in entries[-MOST_ENTRIES:]]
    return "\n".join(lines)


def _state(incident: Incident) -> str:
    severity = f", {incident.severity.name}" if incident.severity else ""
    lead = display_name(incident.lead)
    return f"{incident.incident_status.name}{severity}, {f'led by {lead}' if lead else 'without a lead'}"


def _group(entry: TimelineEntry) -> str:
    if entry.verb in UPDATE_WORDS:
        return UPDATES
    if entry.verb == Verb.NOTE.timeline:
        return NOTES
    return TO_DO if entry.verb.startswith(_TO_DO_VERBS) else CHANGES


def _line(entry: TimelineEntry, now: datetime) -> str:
    said = " ".join(filter(None, [display_name(entry.by), entry.verb, _short(entry.text)]))
    return f"{said}, {ago(entry.at, now)}"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= TEXT_LIMIT else f"{words[: TEXT_LIMIT - 1]}…"
