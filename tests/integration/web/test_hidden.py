"""What is hidden costs whoever may not see it as much as what is not there: counted in SQLite's own steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from sqlite_utils import Database
from support.declarations import ANA, DAWN, declaration
from support.estate import HOME, HOME_ADMIN, lobby
from support.site import Site, served

from tocsin.backends.local import LocalBackend
from tocsin.incidents.model import Incident, Person, PersonId, TimelineEntry
from tocsin.incidents.requests import IncidentChange


async def taken(backend: LocalBackend, look: Callable[[], Awaitable[Any]]) -> tuple[list[str], int]:
    """The statements that one look makes, and how many steps they take (SQLite, sqlite3_progress_handler)."""
    statements: list[str] = []
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    def watch(on: bool) -> Callable[[Database], None]:
        def set_handlers(db: Database) -> None:
            db.conn.set_progress_handler(step if on else None, 1)
            db.conn.set_trace_callback((lambda sql: statements.append(kind_of(sql))) if on else None)

        return set_handlers

    await look()
    await backend.database.run(watch(True))
    await look()
    await backend.database.run(watch(False))
    return statements, steps


def kind_of(sql: str) -> str:
    """A statement without its values."""
    return " ".join(word for word in sql.split() if not word.strip("()',").isdigit() and "01" not in word)


async def hidden(backend: LocalBackend) -> Incident:
    """INC-2, private, between two that are public."""
    await backend.create(declaration("a", slack_team_id=HOME))
    private = await backend.create(declaration("b", visibility="private", slack_team_id=HOME))
    await backend.create(declaration("c", slack_team_id=HOME))
    return private


NEVER_MADE = "01JZZZZZZZZZZZZZZZZZZZZZZZ"


async def test_a_hidden_incident_takes_the_steps_of_one_that_is_not_there(site: Site) -> None:
    private = await hidden(site.backend)
    for there, not_there in (("INC-2", "INC-9"), ("2", "9"), ("inc-2", "inc-7")):
        for_hidden = await taken(site.backend, lambda there=there: site.page(f"/incidents/{there}"))
        for_none = await taken(site.backend, lambda none=not_there: site.page(f"/incidents/{none}"))
        assert for_hidden == for_none
        assert for_none[1] > 0
    # An id has an index of its own, from which the number of what is there is read.
    by_id = await taken(site.backend, lambda: site.page(f"/incidents/{private.id}"))
    by_no_id = await taken(site.backend, lambda: site.page(f"/incidents/{NEVER_MADE}"))
    assert (by_id[0], abs(by_id[1] - by_no_id[1]) <= 4) == (by_no_id[0], True)


async def test_it_does_so_for_who_is_signed_in_too(tmp_path: Path) -> None:
    async with lobby(tmp_path / "data", tocsin_host="0.0.0.0") as street:
        await street.install(HOME_ADMIN)
        backend = street.bot.backend
        assert isinstance(backend, LocalBackend)
        await hidden(backend)
        browser, _ = await street.sign_in(f"{HOME}/U0CHLOE003")
        for_hidden = await taken(backend, lambda: browser.get("/incidents/INC-2"))
        assert for_hidden == await taken(backend, lambda: browser.get("/incidents/INC-9"))
        assert (await browser.get("/incidents/INC-3")).status_code == 200


class Turning:
    """A backend in which an incident becomes private, and is written about, once its page has found it."""

    def __init__(self, behind: LocalBackend) -> None:
        self._behind = behind

    async def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        turn = IncidentChange(key=incident_id, by=ANA, at=DAWN, visibility="private", message="Canary 7f3a")
        await self._behind.change(incident_id, turn)
        return await self._behind.timeline(incident_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


async def test_what_becomes_private_while_its_page_is_made_is_not_shown(tmp_path: Path) -> None:
    async with served(tmp_path, public=True, before=Turning) as site:
        for number, read in ((1, site.page), (2, site.json)):
            await site.backend.create(declaration(f"{number}"))
            answer = await read(f"/incidents/{number}")
            assert (answer.status_code, "7f3a" in answer.text) == (404, False)
            assert "7f3a" in (await site.trusted(f"/incidents/{number}")).text


LISTS = (
    "/incidents",
    "/incidents?severity=major&sort=oldest",
    "/incidents?status=investigating&incident_type=incident",
    "/incidents?status_category=closed&created_from=2026-01-01",
    "/incidents?person=U0ANA&custom_field.detected_by=customer",
    "/incidents?format=csv&severity=critical",
)


async def test_a_list_costs_the_same_however_much_of_it_is_hidden(site: Site) -> None:
    await site.backend.create(declaration("first"))
    few = {query: await taken(site.backend, lambda query=query: site.page(query)) for query in LISTS}
    for number in range(400):
        await site.backend.create(declaration(f"key-{number}", visibility="private"))
    for query, (statements, steps) in few.items():
        many = await taken(site.backend, lambda query=query: site.page(query))
        # Each walk ends at the first hidden row, where before it ended with the index.
        assert (query, many[0], abs(many[1] - steps) <= 9) == (query, statements, True), (many[1], steps)


async def test_nothing_hidden_is_read_for_who_may_not_see_it(tmp_path: Path) -> None:
    """Another workspace's, and private ones of others."""
    async with lobby(tmp_path / "data", tocsin_host="0.0.0.0") as street:
        await street.install(HOME_ADMIN)
        backend = street.bot.backend
        assert isinstance(backend, LocalBackend)
        ana = Person(slack_user_id=PersonId("U0ANA00001"))
        await backend.create(declaration("mine", slack_team_id=HOME, visibility="private", reporter=ana))
        await backend.create(declaration("theirs", slack_team_id="T0OTHER0001", name="Canary 7f3a"))
        browser, _ = await street.sign_in(HOME_ADMIN)
        assert (await browser.get("/incidents/INC-1")).status_code == 200
        assert (await browser.get("/incidents/INC-2")).status_code == 404
        assert "Canary" not in (await browser.get("/incidents")).text
        for query in ("text=canary", "person=U0ANA00001&text=canary", "status_category=open"):
            assert "7f3a" not in (await browser.get(f"/incidents?{query}")).text
        mine = (await browser.get("/incidents?person=me")).text
        assert "INC-1" in mine
        assert '<a href="/incidents" aria-current="true">Mine</a>' in mine
        stranger, _ = await street.sign_in(f"{HOME}/U0CHLOE003")
        for query in ("", "?person=me", "?person=U0ANA00001", "?text=checkout"):
            assert "No incident" in (await stranger.get(f"/incidents{query}")).text
