"""An incident that incident.io has created is shown, however odd the rest of the answer is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from integration.backends.test_incident_io import opened
from starlette.responses import JSONResponse
from support.declarations import declaration
from support.incident_io.server import Fault

from tocsin.backends.incident_io.queries import incident_in
from tocsin.incidents.errors import OutcomeUnknown, Unavailable

LEAD = {"role": {"id": "lead", "name": "Lead", "role_type": "lead"}, "assignee": {"id": "u", "name": "Lisa"}}
ODD: dict[str, Any] = {
    "severity": {"name": "without an id"},
    "incident_status": "investigating",
    "incident_type": [],
    "creator": "somebody",
    "incident_role_assignments": [None, {"role": {}}, LEAD, "lead"],
    "custom_field_entries": [{"values": []}, 7],
    "incident_timestamp_values": "soon",
    "visibility": {"is": "public"},
    "permalink": 5.5,
}


@pytest.mark.parametrize("wrapped", [True, False])
def test_what_is_not_as_documented_is_left_out_and_the_rest_is_read(wrapped: bool) -> None:
    told = {"id": "01X", "reference": "INC-7", "name": "it is slow", **ODD}
    incident = incident_in({"incident": told} if wrapped else told)
    assert (incident.id, incident.reference, incident.name) == ("01X", "INC-7", "it is slow")
    assert [held.role.id for held in incident.incident_role_assignments] == ["lead"]
    assert (incident.severity, incident.custom_field_entries) == (None, [])
    # Not public unless incident.io says so.
    assert incident.visibility == "private"


@pytest.mark.parametrize("told", [{}, {"incident": {}}, {"incident": {"id": {}}}, {"incident": "x"}])
def test_an_answer_without_an_incident_says_nothing_about_the_outcome(told: Any) -> None:
    with pytest.raises(Unavailable):
        incident_in(told)


async def test_a_creation_that_is_answered_with_nothing_is_tried_again_and_makes_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as (backend, server, _):
        server.fail("POST", "/v2/incidents", Fault(lambda: JSONResponse({"incident": {}}), does=True))
        with pytest.raises(OutcomeUnknown):
            await backend.create(declaration())
        made = await backend.create(declaration())
        assert [one["id"] for one in server.account.incidents] == [made.id]


async def test_one_odd_incident_does_not_hide_the_others(tmp_path: Path) -> None:
    async with opened(tmp_path) as (backend, server, _):
        first = await backend.create(declaration("one"))
        second = await backend.create(declaration("two"))
        server.account.incidents[0]["severity"] = {"rank": 1}
        assert {one.id for one in await backend.incidents()} == {first.id, second.id}


async def test_an_odd_entry_hides_neither_the_timeline_nor_where_an_incident_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as (backend, server, _):
        one, other = [await backend.create(declaration(key)) for key in ("one", "two")]
        odd = {"new_incident_status": "monitoring", "new_severity": {"name": "without an id"}, "updater": 7}
        told = {"id": "01ODD", "incident_id": one.id, "message": "Still at it.", "created_at": "soon", **odd}
        server.account.updates.append({**told, "merged_into_incident_id": other.id})
        server.account.items.append({"id": 7, "incident_id": one.id, "title": "noted", "timestamp": {}})
        said = [entry.text for entry in await backend.timeline(one.id)]
        assert any("Still at it." in text for text in said)
        assert await backend.merged_into(one.id) == other.id
