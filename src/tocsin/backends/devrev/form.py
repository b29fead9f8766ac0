"""Choices of the declare form: severities, stages, impacts and custom fields from DevRev's schemas."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError

from tocsin.backends.devrev.api_models import EnumValue, FieldResponse, Stage
from tocsin.backends.devrev.client import DevRevClient, DevRevRefused, NotAllowed
from tocsin.backends.devrev.mapping import category_of, severity_of
from tocsin.incidents.model import CustomField, FieldKind, FieldOption, FieldValue, Severity, Status

LEAF = "incident"
TENANT = "tnt__"
OURS = ("tnt__", "ctype__", "app__")
IMPACTS = ("impact.count", "impact_count", "impact")

log = structlog.get_logger()

KINDS: Mapping[str, FieldKind] = {
    "text": "text",
    "rich_text": "text",
    "tokens": "text",
    "date": "text",
    "timestamp": "text",
    "int": "numeric",
    "double": "numeric",
    "enum": "single_select",
    "uenum": "single_select",
    "bool": "single_select",
}
"""Field types that a form can ask for; not links to objects, structures or lists of free text."""

HINTS = {"date": "As 2026-03-01", "timestamp": "As 2026-03-01T15:00:00Z"}
YES_OR_NO = (FieldOption(id="yes", value="Yes"), FieldOption(id="no", value="No", sort_key=1))


@dataclass(frozen=True)
class CustomFieldFormat:
    """One custom field: the question, and the format of its answer."""

    question: CustomField
    type: str
    many: bool

    def to_devrev(self, values: Sequence[FieldValue]) -> Any:
        """Return the answer in DevRev's format."""
        told = [self._one(value.entered) for value in values]
        return told if self.many else told[0]

    def _one(self, text: str) -> Any:
        if self.type == "bool":
            return text == "yes"
        if self.type in {"int", "uenum"}:
            return int(float(text))
        return float(text) if self.type == "double" else text


@dataclass(frozen=True)
class Choices:
    """Choices that DevRev offers; empty where the token may not read them."""

    severities: tuple[Severity, ...] = ()
    severity_required: bool = False
    impacts: tuple[FieldOption, ...] = ()
    statuses: tuple[Status, ...] = ()
    asked: tuple[CustomFieldFormat, ...] = ()

    @property
    def fields(self) -> tuple[CustomField, ...]:
        return tuple(asked.question for asked in self.asked)

    def field(self, field_id: str) -> CustomFieldFormat | None:
        return next((asked for asked in self.asked if asked.question.id == field_id), None)


async def fetch_choices(client: DevRevClient, *, without: str | None = None) -> Choices:
    """Fetch all choices concurrently; `without` is the custom field that carries our key.

    Choices that the token may not read are left out. Raises Unavailable if DevRev cannot be reached.
    """
    stock, stages, own = await asyncio.gather(_stock(client), _stages(client), _own(client))
    severity = next((field for field in stock if field.name == "severity"), None)
    impact = next((field for name in IMPACTS for field in stock if field.name == name), None)
    return Choices(
        severities=tuple(severity_of(value) for value in _values(severity)),
        severity_required=severity is not None and (severity.is_required or severity.ui.is_required),
        impacts=tuple(
            FieldOption(id=str(value.id), value=value.label, sort_key=value.ordinal)
            for value in _values(impact)
        ),
        statuses=tuple(
            Status(id=stage.id, name=stage.name, category=category_of(stage.state), rank=stage.ordinal)
            for stage in sorted(stages, key=lambda stage: stage.ordinal)
        ),
        asked=tuple(asked for field in own if (asked := _asked(field)) and asked.question.id != without),
    )


async def _stock(client: DevRevClient) -> list[FieldResponse]:
    """Fetch the fields that every incident has (Schemas, Stock, Get)."""
    try:
        answer = await client.ask("schemas.stock.get", {"leaf_type": LEAF})
    except (DevRevRefused, NotAllowed) as error:
        log.warning("severities are not known", because=str(error))
        return []
    return _fields((answer.get("fragment") or {}).get("fields"))


async def _stages(client: DevRevClient) -> list[Stage]:
    """Fetch the stages (Stages, Custom, List), only those of incidents if a diagram names them."""
    try:
        everything = [stage async for stage in _all_stages(client)]
        diagram = await _diagram(client)
    except (DevRevRefused, NotAllowed) as error:
        log.warning("stages are not known", because=str(error))
        return []
    within = [stage for stage in everything if stage.id in diagram]
    return within or everything


async def _all_stages(client: DevRevClient) -> Any:
    async for found in client.pages("stages.custom.list", {}, "result"):
        yield Stage.model_validate(found)


async def _diagram(client: DevRevClient) -> frozenset[str]:
    """Fetch the ids of the stages in the incidents' diagram; empty if there is none (Stage Diagrams, Get)."""
    try:
        schema = (await client.ask("schemas.aggregated.get", {"leaf_type": LEAF})).get("schema") or {}
        found = schema.get("stage_diagram_id")
        diagram_id = found.get("id") if isinstance(found, dict) else found
        if not diagram_id:
            return frozenset()
        diagram = (await client.ask("stage-diagrams.get", {"id": diagram_id})).get("stage_diagram") or {}
    except (DevRevRefused, NotAllowed):
        return frozenset()
    on = [entry.get("stage") or {} for entry in diagram.get("stages") or () if isinstance(entry, dict)]
    return frozenset(str(stage.get("id")) for stage in on)


async def _own(client: DevRevClient) -> list[FieldResponse]:
    """Fetch the custom fields of incidents: from the tenant's fragment, else from the whole schema.

    In the fragment their names are bare; in the whole schema, as in an incident, they begin with `tnt__`
    (Customization).
    """
    asked = {"leaf_type": [LEAF], "types": ["tenant_fragment"]}
    try:
        found = [fragment async for fragment in client.pages("schemas.custom.list", asked, "result")]
        newest = sorted(found, key=lambda fragment: str(fragment.get("created_date") or ""))
        return [_prefixed(field) for fragment in newest[-1:] for field in _fields(fragment.get("fields"))]
    except (DevRevRefused, NotAllowed):
        pass
    try:
        answer = await client.ask("schemas.aggregated.get", {"leaf_type": LEAF})
    except (DevRevRefused, NotAllowed) as error:
        log.warning("the organisation's own fields are not known", because=str(error))
        return []
    fields = _fields((answer.get("schema") or {}).get("fields"))
    return [field for field in fields if field.name.startswith(TENANT)]


def _prefixed(field: FieldResponse) -> FieldResponse:
    own = field.name.startswith(OURS)
    return field if own else field.model_copy(update={"name": f"{TENANT}{field.name}"})


def _fields(given: Any) -> list[FieldResponse]:
    """Parse the fields in their order; a field that cannot be parsed is left out."""
    found = []
    for field in given if isinstance(given, list) else ():
        try:
            found.append(FieldResponse.model_validate(field))
        except ValidationError:
            log.warning("a field of DevRev's schema could not be read")
    return sorted(found, key=lambda field: field.ui.order)


def _values(field: FieldResponse | None) -> Iterable[EnumValue]:
    """Return the values of an enumeration that are not deprecated, in their order."""
    given = field.allowed_values if field is not None else ()
    values = [EnumValue.model_validate(value) for value in given if isinstance(value, dict)]
    return sorted((v for v in values if not v.is_deprecated), key=lambda value: value.ordinal)


def _asked(field: FieldResponse) -> CustomFieldFormat | None:
    """Return the field as a question; None if its type cannot be asked or it is hidden from people."""
    many = field.field_type == "array"
    kind = field.base_type if many else field.field_type
    required = field.is_required or field.ui.is_required
    hidden = field.ui.is_hidden or field.ui.is_hidden_during_create or field.ui.is_read_only
    if kind not in KINDS or (many and kind not in {"enum", "uenum"}) or (hidden and not required):
        return None
    question = CustomField(
        id=field.name,
        name=field.ui.display_name or field.name.removeprefix(TENANT).replace("_", " ").capitalize(),
        description=field.description or field.ui.tooltip or HINTS.get(kind, ""),
        field_type="multi_select" if many else KINDS[kind],
        required=required,
        options=_options(field, kind),
    )
    return CustomFieldFormat(question, kind, many)


def _options(field: FieldResponse, kind: str) -> tuple[FieldOption, ...]:
    if kind == "bool":
        return YES_OR_NO
    if kind == "uenum":
        return tuple(FieldOption(id=str(v.id), value=v.label, sort_key=v.ordinal) for v in _values(field))
    if kind == "enum":
        return tuple(
            FieldOption(id=str(value), value=str(value), sort_key=position)
            for position, value in enumerate(field.allowed_values)
        )
    return ()
