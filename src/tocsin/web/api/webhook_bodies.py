"""Bodies of webhooks: the same objects as the API's answers (incident.io, Webhooks)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.outbox import EventBodies
from tocsin.backends.local.reading import ReadIncidents, read_choices
from tocsin.incidents.model import FollowUp, Incident
from tocsin.web.api import models
from tocsin.web.api.endpoints import Answer
from tocsin.web.api.serializers import incidents_v2, issue, status, user

Body = dict[str, Any]


class ActionV1(Answer):
    """An action, or a follow-up, as webhooks have them."""

    id: str
    incident_id: str
    description: str
    follow_up: bool
    status: str
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None
    assignee: models.UserV2 | None = None
    external_issue_reference: models.ExternalIssueReferenceV2 | None = None


def incident_body(db: SqlConnection, incident: Incident) -> Body:
    """Return an incident (WebhookIncidentV2)."""
    read = ReadIncidents([incident], read_choices(db), {incident.id: incident.updated_at})
    return _plain(incidents_v2(read)[0])


def status_body(db: SqlConnection, incident: Incident, before: str, message: str | None) -> Body:
    """Return a change of the status with the id `before` (IncidentWithStatusChangeV2)."""
    statuses = read_choices(db).statuses
    return {
        "incident": incident_body(db, incident),
        "previous_status": _plain(status(statuses[before])),
        "new_status": _plain(status(statuses[incident.incident_status.id])),
        **({"message": message} if message else {}),
    }


def task_body(task: FollowUp, now: datetime) -> Body:
    """Return an action or a follow-up (ActionV1)."""
    linked = task.external_issue_reference
    return _plain(
        ActionV1(
            id=task.id,
            incident_id=task.incident_id,
            description=task.text,
            follow_up=task.kind == "follow_up",
            status=task.status,
            created_at=task.created_at,
            updated_at=now,
            completed_at=task.done_at if task.status == "completed" else None,
            assignee=user(task.assignee) if task.assignee is not None else None,
            # The trackers have names there; another one has none.
            external_issue_reference=issue(linked) if linked is not None and linked.provider else None,
        )
    )


def _plain(model: Answer) -> Body:
    return model.model_dump(mode="json", exclude_none=True)


BODIES = EventBodies(incident_body, status_body, task_body)
