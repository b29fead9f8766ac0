"""What a responder asks for. The request is the form: a field's name is its block in the modal.

Field names are those of incident.io's V1 create payload (Incidents V1, Create), so that an error which a
backend gives for a field can be shown under the input it belongs to.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from tocsin.incidents.model import (
    FieldValue,
    Frozen,
    Mode,
    Person,
    PersonId,
    SourceMessage,
    TeamId,
    Visibility,
)

NAME_LIMIT = 200
SUMMARY_LIMIT = 3000
TEXT_LIMIT = 3000
LINK_LIMIT = 2048


class DeclareRequest(Frozen):
    """The declare form as it was filled in; nothing in it has been checked yet."""

    name: str = ""
    summary: str = ""
    severity_id: str | None = None
    incident_type_id: str | None = None
    visibility: Visibility = "public"
    mode: Mode = "standard"
    incident_role_assignments: dict[str, PersonId] = Field(default_factory=dict)
    custom_field_entries: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    backend_entries: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Answers to the backend's own fields, by the field's id."""
    labels: dict[str, str] = Field(default_factory=dict)
    """What the chosen options of searched fields are called, by the option's id."""


class Declaration(Frozen):
    """A declaration that passed every rule and is committed to: all that a backend needs to create it.

    `key` is the idempotency key: the same key never makes a second incident.
    """

    key: str
    name: str
    summary: str = ""
    severity_id: str | None = None
    incident_type_id: str | None = None
    visibility: Visibility = "public"
    mode: Mode = "standard"
    incident_role_assignments: dict[str, PersonId] = Field(default_factory=dict)
    custom_field_entries: dict[str, tuple[FieldValue, ...]] = Field(default_factory=dict)
    backend_entries: dict[str, tuple[FieldValue, ...]] = Field(default_factory=dict)
    slack_team_id: TeamId = TeamId("")
    slack_enterprise_id: str = ""
    """The Enterprise organization, where the workspace belongs to one."""
    source: SourceMessage | None = None
    reporter: Person
    assignees: tuple[Person, ...] = ()
    """Those who have roles from the beginning, as far as they are known by name."""
    at: datetime

    @property
    def request(self) -> DeclareRequest:
        """The form as it was filled in, to be filled in again."""
        kept = self.model_dump(include=set(DeclareRequest.model_fields) - _ANSWERS)
        return DeclareRequest(
            **kept,
            custom_field_entries=_entered(self.custom_field_entries),
            backend_entries=_entered(self.backend_entries),
            labels=_labels(self.custom_field_entries) | _labels(self.backend_entries),
        )


_ANSWERS = {"custom_field_entries", "backend_entries", "labels"}


def _entered(entries: dict[str, tuple[FieldValue, ...]]) -> dict[str, tuple[str, ...]]:
    return {field: tuple(value.entered for value in values) for field, values in entries.items()}


def _labels(entries: dict[str, tuple[FieldValue, ...]]) -> dict[str, str]:
    chosen = [value for values in entries.values() for value in values if value.entered != value.shown]
    return {value.entered: value.shown for value in chosen}


class IncidentChange(Frozen):
    """A change to an incident that passed every rule: only what is set changes.

    `key` is the idempotency key: a repeat changes nothing and tells nothing twice. `message` is what is
    told, as an update. A role with None is given up. Visibility goes towards private only.
    """

    key: str
    by: Person
    at: datetime
    message: str = ""
    name: str | None = None
    summary: str | None = None
    severity_id: str | None = None
    incident_status_id: str | None = None
    visibility: Literal["private"] | None = None
    incident_role_assignments: dict[str, PersonId | None] = Field(default_factory=dict)
    assignees: tuple[Person, ...] = ()
    """Those whom it gives roles, as far as they are known by name."""
    seen_status_id: str | None = None
    """The status that was on the screen; when it is another by now, the change is refused with that."""
    merged_into: str | None = None
    """The reference of the incident that this one turned out to be part of."""


class FollowUpRequest(Frozen):
    """Something to be done, as it was asked for; the same `key` never makes a second one."""

    key: str
    by: Person
    at: datetime
    kind: Literal["action", "follow_up"] = "action"
    text: str
    assignee: Person | None = None


NOBODY = PersonId("")
"""Who may know of public incidents alone."""


class IncidentFilter(Frozen):
    """Which incidents are wanted; what is not set does not matter."""

    reference: str = ""
    """The one that goes by this reference, number or id; beside it `visible_to` and `teams` alone count."""
    is_open: bool | None = None
    severity_id: str | None = None
    incident_status_id: str | None = None
    text: str = ""
    """Words of the name, the summary or the reference."""
    visible_to: PersonId | None = None
    """Leave out private incidents that this person may not know of; None leaves out no incident."""
    teams: frozenset[TeamId] | None = None
    """Of these workspaces; None leaves out no incident."""
    involving: PersonId | None = None
    """Reported by this person, or with a role held by them."""
