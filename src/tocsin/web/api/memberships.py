"""Members of private incidents: who was let in to see one (incident.io, Incident Memberships V1)."""

from __future__ import annotations

from datetime import datetime

from tocsin.incidents.model import Incident, Person, PersonId
from tocsin.web.api import models, serializers
from tocsin.web.api.endpoints import Answer, ApiCall, Body, Endpoint
from tocsin.web.api.errors import invalid, not_found
from tocsin.web.api.incidents import visible_incident

NOT_PRIVATE = "This incident is not private: everybody sees it."


class IncidentMembershipV1(Answer):
    """A person who may see a private incident."""

    id: str
    incident_id: str
    user: models.UserV2
    created_at: datetime
    updated_at: datetime


class IncidentMembershipsCreateResultV1(Answer):
    incident_membership: IncidentMembershipV1


class IncidentMembershipPayload(Body):
    """An incident and a user."""

    incident_id: str
    user_id: str


async def create_membership(call: ApiCall) -> IncidentMembershipsCreateResultV1:
    """Let a user see a private incident; one who sees it already goes on seeing it."""
    body = call.body_as(IncidentMembershipPayload)
    incident, person = await _private(call, body), PersonId(body.user_id)
    if person not in incident.people:
        incident = await call.services.requests().change_member(call.key, incident, person, is_member=True)
    people = (incident.creator, *incident.role_holders, *incident.members)
    known = next((one for one in people if one.slack_user_id == person), Person(slack_user_id=person))
    return IncidentMembershipsCreateResultV1(
        incident_membership=IncidentMembershipV1(
            id=f"{incident.id}.{person}",
            incident_id=incident.id,
            user=serializers.user(known),
            created_at=incident.updated_at,
            updated_at=incident.updated_at,
        )
    )


async def revoke_membership(call: ApiCall) -> None:
    """End a user's membership of a private incident."""
    body = call.body_as(IncidentMembershipPayload)
    incident, person = await _private(call, body), PersonId(body.user_id)
    if all(member.slack_user_id != person for member in incident.members):
        raise not_found()
    await call.services.requests().change_member(call.key, incident, person, is_member=False)


async def _private(call: ApiCall, body: IncidentMembershipPayload) -> Incident:
    """Return the incident. Raises ApiError for one that is not there or not private."""
    incident = await visible_incident(call, body.incident_id)
    if not incident.is_private:
        raise invalid("incident_id", NOT_PRIVATE)
    return incident


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/incident_memberships",
        create_membership,
        IncidentMembershipsCreateResultV1,
        "edit",
        body=IncidentMembershipPayload,
        status=201,
    ),
    Endpoint(
        "POST",
        "/v1/incident_memberships/actions/revoke",
        revoke_membership,
        None,
        "edit",
        body=IncidentMembershipPayload,
    ),
)
