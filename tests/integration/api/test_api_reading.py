"""What can be read by the API: incidents by filters, what belongs to them, and only what a key may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from support.api import ApiSite
from support.api_world import SECRET, World, filled_world
from support.declarations import ANA, DAWN

from tocsin.incidents.requests import FollowUpRequest
from tocsin.web.api.query import MOST_ON_A_PAGE
from tocsin.web.api.table import ENDPOINTS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Read:
    """The served API with its incidents, and a key that may view public ones."""

    api: ApiSite
    world: World
    key: str

    async def json(self, path: str) -> Any:
        return await self.api.json(path, self.key)

    async def references(self, query: str, path: str = "/v2/incidents") -> list[str]:
        return [one["reference"] for one in (await self.json(f"{path}?{query}"))["incidents"]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def read(api: ApiSite) -> AsyncIterator[Read]:
    yield Read(api, await filled_world(api.backend), await api.key("reader", "view"))


FILTERED = {
    "": ["INC-2", "INC-1"],
    "sort_by=created_at_oldest_first": ["INC-1", "INC-2"],
    "status_category[one_of]=active": ["INC-1"],
    "status_category[one_of]=live": ["INC-1"],
    "status_category[not_in]=live": ["INC-2"],
    "status_category[one_of]=closed&status_category[one_of]=live": ["INC-2", "INC-1"],
    "status[one_of]=fixing": ["INC-1"],
    "status[one_of][0]=fixing&status[one_of][1]=closed": ["INC-2", "INC-1"],
    "status[one_of]=fixing&status_category[one_of]=closed": [],
    "status[not_in]=fixing": ["INC-2"],
    "status=closed": ["INC-2"],
    "status[one_of]=unknown": [],
    "severity[one_of]=major": ["INC-1"],
    "severity[gte]=major": ["INC-1"],
    "severity[lte]=minor": ["INC-2"],
    "severity[not_in]=minor": ["INC-1"],
    "severity[one_of]=unknown&status[one_of]=fixing": [],
    "status[one_of]=fixing&severity[one_of]=minor": [],
    "incident_type[one_of]=incident": ["INC-2", "INC-1"],
    "incident_type[not_in]=incident": [],
    "mode[one_of]=test": ["INC-4"],
    "mode[one_of]=test&mode[one_of]=standard": ["INC-4", "INC-2", "INC-1"],
    "created_at[gte]=2026-03-01": ["INC-2", "INC-1"],
    "created_at[gte]=2026-03-01T03:00:01Z": [],
    "created_at[lte]=2026-03-01": ["INC-2", "INC-1"],
    "created_at[lte]=2026-02-28": [],
    "created_at[date_range]=2026-02-01~2026-03-01": ["INC-2", "INC-1"],
    "updated_at[gte]=2026-03-02": [],
    "custom_field[affected_area][one_of]=api": ["INC-1"],
    "custom_field[affected_area][one_of]=website": [],
    "custom_field[affected_area][not_in]=api": ["INC-2"],
    "custom_field[customer_or_ticket][one_of]=ZD-1881": ["INC-1"],
    "custom_field[affected_area][is_blank]=true": ["INC-2"],
    "incident_role[lead][one_of]=U0BEN": ["INC-1"],
    "incident_role[lead][is_blank]=true": ["INC-2"],
    "incident_role[lead][is_blank]=false": ["INC-1"],
    "unknown_parameter=1&filter_mode=any": ["INC-2", "INC-1"],
}


async def test_incidents_are_filtered_as_incident_io_does_it(read: Read) -> None:
    found = {query: await read.references(query) for query in FILTERED}
    assert {query: found[query] for query in FILTERED if found[query] != FILTERED[query]} == {}


async def totals(read: Read) -> dict[str, int | None]:
    """What a page of one says of how many each filter has found."""
    pages = {query: await read.json(f"/v2/incidents?{query}&page_size=1") for query in FILTERED}
    return {query: page["pagination_meta"].get("total_record_count") for query, page in pages.items()}


async def test_every_filter_tells_how_many_incidents_it_has_found(read: Read) -> None:
    """A client that gets no number takes the page for all there is (incident.io's server for MCP)."""
    assert await totals(read) == {query: len(found) for query, found in FILTERED.items()}


V1 = {
    "": ["INC-4", "INC-2", "INC-1"],
    "status=fixing": ["INC-1"],
    "status=fixing&status=closed": ["INC-2", "INC-1"],
    "status=declined": [],
}


async def test_v1_lists_incidents_by_its_own_statuses(read: Read) -> None:
    assert {query: await read.references(query, "/v1/incidents") for query in V1} == V1
    shown = (await read.json("/v1/incidents/1"))["incident"]
    assert (shown["status"], shown["mode"]) == ("fixing", "real")


REFUSED = {
    "page_size=0": ("page_size", "/page_size"),
    "page_size=251": ("page_size", "/page_size"),
    "page_size=many": ("page_size", "/page_size"),
    "after=01NOBODYKNOWSTHISONE0000000": ("after", "/after"),
    "sort_by=name": ("sort_by", "/sort_by"),
    "status[like]=fix": ("status.like", "/status/like"),
    "severity[gte]=unknown": ("severity.gte", "/severity/gte"),
    "created_at[gte]=yesterday": ("created_at", "/created_at"),
    "created_at[date_range]=2026-03-01": ("created_at.date_range", "/created_at/date_range"),
    "custom_field[area]=api": ("custom_field.area", "/custom_field/area"),
    "&".join(f"custom_field[{n}][is_blank]=true" for n in range(51)): ("custom_field", "/custom_field"),
    "filter_mode=any&mode[one_of]=test&status[one_of]=fixing": ("filter_mode", "/filter_mode"),
}


async def test_a_query_that_is_not_understood_names_its_field(read: Read) -> None:
    for query, (field, pointer) in REFUSED.items():
        answer = await read.api.ask(f"/v2/incidents?{query}", read.key)
        assert (answer.status_code, answer.json()["type"]) == (422, "validation_error"), query
        assert answer.json()["errors"][0]["source"] == {"field": field, "pointer": pointer}, query


async def test_pages_follow_each_other_to_the_end_with_the_total_of_all(read: Read) -> None:
    first = await read.json("/v2/incidents?page_size=1")
    after = first["pagination_meta"].pop("after")
    assert first["pagination_meta"] == {"page_size": 1, "total_record_count": 2}
    second = await read.json(f"/v2/incidents?page_size=1&after={after}")
    assert second["pagination_meta"] == {"page_size": 1, "total_record_count": 2}
    listed = [one["reference"] for one in first["incidents"] + second["incidents"]]
    assert listed == ["INC-2", "INC-1"]


async def test_an_incident_is_shown_by_id_number_and_reference(read: Read) -> None:
    shown = [await read.json(f"/v2/incidents/{name}") for name in (read.world.full.id, "1", "INC-1", "inc-1")]
    assert all(one == shown[0] for one in shown)
    incident = shown[0]["incident"]
    assert incident["last_activity_at"] >= incident["created_at"]
    assert incident["team_ids"] == []
    assert incident["severity"]["created_at"]
    areas = next(
        one for one in incident["custom_field_entries"] if one["custom_field"]["id"] == "affected_area"
    )
    assert {value["value_option"]["custom_field_id"] for value in areas["values"]} == {"affected_area"}
    assert "null" not in (await read.api.ask("/v2/incidents/1", read.key)).text


async def test_updates_have_the_status_and_the_severity_of_their_time(read: Read) -> None:
    updates = (await read.json(f"/v2/incident_updates?incident_id={read.world.full.id}"))["incident_updates"]
    told = [
        (one.get("message"), one["new_incident_status"]["id"], one["new_severity"]["id"]) for one in updates
    ]
    assert told == [(None, "fixing", "major"), ("We are on it", "fixing", "critical")]
    assert updates[0]["updater"]["user"]["name"] == "Ben Okafor"
    page = await read.json("/v2/incident_updates?page_size=2")
    rest = await read.json(f"/v2/incident_updates?page_size=2&after={page['pagination_meta']['after']}")
    assert len(page["incident_updates"]) + len(rest["incident_updates"]) == 3
    assert "after" not in rest["pagination_meta"]


async def test_lists_without_pages_are_whole(read: Read) -> None:
    """incident.io's Singer tap and command line take what V2 lists for everything that there is."""
    added = [
        FollowUpRequest(key=f"whole-{n}", by=ANA, at=DAWN, kind="follow_up", text=f"Step {n}")
        for n in range(MOST_ON_A_PAGE + 1)
    ]
    for one in added:
        await read.api.backend.add_follow_up(read.world.test.id, one)
    listed = (await read.json("/v2/follow_ups?incident_mode=test"))["follow_ups"]
    assert [one["title"] for one in listed] == [one.text for one in added]


async def test_an_incident_that_is_over_has_its_document(read: Read) -> None:
    listed = (await read.json("/v1/postmortem_documents"))["postmortem_documents"]
    assert [one["title"] for one in listed] == ["INC-2: Search is down"]
    content = await read.json(f"/v1/postmortem_documents/{listed[0]['id']}/content")
    assert content["markdown"].startswith("# INC-2: Search is down")
    answer = await read.api.ask(f"/v1/postmortem_documents/{read.world.full.id}", read.key)
    assert answer.status_code == 404


async def test_people_are_found_by_address_and_by_slack_id(read: Read) -> None:
    for query in ("email=ANA@example.com", "slack_user_id=U0ANA"):
        found = await read.json(f"/v2/users?{query}")
        assert [one["id"] for one in found["users"]] == ["U0ANA"], query
    assert (await read.json("/v2/users?email=nobody@example.com"))["users"] == []
    assert (await read.json("/v2/users/U0BEN"))["user"]["name"] == "Ben Okafor"


def everything(world: World) -> list[str]:
    """Every list, and every item by the ids of the private incident and what belongs to it."""
    ids = [world.private.id, "3", world.private.reference, world.hidden_follow_up]
    queries = ["", f"?incident_id={world.private.id}", "?page_size=250&mode[one_of]=standard&status=fixing"]
    paths = []
    for one in ENDPOINTS:
        if one.method == "GET" and "{id}" not in one.path:
            paths += [f"{one.path}{query}" for query in queries]
        elif one.method == "GET":
            paths += [one.path.replace("{id}", id) for id in ids]
    return paths


async def keep_secret(read: Read) -> None:
    """Ask for everything, with a key that may see the private incident and one that may not."""
    sees = await read.api.key("sees", "view", "private")
    paths, shown = everything(read.world), 0
    for path in paths:
        answer = await read.api.ask(path, read.key)
        told = answer.text + str(answer.headers)
        assert SECRET not in told, path
        assert read.world.private.id not in told.replace(path, ""), path
        if "total_record_count" in told:
            listed = answer.json()
            assert listed["pagination_meta"]["total_record_count"] == len(listed["incidents"]), path
        shown += SECRET in (await read.api.ask(path, sees)).text
    assert shown > 10


async def test_no_answer_has_a_word_of_a_private_incident_unless_the_key_may_see_it(read: Read) -> None:
    await keep_secret(read)


async def test_a_hidden_incident_is_answered_as_one_that_is_not_there(read: Read) -> None:
    def said(answer: Any) -> dict[str, Any]:
        return {key: value for key, value in answer.json().items() if key != "request_id"}

    unknown = "01JNAAAAAAAAAAAAAAAAAAAAAA"
    for path in ("/v2/incidents/{}", "/v1/incidents/{}", "/v2/incidents?after={}", "/v2/follow_ups/{}"):
        hidden, missing = [
            await read.api.ask(path.format(one), read.key) for one in (read.world.private.id, unknown)
        ]
        assert (hidden.status_code, said(hidden)) == (missing.status_code, said(missing)), path
