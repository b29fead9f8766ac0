"""Incidents and updates that clients make: declared, edited and given (incident.io, Incidents V1 and V2)."""

from __future__ import annotations

from functools import partial

from tocsin.incidents.model import Incident
from tocsin.web.api import models, serializers
from tocsin.web.api.access import find_user, renamed, still_seen
from tocsin.web.api.bodies import (
    IncidentsCreatePayloadV1,
    IncidentsCreatePayloadV2,
    IncidentsEditPayloadV2,
    IncidentUpdatesCreatePayloadV2,
)
from tocsin.web.api.endpoints import Answer, ApiCall, Endpoint, found
from tocsin.web.api.incidents import visible_incident


class IncidentUpdatesCreateResultV2(Answer):
    incident_update: models.IncidentUpdateV2


async def create_incident_v2(call: ApiCall) -> models.IncidentsShowResultV2:
    """Declare an incident, once for each idempotency key; its channel follows."""
    body = call.body_as(IncidentsCreatePayloadV2)
    with body.naming_fields():
        asked = await body.asked(partial(find_user, call))
        declared = await call.services.requests().declare(call.key, body.idempotency_key, asked)
    return await _shown(call, declared)


async def create_incident_v1(call: ApiCall) -> models.IncidentsShowResultV1:
    """Declare an incident, perhaps from a message in Slack, once for each idempotency key."""
    body = call.body_as(IncidentsCreatePayloadV1)
    with body.naming_fields(), renamed(incident_status_id="status"):
        asked = await body.asked(partial(find_user, call), await call.backend.form())
        declared = await call.services.requests().declare(call.key, body.idempotency_key, asked)
    read = await call.backend.reader.around(still_seen(call, declared))
    return models.IncidentsShowResultV1(incident=serializers.incidents_v1(read)[0])


async def edit_incident(call: ApiCall) -> models.IncidentsShowResultV2:
    """Change an incident; what it has already stays as it is."""
    body = call.body_as(IncidentsEditPayloadV2)
    incident = await visible_incident(call, call.id)
    with body.incident.naming_fields("incident."):
        asked = await body.incident.asked(partial(find_user, call))
        edited = await call.services.requests().edit(
            call.key, incident, asked, in_channel=body.notify_incident_channel
        )
    return await _shown(call, edited)


async def create_update(call: ApiCall) -> IncidentUpdatesCreateResultV2:
    """Give an update of an incident, once for each idempotency key."""
    body = call.body_as(IncidentUpdatesCreatePayloadV2)
    incident = await visible_incident(call, body.incident_id)
    with renamed(incident_status_id="to_incident_status_id", severity_id="to_severity_id"):
        updated, key = await call.services.requests().update(
            call.key, incident, body.idempotency_key, body.asked()
        )
    still_seen(call, updated)
    made, choices = await call.backend.reader.update_of_change(key)
    return IncidentUpdatesCreateResultV2(incident_update=serializers.update(found(made), choices))


async def _shown(call: ApiCall, incident: Incident) -> models.IncidentsShowResultV2:
    read = await call.backend.reader.around(still_seen(call, incident))
    return models.IncidentsShowResultV2(incident=serializers.incidents_v2(read)[0])


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v2/incidents",
        create_incident_v2,
        models.IncidentsShowResultV2,
        "create",
        body=IncidentsCreatePayloadV2,
    ),
    Endpoint(
        "POST",
        "/v2/incidents/{id}/actions/edit",
        edit_incident,
        models.IncidentsShowResultV2,
        "edit",
        body=IncidentsEditPayloadV2,
    ),
    Endpoint(
        "POST",
        "/v1/incidents",
        create_incident_v1,
        models.IncidentsShowResultV1,
        "create",
        body=IncidentsCreatePayloadV1,
        deprecated=True,
    ),
    Endpoint(
        "POST",
        "/v2/incident_updates",
        create_update,
        IncidentUpdatesCreateResultV2,
        "edit",
        body=IncidentUpdatesCreatePayloadV2,
        status=201,
    ),
)
