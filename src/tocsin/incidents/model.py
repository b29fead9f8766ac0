"""Models of an incident and its parts, with the field names of incident.io's V1 and V2 objects.

Names, categories and kinds follow incident.io's API reference (Incidents V1 and V2, Custom Fields V1,
Severities V1, Incident Statuses V1), so that an incident means the same in every backend. Enumerations that a
hosted backend may extend are plain strings: incident.io promises to add values.
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
Mode = Literal["standard", "test", "retrospective"]
StartStatus = Literal["triage", "live"]
"""Category of the status in which a person asks an incident to start."""


FieldKind = Literal["text", "link", "numeric", "single_select", "multi_select"]

OPEN_CATEGORIES = frozenset({"triage", "live", "learning", "paused"})

StatusGroup = Literal["open", "triage", "closed"]
"""Part of a list of incidents: open ones, those in triage, and those that are over."""


class FrozenModel(BaseModel):
    """Immutable model that ignores unknown keys."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Person(FrozenModel):
    """A person: a Slack user id, a name, an email address, or several of them."""

    slack_user_id: PersonId | None = None
    name: str | None = None
    email: str | None = None


KEY_ACTOR = "the key "
"""Beginning of the stored name of an API key that acted; the key's own name follows."""


def key_actor(name: str) -> Person:
    """Return the API key of this name as the actor of a change: *the API key “ci”*."""
    return Person(name=f"{KEY_ACTOR}{name}")


def acting_key(person: Person | None) -> str:
    """Return the name of the API key that this actor is; "" for a person, whatever they call themselves."""
    if person is None or person.slack_user_id or not (person.name or "").startswith(KEY_ACTOR):
        return ""
    return (person.name or "").removeprefix(KEY_ACTOR)


SOMEBODY = "somebody"
"""Word that replaces a person's name in a sentence if the name is not known; ids are never shown."""


def display_name(person: Person | None) -> str:
    """Return the person's or the API key's name, the placeholder if only a Slack id is known, "" for None."""
    if person is None:
        return ""
    if key := acting_key(person):
        return Automation(kind="api_key", name=key).label
    return person.name or (SOMEBODY if person.slack_user_id else person.email or "")


class Automation(FrozenModel):
    """An alert, a workflow or an API key that declared an incident (incident.io, Incidents V2: `creator`)."""

    kind: Literal["alert", "workflow", "api_key"]
    id: str = ""
    name: str = ""
    """Name of the workflow or the API key, or title of the alert."""

    @property
    def label(self) -> str:
        """The automation in words, as in *Declared by the alert “Disk is full”*."""
        word = {"alert": "the alert", "workflow": "the workflow", "api_key": "the API key"}[self.kind]
        return f"{word} “{self.name}”" if self.name else word.replace("the", "an", 1)


class AlertSummary(FrozenModel):
    """Alerts of an incident: their numbers, and the titles of the newest ones."""

    firing: int = 0
    resolved: int = 0
    latest: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return self.firing + self.resolved


class Severity(FrozenModel):
    """Severity of an incident; a higher rank is worse."""

    id: str
    name: str
    description: str = ""
    rank: int = 0


class Status(FrozenModel):
    """Status of an incident. `category` decides if it is open; people read the name."""

    id: str
    name: str
    description: str = ""
    category: str = "live"
    rank: int = 0

    @property
    def is_open(self) -> bool:
        return self.category in OPEN_CATEGORIES

    @property
    def is_triage(self) -> bool:
        """True while it is being decided if there is an incident at all."""
        return self.category == "triage"

    @property
    def group(self) -> StatusGroup:
        """Part of the list in which incidents with this status are."""
        if self.is_triage:
            return "triage"
        return "open" if self.is_open else "closed"


class IncidentType(FrozenModel):
    """Incident type that the organisation has configured."""

    id: str
    name: str
    description: str = ""
    is_default: bool = False
    private_incidents_only: bool = False
    create_in_triage: str = "optional"
    """`always` if every incident of this type starts in triage (incident.io, Incident Types V1)."""


class Role(FrozenModel):
    """Incident role: one lead, one reporter, any number of custom ones."""

    id: str
    name: str
    description: str = ""
    instructions: str = ""
    role_type: str = "custom"
    shortform: str = ""


class FieldOption(FrozenModel):
    """One choice of a select field."""

    id: str
    value: str
    sort_key: int = 0


class CatalogEntry(FrozenModel):
    """Entry of the organisation's catalog, such as a team, that a custom field points to."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    """Other names of the entry, by which people know it too."""
    external_id: str | None = None
    """Id of the entry in the system that it comes from."""


class CustomField(FrozenModel):
    """Custom field: a question that the organisation asks about its incidents."""

    id: str
    name: str
    description: str = ""
    field_type: FieldKind = "text"
    required: bool = False
    required_when: Literal["closing"] | None = None
    """Set to `closing` if an incident needs an answer to be closed, though not to be declared."""
    asked: Literal["always", "declaring", "later"] = "always"
    """Set to `declaring` if it can only be answered then, to `later` if the declare form leaves it out."""
    options: tuple[FieldOption, ...] = ()
    searched: bool = False
    """True if the options are too many to list; the backend searches them while a person types."""

    catalog_type_id: str | None = None
    """Catalog whose entries are the options (incident.io, Custom Fields V2: `catalog_type_id`)."""

    @property
    def has_choices(self) -> bool:
        """False for a select that has no options, perhaps not yet: it cannot be answered."""
        return self.searched or bool(self.options) or not self.field_type.endswith("_select")

    def option(self, option_id: str) -> FieldOption | None:
        return next((option for option in self.options if option.id == option_id), None)


class FieldValue(FrozenModel):
    """One answer to a custom field; exactly one of the values is set."""

    value_text: str | None = None
    value_link: str | None = None
    value_numeric: str | None = None
    value_option: FieldOption | None = None
    value_catalog_entry: CatalogEntry | None = None

    @property
    def shown(self) -> str:
        if self.value_option is not None:
            return self.value_option.value or self.value_option.id
        if self.value_catalog_entry is not None:
            return self.value_catalog_entry.name or self.value_catalog_entry.id
        return self.value_text or self.value_link or self.value_numeric or ""

    @property
    def entered(self) -> str:
        """The value as a form holds it: an option or a catalog entry by its id."""
        chosen = self.value_option or self.value_catalog_entry
        return chosen.id if chosen is not None else self.shown


class FieldEntry(FrozenModel):
    """A custom field with its answers."""

    custom_field: CustomField
    values: tuple[FieldValue, ...] = ()


class RoleAssignment(FrozenModel):
    """A role and the person who holds it."""

    role: Role
    assignee: Person | None = None


class IncidentTimestamp(FrozenModel):
    """A moment in the life of an incident that the organisation keeps, such as *Impact started*."""

    id: str
    name: str
    description: str = ""
    rank: int = 0


class TimestampValue(FrozenModel):
    """A timestamp of an incident that has been set."""

    incident_timestamp: IncidentTimestamp
    value: datetime


class DurationMetric(FrozenModel):
    """A duration between two timestamps, such as *Time to fix*, as far as it is known."""

    id: str
    name: str
    value_seconds: int | None = None
    """The duration that was calculated last; None if there is none."""
    status: str = "success"
    """`success`, or else why the duration is not known: `timestamps_missing`, `invalid_timestamps` …"""

    @property
    def seconds(self) -> int | None:
        """The duration; None unless it matches the timestamps as they are now."""
        return self.value_seconds if self.status == "success" else None


class ExternalIssue(FrozenModel):
    """Issue in a tracker, in which an incident goes on (incident.io, Incidents V2, Show)."""

    provider: str = ""
    issue_name: str = ""
    issue_permalink: str = ""


class SourceMessage(FrozenModel):
    """The message that an incident was declared from."""

    channel: ChannelId
    timestamp: MessageTs
    permalink: str | None = None


class TimelineEntry(FrozenModel):
    """One event of the timeline: its actor, its verb, and the new value in words."""

    at: datetime
    by: Person | None = None
    verb: str
    text: str = ""
    id: str = ""
    """Id of the entry where it is stored; empty before that, and where the backend gives none."""
    key: str = ""
    """Idempotency key of the entry where it is stored."""


FollowUpStatus = Literal["outstanding", "completed", "not_doing", "deleted"]
"""Status of an action or follow-up (incident.io, Actions V3 and Follow-ups V3)."""


class FollowUp(FrozenModel):
    """Something to do: an `action` during the incident, a `follow_up` after it."""

    id: str
    incident_id: str
    kind: Literal["action", "follow_up"] = "action"
    text: str
    description: str = ""
    """More about it than its text, which is its title."""
    assignee: Person | None = None
    status: FollowUpStatus = "outstanding"
    is_done: bool = False
    """True if nothing is left to do: it is completed, or will not be done."""
    created_at: datetime
    updated_at: datetime | None = None
    done_at: datetime | None = None
    runbook_url: str | None = None
    """Link of the runbook that says how it is done."""
    external_issue_reference: ExternalIssue | None = None
    """Issue in a tracker, in which it is done."""


class Attachment(FrozenModel):
    """A link to what has to do with an incident (incident.io, Incident Attachments V1)."""

    id: str = ""
    incident_id: str
    resource_type: str
    external_id: str
    """Id of the resource in its own system; of an arbitrary link the address itself."""
    permalink: str
    title: str


HUDDLE = "https://app.slack.com/huddle"
"""Call link that means the huddle of the incident's own channel, which may not be there yet."""

UNDECLARED = "saved"
"""Status id of a declaration that is saved and not yet created at the backend; no backend has this id."""


class Incident(FrozenModel):
    """An incident as its backend describes it."""

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
    automation: Automation | None = None
    """Automation that declared the incident, if no person did."""
    incident_role_assignments: tuple[RoleAssignment, ...] = ()
    custom_field_entries: tuple[FieldEntry, ...] = ()
    """Answers to the organisation's fields, and to those that only the backend has."""
    incident_timestamp_values: tuple[TimestampValue, ...] = ()
    """The timestamps that are set, in the organisation's order."""
    duration_metrics: tuple[DurationMetric, ...] = ()
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    call_url: str | None = None
    """Link of the call in which people talk, or `HUDDLE`."""
    postmortem_document_url: str | None = None
    external_issue_reference: ExternalIssue | None = None
    has_debrief: bool | None = None
    """True if a debrief is attached; None if the backend knows no debriefs."""
    workload_minutes_total: float | None = None
    workload_minutes_working: float | None = None
    workload_minutes_late: float | None = None
    workload_minutes_sleeping: float | None = None
    strangers: tuple[PersonId, ...] = ()
    """Slack user ids that were to get a role and that the backend does not know."""
    members: tuple[Person, ...] = ()
    """People who were invited to see a private incident (incident.io, Incident Memberships V1)."""
    alerts: AlertSummary | None = None
    """Alerts that were attached to it; None if it never had one."""

    @property
    def is_private(self) -> bool:
        """True unless the visibility is `public`: an unknown visibility must not leak."""
        return self.visibility != "public"

    @property
    def is_undeclared(self) -> bool:
        """True while the declaration is saved and not yet created at the backend."""
        return self.incident_status.id == UNDECLARED

    @property
    def is_retrospective(self) -> bool:
        """True if it was over before its declaration: it has no channel, and its people were not called."""
        return self.mode == "retrospective"

    def timestamp(self, timestamp_id: str) -> datetime | None:
        """Return the value of a timestamp; None if it is not set."""
        values = self.incident_timestamp_values
        return next((one.value for one in values if one.incident_timestamp.id == timestamp_id), None)

    @property
    def call_link(self) -> str | None:
        """Address of the call; a huddle is that of the channel that the incident has now."""
        return self.huddle_link if self.call_url == HUDDLE else self.call_url

    @property
    def huddle_link(self) -> str | None:
        """Address of the huddle of the incident's channel; None while there is no channel."""
        known = self.slack_team_id and self.slack_channel_id
        return f"{HUDDLE}/{self.slack_team_id}/{self.slack_channel_id}" if known else None

    @property
    def lead(self) -> Person | None:
        return next((a.assignee for a in self.incident_role_assignments if a.role.role_type == "lead"), None)

    def answers(self, field_id: str) -> tuple[FieldValue, ...]:
        """Return the answers to a field; empty if it has none."""
        found = (entry.values for entry in self.custom_field_entries if entry.custom_field.id == field_id)
        return next(found, ())

    @property
    def people(self) -> tuple[PersonId, ...]:
        """Slack user ids of the reporter, the role holders and the members, each once, in that order."""
        found = [
            self.creator.slack_user_id,
            *(assignee.slack_user_id for assignee in self.role_holders),
            *(member.slack_user_id for member in self.members),
        ]
        return tuple(dict.fromkeys(person for person in found if person))

    @property
    def role_holders(self) -> tuple[Person, ...]:
        """The people who hold a role."""
        return tuple(a.assignee for a in self.incident_role_assignments if a.assignee is not None)


def declarer(incident: Incident) -> str:
    """Return the name of the person or the automation that declared the incident; "" if none is known."""
    return display_name(incident.creator) or (incident.automation.label if incident.automation else "")


class TriageDefaults(FrozenModel):
    """Declarations that start in triage unless the person says that it is an incident."""

    by_default: bool = False
    incident_types: tuple[str, ...] = ()
    """Types by id or by name, if not every declaration does."""

    def apply_to(self, kind: IncidentType | None) -> bool:
        named = {kind.id.casefold(), kind.name.casefold()} if kind is not None else set()
        return self.by_default or any(name.casefold() in named for name in self.incident_types)


class Form(FrozenModel):
    """Fields and choices of the declare and update forms, as the backend is configured now."""

    severities: tuple[Severity, ...] = ()
    statuses: tuple[Status, ...] = ()
    incident_types: tuple[IncidentType, ...] = ()
    roles: tuple[Role, ...] = ()
    custom_fields: tuple[CustomField, ...] = ()
    backend_fields: tuple[CustomField, ...] = ()
    """Fields that only this backend has; a field's block in the modal has the field's id without a prefix."""
    incident_timestamps: tuple[IncidentTimestamp, ...] = ()
    """The timestamps that people may set, in the organisation's order."""
    severity_required: bool = True
    summary_required: bool = False
    offers_private: bool = True
    private_refusal: str = "Private incidents cannot be kept here."
    offers_test: bool = True
    triage: TriageDefaults = TriageDefaults()
    lacks: dict[str, str] = Field(default_factory=dict)
    """Verbs that this backend does not support, such as `private`, each with a sentence for the person."""
    as_of: datetime | None = None
    """Time at which the backend gave these choices; None if they are our own configuration."""
    is_old: bool = False
    """True if the backend could not be asked since `as_of`."""
    kept_by: str = "Tocsin"
    """Name of the product that keeps the incidents, as people call it."""
    archived: Form | None = Field(default=None, exclude=True)
    """Choices that cannot be chosen any more, and that incidents may have; None if they are not known."""

    @property
    def assignable_roles(self) -> tuple[Role, ...]:
        """Roles that a person can assign; the reporter role always goes to the person who declares."""
        return tuple(role for role in self.roles if role.role_type != "reporter")

    @property
    def usual_type(self) -> IncidentType | None:
        """Incident type used if none is chosen: the default, or the only one; None if there is neither."""
        only = self.incident_types[0] if len(self.incident_types) == 1 else None
        return next((t for t in self.incident_types if t.is_default), only)

    @property
    def triage_status(self) -> Status | None:
        """Status of an incident in triage; None if incidents have no triage here."""
        return next((s for s in self.statuses if s.is_triage), None)

    def starts_in_triage(self, asked: StartStatus | None, kind: IncidentType | None) -> bool:
        """True if a declaration of this type starts in triage; `asked` is the person's own choice."""
        if self.triage_status is None:
            return False
        if kind is not None and kind.create_in_triage == "always":
            return True
        return asked == "triage" or (asked is None and self.triage.apply_to(kind))

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

    def incident_timestamp(self, timestamp_id: str) -> IncidentTimestamp | None:
        return next((t for t in self.incident_timestamps if t.id == timestamp_id), None)

    def backend_field(self, field_id: str) -> CustomField | None:
        return next((f for f in self.backend_fields if f.id == field_id), None)

    @property
    def changeable_fields(self) -> tuple[CustomField, ...]:
        """Fields that can be changed after the declaration: the organisation's, then the backend's."""
        return tuple(f for f in (*self.custom_fields, *self.backend_fields) if f.asked != "declaring")

    def field_path(self, field_id: str) -> str:
        """Return the path of a field in a request, which is its block in a form.

        A field of the backend's own has no prefix.
        """
        return field_id if self.backend_field(field_id) else f"custom_field_entries.{field_id}"


class Card(FrozenModel):
    """A message of the bot that shows an incident and is edited when the incident changes."""

    channel: ChannelId
    ts: MessageTs
    place: str = Field(description="headline, source or announcement")
