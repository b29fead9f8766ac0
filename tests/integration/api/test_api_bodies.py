"""What the server makes of bodies, with an endpoint of the test's own, as short as one that writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import pytest
import pytest_asyncio
from incident_io.models.error_rate_limit import ErrorRateLimit
from incident_io.models.error_response import ErrorResponse
from support.api import OPERATOR_TOKEN
from support.declarations import Ticking
from support.first_files import new_incidents

from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.api_keys import ApiKey
from tocsin.incidents.errors import Conflict, Refused, Unavailable
from tocsin.server import listen, serving
from tocsin.web.api.endpoints import Answer, ApiCall, ApiServices, Body, Endpoint
from tocsin.web.api.rate_limit import RateLimit
from tocsin.web.api.server import MOST_BODY, ApiServer
from tocsin.web.app import web_app
from tocsin.web.middleware import own_hosts
from tocsin.workflows.ports import loop_time

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Name(Body):
    first: str
    numbers: list[int] = []  # noqa: RUF012
    inner: Name | None = None


class Named(Answer):
    name: str
    by: str
    nothing: str | None = None


FAILURES = {
    "refused": Refused("No.", {"incident.name": "Too long.", "values.0.text": "Too short."}),
    "lonely": Refused("No.", {"inner": "Choose one."}),
    "sentence": Refused("Just no."),
    "conflict": Conflict("Ben was first."),
    "away": Unavailable("The database is away.", retry_after=0.2),
}


async def name(call: ApiCall) -> Named | None:
    """Name a thing."""
    body = call.body_as(Name)
    if body.first in FAILURES:
        raise FAILURES[body.first]
    if body.first == "broken":
        raise RuntimeError("a fault of ours")
    return None if body.first == "nobody" else Named(name=body.first, by=call.key.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    listening, folder = listen("127.0.0.1", 0), tmp_path_factory.mktemp("api")
    address, clock = f"http://127.0.0.1:{listening.getsockname()[1]}", Ticking()
    backend = await LocalBackend.open(
        await new_incidents(folder / "incidents.db"), IncidentConfig(), public_url=address, clock=clock
    )

    async def no_key(key: str, now: object) -> ApiKey | None:
        return None

    api = ApiServer(
        [Endpoint("POST", "/v2/names", name, Named, scope="create", body=Name, status=201)],
        ApiServices(backend, clock, address),
        find_key=no_key,
        operator_token=OPERATOR_TOKEN,
        clock=clock,
        limit=RateLimit(loop_time, 60),
        count=lambda key, endpoint, status: None,
    )
    app = web_app(
        backend=backend,
        api_token=OPERATOR_TOKEN,
        hosts=own_hosts(listening.getsockname()[1]),
        public=True,
        ready=list,
        routes=api.routes(),
    )
    headers = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    async with (
        serving(app, listening),
        httpx.AsyncClient(base_url=address, headers=headers, trust_env=False, verify=False) as open_client,
    ):
        yield open_client
    await backend.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def a_minute_later(client: httpx.AsyncClient) -> None:
    """Let the virtual time pass after which the key may ask as often again, also one that owes a second."""
    await asyncio.sleep(62)


async def sent(client: httpx.AsyncClient, body: bytes | str | dict[str, object]) -> httpx.Response:
    content = json.dumps(body) if isinstance(body, dict) else body
    return await client.post("/v2/names", content=content)


async def test_a_body_that_is_as_described_is_answered(client: httpx.AsyncClient) -> None:
    answer = await sent(client, {"first": "Ana", "unknown": 1})
    assert (answer.status_code, answer.json()) == (201, {"name": "Ana", "by": "operator"})
    latin = await sent(client, b'{"first": "Andr\xe9"}')
    assert (latin.status_code, latin.json()["name"]) == (201, "Andr\ufffd")
    nothing = await sent(client, {"first": "nobody"})
    assert (nothing.status_code, nothing.content) == (204, b"")


SOURCES = {
    "{}": [("is_required", "first", "/first")],
    '{"first": 1}': [("invalid_value", "first", "/first")],
    '{"first": "a", "numbers": [1, "x"]}': [("invalid_value", "numbers.1", "/numbers/1")],
    '{"first": "a", "inner": {}}': [("is_required", "inner.first", "/inner/first")],
    '{"first": "refused"}': [
        ("invalid_value", "incident.name", "/incident/name"),
        ("invalid_value", "values.0.text", "/values/0/text"),
    ],
    '{"first": "lonely"}': [("is_required", "inner", "/inner")],
    '{"first": "lonely", "inner": {"first": "a"}}': [("invalid_value", "inner", "/inner")],
}


async def test_each_field_that_is_wrong_is_named_with_its_pointer(client: httpx.AsyncClient) -> None:
    for body, expected in SOURCES.items():
        answer = await sent(client, body)
        assert (answer.status_code, answer.json()["type"]) == (422, "validation_error"), body
        told = [
            (one["code"], one["source"]["field"], one["source"]["pointer"]) for one in answer.json()["errors"]
        ]
        assert told == expected, body


WRONG: dict[bytes, tuple[int, str, str]] = {
    b"": (400, "invalid_request_error", "invalid_json"),
    b"{": (400, "invalid_request_error", "invalid_json"),
    b"\xff\xfe": (400, "invalid_request_error", "invalid_json"),
    b"[" * 100_000: (400, "invalid_request_error", "invalid_json"),
    b"[]": (422, "validation_error", "invalid_value"),
    b"null": (422, "validation_error", "invalid_value"),
    b'{"first": "' + b"a" * MOST_BODY + b'"}': (413, "payload_too_large", "payload_too_large"),
    b'{"first": "sentence"}': (422, "validation_error", "refused"),
    b'{"first": "conflict"}': (409, "conflict", "refused"),
    b'{"first": "away"}': (503, "api_error", "unavailable"),
    b'{"first": "broken"}': (500, "api_error", "internal_error"),
}


async def test_every_failure_has_its_status_and_its_form(client: httpx.AsyncClient) -> None:
    for body, expected in WRONG.items():
        answer = await sent(client, body)
        told = answer.json()
        assert (answer.status_code, told["type"], told["errors"][0]["code"]) == expected, body[:40]
        assert (told["status"], told["request_id"]) == (answer.status_code, answer.headers["X-Request-Id"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (await sent(client, {"first": "away"})).headers["Retry-After"] == "1"


async def test_a_client_that_asks_one_thing_after_another_is_slowed_down_and_never_refused(
    client: httpx.AsyncClient,
) -> None:
    began = loop_time()
    answers = [await sent(client, {"first": "Ana"}) for _ in range(90)]
    assert {answer.status_code for answer in answers} == {201}
    assert [answers[-1].headers[f"X-RateLimit-{name}"] for name in ("Remaining", "Used")] == ["0", "60"]
    assert 29 <= loop_time() - began <= 31


async def test_a_key_that_asks_too_often_at_once_is_told_for_how_many_seconds_to_wait(
    client: httpx.AsyncClient,
) -> None:
    answers = await asyncio.gather(*(sent(client, {"first": "Ana"}) for _ in range(70)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 9
    for answer in refused:
        assert (answer.headers["Retry-After"], answer.headers["X-RateLimit-Remaining"]) == ("1", "0")
        assert answer.json()["type"] == "too_many_requests"
        limit = ErrorResponse.from_dict(answer.json()).rate_limit
        assert isinstance(limit, ErrorRateLimit)
        assert (limit.name, limit.limit, limit.remaining) == ("operator", 60, 0)
        assert datetime.fromisoformat(limit.retry_after).tzinfo is not None
