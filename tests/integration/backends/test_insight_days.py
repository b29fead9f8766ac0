"""Stored counts of a day: never stale, never of a private incident, and made at a bounded cost."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlite_utils import Database
from support.declarations import ANA, BEN, DAWN, Ticking, declaration
from support.filled import in_postgresql
from support.first_files import new_incidents
from support.postgresql import PostgresqlServer

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.importing import import_incidents
from tocsin.backends.local.insights import AT_ONCE, IN_A_LOOK, MOST_OF_A_DAY, LocalInsights
from tocsin.backends.local.postgresql import PostgresqlConnection
from tocsin.backends.local.sqlite import SqliteConnection
from tocsin.config import IncidentConfig
from tocsin.incidents.insights import Chosen, CountedDays, Day, Names
from tocsin.incidents.model import FieldOption, FieldValue, TeamId
from tocsin.incidents.requests import FollowUpRequest, IncidentChange

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]

FEBRUARY = Chosen(date(2026, 2, 2), date(2026, 3, 2))
DAY = DAWN.date()


async def in_sqlite(folder: Path) -> LocalBackend:
    return await LocalBackend.open(
        await new_incidents(folder / "incidents.db"),
        IncidentConfig(),
        public_url="http://127.0.0.1:8080",
        clock=Ticking(),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def kept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalBackend]:
    if request.param == "sqlite":
        backend = await in_sqlite(tmp_path_factory.mktemp("kept"))
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        backend = await in_postgresql(server.create_database())
    yield backend
    await backend.close()


@pytest_asyncio.fixture(loop_scope="module")
async def empty(kept: LocalBackend) -> LocalBackend:
    await kept.database.run(lambda db: db.execute("DELETE FROM incidents WHERE number > 0") and None)
    return kept


async def counted(backend: LocalBackend, private: bool = False, chosen: Chosen = FEBRUARY) -> CountedDays:
    found = await backend.insights.count(chosen, private, None)
    assert found.missing == 0
    return found


async def stored(backend: LocalBackend) -> set[tuple[str, int]]:
    """Days that have stored counts, with their visibility."""

    def look(db: SqlConnection) -> set[tuple[str, int]]:
        found = db.execute("SELECT day, is_public FROM insight_days WHERE is_public >= 0")
        return {(row[0], row[1]) for row in found.fetchall()}

    return await backend.database.run(look)


async def afresh(backend: LocalBackend, private: bool) -> CountedDays:
    await backend.database.run(
        lambda db: db.execute("DELETE FROM insight_days WHERE is_public >= 0") and None
    )
    return await counted(backend, private)


def changes(incident_id: str) -> dict[str, Callable[[LocalBackend], Awaitable[Any]]]:
    """Everything of an incident that is counted, changed once."""

    def by(**fields: Any) -> Callable[[LocalBackend], Awaitable[Any]]:
        change = IncidentChange(key=repr(fields), at=DAWN + timedelta(minutes=9), by=BEN, **fields)
        return lambda backend: backend.change(incident_id, change)

    asked = FollowUpRequest(key="later", at=DAWN, by=ANA, kind="follow_up", text="Write an alert")
    option = FieldValue(value_option=FieldOption(id="api", value="API"))
    return {
        "its severity": by(severity_id="minor"),
        "its lead": by(incident_role_assignments={"lead": BEN.slack_user_id}),
        "an answer": by(custom_field_entries={"affected_area": (option,)}),
        "a time": by(incident_timestamp_values={"impact_started": DAWN - timedelta(hours=1)}),
        "a follow-up": lambda backend: backend.add_follow_up(incident_id, asked),
        "its close": by(incident_status_id="closed"),
        "its reopening": by(incident_status_id="fixing"),
        "its decline": by(incident_status_id="declined"),
    }


async def test_whatever_is_counted_of_an_incident_is_counted_anew_once_it_changes(
    empty: LocalBackend,
) -> None:
    made = await empty.create(declaration(slack_team_id="T0NORTH"))
    before = await counted(empty)
    assert before.days[DAY]
    assert (DAY.isoformat(), 1) in await stored(empty)
    for what, change in changes(made.id).items():
        await change(empty)
        after = await counted(empty)
        assert after.days != before.days, what
        assert after.days == (await afresh(empty, False)).days, what
        before = after
    assert len(before.days) == 29 == len(await stored(empty))
    await empty.database.run(lambda db: db.execute("DELETE FROM incidents WHERE number > 0") and None)
    assert not any((await counted(empty)).days.values())


async def test_a_private_incident_is_in_no_number_and_leaves_them_all_at_once(empty: LocalBackend) -> None:
    await empty.create(declaration("a"))
    public = await counted(empty)
    hidden = await empty.create(declaration("b", visibility="private", severity_id="critical"))
    rows = await stored(empty)
    for change in changes(hidden.id).values():
        await change(empty)
    assert await stored(empty) == rows, "not even a day is counted anew"
    assert await counted(empty) == public
    seen = await counted(empty, private=True)
    assert sum(cells.total() for cells in seen.days[DAY].values()) > 0
    assert seen.days != public.days
    turned = await empty.create(declaration("c"))
    assert (await counted(empty)).days != public.days
    await empty.change(turned.id, IncidentChange(key="hide", at=DAWN, by=ANA, visibility="private"))
    assert await counted(empty) == public


async def test_only_the_workspaces_that_the_reader_may_see_are_counted(empty: LocalBackend) -> None:
    await empty.create(declaration("a", slack_team_id="T0NORTH"))
    alone = await empty.insights.count(FEBRUARY, False, frozenset([TeamId("T0NORTH")]))
    await empty.create(declaration("b", slack_team_id="T0SOUTH"))
    assert await empty.insights.count(FEBRUARY, False, frozenset([TeamId("T0NORTH")])) == alone


async def test_other_durations_or_an_edited_row_are_counted_anew(empty: LocalBackend) -> None:
    await empty.create(declaration())
    before = await counted(empty)
    for edit in ("counts = 'nothing'", "counted_as = 'another version'"):
        await empty.database.run(
            lambda db, edit=edit: db.execute(f"UPDATE insight_days SET {edit} WHERE is_public = 1") and None  # type: ignore[misc]
        )
        assert await counted(empty) == before
    category = "UPDATE incident_statuses SET category = ? WHERE id = 'investigating'"
    await empty.database.run(lambda db: db.execute(category, ["declined"]) and None)
    assert (await counted(empty)).days != before.days
    await empty.database.run(lambda db: db.execute(category, ["live"]) and None)


async def test_what_another_program_writes_to_the_file_is_counted(tmp_path: Path) -> None:
    backend = await in_sqlite(tmp_path)
    await backend.create(declaration())
    before = await counted(backend)
    with sqlite3.connect(tmp_path / "incidents.db") as beside:
        beside.execute("UPDATE incidents SET severity_id = 'minor'")
    beside.close()
    assert (await counted(backend)).days != before.days
    await backend.close()


async def test_a_count_that_a_change_crosses_is_not_kept(postgresql: PostgresqlServer) -> None:
    """A change that is not committed yet when the day is counted, and one that is being committed."""
    backend = await in_postgresql(postgresql.create_database())
    made = await backend.create(declaration())
    engine = backend.database.engine  # type: ignore[union-attr]
    for number, firing in enumerate(("SELECT 1", "SET CONSTRAINTS ALL IMMEDIATE")):
        with engine.connect() as beside:
            severity = ("minor", "critical")[number]
            beside.exec_driver_sql("BEGIN")
            beside.exec_driver_sql("UPDATE incidents SET severity_id = %s WHERE id = %s", (severity, made.id))
            beside.exec_driver_sql(firing)
            during = await counted(backend)
            assert {cell[1] for cell in during.days[DAY]} == {("major", "minor")[number]}
            beside.exec_driver_sql("COMMIT")
        assert {cell[1] for cell in (await counted(backend)).days[DAY]} == {severity}
    await backend.close()


async def test_no_change_waits_for_a_replica_that_stands_still_while_it_counts(
    postgresql: PostgresqlServer,
) -> None:
    """Its counts are stored when it goes on, and void from the beginning."""
    backend = await in_postgresql(postgresql.create_database())
    made = await backend.create(declaration())
    before = await both(backend)
    hidden = IncidentChange(key="hide", at=DAWN, by=ANA, visibility="private")
    category = "UPDATE incident_statuses SET category = ? WHERE id = 'investigating'"
    everything: list[Callable[[], Awaitable[Any]]] = [
        lambda: changes(made.id)["its severity"](backend),
        lambda: changes(made.id)["a follow-up"](backend),
        lambda: backend.create(declaration("another")),
        lambda: backend.change(made.id, hidden),
        lambda: backend.database.run(lambda db: db.execute(category, ["declined"]) and None),
    ]
    engine = backend.database.engine  # type: ignore[union-attr]
    for number, change in enumerate(everything):
        with engine.connect() as beside:
            insights = LocalInsights(backend.database, IncidentConfig().duration_rules)
            still = PostgresqlConnection(beside)
            with still.counting() as is_lasting:
                assert is_lasting
                found = insights._count(still, [DAY], 1)
                insights._store(still, 1, found)
                with impatient(engine):
                    await change()
                    during = await both(backend)
        after = await both(backend)
        assert during == after != before, number
        await afresh(backend, True)
        assert await both(backend) == after, number
        before = after
    await backend.close()


async def both(backend: LocalBackend) -> list[Mapping[date, Day]]:
    """Counts without and with the private incidents."""
    return [(await counted(backend, private)).days for private in (False, True)]


@contextmanager
def impatient(engine: sa.Engine) -> Iterator[None]:
    """Let every connection give up instead of waiting for a lock."""

    def hurry(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET lock_timeout = '20ms'")

    sa.event.listen(engine, "engine_connect", hurry)
    try:
        yield
    finally:
        sa.event.remove(engine, "engine_connect", hurry)
        engine.dispose()


async def test_ten_years_are_stored_with_a_few_statements(postgresql: PostgresqlServer) -> None:
    """However far away the database is: each statement is a way there and back."""
    backend = await in_postgresql(postgresql.create_database())
    await backend.create(declaration())
    statements: list[str] = []
    engine = backend.database.engine  # type: ignore[union-attr]
    sa.event.listen(engine, "before_cursor_execute", lambda *asked: statements.append(asked[2]))
    years = Chosen(date(2016, 3, 5), date(2026, 3, 1))
    assert (await backend.insights.count(years, True, None)).missing == 0
    begun = [place for place, asked in enumerate(statements) if "pg_try_advisory" in asked]
    ended = [place for place, asked in enumerate(statements) if asked == "COMMIT"]
    assert [end - begin <= 20 for begin, end in zip(begun, ended, strict=True)] == [True, True]
    assert len(await stored(backend)) == 2 * (years.last - years.first).days + 2
    await backend.close()


async def test_a_database_that_takes_no_changes_just_now_is_counted_all_the_same(
    postgresql: PostgresqlServer,
) -> None:
    backend = await in_postgresql(url := postgresql.create_database())
    await backend.create(declaration())
    engine = backend.database.engine  # type: ignore[union-attr]
    postgresql.execute(f'ALTER DATABASE "{sa.make_url(url).database}" SET default_transaction_read_only = on')
    engine.dispose()
    assert len((await counted(backend)).days[DAY]) == 1
    assert await stored(backend) == set()
    await backend.close()


async def test_days_that_are_looked_at_during_an_import_have_its_incidents_afterwards(
    tmp_path: Path, postgresql: PostgresqlServer
) -> None:
    file, backend = await in_sqlite(tmp_path), await in_postgresql(postgresql.create_database())
    await file.create(declaration())
    looks: list[CountedDays] = []

    def bring(db: SqlConnection) -> None:
        def look(connection: sa.Connection) -> int:
            """Count the days just before the import is committed."""
            insights = LocalInsights(backend.database, IncidentConfig().duration_rules)
            with backend.database.engine.connect() as beside:  # type: ignore[union-attr]
                found = insights._count_and_store(PostgresqlConnection(beside), [DAY], 1)
            looks.append(CountedDays(found.days, Names()))
            return 0

        assert isinstance(db, PostgresqlConnection)
        path = tmp_path / "incidents.db"
        import_incidents(db, Database(str(path)), path, DAWN, look)

    await backend.database.run(bring)
    assert [one.days for one in looks] == [{DAY: {}}]
    assert sum(map(len, (await counted(backend)).days.values())) == 1
    await file.close()
    await backend.close()


SPREAD = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :size)
INSERT INTO incidents (
    id, number, reference, idempotency_key, name, severity_id, incident_status_id, incident_type_id,
    visibility, mode, created_at, updated_at)
SELECT printf('%026d', n), n, 'INC-' || n, 'key-' || n, 'Search is down', 'minor', 'investigating',
    'incident', 'public', 'standard', date('2026-03-01', '-' || (n % :days) || ' days')
    || 'T00:00:00.000000Z', '2026-03-01T00:00:00.000000Z'
FROM numbers
"""
YEAR = Chosen(date(2025, 3, 2), date(2026, 3, 1))


async def looked(backend: LocalBackend) -> tuple[CountedDays, int]:
    """One look at a year, and the steps of SQLite's virtual machine that it takes."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    def watch(on: bool) -> Callable[[SqlConnection], None]:
        def work(db: SqlConnection) -> None:
            assert isinstance(db, SqliteConnection)
            db.conn.set_progress_handler(step if on else None, 1)

        return work

    await backend.database.run(watch(True))
    found = await backend.insights.count(YEAR, False, None)
    await backend.database.run(watch(False))
    return found, steps


async def spread(folder: Path, size: int, days: int = 365) -> LocalBackend:
    backend = await in_sqlite(folder)
    await backend.database.run(lambda db: db.execute(SPREAD, {"size": size, "days": days}) and None)
    return backend


async def test_a_look_among_many_counts_so_many_at_most_and_costs_no_more_once_all_are_counted(
    tmp_path: Path,
) -> None:
    few, many = await spread(tmp_path / "few", 1_000), await spread(tmp_path / "many", 20_000)
    first, cost = await looked(few)
    assert first.missing == 0
    left, costs = [], []
    while not left or left[-1]:
        found, steps = await looked(many)
        left.append(found.missing)
        costs.append(steps)
        if found.missing:
            newest = max(found.days)
            assert newest == YEAR.last, "the newest days are counted first"
    assert left == sorted(left, reverse=True)
    assert len(left) >= 20_000 // (IN_A_LOOK + AT_ONCE)
    assert sum(cells.total() for day in found.days.values() for cells in [*day.values()]) > 20_000
    assert max(costs) < (IN_A_LOOK + AT_ONCE) / 1_000 * cost * 1.5
    for backend in (few, many):
        await looked(backend)
    (_, of_few), (_, of_many) = await looked(few), await looked(many)
    assert of_many <= 1.05 * of_few
    await few.close()
    await many.close()


async def test_of_a_day_with_too_many_the_newest_are_counted_and_the_reader_is_told(tmp_path: Path) -> None:
    backend = await spread(tmp_path / "one", MOST_OF_A_DAY + 500, days=1)
    found, _ = await looked(backend)
    assert found.cut == (YEAR.last,)
    (cells,) = found.days[YEAR.last].values()
    assert cells["counted",] == MOST_OF_A_DAY
    await backend.close()
