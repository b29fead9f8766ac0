"""Endpoints of what Tocsin has none of, as empty lists, so that clients that ask for everything go on."""

from __future__ import annotations

from pydantic import Field

from tocsin.web.api.endpoints import Answer, ApiCall
from tocsin.web.api.errors import not_found
from tocsin.web.api.query import PageQuery, PaginationMeta


class Nothing(Answer):
    """An item of a list that is always empty."""

    id: str


class AlertAttributesListResultV2(Answer):
    alert_attributes: list[Nothing]


class EscalationsListResultV2(Answer):
    escalations: list[Nothing]
    pagination_meta: PaginationMeta


class CatalogListTypesResultV3(Answer):
    catalog_types: list[Nothing]


class CatalogListEntriesResultV3(Answer):
    catalog_entries: list[Nothing]
    pagination_meta: PaginationMeta


class EntriesQuery(PageQuery):
    catalog_type_id: str = Field(description="Id of the catalog type.")


def _none(query: PageQuery) -> PaginationMeta:
    return PaginationMeta(page_size=query.page_size)


async def list_alert_attributes(call: ApiCall) -> AlertAttributesListResultV2:
    """List no alert attributes: there are none here."""
    return AlertAttributesListResultV2(alert_attributes=[])


async def list_escalations(call: ApiCall) -> EscalationsListResultV2:
    """List no escalations: paging services have them."""
    return EscalationsListResultV2(escalations=[], pagination_meta=_none(call.query_as(PageQuery)))


async def list_catalog_types(call: ApiCall) -> CatalogListTypesResultV3:
    """List no catalog types: there is no catalog here."""
    return CatalogListTypesResultV3(catalog_types=[])


async def list_catalog_entries(call: ApiCall) -> CatalogListEntriesResultV3:
    """Answer that there is no catalog type of this id, since there is none at all."""
    raise not_found()
