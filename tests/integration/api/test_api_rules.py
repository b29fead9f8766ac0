"""The rules that all endpoints of the API share: keys, errors, limits, methods, the description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest
from support.api import OPERATOR_TOKEN, ApiSite, served_api
from support.api_sdk import Sdk, modules

from tocsin.web.api.query import parse
from tocsin.web.api.rate_limit import A_MINUTE, RateLimit
from tocsin.web.api.table import ENDPOINTS

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDENTITY = "/v1/identity"


def wrong(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, type and first code of an error, whose form is checked."""
    said: dict[str, Any] = answer.json()
    assert {"type", "status", "request_id", "errors"} <= said.keys()
    assert said["status"] == answer.status_code
    assert said["request_id"] == answer.headers["X-Request-Id"]
    for error in said["errors"]:
        assert error["message"]
        assert "source" not in error or error["source"].keys() == {"field", "pointer"}
    return said["status"], said["type"], said["errors"][0]["code"]


async def test_a_key_says_who_it_is_and_what_it_may(api: ApiSite) -> None:
    key = await api.key("who", "view", "create")
    answer = await api.json(IDENTITY, key)
    assert answer["identity"] == {
        "name": "who",
        "dashboard_url": f"http://127.0.0.1:{api.port}",
        "roles": ["viewer", "incident_creator"],
        "team_roles": [],
        "teams": [],
    }
    operator = (await api.json(IDENTITY, OPERATOR_TOKEN))["identity"]
    assert (operator["name"], "global_access" in operator["roles"]) == ("operator", True)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_authorization_material"),
        ({"Authorization": "Basic abc"}, "missing_authorization_material"),
        ({"Authorization": "Bearer"}, "missing_authorization_material"),
        ({"Cookie": f"tocsin-session={OPERATOR_TOKEN}"}, "missing_authorization_material"),
        ({"Authorization": "Bearer tocsin_unknown"}, "unauthenticated"),
        ({"Authorization": f"Bearer {OPERATOR_TOKEN}x"}, "unauthenticated"),
    ],
)
async def test_a_stranger_is_told_what_is_missing(api: ApiSite, headers: dict[str, str], code: str) -> None:
    answer = await api.client.get(IDENTITY, headers=headers)
    assert wrong(answer) == (401, "authentication_error", code)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_revoked_key_opens_nothing_from_then_on(api: ApiSite) -> None:
    key = await api.key("short-lived", "view")
    assert (await api.ask(IDENTITY, key)).status_code == 200
    assert await api.keys.revoke("short-lived", api.clock())
    assert wrong(await api.ask(IDENTITY, key))[0] == 401
    again = await api.key("short-lived", "view")
    assert (await api.ask(IDENTITY, again)).status_code == 200


async def test_a_key_without_the_scope_is_refused(api: ApiSite) -> None:
    key = await api.key("writer", "create")
    answer = await api.ask(IDENTITY, key)
    assert wrong(answer) == (403, "resource_forbidden", "forbidden")
    assert "“view”" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/nothing", (404, "not_found", "not_found")),
        ("GET", "/v2/", (404, "not_found", "not_found")),
        ("POST", "/v3/identity", (404, "not_found", "not_found")),
        ("PATCH", IDENTITY, (405, "method_not_allowed", "method_not_allowed")),
    ],
)
async def test_what_is_not_served_is_said_in_the_same_form(
    api: ApiSite, method: str, path: str, expected: tuple[int, str, str]
) -> None:
    assert wrong(await api.ask(path, method=method)) == expected


async def test_head_and_options_answer_without_a_body(api: ApiSite) -> None:
    head = await api.ask(IDENTITY, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    options = await api.client.options(IDENTITY)
    assert (options.status_code, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_the_api_is_served_under_any_host_name_and_the_pages_are_not(api: ApiSite) -> None:
    elsewhere = {"Host": "tocsin.incidents.svc"}
    assert (await api.ask(IDENTITY, headers=elsewhere)).status_code == 200
    assert (await api.ask("/incidents", headers=elsewhere)).status_code == 421


async def test_a_key_has_its_limit_of_requests_and_learns_when_it_may_go_on(api: ApiSite) -> None:
    key = await api.key("busy", "view")
    first = await api.ask(IDENTITY, key)
    assert first.headers["X-RateLimit-Limit"] == str(A_MINUTE)
    assert first.headers["X-RateLimit-Remaining"] == str(A_MINUTE - 1)
    assert first.headers["X-RateLimit-Used"] == "1"
    assert int(first.headers["X-RateLimit-Reset"]) >= int(api.clock().timestamp())


async def test_the_limit_lets_1200_through_at_once_and_then_20_a_second() -> None:
    now = [0.0]
    limit = RateLimit(lambda: now[0])
    assert all(limit.take("ci").allowed for _ in range(A_MINUTE))
    waiting = [limit.take("ci") for _ in range(20)]
    assert [(one.allowed, round(one.delay, 2)) for one in waiting[::19]] == [(True, 0.05), (True, 1.0)]
    assert waiting[-1].remaining == 0
    refused = limit.take("ci")
    assert (refused.allowed, refused.wait, refused.remaining) == (False, 1, 0)
    assert refused.headers(1000.0)["Retry-After"] == "1"
    assert limit.take("another").delay == 0
    now[0] += 1
    assert [limit.take("ci").allowed for _ in range(21)] == [True] * 20 + [False]


async def test_requests_are_counted_by_key_and_a_use_is_noted(api: ApiSite) -> None:
    key = await api.key("counted", "view")
    await api.ask(IDENTITY, key)
    written = generate_latest(api.metrics.registry).decode()
    told = 'tocsin_api_requests_total{endpoint="GET /v1/identity",key="counted",status="200"} 1.0'
    assert told in written
    found = {one.name: one for one in await api.keys.all()}
    assert found["counted"].last_used_at is not None


async def test_the_description_is_there_for_everybody_and_has_every_endpoint(api: ApiSite) -> None:
    described = (await api.client.get("/v1/openapiV3.json")).json()
    assert described["openapi"] == "3.0.3"
    listed = {(m.upper(), path) for path, ways in described["paths"].items() for m in ways}
    assert listed == {(one.method, one.path) for one in ENDPOINTS}
    assert "null" not in str(described["components"])


async def test_where_a_hosted_backend_keeps_the_incidents_the_api_says_so(tmp_path: Path) -> None:
    async with served_api(tmp_path, is_hosted=True) as hosted:
        answer = await hosted.ask(IDENTITY)
        assert wrong(answer) == (501, "api_error", "not_served")
        assert "incident.io" in answer.json()["errors"][0]["message"]


async def test_filters_are_read_as_clients_write_them() -> None:
    given = [
        ("status_category[one_of]", "active"),
        ("status_category[one_of]", "triage"),
        ("custom_field[F1][one_of]", "O1"),
        ("custom_field[F2][one_of][0]", "O2"),
        ("custom_field[F2][one_of][1]", "O3"),
        ("custom_field[3]", "O4"),
        ("severity[one_of][]", "minor"),
        ("severity[one_of][]", "major"),
        ("status[]", "triage"),
        ("page_size", "3"),
        ("odd]name", "x"),
        ("page_size[gte]", "4"),
    ]
    assert parse(given) == {
        "status_category": {"one_of": ["active", "triage"]},
        "custom_field": {"F1": {"one_of": ["O1"]}, "F2": {"one_of": ["O2", "O3"]}, "3": ["O4"]},
        "severity": {"one_of": ["minor", "major"]},
        "status": ["triage"],
        "page_size": ["3"],
        "odd]name": ["x"],
    }


async def test_every_filter_that_incident_ios_own_sdk_can_send_is_served_and_no_other() -> None:
    sdk, others = Sdk("", ""), {}
    for one in ENDPOINTS:
        if (one.method, one.path) in modules():
            served = set(one.query.model_fields) if one.query is not None else set()
            if differing := served ^ sdk.filters(one.method, one.path):
                others[one.method, one.path] = differing
    assert others == {}
