"""The API over PostgreSQL: the same answers to the same questions, and the same silence."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.api import served_api
from support.api_world import filled_world
from support.postgresql import PostgresqlServer
from test_api_reading import FILTERED, V1, Read, keep_secret, totals

from tocsin.incidents.errors import Refused

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def read(postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Read]:
    async with served_api(tmp_path_factory.mktemp("api"), url=postgresql.create_database()) as api:
        yield Read(api, await filled_world(api.backend), await api.key("reader", "view"))


async def test_incidents_are_filtered_in_postgresql_as_in_a_file(read: Read) -> None:
    found = {query: await read.references(query) for query in FILTERED}
    assert {query: found[query] for query in FILTERED if found[query] != FILTERED[query]} == {}
    assert {query: await read.references(query, "/v1/incidents") for query in V1} == V1
    assert await totals(read) == {query: len(found) for query, found in FILTERED.items()}


async def test_postgresql_keeps_private_incidents_from_keys_that_may_not_see_them(read: Read) -> None:
    await keep_secret(read)


async def test_a_name_is_given_to_one_key_only_and_again_once_that_is_revoked(read: Read) -> None:
    with pytest.raises(Refused, match="already"):
        await read.api.key("reader", "view")
    await read.api.key("for a while", "view")
    assert await read.api.keys.revoke("for a while", read.api.clock())
    assert not await read.api.keys.revoke("for a while", read.api.clock())
    assert await read.api.key("for a while", "view")


async def test_what_no_database_can_keep_is_refused_and_not_an_error_of_ours(read: Read) -> None:
    for path in ("/v2/incidents?status=%00", "/v2/users?email=%00", "/v2/users/%00", "/v2/incidents/%FF"):
        answer = await read.api.ask(path, read.key)
        assert answer.status_code in (200, 404, 422), (path, answer.text)
