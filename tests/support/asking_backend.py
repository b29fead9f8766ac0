"""A backend with questions of its own, as a hosted one has: real behind, and it may stop answering."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from support.declarations import DAWN
from tocsin.incidents.errors import Refused, Unavailable
from tocsin.incidents.model import CustomField, FieldOption, Form, Incident
from tocsin.incidents.requests import Declaration
from tocsin.workflows.ports import IncidentBackend

PARTS = tuple(FieldOption(id=f"part-{n}", value=f"Part {n}") for n in range(1, 500))
PARTS_FIELD = CustomField(
    id="applies_to_parts", name="Parts", field_type="multi_select", required=True, searched=True
)
IMPACT = CustomField(id="impact", name="Impact", field_type="numeric")
TEAM = CustomField(id="team", name="Team", field_type="single_select", searched=True, catalog_type_id="teams")


class AskingBackend:
    """Keeps what was declared; asks for a part (searched), an impact, and a team of the catalogue."""

    def __init__(self, behind: IncidentBackend) -> None:
        self._behind = behind
        self.declared: list[Declaration] = []
        self.beside: list[Mapping[str, Sequence[str]]] = []
        """What was chosen in other fields, each time that somebody typed."""
        self.down = False
        self.silent = False
        self.refusal: Refused | None = None

    async def form(self) -> Form:
        if self.down:
            raise Unavailable("Keeper cannot be reached.")
        asked = {"custom_fields": (TEAM,), "backend_fields": (PARTS_FIELD, IMPACT), "kept_by": "Keeper"}
        refused = {"offers_private": False, "private_refusal": "Keeper has no private incidents."}
        return (await self._behind.form()).model_copy(update={**asked, **refused, "as_of": DAWN})

    async def options(
        self, field_id: str, typed: str, beside: Mapping[str, Sequence[str]]
    ) -> Sequence[FieldOption]:
        self.beside.append(beside)
        if self.silent:
            await asyncio.Event().wait()
        known = PARTS if field_id == "applies_to_parts" else (FieldOption(id="c1", value="Checkout"),)
        return [option for option in known if typed.casefold() in option.value.casefold()]

    async def create(self, declaration: Declaration) -> Incident:
        if self.refusal is not None:
            raise self.refusal
        self.declared.append(declaration)
        plain = {"custom_field_entries": {}, "backend_entries": {}}
        return await self._behind.create(declaration.model_copy(update=plain))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)
