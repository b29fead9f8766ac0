"""Custom fields at incident.io: those that its own forms ask for, and their answers changed afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from integration.backends.test_incident_io import opened
from support.declarations import BEN, DAWN, declaration
from support.incident_io.account import Account
from support.incident_io.server import failing

from tocsin.incidents.model import CatalogEntry, FieldValue
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.timeline import items_of


def form(form_type: str, **required: str) -> dict[str, Any]:
    elements = [
        {"element_type": "custom_field", "custom_field_id": name, "required_if": required_if}
        for name, required_if in required.items()
    ]
    return {"id": form_type, "form_type": form_type, "lifecycle_elements": elements}


async def test_the_resolve_form_says_what_is_needed_to_close_and_may_leave_it_to_the_field(
    tmp_path: Path,
) -> None:
    left = "check_engine_config"
    declaring = form("declare", team="always_require")
    resolving = form("resolve", detected_by="always_require", status_page=left, affected_area=left)
    account = Account(forms=[declaring, resolving])
    for field in account.fields:
        field["required_v2"] = "before_resolution" if field["id"] == "status_page" else "always"
    async with opened(tmp_path, account) as (backend, _, _clock):
        fields = (await backend.form()).custom_fields
        assert [field.id for field in fields if field.asked == "always"] == ["team"]
        assert [field.id for field in fields if field.required] == ["team"]
        assert len(fields) == len(account.fields)
        needed = {field.id for field in fields if field.required_when == "closing"}
        assert needed == {"detected_by", "status_page"}


async def test_without_forms_each_field_says_when_it_is_needed(tmp_path: Path) -> None:
    account = Account()
    account.fields[0]["required_v2"], account.fields[1]["required_v2"] = "before_resolution", "always"
    async with opened(tmp_path, account) as (backend, _, _clock):
        fields = (await backend.form()).custom_fields
        assert [field.id for field in fields if field.required_when] == [account.fields[0]["id"]]
        assert [field.id for field in fields if field.required] == [account.fields[1]["id"]]


async def test_an_edit_sends_the_changed_fields_alone_and_unsets_what_was_emptied(tmp_path: Path) -> None:
    async with opened(tmp_path) as (backend, server, _):
        incident = await backend.create(declaration())
        entry = server.account.entries[0]
        answers = {
            "customer_or_ticket": (FieldValue(value_text="TKT-7"),),
            "team": (FieldValue(value_catalog_entry=CatalogEntry(id=entry["id"], name=entry["name"])),),
        }
        for key, given in (("a", answers), ("b", {"customer_or_ticket": ()})):
            asked = IncidentChange(key=key, by=BEN, at=DAWN, custom_field_entries=given)
            incident = await backend.change(incident.id, asked)
        assert [value.shown for value in incident.answers("team")] == [entry["name"]]
        assert not incident.answers("customer_or_ticket")
        said = [item["description"] for item in server.account.items]
        assert any("Customer or ticket: TKT-7" in text for text in said)
        assert "Customer or ticket: emptied" in said


async def test_updates_tell_each_new_status_each_new_severity_and_what_was_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as (backend, _, _clock):
        incident, form = await backend.create(declaration()), await backend.form()
        live = [status for status in form.statuses if status.category == "live"]
        severity = next(
            one for one in form.severities if incident.severity and one.id != incident.severity.id
        )
        for key, change in (
            ("a", {"incident_status_id": live[1].id}),
            ("b", {"message": "Still at it."}),
            ("c", {"severity_id": severity.id}),
        ):
            asked = IncidentChange(key=key, by=BEN, at=DAWN, **change)  # type: ignore[arg-type]
            incident = await backend.change(incident.id, asked)
        timeline = await backend.timeline(incident.id)
        said = [(entry.verb, entry.text) for entry in timeline]
        assert said.count(("set the status to", live[1].name)) == 1
        assert ("set the severity to", severity.name) in said
        assert sum(verb == "gave an update:" and "Still at it." in text for verb, text in said) == 1
        words = [item.verb for item in items_of(incident, timeline, form)]
        assert "wrote an update:" in words


async def test_the_last_update_that_says_so_names_the_incident_that_one_was_merged_into(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (backend, server, _clock):
        one, first, last = [await backend.create(declaration(key)) for key in ("a", "b", "c")]
        assert await backend.merged_into(one.id) is None
        for at, into in (("2026-03-01T05:00:00Z", last), ("2026-03-01T04:00:00Z", first)):
            said = {"incident_id": one.id, "created_at": at, "merged_into_incident_id": into.id}
            server.account.updates.append({"id": f"01UPDATE{at}", "message": "", **said})
        assert await backend.merged_into(one.id) == last.id
        server.fail("GET", "/v2/incident_updates", failing(422))
        assert await backend.merged_into(one.id) is None, (
            "alerts begin another incident, and wait for nothing"
        )
