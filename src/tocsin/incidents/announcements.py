"""Rules that announce an incident in more channels and invite user groups.

Pure: decided once, at declaration, or at acceptance if the incident starts in triage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field

from tocsin.incidents.model import ChannelId, CustomField, FieldValue, Form, FrozenModel, Incident, Mode
from tocsin.incidents.requests import Declaration
from tocsin.incidents.validation import is_announced


class AnnouncementRule(FrozenModel):
    """Conditions on a declaration, each choice by id or by name, and its channels and user groups.

    A condition that is left empty matches every declaration.
    """

    severities: tuple[str, ...] = ()
    incident_types: tuple[str, ...] = ()
    custom_fields: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Accepted answers of each custom field; the declaration must have one of them for each field."""
    modes: tuple[Mode, ...] = ("standard",)
    channels: tuple[str, ...] = ()
    invite: tuple[str, ...] = ()
    """User groups, by id or by `@handle`."""

    def matches(self, declaration: Declaration, form: Form) -> bool:
        """True if the declaration meets every condition; a private declaration meets none."""
        if declaration.visibility != "public" or declaration.mode not in self.modes:
            return False
        severity = form.severity(declaration.severity_id or "")
        default = next((kind.id for kind in form.incident_types if kind.is_default), "")
        kind = form.incident_type(declaration.incident_type_id or default)
        return (
            is_one_of(self.severities, [severity.id, severity.name] if severity else [])
            and is_one_of(self.incident_types, [kind.id, kind.name] if kind else [])
            and all(
                is_one_of(wanted, _answers(name, declaration.custom_field_entries, form.custom_fields))
                for name, wanted in self.custom_fields.items()
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
    matching = [rule for rule in rules if rule.matches(declaration, form)]
    return Announcement(
        channels=tuple(dict.fromkeys(channel for rule in matching for channel in rule.channels)),
        invite=tuple(dict.fromkeys(group for rule in matching for group in rule.invite)),
    )


class AnnouncementPolicy(FrozenModel):
    """Announcement channel and rules of a workspace."""

    channel: ChannelId | None = None
    rules: tuple[AnnouncementRule, ...] = ()

    def announcement_of(self, incident: Incident, form: Form) -> Announcement:
        """Return all channels and user groups of an incident as it is now, which has just been accepted."""
        found = announcement_for(self.rules, _as_declared(incident), form)
        channels = [*([self.channel] if self.channel and is_announced(incident) else ()), *found.channels]
        return Announcement(channels=tuple(dict.fromkeys(channels)), invite=found.invite)


def _as_declared(incident: Incident) -> Declaration:
    """Return the incident as the declaration of which the rules ask."""
    return Declaration(
        key=incident.id,
        name=incident.name,
        severity_id=incident.severity.id if incident.severity else None,
        incident_type_id=incident.incident_type.id if incident.incident_type else None,
        visibility="private" if incident.is_private else "public",
        mode="test" if incident.mode == "test" else "standard",
        custom_field_entries={entry.custom_field.id: entry.values for entry in incident.custom_field_entries},
        reporter=incident.creator,
        at=incident.created_at,
    )


def is_one_of(wanted: Sequence[str], called: Iterable[str]) -> bool:
    """True if a rule wants one of the names by which a choice is called, or wants nothing particular."""
    if not wanted:
        return True
    known = {name.casefold() for name in called}
    return any(name.casefold() in known for name in wanted)


def _answers(
    name: str, entries: Mapping[str, tuple[FieldValue, ...]], fields: Sequence[CustomField]
) -> Iterable[str]:
    for field in fields:
        if name.casefold() in {field.id.casefold(), field.name.casefold()}:
            for value in entries.get(field.id, ()):
                yield value.shown
                yield value.entered
