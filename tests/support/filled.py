"""The same incidents in both databases, as many as one likes, made by the databases themselves."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.sql import Literal

from support.declarations import Ticking
from tocsin.backends.local import LocalBackend
from tocsin.backends.local.connection import Parameters, Query, Row, SqlConnection
from tocsin.backends.local.listing import IncidentListing
from tocsin.backends.local.postgresql import (
    IMPORTING,
    SEARCHABLE,
    SESSION,
    PostgresqlConnection,
    indexed_words,
)
from tocsin.config import IncidentConfig
from tocsin.incidents.model import PersonId, TeamId
from tocsin.incidents.requests import NOBODY, IncidentFilter, IncidentQuery
from tocsin.storage.postgresql import postgresql_engine

ANA, BEN, STRANGER = PersonId("U0000000ANA"), PersonId("U0000000BEN"), PersonId("U0STRANGER")
NORTH, SOUTH = TeamId("T0NORTH"), TeamId("T0SOUTH")

# Every fourth is private, every third open; every list of twenty is full among a thousand already.
_INCIDENTS = """
INSERT INTO incidents (
    id, number, reference, idempotency_key, name, summary, severity_id, incident_status_id, incident_type_id,
    visibility, mode, slack_team_id, creator_slack_user_id, created_at, updated_at, closed_at)
SELECT {id}, n, 'INC-' || n, 'key-' || n,
    CASE n % 10 WHEN 0 THEN 'Checkout is slow, case ' ELSE 'Search is down, case ' END || n,
    CASE n % 40 WHEN 3 THEN 'Half of the payments fail.' ELSE 'Half of it fails.' END,
    CASE n % 5 WHEN 4 THEN 'minor' WHEN 3 THEN 'major' WHEN 2 THEN 'major' ELSE 'critical' END,
    CASE WHEN n % 3 > 0 THEN 'closed' WHEN n % 5 < 3 THEN 'fixing' ELSE 'investigating' END, 'incident',
    CASE n % 4 WHEN 3 THEN 'private' ELSE 'public' END, 'standard',
    CASE n % 9 WHEN 0 THEN 'T0SOUTH' ELSE 'T0NORTH' END,
    CASE n % 7 WHEN 0 THEN 'U0000000BEN' ELSE 'U0000000ANA' END,
    '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z',
    CASE WHEN n % 3 = 0 THEN NULL ELSE '2026-01-01T00:30:00.000000Z' END
FROM {numbers}
"""
_ROLES = """
INSERT INTO incident_role_assignments (incident_id, incident_role_id, assignee_slack_user_id)
SELECT id, 'lead', CASE WHEN number % 2 = 0 OR number % 8 = 3 THEN 'U0000000BEN' END FROM incidents
"""
_TIMELINE = """
INSERT INTO incident_timeline_items (incident_id, idempotency_key, timestamp, verb, text)
SELECT id, 'declared', created_at, 'declared', name FROM incidents
"""
POSTGRESQL = {"id": "lpad(n::text, 26, '0')", "numbers": "generate_series(1, {size}) n"}
SQLITE = {
    "id": "printf('%026d', n)",
    "numbers": """(
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {size})
    SELECT n FROM numbers)""",
}
AT_ONCE = 10_000

FEW = 1_000
MANY, SAMPLE, MILLION = (FEW + blocks * 1_024 for blocks in (19, 97, 976))
"""Their newest numbers have one place in the blocks of numbers that a search for words goes through whole."""


async def in_postgresql(url: str) -> LocalBackend:
    engine = postgresql_engine(url, session=SESSION, autocommit=True)
    return await LocalBackend.open(
        engine, IncidentConfig(), public_url="http://127.0.0.1:8080", clock=Ticking()
    )


def fill(db: SqlConnection, size: int) -> None:
    """Put so many incidents into an empty database."""
    own = POSTGRESQL if isinstance(db, PostgresqlConnection) else SQLITE
    statement = _INCIDENTS.format(**own).format(size=size)
    with db.transaction("fill"):
        if isinstance(db, PostgresqlConnection):
            db.execute("SET LOCAL statement_timeout = 0; SET LOCAL maintenance_work_mem = '512MB'")
            db.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            db.execute(f"SET LOCAL {IMPORTING} = 'on'")
        for one in (statement, _ROLES, _TIMELINE):
            db.execute(one)
        if isinstance(db, PostgresqlConnection):
            _index_words(db)
            db.execute("ANALYZE")


def _index_words(db: PostgresqlConnection) -> None:
    """As the import does it: the index is made once all rows are there."""
    db.execute("DROP INDEX incident_words_by_word")
    last, cursor = 0, db.connection.connection.cursor()
    page = f"{SEARCHABLE} WHERE i.number > ? ORDER BY i.number LIMIT ?"
    while rows := list(db.query(page, [last, AT_ONCE])):
        with cursor.copy("COPY incident_words FROM STDIN") as copy:
            for row in rows:
                copy.write_row((row["number"], indexed_words(row)))
        last = rows[-1]["number"]
    db.execute(
        "CREATE INDEX incident_words_by_word ON incident_words USING gin (words) WITH (fastupdate = off)"
    )


LISTS: dict[str, IncidentFilter] = {
    "all": IncidentFilter(),
    "open": IncidentFilter(is_open=True),
    "closed": IncidentFilter(is_open=False),
    "a severity": IncidentFilter(severity_id="minor"),
    "open and critical": IncidentFilter(is_open=True, severity_id="critical"),
    "a status": IncidentFilter(incident_status_id="fixing"),
    "a status and a severity": IncidentFilter(incident_status_id="fixing", severity_id="critical"),
    "a workspace's": IncidentFilter(teams=frozenset([SOUTH])),
    "open, for a stranger": IncidentFilter(is_open=True, visible_to=STRANGER),
    "all that Ana may see": IncidentFilter(visible_to=ANA),
    "closed that Ben may see": IncidentFilter(visible_to=BEN, is_open=False),
    "Ana's own": IncidentFilter(involving=ANA),
    "Ben's own, open": IncidentFilter(involving=BEN, visible_to=BEN, is_open=True),
    "Ben's that Ana may see": IncidentFilter(involving=BEN, visible_to=ANA),
    "Ben's that a stranger may see": IncidentFilter(involving=BEN, visible_to=STRANGER),
    "a reference": IncidentFilter(reference="INC-777", visible_to=BEN),
    "a hidden reference": IncidentFilter(reference="INC-779", visible_to=STRANGER),
    "a common word": IncidentFilter(text="down"),
    "one letter": IncidentFilter(text="c"),
    "a word": IncidentFilter(text="checkout"),
    "a rarer word": IncidentFilter(text="payments"),
    "two words": IncidentFilter(text="half checkout"),
    "a word of open ones": IncidentFilter(text="search", is_open=True),
    "a word of private ones, for a stranger": IncidentFilter(text="payments", visible_to=STRANGER),
    "a word for a stranger": IncidentFilter(text="checkout", visible_to=STRANGER),
    "a word for Ana": IncidentFilter(text="payments", visible_to=ANA),
    "a word among Ben's own": IncidentFilter(text="search", involving=BEN),
    "a word that none has": IncidentFilter(text="zebra"),
    "a word that none has, for Ana": IncidentFilter(text="zebra", visible_to=ANA),
    "a word that none has, among Ana's own": IncidentFilter(text="zebra", involving=ANA),
}

Look = Callable[[LocalBackend, int], Awaitable[Any]]


PAGES: dict[str, IncidentQuery] = {
    "the open ones": IncidentQuery(group="open"),
    "the closed ones, for a stranger": IncidentQuery(group="closed", visible_to=STRANGER),
    "the closed ones of a severity, for Ben": IncidentQuery(
        group="closed", severity_id="major", visible_to=BEN
    ),
    "the oldest ones of a status": IncidentQuery(incident_status_id="fixing", oldest_first=True),
    "those of a workspace and a type": IncidentQuery(
        teams=frozenset([SOUTH]), incident_type_id="incident", visible_to=NOBODY
    ),
    "those that Ben leads": IncidentQuery(person=BEN, role_id="lead", group="open", visible_to=NOBODY),
    "the closed ones with a word": IncidentQuery(group="closed", text="checkout", visible_to=NOBODY),
    "the open ones with a word, of a type": IncidentQuery(
        group="open", text="search", incident_type_id="incident", visible_to=NOBODY
    ),
    "the closed ones with two words, of a type": IncidentQuery(
        group="closed", text="half checkout", incident_type_id="incident", visible_to=NOBODY
    ),
}
"""Pages of the list, each walk of which has more than it looks at among a thousand already."""


def on_a_page(wanted: IncidentQuery) -> Look:
    return lambda backend, _: backend.listed(wanted.model_copy(update={"limit": 20}))


def listed(wanted: IncidentFilter) -> Look:
    return lambda backend, _: backend.matching(wanted, limit=20)


LOOKS: dict[str, Look] = {
    **{name: listed(wanted) for name, wanted in LISTS.items()},
    "the newest": lambda backend, _: backend.incidents(limit=20),
    "older than one in the middle": lambda backend, n: backend.incidents(after=f"{n // 2:026}", limit=20),
    "open ones from the middle on": lambda backend, n: backend.matching(
        IncidentFilter(is_open=True), after=f"{n // 2:026}", limit=20
    ),
    "a word from the middle on": lambda backend, n: backend.matching(
        IncidentFilter(text="checkout"), after=f"{n // 2:026}", limit=20
    ),
    "a page of the API": lambda backend, _: backend.reader.page(IncidentListing(sees_private=False)),
    "a page of the API by status, oldest first": lambda backend, n: backend.reader.page(
        IncidentListing(
            sees_private=True, statuses=frozenset({"fixing", "closed"}), oldest_first=True, limit=3
        )
    ),
    "a page of the API by severity": lambda backend, n: backend.reader.page(
        IncidentListing(sees_private=True, severities=frozenset({"minor"}), after=f"{n // 2:026}", limit=3)
    ),
    **{f"a page of {name}": on_a_page(wanted) for name, wanted in PAGES.items()},
    "by its reference": lambda backend, n: backend.find(f"INC-{n // 2}"),
    "by its id": lambda backend, n: backend.find(f"{n // 2:026}"),
    "its timeline": lambda backend, n: backend.timeline(f"{n // 2:026}"),
}


# What PostgreSQL counts of a statement.


@dataclass
class Work:
    """Rows that plan nodes handed on or threw away, and pages of 8 kB that they looked at."""

    rows: int = 0
    pages: int = 0
    statements: int = 0
    plans: list[dict[str, Any]] = field(default_factory=list)

    def add(self, plan: dict[str, Any]) -> None:
        self.statements += 1
        self.rows += sum(_rows(node) for node in nodes(plan))
        self.pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        self.plans.append(plan)

    @property
    def node_types(self) -> set[str]:
        return {node["Node Type"] for plan in self.plans for node in nodes(plan)}

    @property
    def indexes(self) -> list[str]:
        return [node["Index Name"] for plan in self.plans for node in nodes(plan) if "Index Name" in node]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def _rows(node: dict[str, Any]) -> int:
    thrown_away = ("Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
    each = node["Actual Rows"] + sum(node.get(name, 0) for name in thrown_away)
    return int(each * node["Actual Loops"])


MOST_GROWN = 1.05
DEEPER = 3
"""Pages of a statement grow as trees get deeper: to this many times at most."""


def grown(name: str, few: Work, many: Work, size: int) -> list[str]:
    """Return a sentence for each way in which a look costs more among many than among FEW.

    A word that is rare is looked for in span after span of numbers, each four times as wide, among what is
    public and what is not: so there may be two statements more for each fourfold of the incidents.
    """
    print(
        f"{name}: {few.rows} and {many.rows} rows, {few.pages} and {many.pages} pages, "
        f"{few.statements} and {many.statements} statements"
    )
    assert few.rows, "a look that takes no rows was not counted"
    more = 2 * math.ceil(math.log(size / FEW, 4))
    wrong = {
        f"{many.rows} rows instead of {few.rows}": many.rows > MOST_GROWN * few.rows,
        f"{many.statements} statements instead of {few.statements}": many.statements > few.statements + more,
        f"{many.pages} pages instead of {few.pages}": (
            many.pages / many.statements > DEEPER * few.pages / few.statements
        ),
        "every row of a table is read": "Seq Scan" in many.node_types,
    }
    return [sentence for sentence, is_wrong in wrong.items() if is_wrong]


EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"


class Counting:
    """A connection of the backend's that has each of its queries counted, and then runs it as it is.

    With `generic` it counts the plan without values, which PostgreSQL may go over to when a statement was run
    often (PREPARE, notes).
    """

    def __init__(self, db: PostgresqlConnection, work: Work, generic: bool) -> None:
        self._db = db
        self._work = work
        self._generic = generic

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, sql: str, parameters: Parameters = ()) -> Any:
        if sql.lstrip().startswith(("SELECT", "WITH")):
            explained = self._prepared(sql, parameters) if self._generic else f"{EXPLAIN} {sql}"
            plan = self._db.execute(explained, () if self._generic else parameters).fetchone()
            self._work.add(plan[0][0]["Plan"])
        return self._db.execute(sql, parameters)

    def _prepared(self, sql: str, parameters: Parameters) -> str:
        """The statement that explains a prepared one, of the types that psycopg gives to these values."""
        values = list(parameters)
        types = ", ".join(map(_type, values))
        marks = (f"${number}" for number in range(1, len(values) + 1))
        numbered = re.sub(r"\?", lambda _: next(marks), sql)
        self._db.execute("SET plan_cache_mode = force_generic_plan; DEALLOCATE ALL")
        raw = self._db.connection.connection.driver_connection
        raw.execute(f"PREPARE counted{f'({types})' if values else ''} AS {numbered}")
        given = ", ".join(Literal(value).as_string(raw) for value in values)
        return f"{EXPLAIN} EXECUTE counted{f'({given})' if values else ''}"

    def query(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        yield from (dict(row) for row in self.execute(sql, parameters).mappings())

    def word_searches(self, *wanted: Any) -> Sequence[Query]:
        return PostgresqlConnection.word_searches(self, *wanted)  # type: ignore[arg-type]


def _type(value: Any) -> str:
    if isinstance(value, int):
        return "smallint" if value < 2**15 else "integer" if value < 2**31 else "bigint"
    return "text[]" if isinstance(value, list) else "text"


class CountedDatabase:
    """In place of the backend's database: counts what each look makes PostgreSQL do."""

    def __init__(self, inner: Any, generic: bool) -> None:
        self._inner = inner
        self._generic = generic
        self.work = Work()

    async def run(self, work: Callable[[Any], Any]) -> Any:
        return await self._inner.run(lambda db: work(Counting(db, self.work, self._generic)))

    async def close(self) -> None:
        await self._inner.close()


async def counted(backend: LocalBackend, size: int, look: Look, *, generic: bool = False) -> tuple[Work, Any]:
    """What one look makes PostgreSQL do, and what it finds."""
    watched = CountedDatabase(backend.database, generic)
    backend.database = watched  # type: ignore[assignment]
    try:
        found = await look(backend, size)
    finally:
        backend.database = watched._inner
    return watched.work, found
