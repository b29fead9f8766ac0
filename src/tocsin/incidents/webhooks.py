"""Webhooks: the events of incidents, with incident.io's names and bodies (incident.io, Webhooks)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Literal

from tocsin.incidents.export import as_record, as_user, moment
from tocsin.incidents.model import FollowUp, FrozenModel, Incident, Person, PersonId, Status

CREATED, UPDATED, STATUS_UPDATED = "incident_created_v2", "incident_updated_v2", "incident_status_updated_v2"
GRANTED, REVOKED = "membership_granted_v1", "membership_revoked_v1"
_TASKS = ("follow_up_created_v1", "follow_up_updated_v1", "action_created_v1", "action_updated_v1")

PUBLIC_EVENTS = tuple(f"public_incident.{name}" for name in (CREATED, UPDATED, STATUS_UPDATED, *_TASKS))
PRIVATE_EVENTS = tuple(f"private_incident.{name}" for name in (CREATED, UPDATED, *_TASKS, GRANTED, REVOKED))
"""incident.io tells of no status of a private incident."""

EVENTS = (*PUBLIC_EVENTS, *PRIVATE_EVENTS)

State = Literal["pending", "delivered", "failed", "withheld"]
"""`failed`: given up; `withheld`: the incident has become private, and the endpoint takes no such events."""

DAY = timedelta(hours=24)
RETRIES = tuple(timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000))
"""Pauses after each failed attempt (Standard Webhooks, Operational considerations)."""

LAST_CHANCE = timedelta(hours=1)
"""A last attempt is made at the end of the day, unless the one before it was so short ago."""


class Subscription(FrozenModel):
    """The events that one endpoint wants."""

    name: str
    events: frozenset[str]


class WebhookDelivery(FrozenModel):
    """One event on its way to one endpoint."""

    event_id: int
    webhook_id: str
    """Id that all attempts of all deliveries of the event carry as `webhook-id`."""
    endpoint: str
    event: str
    incident_id: str
    reference: str
    resource_id: str
    body: str | None = None
    """JSON of the incident, the action or the follow-up at the event; None if it was private then."""
    is_private: bool
    """True if the incident was private at the event, or is private now."""
    created_at: datetime
    state: State = "pending"
    attempts: int = 0
    since: datetime
    """Time at which it was to be sent first, or was asked to be sent again."""
    due_at: datetime
    status: int | None = None
    """HTTP status of the last answer; None if there was none."""
    answer: str = ""
    """Beginning of the last answer, or the reason for which there was none."""
    tried_at: datetime | None = None

    @property
    def event_type(self) -> str:
        """The name of the event, in the form that may be told now."""
        return event_type(self.event, is_private=self.is_private)

    @property
    def payload(self) -> str:
        """The JSON that is sent; of anything private it has the ids alone."""
        about: Any = {"id": self.resource_id}
        if self.body is not None and (not self.is_private or self.event in {GRANTED, REVOKED}):
            about = json.loads(self.body)
        return _compact({"event_type": self.event_type, self.event_type: about})

    def next_attempt(self, at: datetime, jitter: float, asked: timedelta) -> datetime | None:
        """Return the time of the next attempt after one that failed at this time; None to give it up.

        `jitter` is a factor near 1, `asked` the pause that the endpoint asks for.
        """
        end = self.since + DAY
        if self.attempts < len(RETRIES):
            after = at + max(RETRIES[self.attempts] * jitter, asked)
            if after <= end:
                return after
        return end if at < end - LAST_CHANCE else None


def event_type(event: str, *, is_private: bool) -> str:
    """Return the full name of an event."""
    return f"{'private' if is_private else 'public'}_incident.{event}"


def incident_body(incident: Incident) -> str:
    """Return the incident as incident.io's webhooks have it (WebhookIncidentV2)."""
    return _compact(_incident(incident))


def status_body(incident: Incident, before: Status, message: str | None) -> str:
    """Return the change of a status (IncidentWithStatusChangeV2)."""
    body = {
        "incident": _incident(incident),
        "new_status": incident.incident_status.model_dump(mode="json"),
        "previous_status": before.model_dump(mode="json"),
    }
    return _compact(body | ({"message": message} if message else {}))


def follow_up_body(follow_up: FollowUp, now: datetime) -> str:
    """Return an action or a follow-up as incident.io's webhooks have it (ActionV1)."""
    issue, done = follow_up.external_issue_reference, follow_up.done_at
    body: dict[str, Any] = {
        "id": follow_up.id,
        "incident_id": follow_up.incident_id,
        "description": follow_up.text,
        "follow_up": follow_up.kind == "follow_up",
        "status": "completed" if follow_up.is_done else "outstanding",
        "created_at": moment(follow_up.created_at),
        "updated_at": moment(now),
        **({"assignee": _user(follow_up.assignee)} if follow_up.assignee else {}),
        **({"completed_at": moment(done)} if done else {}),
        **({"external_issue_reference": issue.model_dump(mode="json")} if issue else {}),
    }
    return _compact(body)


def membership_body(incident_id: str, person: PersonId, by: Person) -> str:
    """Return a membership that was granted or revoked (WebhookIncidentUserV2)."""
    body = {"incident_id": incident_id, "user_id": person}
    return _compact(body | ({"actor_user_id": by.slack_user_id} if by.slack_user_id else {}))


def _incident(incident: Incident) -> dict[str, Any]:
    return {"last_activity_at": moment(incident.updated_at), "team_ids": [], **as_record(incident)}


def _user(person: Person) -> dict[str, str]:
    return {"id": person.slack_user_id or "", "role": "unset", **as_user(person)}


def _compact(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
