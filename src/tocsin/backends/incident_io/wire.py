"""What we send to incident.io: exactly the documented payloads; what is not set is left out, never null.

Sources: incident.io API reference, Incidents V1 and V2 (Create, Edit), Incident Updates V2, Incident Timeline
Items V2, Incident Attachments V1, Actions V3, Follow-ups V3.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """A request body: an unknown name or a wrong kind is a mistake of ours."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def written(self) -> bytes:
        """The body as it goes over the wire; the same payload is always the same bytes."""
        return self.model_dump_json(exclude_none=True).encode()


class Reference(Payload):
    """Somebody, by what is known of them; we know Slack ids."""

    id: str | None = None
    email: str | None = None
    slack_user_id: str | None = None


class RolePayload(Payload):
    incident_role_id: str
    assignee: Reference | None = None


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
    """What both versions take."""

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
    assignee_id: str | None = None


class FollowUpChange(Payload):
    title: str
    status: Progress
    assignee_id: str | None = None
