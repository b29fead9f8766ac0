"""Requests of a responder, as models. A field's name is its block's id in the modal.

Field names are those of incident.io's V1 create payload (Incidents V1, Create), so that an error which a
backend gives for a field can be shown under the input it belongs to.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from tocsin.incidents.model import (
    AlertSummary,
    Automation,
    ChannelId,
    FieldValue,
    FollowUpStatus,
    FrozenModel,
    Incident,
    Mode,
    Person,
    PersonId,
    SourceMessage,
    StartStatus,
    StatusGroup,
    TeamId,
    Visibility,
    key_actor,
)

NAME_LIMIT = 200
SUMMARY_LIMIT = 3000
TEXT_LIMIT = 3000
LINK_LIMIT = 2048


class DeclareRequest(FrozenModel):
    """Values of the declare form, not yet validated."""

    name: str = ""
    summary: str = ""
    severity_id: str | None = None
    incident_type_id: str | None = None
    visibility: Visibility = "public"
    mode: Mode = "standard"
    status: StartStatus | None = None
    """The person's choice if it may be no incident; None if they made none."""
    slack_channel_id: ChannelId | None = None
    """Channel that the incident uses, if it gets none of its own."""
    incident_role_assignments: dict[str, PersonId] = Field(default_factory=dict)
    custom_field_entries: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    backend_entries: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Answers to the fields that only this backend has, by field id."""
    incident_timestamp_values: dict[str, datetime] = Field(default_factory=dict)
    """Times of what is declared in retrospect, by timestamp id."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the chosen options of searched fields, by option id."""


class Declaration(FrozenModel):
    """A validated declaration, saved durably: everything that a backend needs to create the incident.

    `key` is the idempotency key: the same key never creates a second incident.
    """

    key: str
    name: str
    summary: str = ""
    severity_id: str | None = None
    incident_type_id: str | None = None
    visibility: Visibility = "public"
    mode: Mode = "standard"
    status: StartStatus | None = None
    """`triage` if it starts there; otherwise it starts as an incident."""
    incident_status_id: str | None = None
    """Open status in which it starts, if another than the first one; not used if it starts in triage."""
    slack_channel_id: ChannelId | None = None
    """Channel that the incident uses, if it gets none of its own."""
    incident_role_assignments: dict[str, PersonId] = Field(default_factory=dict)
    custom_field_entries: dict[str, tuple[FieldValue, ...]] = Field(default_factory=dict)
    backend_entries: dict[str, tuple[FieldValue, ...]] = Field(default_factory=dict)
    incident_timestamp_values: dict[str, datetime] = Field(default_factory=dict)
    slack_team_id: TeamId = TeamId("")
    slack_enterprise_id: str = ""
    """Id of the Enterprise organization; empty if the workspace belongs to none."""
    source: SourceMessage | None = None
    reporter: Person
    automation: Automation | None = None
    """Automation that declares it, if no person does; the reporter is empty then."""
    alerts: AlertSummary | None = None
    """Alerts that it is declared for."""
    call_url: str | None = None
    """Link of its call, by the rules; `HUDDLE` for the huddle of its channel."""
    assignees: tuple[Person, ...] = ()
    """People who get a role at declaration, with the names that are known."""
    at: datetime

    @property
    def declared_by(self) -> Person:
        """The reporter, or the automation in words."""
        by = self.automation
        if by is None:
            return self.reporter
        return key_actor(by.name) if by.kind == "api_key" else Person(name=by.label)

    @property
    def request(self) -> DeclareRequest:
        """The values of the form, to open it again filled in."""
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


class IncidentChange(FrozenModel):
    """A validated change to an incident; fields that are None stay as they are.

    `key` is the idempotency key: a repeat changes nothing and notifies once. `message` is the text of an
    update. A role mapped to None is given up. An incident can become private, never public.
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
    call_url: str | None = None
    incident_role_assignments: dict[str, PersonId | None] = Field(default_factory=dict)
    invited: tuple[PersonId, ...] = ()
    """People to bring into the incident's channel; of a private incident they become members."""
    removed: tuple[PersonId, ...] = ()
    """Members who may not see the private incident any more."""
    custom_field_entries: dict[str, tuple[FieldValue, ...]] = Field(default_factory=dict)
    """New answers by field id, also to fields of the backend's own; without any, the field is emptied."""
    incident_timestamp_values: dict[str, datetime | None] = Field(default_factory=dict)
    """Timestamps to set, by id; one mapped to None is cleared."""
    zone: str = "UTC"
    """Time zone of the requester, in which the answer tells them the times (IANA name)."""
    assignees: tuple[Person, ...] = ()
    """People who get a role or are invited by this change, with the names that are known."""
    seen_status_id: str | None = None
    """Status that the person saw in the form; the change is refused if it is another by now."""
    merged_into: str | None = None
    """Reference of the incident that this one is merged into."""


class FollowUpRequest(FrozenModel):
    """A request for an action or follow-up; the same `key` never creates a second one."""

    key: str
    by: Person
    at: datetime
    kind: Literal["action", "follow_up"] = "action"
    text: str
    assignee: Person | None = None
    description: str = ""
    runbook_url: str | None = None
    issue_url: str | None = None


class FollowUpChange(FrozenModel):
    """A change to an action or follow-up; what is None stays as it is. A repeat changes nothing."""

    key: str
    by: Person
    at: datetime
    assignee: Person | None = None
    unassigned: bool = False
    """True if it is to have no assignee any more."""
    text: str | None = None
    description: str | None = None
    status: FollowUpStatus | None = None
    issue_url: str | None = None


NOBODY = PersonId("")
"""Viewer who may see public incidents only."""


class IncidentFilter(FrozenModel):
    """Filter for incidents; fields that are not set match every incident."""

    reference: str = ""
    """Reference, number or id of one incident; then only `visible_to` and `teams` apply besides."""
    is_open: bool | None = None
    severity_id: str | None = None
    incident_status_id: str | None = None
    text: str = ""
    """Words to find in the name, the summary or the reference."""
    visible_to: PersonId | None = None
    """Viewer; private incidents that they may not see are left out. None leaves out none."""
    teams: frozenset[TeamId] | None = None
    """Workspaces whose incidents are wanted; None for all."""
    involving: PersonId | None = None
    """Person who reported the incident, holds a role in it, or is a member of the private incident."""


class IncidentQuery(FrozenModel):
    """Filters, order and place of a page of the list of incidents; what is not set matches every incident."""

    group: StatusGroup | None = None
    incident_status_id: str | None = None
    severity_id: str | None = None
    incident_type_id: str | None = None
    text: str = ""
    """Words to find in the name, the summary or the reference."""
    person: str = ""
    """Slack id, or beginning of the name, of a person who reported it, holds a role in it or is a member."""
    role_id: str | None = None
    """Role that this person holds."""
    custom_field_entries: dict[str, str] = Field(default_factory=dict)
    """Option's id, or the whole text, by custom field."""
    created_from: datetime | None = None
    created_before: datetime | None = None
    visible_to: PersonId | None = None
    """Viewer; private incidents that they may not see are left out. None leaves out none."""
    teams: frozenset[TeamId] | None = None
    """Workspaces whose incidents are wanted; None for all."""
    oldest_first: bool = False
    after: str | None = None
    """Cursor of the page before."""
    limit: int = 50


class ListedIncidents(FrozenModel):
    """Incidents of a page of the list, and the place of the next one."""

    incidents: tuple[Incident, ...] = ()
    after: str | None = None
    """Cursor of the next page; None if this is the last one."""
    is_cut: bool = False
    """True if the page ended before it was full, since it had looked at as many incidents as a page may."""
