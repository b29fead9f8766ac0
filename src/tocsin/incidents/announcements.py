"""Rules that announce an incident in more channels and invite user groups. Pure.

They are decided at declaration, and again whenever the incident changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from tocsin.incidents.model import FieldEntry, Form, FrozenModel, Incident, IncidentType, Mode, Severity
from tocsin.incidents.requests import Declaration

ACCEPTED = frozenset({"live", "learning", "paused", "closed"})
"""Categories of status in which an incident may be announced; in triage it waits to be accepted."""


class AnnouncementRule(FrozenModel):
    """Conditions on an incident, each choice by id or by name, and its channels and user groups.

    A condition that is left empty matches every incident.
    """

    severities: tuple[str, ...] = ()
    incident_types: tuple[str, ...] = ()
    custom_fields: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Accepted answers of each custom field; the incident must have one of them for each field."""
    modes: tuple[Mode, ...] = ("standard",)
    channels: tuple[str, ...] = ()
    invite: tuple[str, ...] = ()
    """User groups, by id or by `@handle`."""

    def matches(self, declaration: Declaration, form: Form) -> bool:
        """True if the declaration meets every condition; a private declaration meets none."""
        default = next((kind.id for kind in form.incident_types if kind.is_default), "")
        entries = (
            FieldEntry(custom_field=field, values=declaration.custom_field_entries.get(field.id, ()))
            for field in form.custom_fields
        )
        return declaration.visibility == "public" and self._fits(
            declaration.mode,
            form.severity(declaration.severity_id or ""),
            form.incident_type(declaration.incident_type_id or default),
            entries,
        )

    def holds_for(self, incident: Incident) -> bool:
        """True if an incident meets every condition as it is; one that is private or in triage meets none."""
        is_told = not incident.is_private and incident.incident_status.category in ACCEPTED
        return is_told and self._fits(
            incident.mode, incident.severity, incident.incident_type, incident.custom_field_entries
        )

    def _fits(
        self,
        mode: str,
        severity: Severity | None,
        kind: IncidentType | None,
        entries: Iterable[FieldEntry],
    ) -> bool:
        entries = tuple(entries)
        return (
            mode in self.modes
            and is_one_of(self.severities, [severity.id, severity.name] if severity else [])
            and is_one_of(self.incident_types, [kind.id, kind.name] if kind else [])
            and all(
                is_one_of(wanted, answers_to(name, entries)) for name, wanted in self.custom_fields.items()
            )
        )


class Announcement(FrozenModel):
    """Further channels for the incident's card, and user groups to invite to the incident's channel."""

    channels: tuple[str, ...] = ()
    invite: tuple[str, ...] = ()


def announcement_for(rules: Iterable[AnnouncementRule], declaration: Declaration, form: Form) -> Announcement:
    """Merge the matching rules: each channel and user group once, in the order of the rules.

    Called once, when the declaration is saved. Rules that the operator changes later do not affect it.
    """
    return _merged(rule for rule in rules if rule.matches(declaration, form))


def further_announcement(
    rules: Iterable[AnnouncementRule], before: Incident, incident: Incident
) -> Announcement:
    """Merge the rules that hold for an open incident since a change and did not hold before it.

    Places and groups that a rule named before are left out. Nothing follows from a rule that holds no more.
    """
    if not incident.incident_status.is_open:
        return Announcement()
    rules = tuple(rules)
    told = _merged(rule for rule in rules if rule.holds_for(before))
    now = _merged(rule for rule in rules if rule.holds_for(incident))
    return Announcement(
        channels=tuple(channel for channel in now.channels if channel not in told.channels),
        invite=tuple(group for group in now.invite if group not in told.invite),
    )


def _merged(matching: Iterable[AnnouncementRule]) -> Announcement:
    matching = tuple(matching)
    return Announcement(
        channels=tuple(dict.fromkeys(channel for rule in matching for channel in rule.channels)),
        invite=tuple(dict.fromkeys(group for rule in matching for group in rule.invite)),
    )


def is_one_of(wanted: Sequence[str], called: Iterable[str]) -> bool:
    """True if one of the names is wanted, in any case; also if nothing in particular is."""
    if not wanted:
        return True
    known = {name.casefold() for name in called}
    return any(name.casefold() in known for name in wanted)


def answers_to(name: str, entries: Iterable[FieldEntry]) -> Iterable[str]:
    """Yield the answers to a field, which is named by its id or its name, as they are shown and entered."""
    for entry in entries:
        if name.casefold() in {entry.custom_field.id.casefold(), entry.custom_field.name.casefold()}:
            for value in entry.values:
                yield value.shown
                yield value.entered
