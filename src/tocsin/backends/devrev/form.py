"""Choices of the declare form: severities, stages, impacts and custom fields from DevRev's schemas."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import structlog
from pydantic import ValidationError

from tocsin.backends.devrev.api_models import (
    EnumValue,
    FieldResponse,
    SchemaSpec,
    Stage,
    SubtypeResponse,
)
from tocsin.backends.devrev.client import DevRevClient, DevRevRefused, NotAllowed
from tocsin.backends.devrev.fields import IMPACT, PARTS, STAGE, TAGS
from tocsin.backends.devrev.mapping import BLOCKS, FIELD, category_of, option_id, severity_of
from tocsin.incidents.errors import Refused, gone
from tocsin.incidents.model import (
    CustomField,
    FieldKind,
    FieldOption,
    FieldValue,
    IncidentType,
    Severity,
    Status,
)
from tocsin.incidents.validation import decimal_text, is_visible, join_names

LEAF = "incident"
TENANT = "tnt__"
OF_SUBTYPE = "ctype__"
OURS = (TENANT, OF_SUBTYPE, "app__")
NO_SUBTYPE = IncidentType(id="no_subtype", name="Incident", description="Of no subtype", is_default=True)
"""Type of an incident without a subtype, which a form offers if the organisation has some."""
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
    subtypes: frozenset[str] = frozenset()
    """Subtypes whose incidents have the field; empty if all have it."""
    deprecated: tuple[FieldOption, ...] = ()
    """Choices that are offered no more, and that incidents may have."""
    is_read_only: bool = False
    """True if people see it and no form asks for it."""

    @property
    def as_read(self) -> CustomField:
        """The question with all choices that an incident may have."""
        known = (*self.question.options, *self.deprecated)
        return self.question.model_copy(update={"options": known}) if self.deprecated else self.question

    @property
    def can_be_emptied(self) -> bool:
        """True for lists and texts: DevRev documents no way to empty another field."""
        return self.many or self.type in {"text", "rich_text", "tokens"}

    def takes(self, values: Sequence[FieldValue]) -> bool:
        """False for a number with a fraction where DevRev counts whole ones."""
        if self.type != "int":
            return True
        numbers = [Decimal(decimal_text(value.entered) or "NaN") for value in values]
        return all(number == number.to_integral_value() for number in numbers)

    def to_devrev(self, values: Sequence[FieldValue]) -> Any:
        """Return the answer in DevRev's format; without values, a list or a text is emptied."""
        told = [self._one(self._text(value)) for value in values]
        return told if self.many else next(iter(told), "")

    def _text(self, value: FieldValue) -> str:
        option = self.question.option(value.entered) or value.value_option
        return option.value if self.type == "enum" and option is not None else value.entered

    def _one(self, text: str) -> Any:
        if self.type == "bool":
            return text == "yes"
        if self.type in {"int", "uenum"}:
            # Not by way of a float, which has 15 digits.
            return int(Decimal(text))
        return float(text) if self.type == "double" else text


@dataclass(frozen=True)
class Choices:
    """Choices that DevRev offers; empty where the token may not read them."""

    severities: tuple[Severity, ...] = ()
    severity_required: bool = False
    impacts: tuple[FieldOption, ...] = ()
    statuses: tuple[Status, ...] = ()
    asked: tuple[CustomFieldFormat, ...] = ()
    subtypes: tuple[IncidentType, ...] = ()

    @property
    def types(self) -> tuple[IncidentType, ...]:
        """Incident types that a form offers; none if the organisation has no subtypes."""
        return (NO_SUBTYPE, *self.subtypes) if self.subtypes else ()

    @property
    def fields(self) -> tuple[CustomField, ...]:
        return tuple(asked.question for asked in self.asked if not asked.is_read_only)

    @property
    def fields_as_read(self) -> tuple[CustomField, ...]:
        return tuple(asked.as_read for asked in self.asked)

    @property
    def own_fields(self) -> tuple[CustomField, ...]:
        """DevRev's own fields that the forms ask for; those without any choice are left out."""
        stages = tuple(
            FieldOption(id=stage.id, value=stage.name, sort_key=stage.rank)
            for stage in self.statuses
            if stage.is_open
        )
        choices = ((STAGE, stages), (IMPACT, self.impacts))
        selects = (field.model_copy(update={"options": options}) for field, options in choices if options)
        return (PARTS, *selects, TAGS)

    def field(self, field_id: str) -> CustomFieldFormat | None:
        asked = (one for one in self.asked if one.question.id == field_id and not one.is_read_only)
        return next(asked, None)


def to_devrev(
    entries: Mapping[str, Sequence[FieldValue]], choices: Choices, subtype: str | None
) -> tuple[dict[str, Any], SchemaSpec | None]:
    """Return custom fields in DevRev's format, and the schemas that they belong to (None without any).

    Raises Refused with a sentence for each field that is gone, that only another subtype has, that DevRev
    documents no way to empty, or that takes whole numbers.
    """
    sent: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for field_id, values in entries.items():
        asked = choices.field(field_id)
        if asked is None:
            errors[f"{FIELD}{field_id}"] = gone("field", "Leave it empty.")
        elif asked.subtypes and subtype not in asked.subtypes:
            errors[f"{FIELD}{field_id}"] = f"{asked.question.description} Leave it empty."
        elif not values and not asked.can_be_emptied:
            said = f"{asked.question.name} can only be emptied in DevRev. Choose another value."
            errors[f"{FIELD}{field_id}"] = said
        elif not asked.takes(values):
            errors[f"{FIELD}{field_id}"] = f"{asked.question.name} takes whole numbers, such as 42."
        else:
            sent[field_id] = asked.to_devrev(values)
    if errors:
        raise Refused(" ".join(errors.values()), errors)
    spec = SchemaSpec(
        tenant_fragment=any(name.startswith(TENANT) for name in sent) or None,
        subtype=subtype if any(name.startswith(OF_SUBTYPE) for name in sent) else None,
    )
    return sent, spec if sent else None


def block_of(refused: str, choices: Choices | None) -> str | None:
    """Return the form block of a field that DevRev refused, as its error names it; None if no form has it.

    A custom field is named with or without its prefix.
    """
    if refused == "custom_schema_spec.subtype":
        return "incident_type_id"
    first, _, rest = refused.partition(".")
    if (block := BLOCKS.get(first)) is not None:
        return block
    own = rest if first == "custom_fields" else first
    named = (f"{prefix}{own}" for prefix in ("", *OURS))
    known = (name for name in named if choices is not None and choices.field(name) is not None)
    return next((f"{FIELD}{name}" for name in known), None)


async def fetch_choices(client: DevRevClient, *, without: str | None = None) -> Choices:
    """Fetch all choices concurrently; `without` is the custom field that carries our key.

    Choices that the token may not read are left out. Raises Unavailable if DevRev cannot be reached.
    """
    stock, stages, own, (subtypes, theirs) = await asyncio.gather(
        _stock(client), _stages(client), _own(client), _subtypes(client)
    )
    severity = next((field for field in stock if field.name == "severity"), None)
    impact = next((field for name in IMPACTS for field in stock if field.name == name), None)
    return Choices(
        severities=tuple(severity_of(value) for value in _values(severity)),
        severity_required=severity is not None and (severity.is_required or severity.ui.is_required),
        impacts=_choices(_values(impact)),
        statuses=tuple(
            Status(id=stage.id, name=stage.name, category=category_of(stage.state), rank=stage.ordinal)
            for stage in sorted(stages, key=lambda stage: stage.ordinal)
        ),
        asked=tuple(
            asked
            for asked in (*map(asked_field, own), *_asked_of_subtypes(subtypes, theirs))
            if asked is not None and asked.question.id != without
        ),
        subtypes=subtypes,
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
        log.warning("the organization's own fields are not known", because=str(error))
        return []
    fields = _fields((answer.get("schema") or {}).get("fields"))
    return [field for field in fields if field.name.startswith(TENANT)]


def _prefixed(field: FieldResponse, prefix: str = TENANT) -> FieldResponse:
    own = field.name.startswith(OURS)
    return field if own else field.model_copy(update={"name": f"{prefix}{field.name}"})


SubtypeFields = Mapping[str, Sequence[FieldResponse]]


async def _subtypes(client: DevRevClient) -> tuple[tuple[IncidentType, ...], SubtypeFields]:
    """Fetch the subtypes of incidents (Schemas, Subtypes, List), and the fields of each by its value."""
    try:
        told = (await client.ask("schemas.subtypes.list", {"leaf_type": LEAF})).get("subtypes")
        listed = [SubtypeResponse.model_validate(one) for one in told or () if isinstance(one, dict)]
        if not listed:
            return (), {}
        asked = {"leaf_type": [LEAF], "types": ["custom_type_fragment"]}
        fragments = [fragment async for fragment in client.pages("schemas.custom.list", asked, "result")]
    except (DevRevRefused, NotAllowed, ValidationError) as error:
        log.warning("subtypes are not known", because=str(error))
        return (), {}
    newest = sorted(fragments, key=lambda fragment: str(fragment.get("created_date") or ""))
    fields = {str(one.get("subtype")): _fields(one.get("fields")) for one in newest}
    types = tuple(IncidentType(id=one.value, name=one.display_name or one.value) for one in listed)
    return types, fields


def _asked_of_subtypes(
    subtypes: Sequence[IncidentType], fields: SubtypeFields
) -> Iterable[CustomFieldFormat | None]:
    """Return the fields of subtypes as questions; a field of the same name in several is asked once."""
    found: dict[str, CustomFieldFormat] = {}
    for subtype in subtypes:
        for field in fields.get(subtype.id, ()):
            asked = asked_field(_prefixed(field, OF_SUBTYPE))
            if asked is not None:
                known = found.setdefault(asked.question.id, asked)
                found[asked.question.id] = replace(known, subtypes=known.subtypes | {subtype.id})
    names = {subtype.id: subtype.name for subtype in subtypes}
    for known in found.values():
        only = f"Only for the type {join_names(names[one] for one in sorted(known.subtypes))}."
        question = known.question.model_copy(update={"required": False, "description": only})
        yield replace(known, question=question)


def _fields(given: Any) -> list[FieldResponse]:
    """Parse the fields in their order; a field that cannot be parsed is left out."""
    found = []
    for field in given if isinstance(given, list) else ():
        try:
            found.append(FieldResponse.model_validate(field))
        except ValidationError:
            log.warning("a field of DevRev's schema could not be read")
    return sorted(found, key=lambda field: field.ui.order)


def _values(field: FieldResponse | None, *, deprecated: bool = False) -> Iterable[EnumValue]:
    """Return the values of an enumeration that are not deprecated, or those that are, in their order."""
    given = field.allowed_values if field is not None else ()
    values = [EnumValue.model_validate(value) for value in given if isinstance(value, dict)]
    return sorted((v for v in values if v.is_deprecated is deprecated), key=lambda value: value.ordinal)


def asked_field(field: FieldResponse) -> CustomFieldFormat | None:
    """Return the field as a question; None if its type cannot be asked or it is hidden from people.

    A field that DevRev's own form leaves out when an incident is created is asked for later.
    """
    many = field.field_type == "array"
    kind = field.base_type if many else field.field_type
    required = field.is_required or field.ui.is_required
    is_hidden = field.ui.is_hidden and not required
    if kind not in KINDS or (many and kind not in {"enum", "uenum"}) or is_hidden:
        return None
    bare = field.name.removeprefix(TENANT).removeprefix(OF_SUBTYPE)
    question = CustomField(
        id=field.name,
        name=field.ui.display_name or bare.replace("_", " ").capitalize(),
        description=field.description or field.ui.tooltip or HINTS.get(kind, ""),
        field_type="multi_select" if many else KINDS[kind],
        required=required,
        asked="later" if field.ui.is_hidden_during_create and not required else "always",
        options=_options(field, kind),
    )
    gone = _choices(_values(field, deprecated=True)) if kind == "uenum" else ()
    is_read_only = field.ui.is_read_only and not required
    return CustomFieldFormat(question, kind, many, deprecated=gone, is_read_only=is_read_only)


def _choices(values: Iterable[EnumValue]) -> tuple[FieldOption, ...]:
    return tuple(FieldOption(id=str(v.id), value=v.label, sort_key=v.ordinal) for v in values)


def _options(field: FieldResponse, kind: str) -> tuple[FieldOption, ...]:
    if kind == "bool":
        return YES_OR_NO
    if kind == "uenum":
        return _choices(_values(field))
    if kind == "enum":
        return tuple(
            FieldOption(id=option_id(value), value=value, sort_key=position)
            for position, value in enumerate(dict.fromkeys(map(str, field.allowed_values)))
            if is_visible(value)
        )
    return ()
