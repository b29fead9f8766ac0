"""Endpoints that change severities, statuses, roles, custom fields and options: Terraform's resources.

Bodies, answers and status codes are incident.io's (Severities V1, Incident Statuses V1, Incident Roles V2,
Custom Fields V2, Custom Field Options V1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from tocsin.incidents.catalogue import Kind
from tocsin.incidents.model import FieldKind
from tocsin.web.api import choices
from tocsin.web.api.endpoints import Answer, ApiCall, Body, Endpoint, found
from tocsin.web.api.errors import ApiError, Problem, not_found

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


OF_CATALOG: Final = (
    "catalog_type_id",
    "filter_by",
    "fixed_filter",
    "group_by_catalog_attribute_id",
    "helptext_catalog_attribute_id",
)
CATALOG_SENTENCE: Final = "Tocsin has no catalog: leave this out, and add options instead."
NO_CATALOG: Final = "Not for Tocsin, which has no catalog."


class FieldPayload(Body):
    name: str = Field(max_length=50)
    description: str
    catalog_type_id: str | None = Field(None, description=NO_CATALOG)
    filter_by: dict[str, Any] | None = Field(None, description=NO_CATALOG)
    fixed_filter: dict[str, Any] | None = Field(None, description=NO_CATALOG)
    group_by_catalog_attribute_id: str | None = Field(None, description=NO_CATALOG)
    helptext_catalog_attribute_id: str | None = Field(None, description=NO_CATALOG)


class NewFieldPayload(FieldPayload):
    field_type: FieldKind


class OptionPayload(Body):
    value: str
    sort_key: int = Field(1000, description="Options are in the order of their sort keys.")


class NewOptionPayload(OptionPayload):
    custom_field_id: str


# The endpoints of each kind.


@dataclass(frozen=True)
class Resource:
    """A kind of choice that clients add, change and delete, with the bodies of their requests."""

    kind: Kind
    path: str
    name: str
    answer: type[Answer]
    """Model of an answer; its one property is the choice."""
    new: type[Body]
    changed: type[Body]
    deleted_with: int
    """Status of the answer to a delete."""
    says: tuple[str, str, str]
    """Summaries of adding, changing and deleting one, for the description."""

    def shown(self, entry: Mapping[str, Any]) -> Answer:
        ((name, field),) = self.answer.model_fields.items()
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        return self.answer(**{name: model(**{one: entry[one] for one in model.model_fields})})

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows of the table."""
        one, (adds, changes, deletes) = f"{self.path}/{{id}}", self.says
        row = partial(Endpoint, scope="settings")
        return (
            row(
                "POST",
                self.path,
                partial(_create, self),
                self.answer,
                body=self.new,
                status=201,
                name=f"create_{self.name}",
                about=adds,
            ),
            row(
                "PUT",
                one,
                partial(_update, self),
                self.answer,
                body=self.changed,
                name=f"update_{self.name}",
                about=changes,
            ),
            row(
                "DELETE",
                one,
                partial(_delete, self),
                None,
                status=self.deleted_with,
                name=f"delete_{self.name}",
                about=deletes,
            ),
        )


async def _create(resource: Resource, call: ApiCall) -> Answer:
    given = _given(call.body_as(resource.new))
    return resource.shown(await call.backend.catalogue.create(resource.kind, given))


async def _update(resource: Resource, call: ApiCall) -> Answer:
    given = _given(call.body_as(resource.changed))
    return resource.shown(found(await call.backend.catalogue.update(resource.kind, call.id, given)))


async def _delete(resource: Resource, call: ApiCall) -> None:
    if not await call.backend.catalogue.delete(resource.kind, call.id):
        raise not_found()


def _given(body: Body) -> dict[str, Any]:
    given = body.model_dump(exclude_none=True)
    # Refused, not ignored: Terraform asks that each attribute comes back in the answer.
    problems = [Problem("invalid_value", CATALOG_SENTENCE, name) for name in OF_CATALOG if name in given]
    if problems:
        raise ApiError(422, *problems)
    return given


RESOURCES: Final = (
    Resource(
        "severities",
        "/v1/severities",
        "severity",
        choices.SeveritiesShowResultV1,
        SeverityPayload,
        SeverityPayload,
        202,
        ("Add a severity.", "Change a severity.", "Delete a severity; incidents that have it keep it."),
    ),
    Resource(
        "incident_statuses",
        "/v1/incident_statuses",
        "status",
        choices.IncidentStatusesShowResultV1,
        NewStatusPayload,
        StatusPayload,
        202,
        (
            "Add a status behind the others of its category.",
            "Change the name and the description of a status.",
            "Delete a status; incidents that have it keep it.",
        ),
    ),
    Resource(
        "incident_roles",
        "/v2/incident_roles",
        "role",
        choices.IncidentRolesShowResultV2,
        RolePayload,
        RolePayload,
        204,
        ("Add a role.", "Change a role.", "Delete a role; incidents keep who held it."),
    ),
    Resource(
        "custom_fields",
        "/v2/custom_fields",
        "field",
        choices.CustomFieldsShowResultV2,
        NewFieldPayload,
        FieldPayload,
        204,
        (
            "Add a custom field; forms ask a select field once it has an option.",
            "Change the name and the description of a custom field.",
            "Delete a custom field; incidents keep their answers.",
        ),
    ),
    Resource(
        "custom_field_options",
        "/v1/custom_field_options",
        "option",
        choices.CustomFieldOptionsShowResultV1,
        NewOptionPayload,
        OptionPayload,
        204,
        (
            "Add an option to a select field.",
            "Change the text or the place of an option.",
            "Delete an option; incidents that have it keep it.",
        ),
    ),
)
ENDPOINTS: Final = tuple(row for one in RESOURCES for row in one.endpoints)
