"""A page from PostgreSQL costs the same among few and many, by its own counters, and is as in SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
import pytest_asyncio
from support.declarations import ANA as DECLARER
from support.declarations import DAWN, Ticking, declaration
from support.filled import BEN, FEW, LISTS, LOOKS, MANY, STRANGER, counted, fill, grown, in_postgresql, listed
from support.postgresql import PostgresqlServer

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.insights import AT_ONCE, MOST_OF_A_DAY
from tocsin.config import IncidentConfig
from tocsin.incidents.insights import Chosen, CountedDays
from tocsin.incidents.model import PersonId
from tocsin.incidents.requests import IncidentChange, IncidentFilter

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


async def in_sqlite(folder: Path) -> LocalBackend:
    return await LocalBackend.open(
        folder / "incidents.db", IncidentConfig(), public_url="http://127.0.0.1:8080", clock=Ticking()
    )


@dataclass
class Filled:
    few: LocalBackend
    many: LocalBackend
    embedded: LocalBackend
    """As few, in SQLite."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(
    postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Filled]:
    few, many = [await in_postgresql(postgresql.create_database()) for _ in (FEW, MANY)]
    embedded = await in_sqlite(tmp_path_factory.mktemp("embedded"))
    for backend, size in ((few, FEW), (many, MANY), (embedded, FEW)):
        await backend.database.run(lambda db, size=size: fill(db, size))
    yield Filled(few, many, embedded)
    for backend in (few, many, embedded):
        await backend.close()


@pytest.mark.parametrize("generic", [False, True], ids=["planned for its values", "planned for any"])
@pytest.mark.parametrize("name", LOOKS)
async def test_a_look_costs_postgresql_as_much_among_few_as_among_many(
    filled: Filled, name: str, generic: bool
) -> None:
    few, few_found = await counted(filled.few, FEW, LOOKS[name], generic=generic)
    many, many_found = await counted(filled.many, MANY, LOOKS[name], generic=generic)
    if isinstance(few_found, list):
        assert len(few_found) == len(many_found), "the pages are as full"
    assert grown(name, few, many, MANY) == []


async def test_figures_cost_as_much_among_many_once_their_days_are_counted_and_a_bounded_count_before(
    filled: Filled,
) -> None:
    """Here all were declared on one day, of which the newest are counted."""
    year = Chosen(date(2025, 1, 2), date(2026, 1, 1))

    def look(backend: LocalBackend, _: int) -> Awaitable[CountedDays]:
        return backend.insights.count(year, True, None)

    (first_few, _), (first_many, _) = [
        await counted(backend, size, look) for backend, size in ((filled.few, FEW), (filled.many, MANY))
    ]
    assert "Seq Scan" not in first_many.node_types
    assert first_many.rows <= 2 * (MOST_OF_A_DAY + AT_ONCE) / FEW * first_few.rows
    few, few_found = await counted(filled.few, FEW, look)
    many, many_found = await counted(filled.many, MANY, look)
    assert grown("a year of insights", few, many, MANY) == []
    assert (few_found.missing, many_found.missing) == (0, 0)


async def test_a_hidden_incident_costs_postgresql_as_much_as_one_that_is_not_there(filled: Filled) -> None:
    """INC-779 is private, and the other is missing."""
    for backend, size in ((filled.few, FEW), (filled.many, MANY)):
        hidden, missing = [
            await counted(backend, size, listed(IncidentFilter(reference=reference, visible_to=STRANGER)))
            for reference in ("INC-779", "INC-99999")
        ]
        assert hidden[1] == missing[1] == []
        assert hidden[0].rows == missing[0].rows
        assert hidden[0].indexes == missing[0].indexes


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_holds_what_it_holds_in_sqlite(filled: Filled, name: str) -> None:
    wanted, after = LISTS[name], None
    for _ in range(3):
        theirs = await filled.embedded.matching(wanted, after=after, limit=7)
        assert await filled.few.matching(wanted, after=after, limit=7) == theirs
        if not theirs:
            break
        after = theirs[-1].id


NAMES = (
    "Ünïcode über alles",
    "STRASSE",
    "Straße",
    "MASSE und GROẞ",
    "ΣΊΣΥΦΟΣ σίσυφος",
    "नमस्ते दुनिया",
    "العَرَبِيَّة",
    "tiếng Việt, Łódź, øre, ơ",
    "Ελληνικά: η βάση δεδομένων",
    "База данных не отвечает",
    "数据库连接失败",
    "データベース エラー",
    "ｆｕｌｌｗｉｄｔｈ letters",
    "abcdefghijklmnopqrstuvwxyz1234 has thirty letters",
    "abcdefghijklmnopqrstuvwxyz1239 has thirty as well",
    "snake_case-and.dots/and:colons",
    "İstanbul is DOWN",
    "naïve café résumé",
    "e\u0301 composed é",
    "42 is 4.2 and v2",
    "a",
    "public:1 @U0ANA 16:0",
)
ASKED = (
    "uber", "ÜBER", "unicode", "u", "strasse", "STRASSE", "ελληνικα", "βαση", "База", "база данных", "дан",
    "数据库连接失败", "数据", "データ", "fullwidth", "abcdefghijklmnopqrstuvwxyz", "abcdefghij",
    "snake_case", "snake", "case-and", "dots/and", "istanbul", "down", "cafe", "Café RÉSUMÉ", "résum", "é",
    "e", "42", "4.2", "4", "v2", "a", "public:1", "@U0ANA", "16:0", "\"quoted\"", "café*", "NOT down",
    "inc 3", "INC-3", "inc-1", "-", "…", "' OR 1=1", "%", "_",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worded(
    postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[LocalBackend, LocalBackend]]:
    """The same names in PostgreSQL and in SQLite."""
    both = (
        await in_postgresql(postgresql.create_database()),
        await in_sqlite(tmp_path_factory.mktemp("worded")),
    )
    for backend in both:
        for name in NAMES:
            await backend.create(declaration(name, name=name))
    yield both
    for backend in both:
        await backend.close()


@pytest.mark.parametrize("text", ASKED)
async def test_words_find_what_they_find_in_sqlite(
    worded: tuple[LocalBackend, LocalBackend], text: str
) -> None:
    ours, theirs = [
        [incident.name for incident in await backend.matching(IncidentFilter(text=text), limit=50)]
        for backend in worded
    ]
    assert ours == theirs


async def test_words_of_a_private_incident_are_found_by_whom_it_involves_at_that_moment(
    postgresql: PostgresqlServer,
) -> None:
    backend = await in_postgresql(postgresql.create_database())

    async def found_by(person: PersonId) -> int:
        wanted = IncidentFilter(text="checkout", visible_to=person)
        involved = IncidentFilter(text="checkout", involving=person, visible_to=person)
        seen = await backend.matching(wanted, limit=5)
        assert len(await backend.matching(involved, limit=5)) <= len(seen)
        return len(seen)

    async def give(key: str, person: PersonId | None) -> None:
        given: dict[str, PersonId | None] = {"lead": person}
        change = IncidentChange(key=key, by=DECLARER, at=DAWN, incident_role_assignments=given)
        await backend.change(made.id, change)

    made = await backend.create(declaration())
    assert (await found_by(BEN), await found_by(STRANGER)) == (1, 1)
    await backend.change(made.id, IncidentChange(key="hide", by=DECLARER, at=DAWN, visibility="private"))
    assert (await found_by(BEN), await found_by(STRANGER)) == (0, 0)
    await give("give", BEN)
    assert (await found_by(BEN), await found_by(STRANGER)) == (1, 0)
    await give("take", None)
    assert (await found_by(BEN), await found_by(STRANGER)) == (0, 0)
    await backend.close()
