"""Webhooks: the events of incidents, with incident.io's names and bodies (incident.io, Webhooks)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Literal

from tocsin.incidents.model import FrozenModel, Person, PersonId

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
        return compact({"event_type": self.event_type, self.event_type: about})

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


def membership_body(incident_id: str, person: PersonId, by: Person) -> dict[str, Any]:
    """Return a membership that was granted or revoked (WebhookIncidentUserV2)."""
    actor = {"actor_user_id": by.slack_user_id} if by.slack_user_id else {}
    return {"incident_id": incident_id, "user_id": person, **actor}


def compact(body: dict[str, Any]) -> str:
    """Return a body as it is kept and sent."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
