"""Rows that somebody edited by hand name a status, a severity, a type or a role that is not there.

The incident is shown with its id, wherever incidents are shown, and can be changed. PostgreSQL takes none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from support.declarations import BEN, DAWN, full_declaration
from support.site import Site, served

from tocsin.backends.local.listing import IncidentListing
from tocsin.config import IncidentConfig
from tocsin.incidents.digest import digest_of
from tocsin.incidents.insights import Chosen
from tocsin.incidents.requests import IncidentChange, IncidentFilter, IncidentQuery
from tocsin.incidents.webhooks import EVENTS, Subscription
from tocsin.web.api.serializers import incidents_v1, incidents_v2, update
from tocsin.web.api.webhook_bodies import BODIES

HOOKS = [Subscription(name="hook", events=frozenset(EVENTS))]
DAY = Chosen(DAWN.date(), DAWN.date())
PARTS = {
    "incident_role_assignments": "incident_role_id = 'gone-role' WHERE incident_role_id = 'lead' AND",
    "custom_field_entries": "custom_field_id = 'gone-field' WHERE custom_field_id = 'detected_by' AND",
    "incident_timestamp_values": "incident_timestamp_id = 'gone-time'"
    " WHERE incident_timestamp_id = 'reported' AND",
}


@dataclass
class Edited:
    site: Site
    path: Path
    ids: list[str]


@pytest.fixture
async def edited(tmp_path: Path) -> AsyncIterator[Edited]:
    """INC-1 is open and INC-2 closed, and nothing that either has is there. INC-3 is untouched."""
    async with served(tmp_path, public=True, subscriptions=HOOKS) as site:
        made = [await site.backend.create(full_declaration(f"key-{number}")) for number in range(3)]
        closed = IncidentChange(key="close", at=DAWN, by=BEN, incident_status_id="closed")
        await site.backend.change(made[1].id, closed)
        path = tmp_path / "incidents.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute(
                "UPDATE incidents SET incident_status_id = 'gone-status', severity_id = 'gone-severity',"
                " incident_type_id = 'gone-type' WHERE number <= 2"
            )
            file.execute("UPDATE incident_updates SET incident_status_id = 'gone-status'")
            for table, edit in PARTS.items():
                file.execute(f"UPDATE {table} SET {edit} incident_id <> '{made[2].id}'")
        yield Edited(site, path, [one.id for one in made])


async def test_an_incident_with_choices_that_are_not_there_is_in_every_list(edited: Edited) -> None:
    backend = edited.site.backend
    for is_open, wanted in ((None, [3, 2, 1]), (True, [3, 1]), (False, [2])):
        found = await backend.matching(IncidentFilter(is_open=is_open))
        assert [one.reference for one in found] == [f"INC-{number}" for number in wanted]
    for query, wanted in (
        ({}, [3, 2, 1]),
        ({"group": "open"}, [3, 1]),
        ({"group": "triage"}, []),
        ({"group": "closed"}, [2]),
        ({"group": "open", "severity_id": "gone-severity"}, [1]),
        ({"incident_status_id": "gone-status"}, [2, 1]),
        ({"incident_status_id": "gone-status", "group": "open"}, [1]),
        ({"incident_status_id": "gone-status", "group": "closed"}, [2]),
        ({"incident_status_id": "nowhere"}, []),
        ({"person": "U0BEN", "group": "open"}, [3, 1]),
        ({"person": "U0BEN", "group": "closed"}, [2]),
        ({"person": "U0BEN", "group": "triage"}, []),
    ):
        page = await backend.listed(IncidentQuery.model_validate(query))
        assert [one.reference for one in page.incidents] == [f"INC-{number}" for number in wanted], query


async def test_a_private_one_is_in_the_lists_of_those_who_may_see_it_and_in_no_other(edited: Edited) -> None:
    """Statuses that only private incidents have are looked up for nobody else."""
    with closing(sqlite3.connect(edited.path, isolation_level=None)) as file:
        file.execute("UPDATE incidents SET visibility = 'private' WHERE number <= 2")
    for viewer, wanted in ((None, [[3, 1], [2]]), ("U0BEN", [[3, 1], [2]]), ("U0STRANGER", [[3], []])):
        for group, numbers in zip(("open", "closed"), wanted, strict=True):
            query = IncidentQuery.model_validate({"group": group, "visible_to": viewer})
            page = await edited.site.backend.listed(query)
            assert [one.reference for one in page.incidents] == [f"INC-{number}" for number in numbers]
        named = IncidentQuery.model_validate({"incident_status_id": "gone-status", "visible_to": viewer})
        found = [one.reference for one in (await edited.site.backend.listed(named)).incidents]
        assert found == ([] if viewer == "U0STRANGER" else ["INC-2", "INC-1"])


async def test_its_pages_show_the_ids_of_what_is_not_there(edited: Edited) -> None:
    whole = await edited.site.page("/incidents")
    assert whole.text.count("gone-status") >= 2
    assert whole.text.count("gone-severity") >= 2
    page = await edited.site.page("/incidents/1")
    for gone in ("gone-status", "gone-severity", "gone-type", "gone-role", "gone-field", "gone-time"):
        assert gone in page.text
    saved = (await edited.site.page("/incidents?format=csv")).text
    assert saved.count("gone-status") == 2


async def test_the_api_names_it_by_its_id(edited: Edited) -> None:
    reader = edited.site.backend.reader
    read = await reader.page(IncidentListing(sees_private=True))
    *_, first = incidents_v2(read)
    assert (first.incident_status.name, first.incident_status.category) == ("gone-status", "live")
    assert (first.severity and first.severity.id) == "gone-severity"
    assert {one.role.name for one in first.incident_role_assignments} == {"gone-role", "Reporter"}
    assert len(incidents_v1(read)) == 3
    live = IncidentListing(sees_private=True, statuses=read.choices.status_ids({"live"}))
    assert edited.ids[0] in {one.id for one in (await reader.page(live)).incidents}
    found, choices = await reader.updates(incident_id=None, sees_private=True, after=None, limit=5)
    assert [update(one, choices).new_incident_status.id for one in found] == ["gone-status"]


async def test_insights_and_the_digest_count_it(edited: Edited) -> None:
    counted = await edited.site.backend.insights.count(DAY, True, None)
    digest = digest_of(counted, counted, DAY, (), "")
    assert (digest.declared, digest.open) == (3, 2)
    assert digest.by_severity == (("Critical", 1), ("gone-severity", 2))


async def test_it_can_be_changed_and_stays_as_open_as_it_is_when_the_configuration_changes(
    edited: Edited,
) -> None:
    backend, (first, *_) = edited.site.backend, edited.ids
    told = IncidentChange(key="tell", at=DAWN + timedelta(minutes=1), by=BEN, message="Looking at it")
    assert (await backend.change(first, told)).incident_status.id == "gone-status"
    again = type(backend)
    config = IncidentConfig.from_toml('[[severities]]\nid = "only"\nname = "Only"\n')
    restarted = await again.open(
        edited.path,
        config,
        public_url="http://x",
        clock=lambda: DAWN,
        subscriptions=HOOKS,
        bodies=BODIES,
    )
    found = await restarted.find(first)
    assert found is not None
    assert found.closed_at is None
    fixed = IncidentChange(key="fix", at=DAWN, by=BEN, incident_status_id="fixing", severity_id="only")
    changed = await restarted.change(first, fixed)
    assert changed.severity is not None
    assert (changed.incident_status.name, changed.severity.name) == ("Fixing", "Only")
    sent = [str(delivery.body) for delivery in await restarted.deliveries.newest(9)]
    assert any("previous_status" in body and "gone-status" in body for body in sent)
    await restarted.close()
