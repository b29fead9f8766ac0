"""Attachments of incidents: read, added and taken away (incident.io, Incident Attachments V1)."""

from __future__ import annotations

from typing import Literal

from tocsin.incidents.model import Attachment
from tocsin.incidents.requests import LINK_LIMIT, NAME_LIMIT
from tocsin.incidents.validation import clean_text, is_link
from tocsin.web.api.endpoints import Answer, ApiCall, Body, Endpoint, found
from tocsin.web.api.errors import invalid
from tocsin.web.api.incidents import visible_incident
from tocsin.web.api.query import Query

LINK = "arbitrary_url"
NO_LINK = "Give an address that starts with https:// or http://."
ONE_OF_BOTH = "Give either the external_id or the url, and not both."
WHICH = "Say of which incident_id, or to which resource_type and external_id."

ResourceType = Literal[
    "pager_duty_incident",
    "opsgenie_alert",
    "datadog_monitor_alert",
    "github_pull_request",
    "gitlab_merge_request",
    "sentry_issue",
    "jira_issue",
    "jsm_alert",
    "atlassian_statuspage_incident",
    "zendesk_ticket",
    "google_calendar_event",
    "outlook_calendar_event",
    "slack_file",
    "salesforce_case",
    "arbitrary_url",
    "scrubbed",
    "statuspage_incident",
]


class ExternalResourceV1(Answer):
    """The attached thing in its own system."""

    external_id: str
    permalink: str
    resource_type: str
    title: str


class IncidentAttachmentV1(Answer):
    """An attachment."""

    id: str
    incident_id: str
    resource: ExternalResourceV1


class IncidentAttachmentsCreateResultV1(Answer):
    incident_attachment: IncidentAttachmentV1


class IncidentAttachmentsListResultV1(Answer):
    incident_attachments: list[IncidentAttachmentV1]


class ResourcePayload(Body):
    """The thing to attach, by its id in its own system or by its address."""

    resource_type: ResourceType
    external_id: str | None = None
    url: str | None = None
    title: str | None = None


class IncidentAttachmentsCreatePayloadV1(Body):
    """An attachment."""

    incident_id: str
    resource: ResourcePayload


class AttachmentsQuery(Query):
    """The incident, or the resource, of attachments."""

    incident_id: str | None = None
    external_id: str | None = None
    resource_type: ResourceType | None = None


async def list_attachments(call: ApiCall) -> IncidentAttachmentsListResultV1:
    """List the attachments of an incident, or those to one resource."""
    query = call.query_as(AttachmentsQuery)
    resource = None
    if query.external_id and query.resource_type:
        resource = (query.resource_type, query.external_id)
    elif not query.incident_id:
        raise invalid("incident_id", WHICH, "is_required")
    incident_id = None
    if query.incident_id:
        incident_id = (await visible_incident(call, query.incident_id)).id
    known = await call.backend.attachments.listed(incident_id, resource, private=call.key.may("private"))
    return IncidentAttachmentsListResultV1(incident_attachments=[_shown(one) for one in known])


async def create_attachment(call: ApiCall) -> IncidentAttachmentsCreateResultV1:
    """Attach something to an incident; what is attached already stays as it is."""
    body = call.body_as(IncidentAttachmentsCreatePayloadV1)
    incident = await visible_incident(call, body.incident_id)
    attached = await call.backend.attachments.attach(_asked(incident.id, body.resource), call.key.person)
    return IncidentAttachmentsCreateResultV1(incident_attachment=_shown(attached))


async def delete_attachment(call: ApiCall) -> None:
    """Take an attachment away."""
    known = found(await call.backend.attachments.find(call.id))
    await visible_incident(call, known.incident_id)
    await call.backend.attachments.detach(known.id, call.key.person)


def _asked(incident_id: str, resource: ResourcePayload) -> Attachment:
    """Return what is to be attached. Raises ApiError with the field that is wrong."""
    if bool(resource.external_id) == bool(resource.url):
        raise invalid("resource.url", ONE_OF_BOTH)
    url, title = clean_text(resource.url or ""), clean_text(resource.title or "")
    if resource.url and not is_link(url):
        raise invalid("resource.url", NO_LINK)
    if resource.resource_type == LINK and not url:
        raise invalid("resource.url", NO_LINK, "is_required")
    if len(title) > NAME_LIMIT:
        raise invalid("resource.title", f"Shorten the title to {NAME_LIMIT} characters.")
    known_by = clean_text(resource.external_id or "") or url
    if not 0 < len(known_by) <= LINK_LIMIT:
        raise invalid("resource.external_id", f"An id has 1 to {LINK_LIMIT:,} characters that can be seen.")
    return Attachment(
        incident_id=incident_id,
        resource_type=resource.resource_type,
        external_id=known_by,
        permalink=url,
        title=title or known_by,
    )


def _shown(known: Attachment) -> IncidentAttachmentV1:
    resource = known.model_dump(include={"external_id", "permalink", "resource_type", "title"})
    return IncidentAttachmentV1(
        id=known.id, incident_id=known.incident_id, resource=ExternalResourceV1(**resource)
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/incident_attachments",
        list_attachments,
        IncidentAttachmentsListResultV1,
        query=AttachmentsQuery,
    ),
    Endpoint(
        "POST",
        "/v1/incident_attachments",
        create_attachment,
        IncidentAttachmentsCreateResultV1,
        "edit",
        body=IncidentAttachmentsCreatePayloadV1,
        status=201,
    ),
    Endpoint("DELETE", "/v1/incident_attachments/{id}", delete_attachment, None, "edit", status=204),
)
