"""Endpoints of the choices: severities, statuses, types, roles, custom fields, options, timestamps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import Field

from tocsin.backends.local.reading import Kept
from tocsin.incidents.model import FieldOption
from tocsin.web.api import models, serializers
from tocsin.web.api.endpoints import Answer, ApiCall, found
from tocsin.web.api.errors import not_found
from tocsin.web.api.query import PageQuery, PaginationMeta, page_of

T = TypeVar("T")


class SeveritiesListResultV1(Answer):
    severities: list[models.SeverityV2]


class SeveritiesShowResultV1(Answer):
    severity: models.SeverityV2


class IncidentStatusesListResultV1(Answer):
    incident_statuses: list[models.IncidentStatusV2]


class IncidentStatusesShowResultV1(Answer):
    incident_status: models.IncidentStatusV2


class IncidentTypesListResultV1(Answer):
    incident_types: list[models.IncidentTypeV2]


class IncidentTypesShowResultV1(Answer):
    incident_type: models.IncidentTypeV2


class IncidentRolesListResultV1(Answer):
    incident_roles: list[models.IncidentRoleV1]


class IncidentRolesShowResultV1(Answer):
    incident_role: models.IncidentRoleV1


class IncidentRolesListResultV2(Answer):
    incident_roles: list[models.IncidentRoleV2]


class IncidentRolesShowResultV2(Answer):
    incident_role: models.IncidentRoleV2


class CustomFieldsListResultV2(Answer):
    custom_fields: list[models.CustomFieldV2]


class CustomFieldsShowResultV2(Answer):
    custom_field: models.CustomFieldV2


class CustomFieldOptionsListResultV1(Answer):
    custom_field_options: list[models.CustomFieldOptionV2]
    pagination_meta: PaginationMeta


class CustomFieldOptionsShowResultV1(Answer):
    custom_field_option: models.CustomFieldOptionV2


class IncidentTimestampsListResultV2(Answer):
    incident_timestamps: list[models.IncidentTimestampV2]


class IncidentTimestampsShowResultV2(Answer):
    incident_timestamp: models.IncidentTimestampV2


class OptionsQuery(PageQuery):
    custom_field_id: str = Field(description="Id of the custom field.")


def _now(kept: Mapping[str, Kept[T]]) -> list[Kept[T]]:
    """Return the choices that can be chosen now."""
    return [one for one in kept.values() if not one.is_archived]


def _one(kept: Mapping[str, Kept[T]], choice_id: str) -> Kept[T]:
    """Return the choice with this id. Raises ApiError 404 for one that cannot be chosen any more."""
    one = kept.get(choice_id)
    if one is None or one.is_archived:
        raise not_found()
    return one


async def list_severities(call: ApiCall) -> SeveritiesListResultV1:
    """List the severities, mildest first."""
    kept = (await call.backend.reader.choices()).severities
    return SeveritiesListResultV1(severities=[serializers.severity(one) for one in _now(kept)])


async def show_severity(call: ApiCall) -> SeveritiesShowResultV1:
    """Show a severity."""
    kept = (await call.backend.reader.choices()).severities
    return SeveritiesShowResultV1(severity=serializers.severity(_one(kept, call.id)))


async def list_statuses(call: ApiCall) -> IncidentStatusesListResultV1:
    """List the statuses in their order."""
    kept = (await call.backend.reader.choices()).statuses
    return IncidentStatusesListResultV1(incident_statuses=[serializers.status(one) for one in _now(kept)])


async def show_status(call: ApiCall) -> IncidentStatusesShowResultV1:
    """Show a status."""
    kept = (await call.backend.reader.choices()).statuses
    return IncidentStatusesShowResultV1(incident_status=serializers.status(_one(kept, call.id)))


async def list_types(call: ApiCall) -> IncidentTypesListResultV1:
    """List the incident types."""
    kept = (await call.backend.reader.choices()).types
    return IncidentTypesListResultV1(incident_types=[serializers.incident_type(one) for one in _now(kept)])


async def show_type(call: ApiCall) -> IncidentTypesShowResultV1:
    """Show an incident type."""
    kept = (await call.backend.reader.choices()).types
    return IncidentTypesShowResultV1(incident_type=serializers.incident_type(_one(kept, call.id)))


async def list_roles_v1(call: ApiCall) -> IncidentRolesListResultV1:
    """List the roles."""
    kept = (await call.backend.reader.choices()).roles
    return IncidentRolesListResultV1(incident_roles=[serializers.role_v1(one) for one in _now(kept)])


async def show_role_v1(call: ApiCall) -> IncidentRolesShowResultV1:
    """Show a role."""
    kept = (await call.backend.reader.choices()).roles
    return IncidentRolesShowResultV1(incident_role=serializers.role_v1(_one(kept, call.id)))


async def list_roles(call: ApiCall) -> IncidentRolesListResultV2:
    """List the roles."""
    kept = (await call.backend.reader.choices()).roles
    return IncidentRolesListResultV2(incident_roles=[serializers.role(one) for one in _now(kept)])


async def show_role(call: ApiCall) -> IncidentRolesShowResultV2:
    """Show a role."""
    kept = (await call.backend.reader.choices()).roles
    return IncidentRolesShowResultV2(incident_role=serializers.role(_one(kept, call.id)))


async def list_fields(call: ApiCall) -> CustomFieldsListResultV2:
    """List the custom fields in their order."""
    kept = (await call.backend.reader.choices()).fields
    return CustomFieldsListResultV2(custom_fields=[serializers.custom_field(one) for one in _now(kept)])


async def show_field(call: ApiCall) -> CustomFieldsShowResultV2:
    """Show a custom field."""
    kept = (await call.backend.reader.choices()).fields
    return CustomFieldsShowResultV2(custom_field=serializers.custom_field(_one(kept, call.id)))


async def list_options(call: ApiCall) -> CustomFieldOptionsListResultV1:
    """List the options of a custom field in their order."""
    query = call.query_as(OptionsQuery)
    field = _one((await call.backend.reader.choices()).fields, query.custom_field_id).thing
    options = [serializers.option(field.id, one) for one in field.options]
    page, meta = page_of(options, query, lambda one: one.id)
    return CustomFieldOptionsListResultV1(custom_field_options=page, pagination_meta=meta)


async def show_option(call: ApiCall) -> CustomFieldOptionsShowResultV1:
    """Show an option of a custom field."""
    # Not from all choices: Terraform asks for each of up to 10,000 options by itself.
    entry = found(await call.backend.catalogue.find("custom_field_options", call.id))
    shown = serializers.option(entry["custom_field_id"], FieldOption(**entry))
    return CustomFieldOptionsShowResultV1(custom_field_option=shown)


async def list_timestamps(call: ApiCall) -> IncidentTimestampsListResultV2:
    """List the timestamps in their order."""
    kept = _now((await call.backend.reader.choices()).timestamps)
    return IncidentTimestampsListResultV2(
        incident_timestamps=[
            models.IncidentTimestampV2(**one.thing.model_dump(include={"id", "name", "rank"})) for one in kept
        ]
    )


async def show_timestamp(call: ApiCall) -> IncidentTimestampsShowResultV2:
    """Show a timestamp."""
    one = _one((await call.backend.reader.choices()).timestamps, call.id).thing
    shown = models.IncidentTimestampV2(**one.model_dump(include={"id", "name", "rank"}))
    return IncidentTimestampsShowResultV2(incident_timestamp=shown)
