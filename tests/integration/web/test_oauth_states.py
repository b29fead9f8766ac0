"""A way back from Slack is good once, in the browser that it began in, at whichever replica it ends."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from support.postgresql import PostgresqlServer

from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.web.oauth import OAuthState, OAuthStates


def states(url: str, now: datetime = datetime(2026, 5, 4, tzinfo=UTC)) -> OAuthStates:
    """One replica's, on the database of all."""
    claim = SqlKeyValueStore(Database(url)).claim
    return OAuthStates(b"secret", claim, secure=True, clock=lambda: now)


def coming_back(to: OAuthStates, begun: OAuthState) -> Request:
    """The browser, with its cookie and what Slack gave along."""
    answer = to.start("sign-in", begun, Response())
    cookie = answer.headers["set-cookie"].partition(";")[0]
    query = f"code=1&state={begun.state}"
    headers = [(b"cookie", cookie.encode())]
    return Request({"type": "http", "query_string": query.encode(), "headers": headers})


async def test_a_way_back_that_leads_to_another_replica_is_found_there_and_good_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    await _good_once(states(url), states(url))


@pytest.mark.process
async def test_a_way_back_is_good_at_one_replica_on_postgresql_alone(postgresql: PostgresqlServer) -> None:
    url = postgresql.create_database()
    one, other = states(url), states(url)
    await _good_once(one, other)
    for number in range(5):
        back = coming_back(one, one.create("sign-in", f"/{number}"))
        found = await asyncio.gather(one.finish("sign-in", back), other.finish("sign-in", back))
        assert [state.goal for state in found if state is not None] == [f"/{number}"]
        for replica in (one, other):
            replica.confirm("sign-in")


async def _good_once(one: OAuthStates, other: OAuthStates) -> None:
    begun = one.create("sign-in", "/incidents/INC-1")
    back = coming_back(one, begun)
    assert await other.finish("sign-in", back) == begun
    assert await one.finish("sign-in", back) is None
    assert await other.finish("sign-in", back) is None


async def test_a_state_that_was_used_is_kept_no_longer_than_it_could_be_used(tmp_path: Path) -> None:
    url, began = f"sqlite:///{tmp_path / 'journal.db'}", datetime(2026, 5, 4, tzinfo=UTC)
    first, later = states(url, began), states(url, began + timedelta(minutes=11))
    await first.finish("sign-in", coming_back(first, first.create("sign-in")))
    await later.finish("sign-in", coming_back(later, later.create("sign-in")))
    with closing(sqlite3.connect(tmp_path / "journal.db")) as journal:
        assert journal.execute("SELECT COUNT(*) FROM tocsin_claims").fetchone() == (1,)


def test_over_https_cookies_are_for_this_host_alone(tmp_path: Path) -> None:
    trips = states(f"sqlite:///{tmp_path / 'journal.db'}")
    answer = trips.start("sign-in", trips.create("sign-in"), Response())
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-tocsin-sign-in=")
    for said in ("; Secure", "; HttpOnly", "; SameSite=lax", "; Path=/", "; Max-Age=600"):
        assert said in cookie
    assert "Domain" not in cookie
