"""A million incidents are no slower to look through than a thousand, by the databases' own counters."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database
from support import filled as databases
from support.postgresql import PostgresqlServer

from benchmarks.filling import kept_incidents
from benchmarks.table import Row, at_most
from tocsin.backends.local import LocalBackend
from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.listing import LOOKED_AT, Among, IncidentListing
from tocsin.backends.local.postgresql import IMPORTING
from tocsin.incidents.insights import Chosen, CountedDays
from tocsin.incidents.model import PersonId
from tocsin.incidents.requests import NOBODY, IncidentFilter, IncidentQuery

pytestmark = pytest.mark.benchmark

FEW, MORE, MANY = 1_000, 20_000, 1_000_000
MOST_GROWN = 1.05
CAMPAIGN = pytest.mark.campaign("pytest -m 'benchmark or timed or campaign' -s tests/benchmarks")
ANA = PersonId("U0000000001")
BEFORE_ALL = datetime(2025, 12, 31, tzinfo=UTC)
YEAR = Chosen(date(2025, 1, 2), date(2026, 1, 1))

LOOKS: dict[str, Callable[[LocalBackend, int], Awaitable[Any]]] = {
    "newest 20": lambda kept, _: kept.incidents(limit=20),
    "20 older than one in the middle": lambda kept, size: kept.incidents(after=f"{size // 2:026}", limit=20),
    "by reference": lambda kept, size: kept.find(f"INC-{size // 2}"),
    "by id": lambda kept, size: kept.find(f"{size // 2:026}"),
    "its timeline": lambda kept, size: kept.timeline(f"{size // 2:026}"),
    "20 open ones": lambda kept, _: kept.matching(IncidentFilter(is_open=True), limit=20),
    "20 closed ones": lambda kept, _: kept.matching(IncidentFilter(is_open=False), limit=20),
    "20 of one severity": lambda kept, _: kept.matching(IncidentFilter(severity_id="major"), limit=20),
    "20 somebody may see": lambda kept, _: kept.matching(IncidentFilter(visible_to=ANA), limit=20),
    "20 by the API": lambda kept, _: kept.reader.page(IncidentListing(sees_private=False, limit=20)),
    "20 by the API from the middle on": lambda kept, size: kept.reader.page(
        IncidentListing(sees_private=False, oldest_first=True, after=f"{size // 2:026}", limit=20)
    ),
    "20 of a status by the API": lambda kept, _: kept.reader.page(
        IncidentListing(sees_private=True, statuses=frozenset({"investigating", "closed"}), limit=5)
    ),
    "20 of a severity by the API": lambda kept, _: kept.reader.page(
        IncidentListing(sees_private=False, severities=frozenset({"major", "minor"}), limit=20)
    ),
    "their number": lambda kept, _: kept.reader.total(IncidentListing(sees_private=True)),
    **{
        f"a page of {name}": lambda kept, _, group=group: kept.listed(
            IncidentQuery(group=group, limit=20, visible_to=NOBODY)
        )
        for name, group in (("open ones", "open"), ("closed ones", "closed"))
    },
    "a page of closed ones of a severity, oldest first": lambda kept, _: kept.listed(
        IncidentQuery(group="closed", severity_id="minor", oldest_first=True, limit=20)
    ),
    "a page of a type that was declared since": lambda kept, _: kept.listed(
        IncidentQuery(
            incident_type_id="incident", created_from=BEFORE_ALL, visible_to=NOBODY, group="closed", limit=20
        )
    ),
    "a page of closed ones of somebody's": lambda kept, _: kept.listed(
        IncidentQuery(group="closed", person=ANA, incident_type_id="incident", visible_to=NOBODY, limit=20)
    ),
    "a year of insights, once its days are counted": lambda kept, _: kept.insights.count(YEAR, True, None),
    "20 of somebody's own": lambda kept, _: kept.matching(IncidentFilter(involving=ANA), limit=20),
}


async def steps(kept: LocalBackend, size: int, look: Callable[[LocalBackend, int], Awaitable[Any]]) -> int:
    """What SQLite's virtual machine does for one look (SQLite, sqlite3_progress_handler)."""
    taken = 0

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    def watch(on: bool) -> Callable[[Database], None]:
        return lambda db: db.conn.set_progress_handler(step if on else None, 1)

    await look(kept, size)
    await kept.database.run(watch(True))
    await look(kept, size)
    await kept.database.run(watch(False))
    return taken


async def all_steps(file: Path, size: int) -> dict[str, int]:
    kept = await kept_incidents(file)
    taken = {name: await steps(kept, size, look) for name, look in LOOKS.items()}
    await kept.close()
    assert all(taken.values()), "a look that takes no steps was not counted"
    return taken


async def test_every_look_takes_as_many_steps_among_twenty_thousand_as_among_a_thousand(
    filled: Callable[[int], Path],
) -> None:
    few, more = await all_steps(filled(FEW), FEW), await all_steps(filled(MORE), MORE)
    grown = {name: more[name] / few[name] for name in LOOKS}
    assert {name: by for name, by in grown.items() if by > MOST_GROWN} == {}


async def test_a_filter_that_nothing_matches_comes_to_its_end_by_pages_of_a_bounded_cost(
    filled: Callable[[int], Path],
) -> None:
    kept = await kept_incidents(filled(MORE))
    none = Among(one_of=frozenset({"none"}))
    pages: list[str | None] = []
    after: str | None = None
    while not pages or after is not None:
        wanted = IncidentListing(sees_private=True, types=none, after=after, limit=20)
        page = await kept.reader.page(wanted)
        assert page.incidents == []
        after = page.after
        pages.append(after)
    assert 1 < len(pages) <= MORE // LOOKED_AT + 1
    await kept.close()


_EVENTS = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {size})
INSERT INTO webhook_events (
    id, webhook_id, incident_id, idempotency_key, event, resource_id, was_private, created_at)
SELECT n, 'msg_' || n, printf('%026d', n % 1000 + 1), 'key-' || n, 'e', 'r', 0, '2026-01-01' FROM numbers
"""
# A thousand incidents, each with one event that is tried again tomorrow, or is due, and all others behind it.
_DELIVERIES = """
INSERT INTO webhook_deliveries (event_id, endpoint, incident_id, state, since, due_at, is_next)
SELECT id, 'all', incident_id, 'pending', created_at,
    CASE WHEN id BETWEEN 21 AND 1000 THEN '2026-01-03' ELSE created_at END, id <= 1000 FROM webhook_events
"""


async def test_a_webhook_that_is_due_is_found_in_as_many_steps_among_a_hundred_thousand_that_wait(
    filled: Callable[[int], Path], tmp_path: Path
) -> None:
    taken, now = {}, datetime(2026, 1, 2, tzinfo=UTC)
    for size in (FEW, 100 * FEW):
        kept = await kept_incidents(Path(shutil.copy(filled(FEW), tmp_path / f"{size}.db")))
        for statement in (_EVENTS.format(size=size), _DELIVERIES):
            await kept.database.run(lambda db, sql=statement: db.execute(sql) and None)
        assert [event for event, _ in await kept.deliveries.due("all", now, 10)] == list(range(1, 11))
        taken[size] = await steps(kept, size, lambda kept, _: kept.deliveries.due("all", now, 10))
        await kept.close()
    assert taken[100 * FEW] <= MOST_GROWN * taken[FEW]


@CAMPAIGN
async def test_every_look_takes_as_many_steps_among_a_million_as_among_a_thousand(
    filled: Callable[[int], Path], measured: Callable[[Row], None]
) -> None:
    few, many = await all_steps(filled(FEW), FEW), await all_steps(filled(MANY), MANY)
    grown = {name: many[name] / few[name] for name in LOOKS}
    worst = max(grown, key=lambda name: grown[name])
    against = f"worst of {len(LOOKS)}: {worst}, {many[worst]} steps"
    metric = "steps of a query, 1,000 to 1,000,000"
    measured(at_most(metric, against, grown[worst], MOST_GROWN, "times", counted=True))


@pytest.mark.timed
async def test_a_word_is_found_among_a_million_in_as_many_steps_as_among_a_thousand(
    filled: Callable[[int], Path], measured: Callable[[Row], None]
) -> None:
    taken = {}
    for size in (FEW, MANY):
        kept = await kept_incidents(filled(size))
        taken[size] = await steps(kept, size, with_a_word)
        await kept.close()
    against = f"{taken[FEW]} steps among 1,000"
    grown = taken[MANY] / taken[FEW]
    measured(at_most("steps to find a word, 1,000 to 1,000,000", against, grown, 1.05, "times", counted=True))


SPREAD = """
UPDATE incidents
SET created_at = to_char(date '2026-01-01' - number % 365, 'YYYY-MM-DD') || 'T00:00:00.000000Z'
"""


def spread(db: SqlConnection) -> None:
    """Let the incidents be declared on all days of the year, as if an import had brought them so."""
    with db.transaction("spread"):
        db.execute(f"SET LOCAL {IMPORTING} = 'on'; SET LOCAL statement_timeout = 0")
        db.execute(SPREAD)
        db.execute("ANALYZE incidents")


async def a_year(kept: LocalBackend, _: int) -> CountedDays:
    return await kept.insights.count(YEAR, True, None)


async def with_a_word(kept: LocalBackend, _: int) -> Any:
    return await kept.matching(IncidentFilter(text="checkout"), limit=20)


@pytest.mark.process
@CAMPAIGN
async def test_every_look_costs_postgresql_as_much_among_many_as_among_a_thousand(
    postgresql: PostgresqlServer, measured: Callable[[Row], None], request: pytest.FixtureRequest
) -> None:
    """A million where the campaign runs long, else a tenth: to fill it takes most of the time.

    The default run has twenty thousand (tests/integration/backends/test_lists_in_postgresql.py).
    """
    size = databases.MILLION if "timed" in request.config.option.markexpr else databases.SAMPLE
    found = {}
    for number in (databases.FEW, size):
        kept = await databases.in_postgresql(postgresql.create_database())
        await kept.database.run(lambda db, number=number: databases.fill(db, number))
        await kept.database.run(spread)
        looks: dict[str, databases.Look] = {**databases.LOOKS, "a year of insights": a_year}
        while (await a_year(kept, number)).missing:
            pass
        found[number] = {
            name: (await databases.counted(kept, number, look))[0] for name, look in looks.items()
        }
        await kept.close()
    few, many = found.values()
    wrong = {name: databases.grown(name, few[name], many[name], size) for name in few}
    assert {name: sentences for name, sentences in wrong.items() if sentences} == {}
    worst = max(few, key=lambda name: many[name].rows / few[name].rows)
    against = f"worst of {len(few)}: {worst}, {many[worst].rows} rows"
    by = many[worst].rows / few[worst].rows
    metric = f"rows of a query in PostgreSQL, 1,000 to {size:,}"
    measured(at_most(metric, against, by, MOST_GROWN, "times", counted=True))
