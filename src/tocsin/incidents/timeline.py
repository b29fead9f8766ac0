"""Words of a timeline: what people did, for pages, exports, and messages in channels. Pure.

An entry is stored with the verb and the new value. Its words come from what was before it too: *reopened it
as Fixing*, *set the severity from Minor to Major*. Stored entries stay as they are, and those of an earlier
version are told in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from tocsin.incidents.model import (
    Form,
    FrozenModel,
    Incident,
    Person,
    PersonId,
    Status,
    TimelineEntry,
    display_name,
)
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import (
    CHANGED_FIELD,
    EMPTIED_FIELD,
    PEOPLE_VERBS,
    STATUS_VERBS,
    TIMELINE_VERBS,
    UPDATE_VERBS,
    call_words,
    changed_fields,
    is_accepted,
    name_of,
)
from tocsin.incidents.validation import FOLLOW_UP_WORDS, join_names

Kind = Literal["update", "change", "task", "alert", "note"]

KINDS: Final[Mapping[Kind, str]] = {
    "update": "Updates",
    "change": "Changes",
    "task": "Actions and follow-ups",
    "alert": "Alerts",
    "note": "Notes",
}
"""Labels of the kinds of entries."""

BOT: Final = "Tocsin"
"""Name of the actor of an entry that no person made."""

ALERTED: Final = "sent alerts:"
"""Words of the timeline entry on alerts, whose actor is their source."""

_UPDATES = frozenset({*UPDATE_VERBS.values(), "updated"})
"""Verbs of an update: ours, and that of incident.io's own updates."""

_NOTES = frozenset({Verb.NOTE.timeline, "commented"})
_TASK = re.compile(rf"(?:\w+ )+(?:the|an?) (?:{'|'.join(FOLLOW_UP_WORDS.values())}):", re.IGNORECASE)
_ENDED = {"closed": "closed it", "declined": "declined it", "canceled": "canceled it"}
_SET = re.compile(r"set (.+) to")

MOST_BEFORE: Final = 60
"""Characters of an earlier value that is told beside the new one."""

Words = tuple[str, str]
"""A verb and the value that follows it; the value is empty where the verb says all."""


class TimelineItem(FrozenModel):
    """An entry of a timeline in words, with its kind."""

    at: datetime
    by: Person | None = None
    kind: Kind
    verb: str
    text: str = ""

    @property
    def actor(self) -> str:
        """Name of the person or the system that did it; empty for a title, which says so by itself."""
        return display_name(self.by) or ("" if self.verb[:1].isupper() else BOT)

    @property
    def sentence(self) -> str:
        return " ".join(filter(None, [self.actor, self.verb, self.text]))


def kind_of(entry: TimelineEntry) -> Kind:
    """Return the kind of an entry, by its verb."""
    if entry.verb in _UPDATES:
        return "update"
    if entry.verb in _NOTES:
        return "note"
    if entry.verb == ALERTED:
        return "alert"
    return "task" if _TASK.fullmatch(entry.verb.replace("Done, ", "done ")) else "change"


def items_of(
    incident: Incident, timeline: Sequence[TimelineEntry], form: Form | None = None
) -> tuple[TimelineItem, ...]:
    """Return the entries in words, in their order; `form` has the statuses and roles that they may name.

    The timeline begins with its first entry: an earlier value is known from an earlier entry.
    """
    telling = _Telling(incident, form)
    return tuple(
        TimelineItem(at=entry.at, by=entry.by, kind=kind_of(entry), verb=verb, text=text)
        for entry in timeline
        for verb, text in [telling.words(entry)]
    )


class _Telling:
    """Reader of one timeline, from its first entry on, who remembers the values so far."""

    def __init__(self, incident: Incident, form: Form | None) -> None:
        self._incident = incident
        statuses = form.statuses if form is not None else ()
        self._statuses = {one.name: one for one in (*statuses, incident.incident_status)}
        held = (one.role for one in incident.incident_role_assignments)
        self._roles = {role.name for role in (*held, *(form.roles if form is not None else ()))}
        self._held = dict[str, str]()
        """Last value that each verb set."""
        self._holders = dict[str, str]()
        """Name of the last person who got each role, as far as the entries tell."""

    def words(self, entry: TimelineEntry) -> Words:
        verb, text = entry.verb, entry.text
        if verb in UPDATE_VERBS.values():
            return "wrote an update:", text
        if verb in STATUS_VERBS:
            return self._status(text, accepted=verb == Verb.ACCEPT.timeline)
        if entry.key == "declared":
            # A hosted backend tells the declaration with the severity of now, and without this key.
            self._held[Verb.SEVERITY.timeline] = self._first_severity(text)
        if verb in PEOPLE_VERBS and text:
            return (f"took {text} out", "") if verb == Verb.REMOVE.timeline else (verb, text)
        if verb == EMPTIED_FIELD:
            self._held.pop(CHANGED_FIELD.format(text), None)
        if verb in _OWN_ROLE:
            return self._own_role(entry)
        return self._setting(entry) if _SET.fullmatch(verb) else (verb, text)

    def _setting(self, entry: TimelineEntry) -> Words:
        """Return the words for a value that was set."""
        verb, text, what = entry.verb, entry.text, entry.verb[len("set ") : -len(" to")]
        if verb in _ONCE:
            return (verb, text) if text else ("cleared", what)
        before, self._held[verb] = self._held.get(verb, ""), text
        if what in self._roles and ":custom_field_entries." not in entry.key:
            self._holders[what] = text
            return role_words(what, text)
        return _set(what, before, text)

    def _own_role(self, entry: TimelineEntry) -> Words:
        """Return the words for a role that its entry names alone: a person took it, or it has no holder now.

        A role that was taken from its holder is stored in the same words as one that its holder gave up.
        """
        role, person = entry.text, display_name(entry.by) or ""
        holder = self._holders.pop(role, "")
        if entry.verb == TOOK_ROLE:
            self._holders[role] = person
        elif not holder:
            return "cleared the role", role
        elif holder != person:
            return f"took {holder} out of the role", role
        return entry.verb, role

    def _status(self, name: str, *, accepted: bool) -> Words:
        before = self._held.get(Verb.STATUS.timeline)
        self._held[Verb.STATUS.timeline] = name
        was = None if before is None else self._statuses.get(before, Status(id="", name=before))
        return status_words(was, self._statuses.get(name, Status(id="", name=name)), accepted=accepted)

    def _first_severity(self, headline: str) -> str:
        """Return the severity in the words of the declaration, which are its name and that in brackets."""
        name = self._incident.name
        is_known = headline.startswith(f"{name} (") and headline.endswith(")")
        return headline[len(name) + 2 : -1] if is_known else ""


TOOK_ROLE: Final = "took the role"
_OWN_ROLE = frozenset({TOOK_ROLE, "gave up the role"})

_ONCE = frozenset({Verb.SUMMARY.timeline, Verb.CALL.timeline, TIMELINE_VERBS["name"]})
"""Verbs whose earlier value is not told: it is long, or its entry is there to be read."""


# The words of one change.


def status_words(before: Status | None, after: Status, *, accepted: bool = False) -> Words:
    """Return the words for a new status; `before` is None if the earlier one is not known."""
    if accepted or (before is not None and is_accepted(before.category, after.category)):
        return Verb.ACCEPT.timeline, after.name
    was_open = before is None or before.is_open
    if was_open and (ended := _ENDED.get(after.category)) is not None:
        return (ended, "") if after.name.casefold() == after.category else (f"{ended} as", after.name)
    if not was_open and after.is_open:
        return "reopened it as", after.name
    return _set("the status", before.name if before is not None else "", after.name)


def role_words(role: str, name: str) -> Words:
    """Return the words for a role that a person was given."""
    return f"gave {name} the role", role


def _set(what: str, before: str, after: str) -> Words:
    tells_both = before and before != after and len(before) <= MOST_BEFORE
    return (f"set {what} from {before} to" if tells_both else f"set {what} to"), after


def deeds(before: Incident, after: Incident, change: IncidentChange) -> tuple[str, ...]:
    """Return in words what a change did, one text for each value that it replaced: *reopened it as Fixing*.

    Its message and its times are left out, and so are fields that another change set in the same moment.
    """
    return tuple(" ".join(filter(None, words)) for words in _deeds(before, after, change))


def _deeds(before: Incident, after: Incident, change: IncidentChange) -> Iterator[Words]:
    changed = changed_fields(change)
    has_status = "incident_status_id" in changed and after.incident_status != before.incident_status
    if has_status and change.merged_into is None:
        yield status_words(before.incident_status, after.incident_status)
    if "severity_id" in changed and after.severity != before.severity:
        was, now = (one.severity.name if one.severity else "" for one in (before, after))
        yield _set("the severity", was, now) if now else ("took away the severity", was)
    yield from _role_deeds(before, after, change, changed)
    if "name" in changed and after.name != before.name:
        yield TIMELINE_VERBS["name"], f"{after.name} (was {before.name})"
    if "summary" in changed and after.summary != before.summary:
        yield "changed the summary", ""
    if "call_url" in changed and after.call_url != before.call_url:
        yield Verb.CALL.timeline, after.call_link or call_words(after.call_url)
    yield from _field_deeds(before, after, changed)
    if "visibility" in changed and after.is_private and not before.is_private:
        yield Verb.PRIVATE.timeline, ""
    if change.invited:
        yield Verb.INVITE.timeline, join_names(name_of(change, person) for person in change.invited)
    if change.removed:
        yield f"took {join_names(name_of(change, person) for person in change.removed)} out", ""


def _role_deeds(
    before: Incident, after: Incident, change: IncidentChange, changed: Sequence[str]
) -> Iterator[Words]:
    held, holds = (
        {one.role.id: one.assignee for one in incident.incident_role_assignments if one.assignee}
        for incident in (before, after)
    )
    assignments = (*before.incident_role_assignments, *after.incident_role_assignments)
    for role in {one.role.id: one.role for one in assignments}.values():
        if f"incident_role_assignments.{role.id}" not in changed:
            continue
        old, new = held.get(role.id), holds.get(role.id)
        if display_name(old) == display_name(new) and _id(old) == _id(new):
            continue
        yield _role_deed(role.name, old, new, change.by)


def _role_deed(role: str, old: Person | None, new: Person | None, by: Person) -> Words:
    """Return the words for a role that a person got, and who had it before, or that is without one now."""
    mine = _id(by)
    if new is None:
        gave_up = mine and _id(old) == mine
        return "gave up the role" if gave_up else f"took {display_name(old)} out of the role", role
    said = f"{role} (was {display_name(old)})" if old is not None else role
    return (TOOK_ROLE, said) if mine and _id(new) == mine else role_words(said, display_name(new))


def _id(person: Person | None) -> PersonId | None:
    return person.slack_user_id if person is not None else None


def _field_deeds(before: Incident, after: Incident, changed: Sequence[str]) -> Iterator[Words]:
    entries = (*before.custom_field_entries, *after.custom_field_entries)
    for field_id, name in {one.custom_field.id: one.custom_field.name for one in entries}.items():
        new, old = (join_names(value.shown for value in one.answers(field_id)) for one in (after, before))
        if f"custom_field_entries.{field_id}" in changed and new != old:
            yield _set(name, old, new) if new else (EMPTIED_FIELD, name)
