"""The declare form, made from the account's configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any, TypeVar

from tocsin.actions.ports import Clock
from tocsin.backends.incident_io import answers, mapping
from tocsin.backends.incident_io.client import Client
from tocsin.backends.incident_io.doors import Shut
from tocsin.backends.incident_io.reading import pages
from tocsin.backends.incident_io.troubles import Rejected
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import CustomField, FieldOption, Form, IncidentType, Role, Severity

T = TypeVar("T", bound=answers.Answer)

SELECTS = frozenset({"single_select", "multi_select"})
OPTIONS_SECONDS = 300.0
"""How long a field's options are good: they are many requests, and change seldom."""

MOST_OPTIONS = 2000
FOUND = 100

LACKS = {
    "private": "incident.io cannot make an incident private after it was declared.",
    "merge": "Incidents are merged on incident.io's own page.",
    "unnote": "incident.io keeps its timeline; an entry is taken out on its own page.",
}


class Account:
    """What one account may be asked, as it said last; options are kept a little longer than the rest."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self.form: Form | None = None
        self.types: tuple[answers.TypeAnswer, ...] = ()
        self._options: dict[str, tuple[float, tuple[FieldOption, ...]]] = {}

    async def known(self) -> Form:
        """The form as it was last; asked for now if it never was."""
        return self.form or await self.refresh()

    async def refresh(self) -> Form:
        """Ask for everything. Raises Unavailable, also where incident.io refuses the question itself."""
        try:
            return await self._refreshed()
        except Rejected as rejected:
            raise Unavailable(f"incident.io did not tell its configuration: {rejected}") from rejected

    async def _refreshed(self) -> Form:
        severities = await self._listed("/v1/severities", "severities", answers.SeverityAnswer)
        statuses, types, roles, fields, forms = await asyncio.gather(
            self._listed("/v1/incident_statuses", "incident_statuses", answers.StatusAnswer),
            self._listed("/v1/incident_types", "incident_types", answers.TypeAnswer),
            self._listed("/v2/incident_roles", "incident_roles", answers.RoleAnswer),
            self._listed("/v2/custom_fields", "custom_fields", answers.FieldAnswer),
            self._forms(),
        )
        elements = next((form.lifecycle_elements for form in forms if form.form_type == "declare"), None)
        custom = await self._fields(fields, elements)
        self.types = tuple(types)
        self.form = Form(
            severities=tuple(Severity(**s.model_dump()) for s in severities),
            statuses=tuple(mapping.status_of(s) for s in sorted(statuses, key=lambda s: s.rank)),
            incident_types=tuple(IncidentType(**t.model_dump()) for t in types),
            roles=tuple(Role(**r.model_dump()) for r in roles),
            custom_fields=custom,
            severity_required=elements is None or _needed(elements, "severity", default=True),
            summary_required=_needed(elements or (), "summary", default=False),
            lacks=LACKS,
            as_of=self._clock(),
            kept_by="incident.io",
        )
        return self.form

    async def _listed(self, path: str, name: str, kind: type[T]) -> list[T]:
        answer = await self._client.fetch(path)
        return read_all(answer.get(name), kind)

    async def _forms(self) -> list[answers.FormAnswer]:
        """The organisation's own forms; an account without them, or a key that may not see them, has none."""
        try:
            return await self._listed("/v3/incident_forms", "incident_forms", answers.FormAnswer)
        except Rejected:
            return []
        except Shut as shut:
            if shut.is_key:
                raise
            return []

    async def _fields(
        self, fields: Sequence[answers.FieldAnswer], elements: Sequence[answers.ElementAnswer] | None
    ) -> tuple[CustomField, ...]:
        """The fields in the order of the form; where there is none, V1 still says which are needed."""
        if elements is None:
            needed = await self._needed_by_v1()
            ordered = list(fields)
        else:
            needed = {e.custom_field_id for e in elements if e.custom_field_id and e.is_needed}
            places = {e.custom_field_id: place for place, e in enumerate(elements) if e.custom_field_id}
            ordered = sorted(
                (field for field in fields if field.id in places), key=lambda field: places[field.id]
            )
        options = await asyncio.gather(*(self._options_of(field) for field in ordered))
        return tuple(
            mapping.field_of(field, required=field.id in needed).model_copy(update={"options": found})
            for field, found in zip(ordered, options, strict=True)
        )

    async def _needed_by_v1(self) -> set[str | None]:
        try:
            told = await self._listed("/v1/custom_fields", "custom_fields", answers.FieldAnswer)
        except Rejected:
            return set()
        return {field.id for field in told if field.required_v2 == "always"}

    async def _options_of(self, field: answers.FieldAnswer) -> tuple[FieldOption, ...]:
        if field.field_type not in SELECTS or field.catalog_type_id:
            return ()
        query = (("custom_field_id", field.id),)
        return await self._kept(
            f"field {field.id}", "/v1/custom_field_options", "custom_field_options", query
        )

    async def _entries(self, catalog_type_id: str) -> tuple[FieldOption, ...]:
        query = (("catalog_type_id", catalog_type_id),)
        return await self._kept(f"catalog {catalog_type_id}", "/v3/catalog_entries", "catalog_entries", query)

    async def _kept(
        self, key: str, path: str, name: str, query: tuple[tuple[str, str], ...]
    ) -> tuple[FieldOption, ...]:
        asked, kept = self._options.get(key, (0.0, ()))
        if asked and monotonic() - asked < OPTIONS_SECONDS:
            return kept
        found = [item async for item in pages(self._client, path, name, query, most=MOST_OPTIONS)]
        options = tuple(_option(item) for item in found if item.get("id") and not item.get("archived_at"))
        self._options[key] = (monotonic(), options)
        return options

    async def search(self, field_id: str, typed: str) -> Sequence[FieldOption]:
        """The first hundred entries of the field's catalogue that match: by id or alias, then by words.

        incident.io, Catalog V3, ListEntries: `identifier` finds an entry by id, external id or alias.
        """
        form = await self.known()
        field = form.custom_field(field_id)
        if field is None or not field.catalog_type_id:
            return ()
        words = typed.casefold().split()
        entries = await self._entries(field.catalog_type_id)
        found = [e for e in entries if all(word in e.value.casefold() for word in words)]
        if typed.strip() and not found:
            query = [("catalog_type_id", field.catalog_type_id), ("identifier", typed.strip())]
            answer = await self._client.fetch("/v3/catalog_entries", query)
            found = [_option(item) for item in answer.get("catalog_entries") or () if item.get("id")]
        return found[:FOUND]

    async def reporter_role(self) -> str | None:
        form = await self.known()
        return next((role.id for role in form.roles if role.role_type == "reporter"), None)


def _option(item: dict[str, Any]) -> FieldOption:
    value = item.get("value") or item.get("name") or item["id"]
    return FieldOption(id=str(item["id"]), value=str(value), sort_key=int(item.get("sort_key") or 0))


def _needed(elements: Sequence[answers.ElementAnswer], kind: str, *, default: bool) -> bool:
    found = next((element for element in elements if element.element_type == kind), None)
    return default if found is None else found.is_needed


def read_all(listed: object, kind: type[T]) -> list[T]:
    """Everything in a list that can be read; what has not even an id is left out."""
    items = listed if isinstance(listed, list) else []
    return [kind.model_validate(item) for item in items if isinstance(item, dict)]
