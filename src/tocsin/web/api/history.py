"""Endpoints that read what became of incidents: their updates, and their post-incident documents."""

from __future__ import annotations

from pydantic import Field

from tocsin.backends.local.listing import STANDARD, IncidentListing
from tocsin.incidents.export import as_document
from tocsin.incidents.model import OPEN_CATEGORIES, Incident
from tocsin.web.api import models, serializers
from tocsin.web.api.endpoints import Answer, ApiCall
from tocsin.web.api.errors import not_found
from tocsin.web.api.incidents import visible_incident
from tocsin.web.api.query import PageQuery, PaginationMeta, SortBy, cut
from tocsin.workflows.export import fetch_report


class PostmortemDocumentsListResultV1(Answer):
    postmortem_documents: list[models.PostmortemDocumentV1]
    pagination_meta: PaginationMeta


class PostmortemDocumentsShowResultV1(Answer):
    postmortem_document: models.PostmortemDocumentV1


class PostmortemDocumentsShowContentResultV1(Answer):
    markdown: str


class UpdatesQuery(PageQuery):
    incident_id: str | None = Field(None, description="Id of the incident; else of all.")


class DocumentsQuery(PageQuery):
    incident_id: str | None = Field(None, description="Id of the incident; else of all.")
    sort_by: SortBy = Field("created_at_newest_first", description="Order of the list.")


async def list_updates(call: ApiCall) -> models.IncidentUpdatesListResultV2:
    """List the updates of an incident, or of all, newest first."""
    query = call.query_as(UpdatesQuery)
    found, choices = await call.backend.reader.updates(
        incident_id=query.incident_id,
        sees_private=call.key.may("private"),
        after=query.after,
        limit=query.page_size + 1,
    )
    updates = [serializers.update(one, choices) for one in found]
    page, meta = cut(updates, query, lambda one: one.id)
    return models.IncidentUpdatesListResultV2(incident_updates=page, pagination_meta=meta)


def _document(incident: Incident) -> models.PostmortemDocumentV1:
    """Return the document of an incident that is over, which has the incident's id."""
    return models.PostmortemDocumentV1(
        id=incident.id,
        incident_id=incident.id,
        title=f"{incident.reference}: {incident.name}",
        type="in_app",
        status="completed",
        document_url=incident.permalink or "",
        editors=[],
        exported_urls=[],
        created_at=incident.closed_at or incident.created_at,
        updated_at=incident.updated_at,
    )


async def _over(call: ApiCall) -> Incident:
    """Return the incident of the path's id. Raises ApiError 404 unless it is over and may be seen."""
    incident = await visible_incident(call, call.id)
    if incident.incident_status.is_open:
        raise not_found()
    return incident


async def list_documents(call: ApiCall) -> PostmortemDocumentsListResultV1:
    """List the documents of incidents that are over, one for each."""
    query = call.query_as(DocumentsQuery)
    if query.incident_id is not None:
        incident = await visible_incident(call, query.incident_id)
        listed = [] if incident.incident_status.is_open else [_document(incident)]
        page, meta = cut(listed, query, lambda one: one.id)
        return PostmortemDocumentsListResultV1(postmortem_documents=page, pagination_meta=meta)
    kept = (await call.backend.reader.choices()).statuses.values()
    over = {one.thing.id for one in kept if one.thing.category not in OPEN_CATEGORIES}
    read = await call.backend.reader.page(
        IncidentListing(
            sees_private=call.key.may("private"),
            statuses=frozenset(over),
            modes=STANDARD,
            oldest_first=query.sort_by == "created_at_oldest_first",
            after=query.after,
            limit=query.page_size,
        )
    )
    return PostmortemDocumentsListResultV1(
        postmortem_documents=[_document(incident) for incident in read.incidents],
        pagination_meta=PaginationMeta(after=read.after, page_size=query.page_size),
    )


async def show_document(call: ApiCall) -> PostmortemDocumentsShowResultV1:
    """Show the document of an incident that is over."""
    return PostmortemDocumentsShowResultV1(postmortem_document=_document(await _over(call)))


async def show_document_content(call: ApiCall) -> PostmortemDocumentsShowContentResultV1:
    """Show what the document says, as Markdown."""
    report = await fetch_report(call.backend, await _over(call))
    return PostmortemDocumentsShowContentResultV1(markdown=as_document(report))
