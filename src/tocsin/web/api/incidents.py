"""Endpoints that read incidents, in both versions, with incident.io's filters."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, time
from typing import Literal

from pydantic import Field

from tocsin.backends.local.listing import STANDARD, Among, IncidentListing
from tocsin.backends.local.queries import written
from tocsin.backends.local.reading import Choices, ReadIncidents
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentFilter
from tocsin.web.api import models, serializers
from tocsin.web.api.endpoints import ApiCall
from tocsin.web.api.errors import invalid, not_found
from tocsin.web.api.query import Filter, FilterOf, PageQuery, PaginationMetaWithTotal, SortBy, operators

CATEGORIES = {"active": "live", "post-incident": "learning"}
"""Names of categories that people see, and some clients send, with those of the API."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class IncidentsQueryV1(PageQuery):
    status: list[str] | None = Field(None, description="Statuses of V1; repeat it for several.")


class IncidentsQueryV2(PageQuery):
    sort_by: SortBy = Field("created_at_newest_first", description="Order of the list.")
    filter_mode: Literal["all", "any"] = Field("all", description="`all` filters must match.")
    status: Filter | None = Field(None, description="`one_of` or `not_in`, by id.")
    status_category: Filter | None = Field(None, description="`one_of` or `not_in`.")
    severity: Filter | None = Field(None, description="`one_of`, `not_in`, `gte` or `lte`, by id.")
    incident_type: Filter | None = Field(None, description="`one_of` or `not_in`, by id.")
    mode: Filter | None = Field(None, description="`one_of`; else standard and retrospective.")
    created_at: Filter | None = Field(None, description="`gte`, `lte` or `date_range` (from~to).")
    updated_at: Filter | None = Field(None, description="`gte`, `lte` or `date_range` (from~to).")
    incident_role: FilterOf | None = Field(None, description="By role: `one_of` by user id, `is_blank`.")
    custom_field: FilterOf | None = Field(None, description="By field: `one_of`, `not_in`, `is_blank`.")


FILTERS = frozenset(IncidentsQueryV2.model_fields) - {"page_size", "after", "sort_by", "filter_mode"}


async def visible_incident(call: ApiCall, reference: str) -> Incident:
    """Return the incident with this id, reference or number.

    Raises ApiError 404 if there is none, or if the key may not see it.
    """
    wanted = IncidentFilter(reference=reference, visible_to=call.key.visible_to)
    found = next(iter(await call.backend.matching(wanted, limit=1)), None)
    if found is None or (found.is_private and not call.key.may("private")):
        raise not_found()
    return found


async def list_incidents(call: ApiCall) -> models.IncidentsListResultV2:
    """List incidents, newest first."""
    query = call.query_as(IncidentsQueryV2)
    asked = [name for name in FILTERS if getattr(query, name) is not None]
    if query.filter_mode == "any" and len(asked) > 1:
        raise invalid("filter_mode", "Only `all` is served where there are several filters.")
    choices = await call.backend.reader.choices()
    wanted = _listing(call, query, choices)
    read = await call.backend.reader.page(wanted)
    meta = await _meta(call, wanted, read)
    return models.IncidentsListResultV2(incidents=serializers.incidents_v2(read), pagination_meta=meta)


async def show_incident(call: ApiCall) -> models.IncidentsShowResultV2:
    """Show an incident by its id, number or reference."""
    read = await call.backend.reader.around(await visible_incident(call, call.id))
    return models.IncidentsShowResultV2(incident=serializers.incidents_v2(read)[0])


async def list_incidents_v1(call: ApiCall) -> models.IncidentsListResultV1:
    """List incidents, newest first."""
    query = call.query_as(IncidentsQueryV1)
    statuses = None
    if query.status is not None:
        kept = (await call.backend.reader.choices()).statuses.values()
        named = [one.thing for one in kept if serializers.v1_status(one.thing) in query.status]
        statuses = frozenset(one.id for one in named)
    wanted = IncidentListing(
        sees_private=call.key.may("private"),
        statuses=statuses,
        modes=STANDARD | {"test"},
        after=query.after,
        limit=query.page_size,
    )
    read = await call.backend.reader.page(wanted)
    meta = await _meta(call, wanted, read)
    return models.IncidentsListResultV1(incidents=serializers.incidents_v1(read), pagination_meta=meta)


async def show_incident_v1(call: ApiCall) -> models.IncidentsShowResultV1:
    """Show an incident by its id, number or reference."""
    read = await call.backend.reader.around(await visible_incident(call, call.id))
    return models.IncidentsShowResultV1(incident=serializers.incidents_v1(read)[0])


async def _meta(call: ApiCall, wanted: IncidentListing, read: ReadIncidents) -> PaginationMetaWithTotal:
    total = await call.backend.reader.total(wanted)
    return PaginationMetaWithTotal(after=read.after, page_size=wanted.limit, total_record_count=total)


def _listing(call: ApiCall, query: IncidentsQueryV2, choices: Choices) -> IncidentListing:
    """Return the filters by ids. Raises ApiError 422 for an operator that a filter does not have."""
    modes = operators(query.mode, "mode", {"one_of"}).get("one_of")
    return IncidentListing(
        sees_private=call.key.may("private"),
        statuses=_statuses(query, choices),
        severities=_severities(query.severity, choices),
        modes=frozenset(modes) if modes is not None else STANDARD,
        types=_among(query.incident_type, "incident_type"),
        created=times_of(query.created_at, "created_at"),
        updated=times_of(query.updated_at, "updated_at"),
        fields={id: _among(given, f"custom_field.{id}") for id, given in (query.custom_field or {}).items()},
        roles={id: _among(given, f"incident_role.{id}") for id, given in (query.incident_role or {}).items()},
        oldest_first=query.sort_by == "created_at_oldest_first",
        after=query.after,
        limit=query.page_size,
    )


def _statuses(query: IncidentsQueryV2, choices: Choices) -> frozenset[str] | None:
    if query.status is None and query.status_category is None:
        return None
    wanted = _chosen(query.status, "status", choices.statuses.keys())
    categories = {
        operator: [CATEGORIES.get(value, value) for value in values]
        for operator, values in (query.status_category or {}).items()
    }
    known = {kept.thing.category for kept in choices.statuses.values()}
    return wanted & choices.status_ids(_chosen(categories, "status_category", known))


def _chosen(given: Filter | None, name: str, known: Collection[str]) -> frozenset[str]:
    asked = operators(given, name, {"one_of", "not_in"})
    wanted = frozenset(known)
    if "one_of" in asked:
        wanted &= frozenset(asked["one_of"])
    return wanted - frozenset(asked.get("not_in", ()))


def _severities(given: Filter | None, choices: Choices) -> frozenset[str] | None:
    if given is None:
        return None
    asked = operators(given, "severity", {"one_of", "not_in", "gte", "lte"})
    compared: Mapping[str, Callable[[int, int], bool]] = {
        "gte": lambda rank, limit: rank >= limit,
        "lte": lambda rank, limit: rank <= limit,
    }
    chosen: Filter = {key: values for key, values in asked.items() if key in ("one_of", "not_in")}
    wanted = _chosen(chosen, "severity", choices.severities.keys())
    for operator in compared.keys() & asked.keys():
        limit = choices.severities.get(asked[operator][-1])
        if limit is None:
            raise invalid(f"severity.{operator}", "There is no severity with this id.")
        ranks = {id: kept.thing.rank for id, kept in choices.severities.items()}
        wanted &= {id for id, rank in ranks.items() if compared[operator](rank, limit.thing.rank)}
    return wanted


def _among(given: Filter | None, name: str) -> Among:
    known = {"one_of", "not_in"} if name == "incident_type" else {"one_of", "not_in", "is_blank"}
    asked = operators(given, name, known)
    one_of, blank = asked.get("one_of"), asked.get("is_blank")
    return Among(
        one_of=frozenset(one_of) if one_of is not None else None,
        not_in=frozenset(asked.get("not_in", ())),
        is_blank=None if blank is None else blank[-1].casefold() == "true",
    )


def times_of(given: Filter | None, name: str) -> tuple[str, str]:
    """Return the earliest and the latest time as rows have it; a day counts whole."""
    asked = operators(given, name, {"gte", "lte", "date_range"})
    earliest, latest = asked.get("gte", [""])[-1], asked.get("lte", [""])[-1]
    if "date_range" in asked:
        earliest, apart, latest = asked["date_range"][-1].partition("~")
        if not apart:
            raise invalid(f"{name}.date_range", "Write a range as 2024-12-02~2024-12-08.")
    return _moment(earliest, name, time.min), _moment(latest, name, time.max)


def _moment(text: str, name: str, of_day: time) -> str:
    if not text:
        return ""
    try:
        at = datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            at = datetime.combine(at.date(), of_day)
        return written(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise invalid(name, "Write a date as 2024-12-02, or a time as 2024-12-02T15:04:05Z.") from None
