"""Request and response models of incident.io's API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    model_validator,
)

from tocsin.backends.answers import or_none, without_nulls

# Requests: exactly the documented payloads; a field that is not set is left out, never null. Sources:
# incident.io API reference, Incidents V1 and V2 (Create, Edit), Incident Updates V2, Incident Timeline Items
# V2, Incident Attachments V1, Actions V3, Follow-ups V3.


class Payload(BaseModel):
    """A request body. An unknown name or a wrong type is a bug of ours, so it raises an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def written(self) -> bytes:
        """Return the body to send; the same payload always gives the same bytes."""
        return self.model_dump_json(exclude_none=True).encode()


class ReferencePayload(Payload):
    """A user of incident.io's by one of three ids; the bot knows Slack ids."""

    id: str | None = None
    email: str | None = None
    slack_user_id: str | None = None


class RolePayload(Payload):
    incident_role_id: str
    assignee: ReferencePayload | None = None


class ValuePayload(Payload):
    id: str | None = None
    value_catalog_entry_id: str | None = None
    value_link: str | None = None
    value_numeric: str | None = None
    value_option_id: str | None = None
    value_text: str | None = None
    value_timestamp: str | None = None


class EntryPayload(Payload):
    custom_field_id: str
    values: list[ValuePayload]


class CreatePayload(Payload):
    """Fields that both versions take."""

    idempotency_key: str
    visibility: Literal["public", "private"]
    name: str | None = None
    summary: str | None = None
    severity_id: str | None = None
    incident_type_id: str | None = None
    slack_team_id: str | None = None
    incident_role_assignments: list[RolePayload] | None = None
    custom_field_entries: list[EntryPayload] | None = None


class CreateV1(CreatePayload):
    status: Literal["triage", "investigating", "fixing", "monitoring", "closed", "declined"] | None = None
    mode: Literal["real", "test"] | None = None
    source_message_channel_id: str | None = None
    source_message_timestamp: str | None = None


class TimestampPayload(Payload):
    incident_timestamp_id: str
    value: str | None = None


def timestamps(values: Mapping[str, datetime | None]) -> list[TimestampPayload] | None:
    """Return the values to set, by timestamp id; one without a value clears the timestamp."""
    return [
        TimestampPayload(
            incident_timestamp_id=timestamp_id,
            value=at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            if at
            else None,
        )
        for timestamp_id, at in values.items()
    ] or None


class RetrospectivePayload(Payload):
    external_id: int | None = None
    postmortem_document_url: str | None = None
    slack_channel_id: str | None = None


class CreateV2(CreatePayload):
    incident_status_id: str | None = None
    mode: Literal["standard", "retrospective", "test", "tutorial"] | None = None
    incident_timestamp_values: list[TimestampPayload] | None = None
    slack_channel_name_override: str | None = None
    retrospective_incident_options: RetrospectivePayload | None = None


class EditedIncident(Payload):
    name: str | None = None
    summary: str | None = None
    severity_id: str | None = None
    incident_status_id: str | None = None
    incident_role_assignments: list[RolePayload] | None = None
    custom_field_entries: list[EntryPayload] | None = None
    incident_timestamp_values: list[TimestampPayload] | None = None
    call_url: str | None = None
    slack_channel_name_override: str | None = None


class EditPayload(Payload):
    incident: EditedIncident
    notify_incident_channel: bool


class UpdatePayload(Payload):
    idempotency_key: str
    incident_id: str
    message: str | None = None
    to_incident_status_id: str | None = None
    to_severity_id: str | None = None


class TimelinePayload(Payload):
    idempotency_key: str
    incident_id: str
    timestamp: str
    title: str
    description: str | None = None


class ResourcePayload(Payload):
    resource_type: Literal["arbitrary_url"] = "arbitrary_url"
    url: str
    title: str | None = None


class AttachmentPayload(Payload):
    incident_id: str
    resource: ResourcePayload


Progress = Literal["completed", "not_doing", "outstanding"]


class MembershipPayload(Payload):
    """Membership of a private incident, to create or revoke (Incident Memberships V1)."""

    incident_id: str
    user_id: str


class ActionPayload(Payload):
    incident_id: str
    description: str
    assignee_id: str | None = None


class ActionChange(Payload):
    description: str
    status: Progress
    assignee_id: str | None = None


class FollowUpPayload(Payload):
    incident_id: str
    title: str
    description: str | None = None
    assignee_id: str | None = None


class FollowUpChange(Payload):
    title: str
    status: Progress
    description: str | None = None
    assignee_id: str | None = None
    assignee_team_id: str | None = None
    follow_up_category_id: str | None = None
    follow_up_priority_option_id: str | None = None
    labels: list[str] | None = None


# Responses, read tolerantly: new properties, new enumeration values and other formats of ids may come at any
# time (incident.io, Compatibility). So enumerations are strings, and all but an id may be missing or null.

_MOMENT: TypeAdapter[datetime] = TypeAdapter(datetime)


def _moment(given: object) -> datetime | None:
    try:
        at = _MOMENT.validate_python(given)
    except ValidationError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


Moment = Annotated[datetime | None, BeforeValidator(_moment)]


class Response(BaseModel):
    """Part of an answer; null is the same as missing, also in a list."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        return without_nulls(given)


class UserResponse(Response):
    id: str = ""
    name: str | None = None
    email: str | None = None
    slack_user_id: str | None = None
    is_active: bool = True


class AutomationResponse(Response):
    """An API key or a workflow with its `name`, or an alert with its `title`."""

    id: str = ""
    name: str = ""
    title: str = ""


class ActorResponse(Response):
    user: UserResponse | None = None
    alert: AutomationResponse | None = None
    workflow: AutomationResponse | None = None
    api_key: AutomationResponse | None = None


class SeverityResponse(Response):
    id: str
    name: str = ""
    description: str = ""
    rank: int = 0


class StatusResponse(Response):
    id: str
    name: str = ""
    description: str = ""
    category: str = "live"
    rank: int = 0


class TypeResponse(Response):
    id: str
    name: str = ""
    description: str = ""
    is_default: bool = False
    private_incidents_only: bool = False
    create_in_triage: str = "optional"


class RoleResponse(Response):
    id: str
    name: str = ""
    description: str = ""
    instructions: str = ""
    role_type: str = "custom"
    shortform: str = ""


class AssignmentResponse(Response):
    role: RoleResponse
    assignee: UserResponse | None = None


class OptionResponse(Response):
    id: str
    value: str = ""
    sort_key: int = 1000


class FixedFilter(Response):
    """Restriction of a field's catalog entries to those whose attribute points to one of these values."""

    catalog_attribute_id: str
    values: list[str] = Field(default_factory=list)


class FilterBy(Response):
    """Restriction of a field's catalog entries to those whose attribute points to another field's choice."""

    catalog_attribute_id: str
    custom_field_id: str


class FieldResponse(Response):
    """A custom field, as V1, V2 and an incident's entries have it."""

    id: str
    name: str = ""
    description: str = ""
    field_type: str = "text"
    catalog_type_id: str | None = None
    fixed_filter: Annotated[FixedFilter | None, WrapValidator(or_none)] = None
    filter_by: Annotated[FilterBy | None, WrapValidator(or_none)] = None
    required_v2: str = ""
    show_before_creation: bool = True
    options: list[OptionResponse] = Field(default_factory=list)


class CatalogEntryResponse(Response):
    id: str
    name: str = ""
    aliases: list[str] = Field(default_factory=list)
    external_id: str | None = None
    archived_at: str | None = None


class ValueResponse(Response):
    value_text: str | None = None
    value_link: str | None = None
    value_numeric: str | None = None
    value_option: OptionResponse | None = None
    value_catalog_entry: CatalogEntryResponse | None = None


class EntryResponse(Response):
    custom_field: FieldResponse
    values: list[ValueResponse] = Field(default_factory=list)


class NamedTimestamp(Response):
    id: str = ""
    name: str = ""
    rank: int = 0


class TimestampValue(Response):
    value: Moment = None


class TimestampResponse(Response):
    incident_timestamp: NamedTimestamp = NamedTimestamp()
    value: TimestampValue | None = None


class NamedMetric(Response):
    id: str = ""
    name: str = ""


class DurationMetricResponse(Response):
    duration_metric: NamedMetric = NamedMetric()
    value_seconds: int | None = None
    status: str = "success"


class ExternalIssueResponse(Response):
    provider: str = ""
    issue_name: str = ""
    issue_permalink: str = ""


Minutes = Annotated[float | None, WrapValidator(or_none)]


class IncidentResponse(Response):
    """An incident of either version: V1 has `status`, V2 `incident_status`."""

    id: str
    reference: str = ""
    name: str = ""
    summary: str = ""
    permalink: str | None = None
    visibility: str = "private"
    mode: str = "standard"
    status: str | None = None
    incident_status: StatusResponse | None = None
    severity: SeverityResponse | None = None
    incident_type: TypeResponse | None = None
    slack_team_id: str = ""
    slack_channel_id: str = ""
    slack_channel_name: str = ""
    creator: ActorResponse = ActorResponse()
    incident_role_assignments: list[AssignmentResponse] = Field(default_factory=list)
    custom_field_entries: list[EntryResponse] = Field(default_factory=list)
    incident_timestamp_values: list[TimestampResponse] = Field(default_factory=list)
    duration_metrics: list[DurationMetricResponse] = Field(default_factory=list)
    call_url: str | None = None
    postmortem_document_url: str | None = None
    external_issue_reference: Annotated[ExternalIssueResponse | None, WrapValidator(or_none)] = None
    has_debrief: Annotated[bool | None, WrapValidator(or_none)] = None
    workload_minutes_total: Minutes = None
    workload_minutes_working: Minutes = None
    workload_minutes_late: Minutes = None
    workload_minutes_sleeping: Minutes = None
    created_at: Moment = None
    updated_at: Moment = None


class UpdateResponse(Response):
    id: str = ""
    message: str = ""
    new_incident_status: StatusResponse | None = None
    new_severity: SeverityResponse | None = None
    merged_into_incident_id: str = ""
    updater: ActorResponse = ActorResponse()
    created_at: Moment = None


class TimelineResponse(Response):
    id: str = ""
    title: str = ""
    description: str = ""
    timestamp: Moment = None
    creator: ActorResponse = ActorResponse()


class LabelledResponse(Response):
    """Team, category or priority of a follow-up."""

    id: str = ""


class ToDoResponse(Response):
    """An action (`description`) or a follow-up (`title`)."""

    id: str
    incident_id: str = ""
    title: str = ""
    description: str = ""
    status: str = "outstanding"
    assignee: UserResponse | None = None
    assignee_team: LabelledResponse | None = None
    category: LabelledResponse | None = None
    priority: LabelledResponse | None = None
    labels: list[str] = Field(default_factory=list)
    creator: ActorResponse = ActorResponse()
    external_issue_reference: Annotated[ExternalIssueResponse | None, WrapValidator(or_none)] = None
    created_at: Moment = None
    updated_at: Moment = None
    completed_at: Moment = None


class ElementResponse(Response):
    """One element of a form."""

    element_type: str = ""
    custom_field_id: str | None = None
    incident_role_id: str | None = None
    required_if: str = ""
    show_if_condition_groups: list[Any] = Field(default_factory=list)

    @property
    def is_needed(self) -> bool:
        """True if an answer is always required; an element that is shown conditionally is not."""
        return self.required_if == "always_require" and not self.show_if_condition_groups

    @property
    def is_left_to_field(self) -> bool:
        """True if the custom field itself says when an answer is required."""
        return self.required_if == "check_engine_config" and self.custom_field_id is not None


class FormResponse(Response):
    form_type: str = ""
    lifecycle_elements: list[ElementResponse] = Field(default_factory=list)


class IdentityResponse(Response):
    name: str = ""
    dashboard_url: str = ""
    roles: list[str] = Field(default_factory=list)


class AttachedResource(Response):
    resource_type: str = "arbitrary_url"
    external_id: str = ""
    permalink: str = ""
    title: str = ""


class AttachmentResponse(Response):
    id: str = ""
    resource: AttachedResource = AttachedResource()


class ParticipantResponse(Response):
    user: UserResponse | None = None


class ParticipantsResponse(Response):
    """People who take part in an incident, or only watch it."""

    active: list[ParticipantResponse] = Field(default_factory=list)
    passive: list[ParticipantResponse] = Field(default_factory=list)
