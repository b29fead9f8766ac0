"""Clients made for incident.io, against `tocsin run` as a process: only the address and the key are ours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.api_run import Run, running_api
from support.api_sdk import Sdk, filters, said
from support.api_world import SECRET, World

from tocsin.web.api.table import ENDPOINTS

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    async with running_api(tmp_path_factory.mktemp("tocsin")) as running:
        yield running


def ids_of(world: World) -> dict[str, str]:
    """An id for each path that needs one."""
    incident = world.full.id
    return {
        "/v1/custom_field_options/{id}": "api",
        "/v1/incident_roles/{id}": "lead",
        "/v1/incident_statuses/{id}": "fixing",
        "/v1/incident_types/{id}": "incident",
        "/v1/incidents/{id}": "1",
        "/v1/postmortem_documents/{id}": world.closed.id,
        "/v1/postmortem_documents/{id}/content": world.closed.id,
        "/v1/severities/{id}": "major",
        "/v2/actions/{id}": world.action,
        "/v2/custom_fields/{id}": "affected_area",
        "/v2/follow_ups/{id}": world.follow_up,
        "/v2/incident_roles/{id}": "lead",
        "/v2/incident_timestamps/{id}": "reported",
        "/v2/incidents/{id}": incident,
        "/v2/users/{id}": "U0ANA",
        "/v3/actions/{id}": world.action,
        "/v3/follow_ups/{id}": world.follow_up,
    }


REQUIRED = {
    "/v1/custom_field_options": {"custom_field_id": "affected_area"},
    "/v3/catalog_entries": {"catalog_type_id": "none"},
}
"""Parameters that a list needs; what ends in `incident_id` is the full incident's."""

OF_AN_INCIDENT = {"/v2/incident_timeline_items", "/v1/incident_attachments"}
NOT_THERE = {"/v2/alerts/{id}", "/v2/alert_sources/{id}"}
"""Paths of what the incidents here have none of."""

READ = [one.path for one in ENDPOINTS if one.method == "GET" and one.path not in NOT_THERE]


@pytest.mark.parametrize("path", READ)
async def test_the_official_sdk_reads_every_endpoint(run: Run, path: str) -> None:
    given = dict(REQUIRED.get(path, {}))
    if path in OF_AN_INCIDENT:
        given["incident_id"] = run.world.full.id
    if path in ("/v2/alerts", "/v2/incident_alerts"):
        given["page_size"] = 25  # type: ignore[assignment]
    ids = [ids_of(run.world)[path]] if "{id}" in path else []
    answer = await run.sdk.call("GET", path, *ids, **given)
    assert bool(said(answer)) == (path == "/v3/catalog_entries"), "there is no catalog"
    assert SECRET not in str(answer.to_dict())


async def test_the_official_sdk_filters_and_pages(run: Run) -> None:
    path = "/v2/incidents"
    active = dict(filters(path, status_category={"one_of": ["active"]}))
    found = await run.sdk.call("GET", path, page_size=250, **active)
    assert [one.reference for one in found.incidents] == ["INC-1"]
    area = dict(filters(path, custom_field={"affected_area": {"one_of": ["api"]}}))
    found = await run.sdk.call("GET", path, **area)
    assert [one.reference for one in found.incidents] == ["INC-1"]
    first = await run.sdk.call("GET", path, page_size=1)
    second = await run.sdk.call("GET", path, page_size=1, after=first.pagination_meta.after)
    assert [one.reference for one in first.incidents + second.incidents] == ["INC-2", "INC-1"]
    assert first.pagination_meta.total_record_count == 2


async def test_the_official_sdk_reads_our_errors(run: Run) -> None:
    unknown = await run.sdk.call("GET", "/v2/incidents/{id}", "3")
    assert (unknown.type_, unknown.status) == ("not_found", 404)
    stranger = await Sdk(run.url, "tocsin_wrong").call("GET", "/v1/identity")
    assert (stranger.type_, stranger.errors[0].code) == ("authentication_error", "unauthenticated")
    asked = await run.sdk.call("GET", "/v2/incidents", page_size=1000)
    assert asked.errors[0].source.pointer == "/page_size"
