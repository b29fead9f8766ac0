"""Endpoints that change severities, statuses, roles, custom fields and options: Terraform's resources.

Bodies, answers and status codes are incident.io's (Severities V1, Incident Statuses V1, Incident Roles V2,
Custom Fields V2, Custom Field Options V1).
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, Field

from tocsin.incidents.catalogue import Kind
from tocsin.incidents.model import FieldKind
from tocsin.web.api import choices, models
from tocsin.web.api.endpoints import Answer, ApiCall, Body, Endpoint, Handler
from tocsin.web.api.errors import invalid, not_found

B = TypeVar("B", bound=BaseModel)

# Bodies.


class SeverityPayload(Body):
    name: str = Field(max_length=50)
    description: str
    rank: int | None = Field(None, description="A higher one is worse; without it, a new one is the worst.")


class StatusPayload(Body):
    name: str
    description: str


class NewStatusPayload(StatusPayload):
    category: Literal["live", "learning", "closed"]


class RolePayload(Body):
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    instructions: str
    shortform: str


class FieldPayload(Body):
    name: str = Field(max_length=50)
    description: str
    catalog_type_id: str | None = Field(None, description="Not for Tocsin, which has no catalog.")


class NewFieldPayload(FieldPayload):
    field_type: FieldKind


class OptionPayload(Body):
    value: str
    sort_key: int = Field(1000, description="Options are in the order of their sort keys.")


class NewOptionPayload(OptionPayload):
    custom_field_id: str


# Handlers.


async def create_severity(call: ApiCall) -> choices.SeveritiesShowResultV1:
    """Add a severity."""
    made = await _create(call, "severities", SeverityPayload)
    return choices.SeveritiesShowResultV1(severity=_read(models.SeverityV2, made))


async def update_severity(call: ApiCall) -> choices.SeveritiesShowResultV1:
    """Change a severity."""
    changed = await _update(call, "severities", SeverityPayload)
    return choices.SeveritiesShowResultV1(severity=_read(models.SeverityV2, changed))


async def delete_severity(call: ApiCall) -> None:
    """Delete a severity; incidents that have it keep it."""
    await _delete(call, "severities")


async def create_status(call: ApiCall) -> choices.IncidentStatusesShowResultV1:
    """Add a status behind the others of its category."""
    made = await _create(call, "incident_statuses", NewStatusPayload)
    return choices.IncidentStatusesShowResultV1(incident_status=_read(models.IncidentStatusV2, made))


async def update_status(call: ApiCall) -> choices.IncidentStatusesShowResultV1:
    """Change the name and the description of a status."""
    changed = await _update(call, "incident_statuses", StatusPayload)
    return choices.IncidentStatusesShowResultV1(incident_status=_read(models.IncidentStatusV2, changed))


async def delete_status(call: ApiCall) -> None:
    """Delete a status; incidents that have it keep it."""
    await _delete(call, "incident_statuses")


async def create_role(call: ApiCall) -> choices.IncidentRolesShowResultV2:
    """Add a role."""
    made = await _create(call, "incident_roles", RolePayload)
    return choices.IncidentRolesShowResultV2(incident_role=_read(models.IncidentRoleV2, made))


async def update_role(call: ApiCall) -> choices.IncidentRolesShowResultV2:
    """Change a role."""
    changed = await _update(call, "incident_roles", RolePayload)
    return choices.IncidentRolesShowResultV2(incident_role=_read(models.IncidentRoleV2, changed))


async def delete_role(call: ApiCall) -> None:
    """Delete a role; incidents keep who held it."""
    await _delete(call, "incident_roles")


async def create_field(call: ApiCall) -> choices.CustomFieldsShowResultV2:
    """Add a custom field; forms ask a select field once it has an option."""
    made = await _create(call, "custom_fields", NewFieldPayload)
    return choices.CustomFieldsShowResultV2(custom_field=_read(models.CustomFieldV2, made))


async def update_field(call: ApiCall) -> choices.CustomFieldsShowResultV2:
    """Change the name and the description of a custom field."""
    changed = await _update(call, "custom_fields", FieldPayload)
    return choices.CustomFieldsShowResultV2(custom_field=_read(models.CustomFieldV2, changed))


async def delete_field(call: ApiCall) -> None:
    """Delete a custom field; incidents keep their answers."""
    await _delete(call, "custom_fields")


async def create_option(call: ApiCall) -> choices.CustomFieldOptionsShowResultV1:
    """Add an option to a select field."""
    made = await _create(call, "custom_field_options", NewOptionPayload)
    return choices.CustomFieldOptionsShowResultV1(custom_field_option=_read(models.CustomFieldOptionV2, made))


async def update_option(call: ApiCall) -> choices.CustomFieldOptionsShowResultV1:
    """Change the text or the place of an option."""
    changed = await _update(call, "custom_field_options", OptionPayload)
    return choices.CustomFieldOptionsShowResultV1(
        custom_field_option=_read(models.CustomFieldOptionV2, changed)
    )


async def delete_option(call: ApiCall) -> None:
    """Delete an option; incidents that have it keep it."""
    await _delete(call, "custom_field_options")


async def _create(call: ApiCall, kind: Kind, model: type[Body]) -> Any:
    return await call.backend.catalogue.create(kind, _given(call.body_as(model)))


async def _update(call: ApiCall, kind: Kind, model: type[Body]) -> Any:
    changed = await call.backend.catalogue.update(kind, call.id, _given(call.body_as(model)))
    if changed is None:
        raise not_found()
    return changed


async def _delete(call: ApiCall, kind: Kind) -> None:
    if not await call.backend.catalogue.delete(kind, call.id):
        raise not_found()


def _given(body: Body) -> dict[str, Any]:
    given = body.model_dump(exclude_none=True)
    if "catalog_type_id" in given:
        raise invalid("catalog_type_id", "Tocsin has no catalog: leave this out, and add options instead.")
    return given


def _read(model: type[B], entry: Any) -> B:
    return model(**{name: entry[name] for name in model.model_fields})


# The table's rows.


def _adds(path: str, handler: Handler, answer: type[Answer], body: type[Body]) -> Endpoint:
    return Endpoint("POST", path, handler, answer, "settings", body=body, status=201)


def _changes(path: str, handler: Handler, answer: type[Answer], body: type[Body]) -> Endpoint:
    return Endpoint("PUT", f"{path}/{{id}}", handler, answer, "settings", body=body)


def _deletes(path: str, handler: Handler, status: int) -> Endpoint:
    return Endpoint("DELETE", f"{path}/{{id}}", handler, None, "settings", status=status)


_OPTION = choices.CustomFieldOptionsShowResultV1

ENDPOINTS: Final = (
    _adds("/v1/severities", create_severity, choices.SeveritiesShowResultV1, SeverityPayload),
    _changes("/v1/severities", update_severity, choices.SeveritiesShowResultV1, SeverityPayload),
    _deletes("/v1/severities", delete_severity, 202),
    _adds("/v1/incident_statuses", create_status, choices.IncidentStatusesShowResultV1, NewStatusPayload),
    _changes("/v1/incident_statuses", update_status, choices.IncidentStatusesShowResultV1, StatusPayload),
    _deletes("/v1/incident_statuses", delete_status, 202),
    _adds("/v2/incident_roles", create_role, choices.IncidentRolesShowResultV2, RolePayload),
    _changes("/v2/incident_roles", update_role, choices.IncidentRolesShowResultV2, RolePayload),
    _deletes("/v2/incident_roles", delete_role, 204),
    _adds("/v2/custom_fields", create_field, choices.CustomFieldsShowResultV2, NewFieldPayload),
    _changes("/v2/custom_fields", update_field, choices.CustomFieldsShowResultV2, FieldPayload),
    _deletes("/v2/custom_fields", delete_field, 204),
    _adds("/v1/custom_field_options", create_option, _OPTION, NewOptionPayload),
    _changes("/v1/custom_field_options", update_option, _OPTION, OptionPayload),
    _deletes("/v1/custom_field_options", delete_option, 204),
)
