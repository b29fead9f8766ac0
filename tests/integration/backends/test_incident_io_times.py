"""incident.io's own timestamps at the wire: offered, set, cleared, and given with what is over."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.declarations import BEN, DAWN, Ticking, declaration
from support.first_files import own_tables
from support.incident_io.account import Account
from support.incident_io.server import IncidentIoServer, failing, running_incident_io

from tocsin.backends.incident_io import IncidentIo
from tocsin.backends.incident_io.mapping import incident_of
from tocsin.backends.incident_io.queries import incident_in
from tocsin.incidents.model import SourceMessage
from tocsin.incidents.requests import IncidentChange
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore

MESSAGE = SourceMessage(channel="C0ALERTS", timestamp="1772334000.000100")
DATA = Path(__file__).parents[2] / "data" / "incident_io"
Both = tuple[IncidentIo, IncidentIoServer]


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    memory = SqlKeyValueStore(Database(own_tables(tmp_path / "journal.db")))
    async with running_incident_io(Account()) as server:
        backend = IncidentIo(server.url, "a-key", store=memory, clock=Ticking(), seconds=2.0)
        yield backend, server
        await backend.close()
    memory.database.close()


def test_the_documented_answer_has_its_times_and_durations() -> None:
    answer = json.loads((DATA / "v2-show-answer.json").read_text())
    incident = incident_of(incident_in(answer))
    (time,) = incident.incident_timestamp_values
    assert (time.incident_timestamp.name, time.value.year) == ("Impact started", 2021)
    assert [(one.name, one.seconds) for one in incident.duration_metrics] == [("Lasted", 10_800)]


async def test_its_own_timestamps_are_offered_set_and_cleared_and_its_durations_read(both: Both) -> None:
    backend, server = both
    form = await backend.form()
    assert [one.name for one in form.incident_timestamps] == ["Reported at", "Impact started at", "Fixed at"]
    made = await backend.create(declaration())
    times: dict[str, datetime | None] = {
        "01IMPACT": DAWN - timedelta(hours=3),
        "01FIXED": DAWN - timedelta(hours=1),
    }
    changed = await backend.change(
        made.id, IncidentChange(key="times", by=BEN, at=DAWN, incident_timestamp_values=times)
    )
    assert changed.timestamp("01IMPACT") == times["01IMPACT"]
    assert [(one.name, one.seconds) for one in changed.duration_metrics] == [("Time to fix", 7200)]
    (edit,) = server.asked("POST", f"/v2/incidents/{made.id}/actions/edit")
    assert edit.body["incident"] == {
        "incident_timestamp_values": [
            {"incident_timestamp_id": "01IMPACT", "value": "2026-03-01T00:00:00.000Z"},
            {"incident_timestamp_id": "01FIXED", "value": "2026-03-01T02:00:00.000Z"},
        ]
    }
    (item,) = server.asked("POST", "/v2/incident_timeline_items")
    assert "Impact started at: 2026-03-01 00:00 UTC" in item.body["description"]
    cleared = IncidentChange(key="clear", by=BEN, at=DAWN, incident_timestamp_values={"01FIXED": None})
    after = await backend.change(made.id, cleared)
    assert after.timestamp("01FIXED") is None
    assert [one.seconds for one in after.duration_metrics] == [None]


async def test_without_the_right_to_read_timestamps_the_form_offers_none(both: Both) -> None:
    backend, server = both
    server.fail("GET", "/v2/incident_timestamps", failing(403))
    assert (await backend.form()).incident_timestamps == ()


@pytest.mark.parametrize("source", [None, MESSAGE])
async def test_what_is_over_is_created_closed_by_v2_with_its_times(
    both: Both, source: SourceMessage | None
) -> None:
    backend, server = both
    await backend.form()
    times = {"01FIXED": DAWN - timedelta(hours=1)}
    made = await backend.create(
        declaration(mode="retrospective", incident_timestamp_values=times, source=source)
    )
    (sent,) = server.asked("POST", "/v2/incidents")
    assert (sent.body["mode"], sent.body["incident_status_id"]) == ("retrospective", "closed")
    assert sent.body["incident_timestamp_values"] == [
        {"incident_timestamp_id": "01FIXED", "value": "2026-03-01T02:00:00.000Z"}
    ]
    assert made.is_retrospective
    assert made.timestamp("01FIXED") == times["01FIXED"]
