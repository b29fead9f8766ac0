"""Words on what happened in an incident since a person looked last, from its timeline. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tocsin.incidents.model import Form, Incident, PersonId, TimelineEntry, display_name
from tocsin.incidents.timeline import Kind, TimelineItem, items_of
from tocsin.incidents.validation import ago

MOST_ENTRIES = 4
"""Latest entries of each group that are told; the earlier ones are counted."""

TEXT_LIMIT = 200
"""Characters of one entry; the incident's page has all of it."""

UPDATES, CHANGES, TO_DO, NOTES = "Updates", "Changes", "To do", "Notes"

_GROUPS: dict[Kind, str] = {"update": UPDATES, "task": TO_DO, "note": NOTES}
"""Groups of the kinds of entries; all others are changes."""


def catch_up(
    incident: Incident,
    timeline: Sequence[TimelineEntry],
    person: PersonId | None,
    since: datetime | None,
    now: datetime,
    form: Form | None = None,
) -> str:
    """Return what others did after `since`, grouped and short; everything if the person never looked.

    The person's own entries are left out: they know of them.
    """
    told = items_of(incident, timeline, form)
    others = [item for item in told if item.by is None or item.by.slack_user_id != person]
    new = [item for item in others if since is None or item.at > since]
    looked = f"since you caught up {ago(since, now)}" if since else "since it was declared"
    if not new:
        return f"Nothing new in {incident.reference} {looked}. It is {_state(incident)}."
    lines = [f"{incident.reference} {_short(incident.name)} is {_state(incident)}. What is new {looked}:"]
    for group in (UPDATES, CHANGES, TO_DO, NOTES):
        entries = [item for item in new if _GROUPS.get(item.kind, CHANGES) == group]
        if entries:
            earlier = len(entries) - MOST_ENTRIES
            lines.append(f"{group} ({earlier} earlier not shown)" if earlier > 0 else group)
            lines += [f"• {_line(entry, now)}" for entry in entries[-MOST_ENTRIES:]]
    return "\n".join(lines)


def _state(incident: Incident) -> str:
    severity = f", {incident.severity.name}" if incident.severity else ""
    lead = display_name(incident.lead)
    return f"{incident.incident_status.name}{severity}, {f'led by {lead}' if lead else 'without a lead'}"


def _line(item: TimelineItem, now: datetime) -> str:
    said = " ".join(filter(None, [item.actor, item.verb, _short(item.text)]))
    return f"{said}, {ago(item.at, now)}"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= TEXT_LIMIT else f"{words[: TEXT_LIMIT - 1]}…"
