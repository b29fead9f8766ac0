"""Clients made for incident.io, against `tocsin run` as a process: only the address and the key are ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.api_sdk import Sdk, filters, said
from support.api_world import SECRET, World, filled_world
from support.declarations import Ticking
from support.operated import free_port, operated
from support.slack import running_workspace
from support.terminal import Terminal

from slack_emulator.manifest import Manifest
from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.slack import routes
from tocsin.web.api.table import ENDPOINTS

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


@dataclass
class Run:
    """The running bot, the incidents that it found, the SDK with a key, and a key that writes."""

    url: str
    world: World
    sdk: Sdk
    writing: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    folder, port = tmp_path_factory.mktemp("tocsin"), free_port()
    data = folder / "data"
    data.mkdir(mode=0o700)
    backend = await LocalBackend.open(
        data / "incidents.db", IncidentConfig(), public_url=f"http://127.0.0.1:{port}", clock=Ticking()
    )
    world = await filled_world(backend)
    await backend.close()
    manifest = routes.manifest(None, pages="http://127.0.0.1")
    async with (
        running_workspace(Manifest.from_dict(manifest)) as slack,
        operated(slack, folder, port) as bot,
    ):
        keys = Terminal(folder)
        made = await keys.run("keys", "create", "sdk", TOCSIN_DATA_DIR=str(data))
        also = await keys.run(
            *("keys", "create", "writing", "--may", "view,create,edit"), TOCSIN_DATA_DIR=str(data)
        )
        assert (made.code, made.lines) == (0, ["It is not shown again."]), made
        yield Run(bot.url, world, Sdk(bot.url, made.out.strip()), also.out.strip())
        log = bot.log
        assert await bot.stopped() == 0
    assert "Traceback" not in log
    assert made.out.strip() not in log


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


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
"""All but whether everything that the description allows is accepted: a cursor has to be one of ours."""


def tried(operation: APIOperation[Any, Any, Any, Any], url: str, key: str) -> None:
    """Ask for what the description allows, and for what it does not; each answer is as described."""

    @settings(
        max_examples=4,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case: Case) -> None:
        answer = case.call(base_url=url, headers={"Authorization": f"Bearer {key}"})
        case.validate_response(answer, checks=CHECKS)

    ask()


async def test_every_answer_is_as_the_served_description_says_whatever_is_asked(run: Run) -> None:
    def try_all() -> int:
        schema = schemathesis.openapi.from_url(f"{run.url}/v1/openapiV3.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        for operation in operations:
            tried(operation, run.url, run.writing)
        return len(operations)

    assert await asyncio.to_thread(try_all) == len(ENDPOINTS)
