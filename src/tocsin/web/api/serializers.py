"""Serializers: incidents and all that belongs to them, from the backend's models to the API's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tocsin.backends.local.reading import Choices, Kept, ReadIncidents, ReadTask
from tocsin.backends.local.updates import Update
from tocsin.incidents.model import (
    Automation,
    CustomField,
    ExternalIssue,
    FieldEntry,
    FieldOption,
    Incident,
    IncidentType,
    Person,
    Role,
    Severity,
    Status,
    acting_key,
    display_name,
)
from tocsin.web.api import models

V1_STATUSES = ("triage", "investigating", "fixing", "monitoring", "closed", "declined")


def user(person: Person) -> models.UserV2:
    """Return a person as a user, whose id is the Slack id where there is one."""
    known = person.slack_user_id or person.email or person.name or "unknown"
    return models.UserV2(
        id=known,
        name=display_name(person) or "somebody",
        email=person.email,
        slack_user_id=person.slack_user_id,
    )


def actor(person: Person | None, automation: Automation | None = None) -> models.ActorV2:
    """Return the one who acted: an automation if there is one, else the person."""
    if automation is None and (key := acting_key(person)):
        return models.ActorV2(api_key=models.ApiKeyActorV2(id=key, name=key))
    if automation is None:
        return models.ActorV2(user=user(person or Person()))
    if automation.kind == "alert":
        return models.ActorV2(alert=models.AlertActorV2(id=automation.id, title=automation.name))
    if automation.kind == "workflow":
        return models.ActorV2(workflow=models.WorkflowActorV2(id=automation.id, name=automation.name))
    return models.ActorV2(api_key=models.ApiKeyActorV2(id=automation.id, name=automation.name))


# Choices.


def severity(kept: Kept[Severity]) -> models.SeverityV2:
    return models.SeverityV2(
        **kept.thing.model_dump(), created_at=kept.created_at, updated_at=kept.updated_at
    )


def status(kept: Kept[Status]) -> models.IncidentStatusV2:
    return models.IncidentStatusV2(
        **kept.thing.model_dump(), created_at=kept.created_at, updated_at=kept.updated_at
    )


def incident_type(kept: Kept[IncidentType]) -> models.IncidentTypeV2:
    return models.IncidentTypeV2(
        **kept.thing.model_dump(), created_at=kept.created_at, updated_at=kept.updated_at
    )


def role(kept: Kept[Role]) -> models.IncidentRoleV2:
    return models.IncidentRoleV2(
        **kept.thing.model_dump(), created_at=kept.created_at, updated_at=kept.updated_at
    )


def role_v1(kept: Kept[Role]) -> models.IncidentRoleV1:
    return models.IncidentRoleV1(
        **kept.thing.model_dump(), created_at=kept.created_at, updated_at=kept.updated_at
    )


def custom_field(kept: Kept[CustomField]) -> models.CustomFieldV2:
    said = kept.thing.model_dump(include={"id", "name", "description", "field_type"})
    return models.CustomFieldV2(**said, created_at=kept.created_at, updated_at=kept.updated_at)


def option(field_id: str, chosen: FieldOption) -> models.CustomFieldOptionV2:
    return models.CustomFieldOptionV2(custom_field_id=field_id, **chosen.model_dump())


# Incidents.


def incidents_v2(read: ReadIncidents) -> list[models.IncidentV2]:
    """Return the incidents of a page as V2 has them."""
    return [
        models.IncidentV2(
            **_of_both(incident, read.choices),
            mode=incident.mode,
            incident_status=status(read.choices.statuses[incident.incident_status.id]),
            last_activity_at=max(
                incident.updated_at, read.last_activity.get(incident.id, incident.created_at)
            ),
            team_ids=[],
            incident_timestamp_values=[
                models.IncidentTimestampWithValueV2(
                    incident_timestamp=models.IncidentTimestampV2(
                        **one.incident_timestamp.model_dump(include={"id", "name", "rank"})
                    ),
                    value=models.IncidentTimestampValueV2(value=one.value),
                )
                for one in incident.incident_timestamp_values
            ],
            duration_metrics=[
                models.IncidentDurationMetricWithValueV2(
                    duration_metric=models.IncidentDurationMetricV2(id=one.id, name=one.name),
                    status=one.status,
                    value_seconds=one.value_seconds,
                )
                for one in incident.duration_metrics
            ],
            external_issue_reference=issue(incident.external_issue_reference),
            has_debrief=incident.has_debrief,
        )
        for incident in read.incidents
    ]


def incidents_v1(read: ReadIncidents) -> list[models.IncidentV1]:
    """Return the incidents of a page as V1 has them."""
    return [
        models.IncidentV1(
            **_of_both(incident, read.choices),
            mode="test" if incident.mode == "test" else "real",
            status=v1_status(incident.incident_status),
            timestamps=_v1_times(incident, read.last_activity.get(incident.id)),
        )
        for incident in read.incidents
    ]


def v1_status(of: Status) -> str:
    """Return the status that V1 has for one of the organisation's own."""
    if of.category in ("triage", "declined"):
        return of.category
    if of.category in ("closed", "merged", "canceled"):
        return "closed"
    named = [word for word in V1_STATUSES[1:4] if word in (of.id.casefold(), of.name.casefold())]
    return named[0] if named else "investigating" if of.category == "live" else "monitoring"


def _v1_times(incident: Incident, last_activity: datetime | None) -> list[models.IncidentTimestampValueV1]:
    times = [
        models.IncidentTimestampValueV1(name="reported", last_occurred_at=incident.created_at),
        models.IncidentTimestampValueV1(
            name="last_activity",
            last_occurred_at=max(incident.updated_at, last_activity or incident.created_at),
        ),
    ]
    if incident.closed_at is not None:
        times.append(models.IncidentTimestampValueV1(name="closed", last_occurred_at=incident.closed_at))
    return times


def _of_both(incident: Incident, choices: Choices) -> dict[str, Any]:
    """Return the properties that both versions have, but for the mode."""
    kind, grade = incident.incident_type, incident.severity
    return {
        "id": incident.id,
        "reference": incident.reference,
        "name": incident.name,
        "visibility": "private" if incident.is_private else "public",
        "created_at": incident.created_at,
        "updated_at": incident.updated_at,
        "creator": actor(incident.creator, incident.automation),
        "incident_role_assignments": [
            models.IncidentRoleAssignmentV2(
                role=role_v1(choices.roles[held.role.id]),
                assignee=user(held.assignee) if held.assignee is not None else None,
            )
            for held in incident.incident_role_assignments
        ],
        "custom_field_entries": [_entry(entry, choices) for entry in incident.custom_field_entries],
        "slack_team_id": incident.slack_team_id,
        "slack_channel_id": incident.slack_channel_id,
        "slack_channel_name": incident.slack_channel_name or None,
        "summary": incident.summary or None,
        "severity": severity(choices.severities[grade.id]) if grade is not None else None,
        "incident_type": incident_type(choices.types[kind.id]) if kind is not None else None,
        "permalink": incident.permalink,
        "call_url": incident.call_link,
        "postmortem_document_url": incident.postmortem_document_url,
    }


def _entry(entry: FieldEntry, choices: Choices) -> models.CustomFieldEntryV2:
    kept = choices.fields[entry.custom_field.id].thing
    return models.CustomFieldEntryV2(
        custom_field=models.CustomFieldTypeInfoV2(
            **kept.model_dump(include={"id", "name", "description", "field_type"}),
            options=[option(kept.id, one) for one in kept.options],
        ),
        values=[
            models.CustomFieldValueV2(
                value_text=value.value_text,
                value_link=value.value_link,
                value_numeric=value.value_numeric,
                value_option=option(kept.id, value.value_option) if value.value_option else None,
            )
            for value in entry.values
        ],
    )


def issue(linked: ExternalIssue | None) -> models.ExternalIssueReferenceV2 | None:
    return models.ExternalIssueReferenceV2(**linked.model_dump()) if linked is not None else None


# Updates, actions, follow-ups.


def update(made: Update, choices: Choices) -> models.IncidentUpdateV2:
    grade = made.severity_id
    return models.IncidentUpdateV2(
        id=made.id,
        incident_id=made.incident_id,
        created_at=made.at,
        updater=actor(made.by),
        new_incident_status=status(choices.statuses[made.incident_status_id]),
        new_severity=severity(choices.severities[grade]) if grade is not None else None,
        message=made.message or None,
        merged_into_incident_id=made.merged_into_incident_id,
    )


def action_v2(read: ReadTask) -> models.ActionV2:
    return models.ActionV2(**_task(read), description=read.task.text)


def follow_up_v2(read: ReadTask) -> models.FollowUpV2:
    task = read.task
    return models.FollowUpV2(
        **_task(read),
        title=task.text,
        description=task.description or None,
        labels=[],
        external_issue_reference=issue(task.external_issue_reference),
    )


def _task(read: ReadTask) -> dict[str, Any]:
    task = read.task
    return {
        "id": task.id,
        "incident_id": task.incident_id,
        "status": task.status,
        "created_at": task.created_at,
        "updated_at": task.updated_at or task.created_at,
        "completed_at": task.done_at if task.status == "completed" else None,
        "creator": actor(read.creator),
        "assignee": user(task.assignee) if task.assignee is not None else None,
    }
