"""Request and response models of DevRev's API.

Field names are those of its reference (Incidents, Create, Update and List, beta). They have changed over
time, so only fields that are set are sent, and a response needs no more than `id` and `title`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WrapValidator,
    model_validator,
)

from tocsin.backends.answers import or_none, without_nulls

Empty = dict[str, Any]


class Request(BaseModel):
    """A request body: unknown fields are a bug of ours and raise an error, unset ones are left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def wire(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


class StageChoice(Request):
    stage: str
    notes: str | None = None


class Impact(Request):
    count: int | None = None
    customer_ids: list[str] | None = None


class TagChoice(Request):
    """A tag in a request is `tag_id`, in a response `tag` (Incidents, Create: `set-tag-with-value`)."""

    tag_id: str
    value: str | None = None


class SchemaSpec(Request):
    """Schemas of the custom fields; DevRev refuses a field whose schema is not named."""

    tenant_fragment: bool | None = None
    subtype: str | None = None
    apps: list[str] | None = None
    validate_required_fields: bool | None = None


class Origin(Request):
    """Origin of an object, by which lists can be filtered (Incidents, List: `sync_metadata`)."""

    external_reference: str | None = None
    origin_system: str | None = None


class CreateIncident(Request):
    """`incidents.create`: every field of its page, and those that the beta reference has besides.

    `severity`, `reported_by`, `source` and `impact.count` are the organisation's own numbers.
    """

    title: str
    acknowledged_date: datetime | None = None
    applies_to_parts: list[str] | None = None
    artifacts: list[str] | None = None
    body: str | None = None
    custom_fields: dict[str, Any] | None = None
    custom_schema_spec: SchemaSpec | None = None
    identified_date: datetime | None = None
    impact: Impact | None = None
    impacted_customers: list[str] | None = None
    mitigated_date: datetime | None = None
    owned_by: list[str] | None = None
    pia: list[str] | None = None
    playbooks: list[str] | None = None
    related_docs: list[str] | None = None
    reported_by: int | None = None
    severity: int | None = None
    source: int | None = None
    stage: StageChoice | None = None
    stage_validation_options: list[str] | None = None
    stakeholders: list[str] | None = None
    sync_metadata: Origin | None = None
    tags: list[TagChoice] | None = None
    target_close_date: datetime | None = None


class SetIds(Request):
    """A list in an update, which replaces the one before (Incidents, Update)."""

    set: list[str]


class SetTags(Request):
    set: list[TagChoice]


class StageChange(Request):
    stage: str


class UpdateIncident(Request):
    """`incidents.update`, with the fields that a responder can change. It has no guard against a conflict."""

    id: str
    title: str | None = None
    body: str | None = None
    severity: int | None = None
    stage: StageChange | None = None
    stage_validation_options: list[str] | None = None
    owned_by: SetIds | None = None
    applies_to_parts: SetIds | None = None
    tags: SetTags | None = None
    impact: Impact | None = None
    custom_fields: dict[str, Any] | None = None
    custom_schema_spec: SchemaSpec | None = None
    acknowledged_date: datetime | None = None
    mitigated_date: datetime | None = None


class Response(BaseModel):
    """Part of a response: unknown fields are ignored, missing ones are empty, and null is missing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        return without_nulls(given)


def _number_or_value(given: Any) -> Any:
    """Accept a bare number for an object: requests use numbers, and a response may echo one."""
    return {"id": given} if isinstance(given, int) else given


class EnumValue(Response):
    id: int
    label: str = ""
    ordinal: int = 0
    is_deprecated: bool = False
    tooltip: str = ""


Enum = Annotated[EnumValue | None, BeforeValidator(_number_or_value)]


class UserResponse(Response):
    """A person or an account, as in summaries and lists."""

    id: str = ""
    type: str = ""
    display_id: str = ""
    display_name: str = ""
    full_name: str = ""
    email: str | None = None
    state: str = "active"

    @property
    def name(self) -> str:
        return self.full_name or self.display_name or self.display_id


class Part(Response):
    id: str
    display_id: str = ""
    name: str = ""


class Tag(Response):
    id: str
    display_id: str = ""
    name: str = ""


class TagOn(Response):
    tag: Tag
    value: str | None = None


class State(Response):
    id: str = ""
    name: str = ""
    is_final: bool | None = None


class Stage(Response):
    id: str
    name: str = ""
    ordinal: int = 0
    state: State | None = None


class StageOn(Response):
    """The stage of an incident with its state beside it."""

    stage: Stage | None = None
    state: State | None = None


Moment = Annotated[datetime | None, WrapValidator(or_none)]


class ObjectSummary(Response):
    """Summary of an article, an account, a user or an artifact, of which people read the name."""

    id: str = ""
    label: str = ""


_NAMES = ("title", "full_name", "display_name", "name", "display_id", "id")


def _summaries(given: Any) -> list[dict[str, str]]:
    """Read a list of summaries; each is an object whose name has another key, or a bare id."""
    found = []
    for one in given if isinstance(given, list) else ():
        told = one if isinstance(one, dict) else {"id": one}
        told = {**(told["file"] if isinstance(told.get("file"), dict) else {}), **told}
        label = next((told[name] for name in _NAMES if isinstance(told.get(name), str) and told[name]), "")
        if label:
            found.append({"id": str(told.get("id", "")), "label": label})
    return found


Summaries = Annotated[tuple[ObjectSummary, ...], BeforeValidator(_summaries)]


class ImpactResponse(Response):
    count: Enum = None
    customer_ids: Summaries = ()


class OriginResponse(Response):
    external_reference: str | None = None
    origin_system: str | None = None


def _entries(given: Any) -> Any:
    return given if isinstance(given, list) else []


Users = Annotated[tuple[UserResponse, ...], BeforeValidator(_entries)]


class IncidentResponse(Response):
    """`incident`, in every response that has one."""

    id: str
    title: str
    display_id: str = ""
    body: str | None = None
    severity: Enum = None
    stage: StageOn | None = None
    owned_by: Users = ()
    applies_to_parts: Annotated[tuple[Part, ...], BeforeValidator(_entries)] = ()
    tags: Annotated[tuple[TagOn, ...], BeforeValidator(_entries)] = ()
    impact: ImpactResponse | None = None
    impacted_customers: Summaries = ()
    stakeholders: Summaries = ()
    reported_by: Annotated[Enum, WrapValidator(or_none)] = None
    source: Annotated[Enum, WrapValidator(or_none)] = None
    subtype: Annotated[str | None, WrapValidator(or_none)] = None
    playbooks: Summaries = ()
    pia: Summaries = ()
    related_docs: Summaries = ()
    artifacts: Summaries = ()
    identified_date: Moment = None
    acknowledged_date: Moment = None
    mitigated_date: Moment = None
    target_close_date: Moment = None
    custom_fields: Annotated[Empty, BeforeValidator(lambda given: given or {})] = Field(default_factory=dict)
    sync_metadata: OriginResponse | None = None
    created_by: UserResponse | None = None
    modified_by: UserResponse | None = None
    created_date: datetime | None = None
    modified_date: datetime | None = None
    actual_close_date: datetime | None = None


class SubtypeResponse(Response):
    """One subtype of incidents (Schemas, Subtypes, List)."""

    value: str
    display_name: str = ""


class EntryResponse(Response):
    """`timeline_entry`: a comment, or an event without a body."""

    id: str
    type: str = ""
    body: str = ""
    created_by: UserResponse | None = None
    created_date: datetime | None = None
    labels: Annotated[tuple[str, ...], BeforeValidator(_entries)] = ()


class FieldUi(Response):
    display_name: str = ""
    is_hidden: bool = False
    is_hidden_during_create: bool = False
    is_read_only: bool = False
    is_required: bool = False
    order: int = 0
    tooltip: str = ""


class FieldResponse(Response):
    """One field of a schema (`schema-field-descriptor`)."""

    name: str
    field_type: str = "unknown"
    base_type: str = ""
    description: str = ""
    is_required: bool = False
    allowed_values: Annotated[tuple[Any, ...], BeforeValidator(_entries)] = ()
    ui: FieldUi = FieldUi()
