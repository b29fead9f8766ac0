"""Endpoints of what Tocsin has none of, as empty lists, so that clients that ask for everything go on."""

from __future__ import annotations

from pydantic import Field

from tocsin.web.api.endpoints import Answer, ApiCall
from tocsin.web.api.errors import not_found
from tocsin.web.api.query import Filter, PageQuery, PaginationMeta


class Nothing(Answer):
    """An item of a list that is always empty."""

    id: str


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
    identifier: str | None = Field(None, description="The entry with this identifier.")


class EscalationsQuery(PageQuery):
    alert: Filter | None = Field(None, description="`one_of` or `not_in`, by id.")
    created_at: Filter | None = Field(None, description="`gte`, `lte` or `date_range` (from~to).")
    escalation_path: Filter | None = Field(None, description="`one_of` or `not_in`, by id.")
    idempotency_key: Filter | None = Field(None, description="`is` or `starts_with`.")
    incident: Filter | None = Field(None, description="`one_of` or `not_in`, by id.")
    status: Filter | None = Field(None, description="`one_of` or `not_in`.")
    updated_at: Filter | None = Field(None, description="`gte`, `lte` or `date_range` (from~to).")


def _none(query: PageQuery) -> PaginationMeta:
    return PaginationMeta(page_size=query.page_size)


async def list_escalations(call: ApiCall) -> EscalationsListResultV2:
    """List no escalations: paging services have them."""
    query = call.query_as(EscalationsQuery)
    return EscalationsListResultV2(escalations=[], pagination_meta=_none(query))


async def list_catalog_types(call: ApiCall) -> CatalogListTypesResultV3:
    """List no catalog types: there is no catalog here."""
    return CatalogListTypesResultV3(catalog_types=[])


async def list_catalog_entries(call: ApiCall) -> CatalogListEntriesResultV3:
    """Answer that there is no catalog type of this id, since there is none at all."""
    raise not_found()
