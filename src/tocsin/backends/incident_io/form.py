"""The declare form, made from the account's configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from tocsin.backends.incident_io import api_models, mapping
from tocsin.backends.incident_io.client import AccessDenied, ApiError, Client
from tocsin.backends.incident_io.queries import pages
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import CustomField, FieldOption, Form, IncidentType, Role, Severity
from tocsin.workflows.ports import Clock, loop_time

T = TypeVar("T", bound=api_models.Response)
log = structlog.get_logger()

SELECTS = frozenset({"single_select", "multi_select"})
OPTIONS_SECONDS = 300.0
"""Seconds for which a field's options are cached: they take many requests and seldom change."""

MOST_OPTIONS = 2000
FOUND = 100

SEVERITIES, STATUSES, TYPES = "/v1/severities", "/v1/incident_statuses", "/v1/incident_types"
ROLES, FIELDS, OPTIONS = "/v2/incident_roles", "/v2/custom_fields", "/v1/custom_field_options"
LISTS = frozenset({SEVERITIES, STATUSES, TYPES, ROLES, FIELDS})

UNSUPPORTED = {
    "private": "incident.io cannot make an incident private after it was declared.",
    "merge": "Incidents are merged on incident.io's own page.",
    "unnote": "incident.io keeps its timeline; an entry is taken out on its own page.",
}


class Account:
    """Cached configuration of the account; options are cached for longer than the rest."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self.form: Form | None = None
        self.types: tuple[api_models.TypeResponse, ...] = ()
        self.withheld: dict[str, str] = {}
        """Reason why incident.io did not tell a list at the last refresh, by the list's path."""
        self._told: dict[str, list[Any]] = {}
        self._options: dict[tuple[str, str], tuple[float, tuple[_Offered, ...]]] = {}
        self._fields: dict[str, api_models.FieldResponse] = {}

    async def known(self) -> Form:
        """Return the cached form, or fetch it if there is none yet."""
        return self.form or await self.refresh()

    async def refresh(self) -> Form:
        """Fetch the whole configuration. Raises Unavailable, also if incident.io rejects a request."""
        try:
            return await self._refreshed()
        except ApiError as rejected:
            raise Unavailable(f"incident.io did not tell its configuration: {rejected}") from rejected

    async def _refreshed(self) -> Form:
        self.withheld = {}
        severities = await self._if_told(SEVERITIES, "severities", api_models.SeverityResponse)
        statuses, types, roles, fields, forms, timestamps = await asyncio.gather(
            self._if_told(STATUSES, "incident_statuses", api_models.StatusResponse),
            self._types(),
            self._if_told(ROLES, "incident_roles", api_models.RoleResponse),
            self._if_told(FIELDS, "custom_fields", api_models.FieldResponse),
            self._if_told("/v3/incident_forms", "incident_forms", api_models.FormResponse),
            self._if_told("/v2/incident_timestamps", "incident_timestamps", api_models.NamedTimestamp),
        )
        elements = _elements(forms, "declare")
        if self.withheld.keys() >= LISTS:
            # Nothing at all is no configuration: the form of last time is better, and the address is wrong.
            raise Unavailable(f"incident.io did not tell its configuration: {self.withheld[SEVERITIES]}")
        custom = await self._in_order(fields, elements, _elements(forms, "resolve"))
        self._fields = {field.id: field for field in fields}
        self.types = tuple(types)
        self.form = Form(
            severities=tuple(Severity(**s.model_dump()) for s in severities),
            statuses=tuple(mapping.status_of(s) for s in sorted(statuses, key=lambda s: s.rank)),
            incident_types=tuple(IncidentType(**t.model_dump()) for t in types),
            roles=tuple(Role(**r.model_dump()) for r in roles),
            custom_fields=custom,
            incident_timestamps=tuple(
                mapping.timestamp_of(t) for t in sorted(timestamps, key=lambda t: t.rank) if t.id
            ),
            severity_required=elements is None or _needed(elements, "severity", default=True),
            summary_required=_needed(elements or (), "summary", default=False),
            lacks=UNSUPPORTED,
            as_of=self._clock(),
            kept_by="incident.io",
        )
        return self.form

    async def _listed(self, path: str, name: str, kind: type[T]) -> list[T]:
        answer = await self._client.fetch(path)
        return read_all(answer.get(name), kind)

    async def _if_told(self, path: str, name: str, kind: type[T]) -> list[T]:
        """Return a list; as it was last told if the account has no such list or the key may not read it.

        A form without it is better than none: incident.io says what it lacks when it is sent.
        """
        try:
            self._told[path] = await self._listed(path, name, kind)
        except ApiError as rejected:
            self.withheld[path] = str(rejected)
        except AccessDenied as denied:
            if denied.is_key:
                raise
            self.withheld[path] = str(denied)
        return self._told.get(path, [])

    async def _types(self) -> list[api_models.TypeResponse]:
        """Return the incident types; none if the account has no such list.

        Raises Unavailable or ApiError if they cannot be read: some types are always private, and nothing may
        be declared in public without knowing which.
        """
        try:
            self._told[TYPES] = await self._listed(TYPES, "incident_types", api_models.TypeResponse)
        except ApiError as rejected:
            if rejected.status not in {404, 410}:
                raise
            self.withheld[TYPES] = str(rejected)
        return self._told.get(TYPES, [])

    async def _in_order(
        self,
        fields: Sequence[api_models.FieldResponse],
        declared: Elements | None,
        resolved: Elements | None,
    ) -> tuple[CustomField, ...]:
        """Return the fields in the order of the declare form, then those that it leaves out.

        V1 tells which fields are needed where the organisation has no such form, or where the form leaves
        that to each field (`check_engine_config`).
        """
        of_v1 = await self._needed_by_v1() if _leaves_it_to_v1(declared, resolved) else {}
        places = {e.custom_field_id: place for place, e in enumerate(declared or ()) if e.custom_field_id}
        ordered = sorted(fields, key=lambda field: places.get(field.id, len(declared or ())))
        options = await asyncio.gather(*(self._options_of(field) for field in ordered))
        return tuple(
            mapping.custom_field_of(
                field, required=_is_needed(field.id, declared, of_v1.get(field.id) == "always")
            ).model_copy(
                update={
                    "options": found,
                    "asked": "always" if declared is None or field.id in places else "later",
                    "required_when": "closing"
                    if _is_needed(field.id, resolved, of_v1.get(field.id) == "before_resolution")
                    else None,
                }
            )
            for field, found in zip(ordered, options, strict=True)
        )

    async def _needed_by_v1(self) -> dict[str, str]:
        """Return `required_v2` of each field (Custom Fields V1, List)."""
        told = await self._if_told("/v1/custom_fields", "custom_fields", api_models.FieldResponse)
        return {field.id: field.required_v2 for field in told}

    async def _options_of(self, field: api_models.FieldResponse) -> tuple[FieldOption, ...]:
        if field.field_type not in SELECTS or field.catalog_type_id:
            return ()
        query = ("custom_field_id", field.id)
        try:
            kept = await self._kept(OPTIONS, "custom_field_options", query)
        except (ApiError, AccessDenied) as refused:
            if isinstance(refused, AccessDenied) and refused.is_key:
                raise
            # Perhaps the field was deleted since it was listed.
            self.withheld[OPTIONS] = str(refused)
            kept = self._options.get(query, (0.0, ()))[1]
        return tuple(one.option for one in kept)

    async def _kept(self, path: str, name: str, query: tuple[str, str]) -> tuple[_Offered, ...]:
        asked, kept = self._options.get(query, (0.0, ()))
        if asked and loop_time() - asked < OPTIONS_SECONDS:
            return kept
        found = [item async for item in pages(self._client, path, name, (query,), most=MOST_OPTIONS)]
        options = _offered(found)
        self._options[query] = (loop_time(), options)
        return options

    async def search(
        self, field_id: str, typed: str, beside: Mapping[str, Sequence[str]]
    ) -> Sequence[FieldOption]:
        """Return the first hundred matching entries of the field's catalog: by words, else by id or alias.

        incident.io, Catalog V3, ListEntries: `identifier` finds an entry by id, external id or alias; Custom
        Fields V2: `fixed_filter`, and `filter_by` for the choices `beside`, in the form's other fields.
        """
        form = await self.known()
        field = form.custom_field(field_id)
        if field is None or not field.catalog_type_id:
            return ()
        words = typed.casefold().split()
        query = ("catalog_type_id", field.catalog_type_id)
        kept = await self._kept("/v3/catalog_entries", "catalog_entries", query)
        filters = list(self._filters(field_id, beside))
        found = [
            e for e in kept if all(word in e.option.value.casefold() for word in words) and e.fits(filters)
        ]
        if typed.strip() and not found:
            answer = await self._client.fetch("/v3/catalog_entries", [query, ("identifier", typed.strip())])
            found = [e for e in _offered(answer.get("catalog_entries") or ()) if e.fits(filters)]
        return [e.option for e in found[:FOUND]]

    def _filters(
        self, field_id: str, beside: Mapping[str, Sequence[str]]
    ) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield each catalog attribute that restricts the options, and the ids it may point to."""
        told = self._fields.get(field_id)
        if told and (fixed := told.fixed_filter):
            yield fixed.catalog_attribute_id, fixed.values
        if told and (by := told.filter_by) and (chosen := beside.get(by.custom_field_id)):
            yield by.catalog_attribute_id, chosen

    async def reporter_role(self) -> str | None:
        form = await self.known()
        return next((role.id for role in form.roles if role.role_type == "reporter"), None)


@dataclass(frozen=True)
class _Offered:
    """An option of a field, or a catalog entry with the ids that its attributes point to."""

    option: FieldOption
    attributes: Mapping[str, frozenset[str]]

    def fits(self, filters: Iterable[tuple[str, Sequence[str]]]) -> bool:
        """True if every filtered attribute points to an accepted id; without attributes an option fits."""
        return not self.attributes or all(
            not self.attributes.get(attribute, frozenset()).isdisjoint(wanted)
            for attribute, wanted in filters
        )


def _offered(items: Iterable[dict[str, Any]]) -> tuple[_Offered, ...]:
    there = (item for item in items if item.get("id") and not item.get("archived_at"))
    return tuple(_Offered(_option(item), _attributes(item.get("attribute_values"))) for item in there)


def _option(item: dict[str, Any]) -> FieldOption:
    value = item.get("value") or item.get("name") or item["id"]
    return FieldOption(id=str(item["id"]), value=str(value), sort_key=int(item.get("sort_key") or 0))


def _attributes(told: object) -> dict[str, frozenset[str]]:
    """Map each attribute to the ids that it points to (Catalog V3: `literal` in `value` or `array_value`)."""
    bindings = told.items() if isinstance(told, dict) else ()
    return {attribute: frozenset(_literals(binding)) for attribute, binding in bindings}


def _literals(binding: object) -> Iterator[str]:
    if not isinstance(binding, dict):
        return
    several = binding.get("array_value")
    for one in [binding.get("value"), *(several if isinstance(several, list) else ())]:
        if isinstance(one, dict) and isinstance(one.get("literal"), str):
            yield one["literal"]


Elements = Sequence[api_models.ElementResponse]


def _elements(forms: Sequence[api_models.FormResponse], form_type: str) -> Elements | None:
    return next((form.lifecycle_elements for form in forms if form.form_type == form_type), None)


def _leaves_it_to_v1(*forms: Elements | None) -> bool:
    return any(form is None or any(element.is_left_to_field for element in form) for form in forms)


def _is_needed(field_id: str, elements: Elements | None, by_v1: bool) -> bool:
    """True if the form needs an answer to the field.

    Without a form, or if the form leaves it to the field, V1 says so.
    """
    if elements is None:
        return by_v1
    asked = [element for element in elements if element.custom_field_id == field_id]
    return any(element.is_needed or (element.is_left_to_field and by_v1) for element in asked)


def _needed(elements: Sequence[api_models.ElementResponse], kind: str, *, default: bool) -> bool:
    found = next((element for element in elements if element.element_type == kind), None)
    return default if found is None else found.is_needed


def read_all(listed: object, kind: type[T]) -> list[T]:
    """Parse every object of a list; what is not as incident.io documents it is logged and left out."""
    found: list[T] = []
    for item in listed if isinstance(listed, list) else []:
        try:
            found.append(kind.model_validate(item))
        except ValidationError as error:
            log.warning("left out of incident.io's answer", kind=kind.__name__, because=problem_of(error))
    return found


def problem_of(error: ValidationError) -> str:
    """Return the first thing that is wrong, without what was sent."""
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
