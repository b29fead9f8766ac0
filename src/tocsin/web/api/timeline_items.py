"""Items of an incident's timeline: read and added (incident.io, Incident Timeline Items V2)."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tocsin.incidents.model import TimelineEntry
from tocsin.incidents.permissions import Verb
from tocsin.web.api import models, serializers
from tocsin.web.api.access import renamed
from tocsin.web.api.endpoints import Answer, ApiCall, Body, Endpoint, Moment
from tocsin.web.api.incidents import visible_incident
from tocsin.web.api.query import PageQuery, PaginationMeta, page_of


class IncidentTimelineItemV2(Answer):
    """An item of a timeline, at the moment when it happened."""

    id: str
    incident_id: str
    timestamp: datetime
    title: str
    description: str | None = None
    creator: models.ActorV2
    created_at: datetime
    updated_at: datetime


class IncidentTimelineItemsCreateResultV2(Answer):
    incident_timeline_item: IncidentTimelineItemV2


class IncidentTimelineItemsListResultV2(Answer):
    incident_timeline_items: list[IncidentTimelineItemV2]
    pagination_meta: PaginationMeta


class IncidentTimelineItemsCreatePayloadV2(Body):
    """An item of a timeline."""

    idempotency_key: str = Field(min_length=1)
    incident_id: str
    timestamp: Moment
    title: str
    description: str | None = None


class TimelineQuery(PageQuery):
    """The incident of a timeline."""

    incident_id: str


async def list_timeline_items(call: ApiCall) -> IncidentTimelineItemsListResultV2:
    """List the items of an incident's timeline, oldest first, without its declaration and its updates."""
    query = call.query_as(TimelineQuery)
    incident = await visible_incident(call, query.incident_id)
    entries = [one for one in await call.backend.timeline(incident.id) if not _is_elsewhere(one)]
    shown, meta = page_of(entries, query, lambda entry: entry.id)
    items = [_item(incident.id, entry) for entry in shown]
    return IncidentTimelineItemsListResultV2(incident_timeline_items=items, pagination_meta=meta)


async def create_timeline_item(call: ApiCall) -> IncidentTimelineItemsCreateResultV2:
    """Add an item to an incident's timeline, once for each idempotency key."""
    body = call.body_as(IncidentTimelineItemsCreatePayloadV2)
    incident = await visible_incident(call, body.incident_id)
    text = "\n".join(filter(None, [body.title.strip(), (body.description or "").strip()]))
    with renamed(text="title"):
        entry = await call.services.requests().note(
            call.key, incident, body.idempotency_key, body.timestamp, text
        )
    return IncidentTimelineItemsCreateResultV2(incident_timeline_item=_item(incident.id, entry))


def _is_elsewhere(entry: TimelineEntry) -> bool:
    """True for what the incident itself and its updates say (`/v2/incident_updates`)."""
    return entry.key == "declared" or entry.key.rpartition(":")[2] in UPDATES


UPDATES = frozenset({"message", "incident_status_id", "severity_id", "channel"})
"""Last parts of the keys of entries that are updates, or tell of the incident's channel."""


def _item(incident_id: str, entry: TimelineEntry) -> IncidentTimelineItemV2:
    """Return the item of an entry; a note's first line is its title, and the rest its description."""
    title, description = f"{entry.verb} {entry.text}".strip(), ""
    if entry.verb == Verb.NOTE.timeline:
        title, _, description = entry.text.partition("\n")
    return IncidentTimelineItemV2(
        id=entry.id,
        incident_id=incident_id,
        timestamp=entry.at,
        title=title,
        description=description or None,
        creator=serializers.actor(entry.by),
        created_at=entry.at,
        updated_at=entry.at,
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v2/incident_timeline_items",
        list_timeline_items,
        IncidentTimelineItemsListResultV2,
        query=TimelineQuery,
    ),
    Endpoint(
        "POST",
        "/v2/incident_timeline_items",
        create_timeline_item,
        IncidentTimelineItemsCreateResultV2,
        "edit",
        body=IncidentTimelineItemsCreatePayloadV2,
        status=201,
    ),
)
