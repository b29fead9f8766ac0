"""The nouns of an incident, with the field names of incident.io's V1 and V2 objects.

Names, categories and kinds follow incident.io's API reference (Incidents V1 and V2, Custom Fields V1,
Severities V1, Incident Statuses V1), so that an incident means the same whichever backend keeps it.
Enumerations that a hosted backend may extend are plain strings: incident.io promises to add values.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NewType

from pydantic import BaseModel, ConfigDict, Field

PersonId = NewType("PersonId", str)
ChannelId = NewType("ChannelId", str)
MessageTs = NewType("MessageTs", str)
TeamId = NewType("TeamId", str)

Visibility = Literal["public", "private"]
Mode = Literal["standard", "test"]
FieldKind = Literal["text", "link", "numeric", "single_select", "multi_select"]

OPEN_CATEGORIES = frozenset({"triage", "live", "learning", "paused"})


class Frozen(BaseModel):
    """A value: never changed in place, unknown keys ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Person(Frozen):
    """Somebody, as far as we know them: a Slack id, a name, or both."""

    slack_user_id: PersonId | None = None
    name: str | None = None
    email: str | None = None


SOMEBODY = "somebody"
"""Stands in sentences for a person whose name is not known; nobody reads an id."""


def display_name(person: Person | None) -> str:
    """A person's name, `somebody` where only a Slack id is known, or "" for None."""
    if person is None:
        return ""
    return person.name or (SOMEBODY if person.slack_user_id else person.email or "")


class Severity(Frozen):
    """How bad it is; a higher rank is worse."""

    id: str
    name: str
    description: str = ""
    rank: int = 0


class Status(Frozen):
    """Where an incident stands. `category` is what decides; the name is what people read."""

    id: str
    name: str
    description: str = ""
    category: str = "live"
    rank: int = 0

    @property
    def is_open(self) -> bool:
        return self.category in OPEN_CATEGORIES


class IncidentType(Frozen):
    """A kind of incident that the organisation tells apart."""

    id: str
    name: str
    description: str = ""
    is_default: bool = False
    private_incidents_only: bool = False


class Role(Frozen):
    """A part that somebody takes in an incident: one lead, one reporter, any number of custom ones."""

    id: str
    name: str
    description: str = ""
    instructions: str = ""
    role_type: str = "custom"
    shortform: str = ""


class FieldOption(Frozen):
    """One choice of a select field."""

    id: str
    value: str
    sort_key: int = 0


class CatalogEntry(Frozen):
    """A thing of the organisation's catalogue, such as a team, that a field points to."""

    id: str
    name: str


class CustomField(Frozen):
    """A question that the organisation asks about its incidents."""

    id: str
    name: str
    description: str = ""
    field_type: FieldKind = "text"
    required: bool = False
    options: tuple[FieldOption, ...] = ()
    searched: bool = False
    """Its options are too many to list; the backend finds them as somebody types."""

    catalog_type_id: str | None = None
    """Its options are entries of this catalogue (incident.io, Custom Fields V2: `catalog_type_id`)."""

    def option(self, option_id: str) -> FieldOption | None:
        return next((option for option in self.options if option.id == option_id), None)


class FieldValue(Frozen):
    """One answer to a custom field; exactly one of the values is set."""

    value_text: str | None = None
    value_link: str | None = None
    value_numeric: str | None = None
    value_option: FieldOption | None = None
    value_catalog_entry: CatalogEntry | None = None

    @property
    def shown(self) -> str:
        if self.value_option is not None:
            return self.value_option.value
        if self.value_catalog_entry is not None:
            return self.value_catalog_entry.name
        return self.value_text or self.value_link or self.value_numeric or ""

    @property
    def entered(self) -> str:
        """The value as a form holds it: an option or a catalogue entry by its id."""
        chosen = self.value_option or self.value_catalog_entry
        return chosen.id if chosen is not None else self.shown


class FieldEntry(Frozen):
    """A custom field with its answers."""

    custom_field: CustomField
    values: tuple[FieldValue, ...] = ()


class RoleAssignment(Frozen):
    """Who holds a role."""

    role: Role
    assignee: Person | None = None


class SourceMessage(Frozen):
    """The message an incident was declared from."""

    channel: ChannelId
    timestamp: MessageTs
    permalink: str | None = None


class TimelineEntry(Frozen):
    """One thing that happened: who did it, which verb, and the new value in words."""

    at: datetime
    by: Person | None = None
    verb: str
    text: str = ""


class FollowUp(Frozen):
    """Something to do: an `action` while the incident lasts, a `follow_up` for afterwards."""

    id: str
    incident_id: str
    kind: Literal["action", "follow_up"] = "action"
    text: str
    assignee: Person | None = None
    is_done: bool = False
    created_at: datetime
    done_at: datetime | None = None


UNDECLARED = "saved"
"""The id of the status of what is saved and not declared yet; no backend has one of this id."""


class Incident(Frozen):
    """An incident as its backend tells it."""

    id: str
    reference: str
    name: str
    summary: str = ""
    permalink: str | None = None
    severity: Severity | None = None
    incident_status: Status
    incident_type: IncidentType | None = None
    visibility: str = "public"
    mode: str = "standard"
    slack_team_id: str = ""
    slack_channel_id: str = ""
    slack_channel_name: str = ""
    source: SourceMessage | None = None
    creator: Person = Person()
    incident_role_assignments: tuple[RoleAssignment, ...] = ()
    custom_field_entries: tuple[FieldEntry, ...] = ()
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    strangers: tuple[PersonId, ...] = ()
    """Who was to have a part in it, and whom the backend does not know."""

    @property
    def is_private(self) -> bool:
        """Anything but `public` is treated as private: an unknown visibility must not leak."""
        return self.visibility != "public"

    @property
    def is_undeclared(self) -> bool:
        """Whether it is saved and on its way to where incidents are kept, and kept nowhere yet."""
        return self.incident_status.id == UNDECLARED

    @property
    def lead(self) -> Person | None:
        return next((a.assignee for a in self.incident_role_assignments if a.role.role_type == "lead"), None)

    @property
    def people(self) -> tuple[PersonId, ...]:
        """The reporter and everyone who holds a role, each once, in that order."""
        found = [self.creator.slack_user_id] + [
            assignment.assignee.slack_user_id
            for assignment in self.incident_role_assignments
            if assignment.assignee is not None
        ]
        return tuple(dict.fromkeys(person for person in found if person))


class Form(Frozen):
    """What can be asked when an incident is declared or changed, as the backend is configured now."""

    severities: tuple[Severity, ...] = ()
    statuses: tuple[Status, ...] = ()
    incident_types: tuple[IncidentType, ...] = ()
    roles: tuple[Role, ...] = ()
    custom_fields: tuple[CustomField, ...] = ()
    backend_fields: tuple[CustomField, ...] = ()
    """Questions of this backend alone; in the form, a block's id is the field's, with nothing before it."""
    severity_required: bool = True
    summary_required: bool = False
    offers_private: bool = True
    private_refusal: str = "Private incidents cannot be kept here."
    offers_test: bool = True
    lacks: dict[str, str] = Field(default_factory=dict)
    """What this backend cannot do: a verb, such as `private`, and a sentence that says so before typing."""
    as_of: datetime | None = None
    """When the backend said so; None where it is always true, as with our own configuration."""
    is_old: bool = False
    """The backend could not be asked since `as_of`."""
    kept_by: str = "Tocsin"
    """What people call the place where incidents are kept."""

    @property
    def assignable_roles(self) -> tuple[Role, ...]:
        """Roles a person may choose: the reporter is whoever declares."""
        return tuple(role for role in self.roles if role.role_type != "reporter")

    @property
    def usual_type(self) -> IncidentType | None:
        """The type of an incident for which none is chosen, where it is known."""
        only = self.incident_types[0] if len(self.incident_types) == 1 else None
        return next((t for t in self.incident_types if t.is_default), only)

    def severity(self, severity_id: str) -> Severity | None:
        return next((s for s in self.severities if s.id == severity_id), None)

    def incident_type(self, type_id: str) -> IncidentType | None:
        return next((t for t in self.incident_types if t.id == type_id), None)

    def role(self, role_id: str) -> Role | None:
        return next((r for r in self.roles if r.id == role_id), None)

    def status(self, status_id: str) -> Status | None:
        return next((s for s in self.statuses if s.id == status_id), None)

    def custom_field(self, field_id: str) -> CustomField | None:
        return next((f for f in self.custom_fields if f.id == field_id), None)

    def backend_field(self, field_id: str) -> CustomField | None:
        return next((f for f in self.backend_fields if f.id == field_id), None)


class Card(Frozen):
    """A message of ours that shows an incident and is edited when the incident changes."""

    channel: ChannelId
    ts: MessageTs
    place: str = Field(description="headline, source or announcement")
