"""DevRev for the contract: an organisation with the default catalogue's choices, under the catalogue's ids.

In DevRev a severity is a number, a field of the organisation begins with `tnt__`, a choice is its own text,
and a link is text. The contract is in the default catalogue's words; here they are put into DevRev's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.declarations import DAWN
from support.devrev import FakeOrg, Field
from tocsin.backends.devrev import DevRevBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import FieldEntry, FieldValue, Form, Incident
from tocsin.incidents.requests import Declaration, IncidentChange

FORM = IncidentConfig().form()
NUMBERS = {severity.id: str(number) for number, severity in enumerate(FORM.severities, 1)}
KINDS = {"numeric": "double", "single_select": "enum", "multi_select": "array"}
PREFIX, ENTRY = "tnt__", "custom_field_entries."


def organisation() -> FakeOrg:
    """Severities, first stage and fields as in the default catalogue; its time stands still."""
    org = FakeOrg(clock=lambda: DAWN)
    org.severities = [
        {"id": int(NUMBERS[severity.id]), "label": severity.name, "ordinal": int(NUMBERS[severity.id])}
        for severity in FORM.severities
    ]
    org.stages[0]["name"] = "Investigating"
    org.fields = [
        Field(
            field.id,
            KINDS.get(field.field_type, "text"),
            "enum" if field.field_type == "multi_select" else None,
            [option.value for option in field.options],
        )
        for field in FORM.custom_fields
    ]
    return org


class InDevRev:
    """A DevRev backend, spoken to with the default catalogue's ids."""

    def __init__(self, behind: DevRevBackend) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    async def form(self) -> Form:
        form = await self._behind.form()
        fields = (f.model_copy(update={"id": f.id.removeprefix(PREFIX)}) for f in form.custom_fields)
        return form.model_copy(update={"custom_fields": tuple(fields)})

    async def change(self, incident_id: str, change: IncidentChange) -> Incident:
        entries = {f"{PREFIX}{field}": values for field, values in change.custom_field_entries.items()}
        asked = change.model_copy(update={"custom_field_entries": entries})
        return _told(await self._behind.change(incident_id, asked))

    async def create(self, declaration: Declaration) -> Incident:
        usual = declaration.incident_type_id == "incident"
        entries = {
            f"{PREFIX}{field}": tuple(_sent(value) for value in values)
            for field, values in declaration.custom_field_entries.items()
        }
        asked = declaration.model_copy(
            update={
                "severity_id": NUMBERS.get(declaration.severity_id or "", declaration.severity_id),
                "incident_type_id": None if usual else declaration.incident_type_id,
                "custom_field_entries": entries,
            }
        )
        try:
            return _told(await self._behind.create(asked))
        except Refused as refusal:
            fields = {name.replace(f"{ENTRY}{PREFIX}", ENTRY): said for name, said in refusal.fields.items()}
            raise Refused(refusal.sentence, fields) from None

    async def find(self, reference: str) -> Incident | None:
        found = await self._behind.find(reference)
        return None if found is None else _told(found)

    async def incidents(self, **page: Any) -> Sequence[Incident]:
        return [_told(incident) for incident in await self._behind.incidents(**page)]

    async def set_alerts(self, incident_id: str, alerts: Any) -> Incident:
        return _told(await self._behind.set_alerts(incident_id, alerts))

    async def set_channel(self, incident_id: str, channel: Any) -> Incident:
        return _told(await self._behind.set_channel(incident_id, channel))


def _sent(value: FieldValue) -> FieldValue:
    if value.value_option is None:
        return FieldValue(value_text=value.value_link) if value.value_link else value
    return FieldValue(value_option=value.value_option.model_copy(update={"id": value.value_option.value}))


def _told(incident: Incident) -> Incident:
    severity = incident.severity
    ids = {number: name for name, number in NUMBERS.items()}
    return incident.model_copy(
        update={
            "severity": severity and severity.model_copy(update={"id": ids[severity.id]}),
            "custom_field_entries": tuple(
                _entry(entry)
                for entry in incident.custom_field_entries
                if entry.custom_field.id.startswith(PREFIX)
            ),
        }
    )


def _entry(entry: FieldEntry) -> FieldEntry:
    field = FORM.custom_field(entry.custom_field.id.removeprefix(PREFIX))
    assert field is not None
    options = {option.value: option for option in field.options}
    values = []
    for value in entry.values:
        if value.value_option is not None:
            value = FieldValue(value_option=options[value.value_option.value])
        elif field.field_type == "link":
            value = FieldValue(value_link=value.value_text)
        values.append(value)
    return FieldEntry(custom_field=field, values=tuple(values))
