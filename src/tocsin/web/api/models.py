"""Models of answers, with the names of incident.io's description.

A model is named as its newest version there; an older one that has the same properties uses it too.
"""

from __future__ import annotations

from datetime import datetime

from tocsin.web.api.endpoints import Answer
from tocsin.web.api.query import PaginationMeta, PaginationMetaWithTotal

# Actors.


class UserV2(Answer):
    id: str
    name: str
    role: str = "unset"
    """Frozen since 2023 there (incident.io, Users V2): rights come from Slack here."""
    email: str | None = None
    slack_user_id: str | None = None


class ApiKeyActorV2(Answer):
    id: str
    name: str


class WorkflowActorV2(Answer):
    id: str
    name: str


class AlertActorV2(Answer):
    id: str
    title: str


class ActorV2(Answer):
    """Exactly one of these acted."""

    user: UserV2 | None = None
    api_key: ApiKeyActorV2 | None = None
    workflow: WorkflowActorV2 | None = None
    alert: AlertActorV2 | None = None


# Choices.


class Dated(Answer):
    id: str
    name: str
    description: str
    created_at: datetime
    updated_at: datetime


class SeverityV2(Dated):
    rank: int


class IncidentStatusV2(Dated):
    category: str
    rank: int


class IncidentTypeV2(Dated):
    is_default: bool
    private_incidents_only: bool
    create_in_triage: str


class IncidentRoleV2(Dated):
    instructions: str
    role_type: str
    shortform: str


class IncidentRoleV1(IncidentRoleV2):
    required: bool = False


class CustomFieldV2(Dated):
    field_type: str


class CustomFieldOptionV2(Answer):
    id: str
    custom_field_id: str
    value: str
    sort_key: int


class IncidentTimestampV2(Answer):
    id: str
    name: str
    rank: int


# Incidents.


class CustomFieldTypeInfoV2(Answer):
    id: str
    name: str
    description: str
    field_type: str
    options: list[CustomFieldOptionV2]


class CustomFieldValueV2(Answer):
    value_text: str | None = None
    value_link: str | None = None
    value_numeric: str | None = None
    value_option: CustomFieldOptionV2 | None = None


class CustomFieldEntryV2(Answer):
    custom_field: CustomFieldTypeInfoV2
    values: list[CustomFieldValueV2]


class IncidentRoleAssignmentV2(Answer):
    role: IncidentRoleV1
    assignee: UserV2 | None = None


class IncidentTimestampValueV2(Answer):
    value: datetime


class IncidentTimestampWithValueV2(Answer):
    incident_timestamp: IncidentTimestampV2
    value: IncidentTimestampValueV2 | None = None


class IncidentDurationMetricV2(Answer):
    id: str
    name: str


class IncidentDurationMetricWithValueV2(Answer):
    duration_metric: IncidentDurationMetricV2
    status: str
    value_seconds: int | None = None


class ExternalIssueReferenceV2(Answer):
    provider: str
    issue_name: str
    issue_permalink: str


class IncidentBase(Answer):
    """Properties that both versions have."""

    id: str
    reference: str
    name: str
    visibility: str
    mode: str
    created_at: datetime
    updated_at: datetime
    creator: ActorV2
    incident_role_assignments: list[IncidentRoleAssignmentV2]
    custom_field_entries: list[CustomFieldEntryV2]
    slack_team_id: str
    slack_channel_id: str
    """Empty until the channel is there."""
    slack_channel_name: str | None = None
    summary: str | None = None
    severity: SeverityV2 | None = None
    incident_type: IncidentTypeV2 | None = None
    permalink: str | None = None
    call_url: str | None = None
    postmortem_document_url: str | None = None


class IncidentV2(IncidentBase):
    incident_status: IncidentStatusV2
    last_activity_at: datetime
    team_ids: list[str]
    incident_timestamp_values: list[IncidentTimestampWithValueV2]
    duration_metrics: list[IncidentDurationMetricWithValueV2]
    external_issue_reference: ExternalIssueReferenceV2 | None = None
    has_debrief: bool | None = None


class IncidentTimestampValueV1(Answer):
    name: str
    last_occurred_at: datetime | None = None


class IncidentV1(IncidentBase):
    status: str
    timestamps: list[IncidentTimestampValueV1]


class IncidentsShowResultV1(Answer):
    incident: IncidentV1


class IncidentsListResultV1(Answer):
    incidents: list[IncidentV1]
    pagination_meta: PaginationMetaWithTotal


class IncidentsShowResultV2(Answer):
    incident: IncidentV2


class IncidentsListResultV2(Answer):
    incidents: list[IncidentV2]
    pagination_meta: PaginationMetaWithTotal


class IncidentUpdateV2(Answer):
    id: str
    incident_id: str
    created_at: datetime
    updater: ActorV2
    new_incident_status: IncidentStatusV2
    new_severity: SeverityV2 | None = None
    message: str | None = None
    merged_into_incident_id: str | None = None


class IncidentUpdatesListResultV2(Answer):
    incident_updates: list[IncidentUpdateV2]
    pagination_meta: PaginationMeta


# Actions, follow-ups, post-mortems.


class ActionV2(Answer):
    id: str
    incident_id: str
    description: str
    status: str
    created_at: datetime
    updated_at: datetime
    creator: ActorV2
    assignee: UserV2 | None = None
    completed_at: datetime | None = None


class FollowUpV2(Answer):
    id: str
    incident_id: str
    title: str
    status: str
    labels: list[str]
    created_at: datetime
    updated_at: datetime
    creator: ActorV2
    description: str | None = None
    assignee: UserV2 | None = None
    completed_at: datetime | None = None
    external_issue_reference: ExternalIssueReferenceV2 | None = None


class PostmortemDocumentV1(Answer):
    id: str
    incident_id: str
    title: str
    type: str
    status: str
    document_url: str
    editors: list[UserV2]
    exported_urls: list[str]
    created_at: datetime
    updated_at: datetime
