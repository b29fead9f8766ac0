"""The PostgreSQL database of the local backend: its connection, its tables, its errors.

Several replicas of Tocsin share it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from tocsin.backends.local.connection import WORD, Parameters, Query, Row, SqlConnection, T
from tocsin.backends.local.schema import (
    ALERTS,
    ASSIGNED,
    AUTOMATIONS,
    BY_KEYS,
    CALLS,
    COUNTED_COLUMNS,
    COUNTED_PARTS,
    INSIGHTS,
    LISTS,
    MEMBER,
    MEMBERS,
    NEXT_DELIVERIES,
    PEOPLE_BY_NAME,
    TABLES,
    TASKS,
    TIMESTAMPS,
    UPDATED,
    WEBHOOKS,
)
from tocsin.incidents.errors import Refused, Unavailable
from tocsin.storage.postgresql import error_code, may_pass

SESSION = {
    "enable_seqscan": "off",
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    # Else it prefers an index that it believes to be in the order of the pages, and throws rows away.
    "seq_page_cost": "0",
    "random_page_cost": "0",
}
"""Settings of each session. Every list walks along one index (see `schema.py`), and the planner shall take no
other way because a table is small, or because its statistics are old: what counts is the number of rows."""

READING = {"default_transaction_read_only": "on"}

# Tables. Each entry was applied to existing databases and never changes. Replicas of the version before run
# on for a while beside those of the new one, so an entry may add, but neither rename nor drop.

# Indexed as columns: the planner rewrites an expression such as `(closed_at IS NULL) = false`.
_LISTS = (
    """ALTER TABLE incidents
        ADD COLUMN is_public INTEGER GENERATED ALWAYS AS ((visibility = 'public')::int) STORED,
        ADD COLUMN is_open INTEGER GENERATED ALWAYS AS ((closed_at IS NULL)::int) STORED""",
    *(
        f"CREATE INDEX {name} ON incidents (is_public, {columns.replace('(closed_at IS NULL)', 'is_open')})"
        for name, columns in LISTS.items()
    ),
)
_PEOPLE = (
    """CREATE TABLE incident_people (
        slack_user_id TEXT NOT NULL, is_public INTEGER NOT NULL, is_open INTEGER NOT NULL,
        number INTEGER NOT NULL, part TEXT NOT NULL,
        PRIMARY KEY (slack_user_id, is_public, is_open, number, part))""",
    "CREATE INDEX incident_people_by_number ON incident_people (number)",
    """CREATE FUNCTION incident_people_creator() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$ BEGIN
        INSERT INTO incident_people VALUES (new.creator_slack_user_id, (new.visibility = 'public')::int,
            (new.closed_at IS NULL)::int, new.number, '') ON CONFLICT DO NOTHING;
        RETURN NULL; END $$""",
    """CREATE TRIGGER incident_people_creator AFTER INSERT ON incidents FOR EACH ROW
        WHEN (new.creator_slack_user_id IS NOT NULL) EXECUTE FUNCTION incident_people_creator()""",
    """CREATE FUNCTION incident_people_changed() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$ BEGIN
        UPDATE incident_people SET is_open = (new.closed_at IS NULL)::int,
            is_public = (new.visibility = 'public')::int
        WHERE number = new.number;
        RETURN NULL; END $$""",
    """CREATE TRIGGER incident_people_changed AFTER UPDATE OF closed_at, visibility ON incidents FOR EACH ROW
        EXECUTE FUNCTION incident_people_changed()""",
    """CREATE FUNCTION incident_people_gone() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$ BEGIN
        DELETE FROM incident_people WHERE number = old.number;
        RETURN NULL; END $$""",
    """CREATE TRIGGER incident_people_gone AFTER DELETE ON incidents FOR EACH ROW
        EXECUTE FUNCTION incident_people_gone()""",
    """CREATE FUNCTION incident_people_given() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$ BEGIN
        INSERT INTO incident_people
        SELECT new.assignee_slack_user_id, (visibility = 'public')::int, (closed_at IS NULL)::int, number,
            new.incident_role_id
        FROM incidents WHERE id = new.incident_id ON CONFLICT DO NOTHING;
        RETURN NULL; END $$""",
    """CREATE TRIGGER incident_people_given AFTER INSERT ON incident_role_assignments FOR EACH ROW
        WHEN (new.assignee_slack_user_id IS NOT NULL) EXECUTE FUNCTION incident_people_given()""",
    """CREATE FUNCTION incident_people_taken() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$ BEGIN
        DELETE FROM incident_people WHERE part = old.incident_role_id
            AND number = (SELECT number FROM incidents WHERE id = old.incident_id);
        RETURN NULL; END $$""",
    """CREATE TRIGGER incident_people_taken AFTER DELETE ON incident_role_assignments FOR EACH ROW
        EXECUTE FUNCTION incident_people_taken()""",
)
_WORDS = (
    """CREATE TABLE incident_words (
        number INTEGER PRIMARY KEY REFERENCES incidents(number) ON DELETE CASCADE, words TEXT[] NOT NULL)""",
    # A search reads new words from the index itself, and not from a list beside it (GIN, 70.4.1).
    "CREATE INDEX incident_words_by_word ON incident_words USING gin (words) WITH (fastupdate = off)",
)
_MEMBERS = (
    MEMBERS,
    f"""CREATE FUNCTION incident_people_joined() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$ BEGIN
        INSERT INTO incident_people
        SELECT new.slack_user_id, (visibility = 'public')::int, (closed_at IS NULL)::int, number, '{MEMBER}'
        FROM incidents WHERE id = new.incident_id ON CONFLICT DO NOTHING;
        RETURN NULL; END $$""",
    """CREATE TRIGGER incident_people_joined AFTER INSERT ON incident_memberships FOR EACH ROW
        EXECUTE FUNCTION incident_people_joined()""",
    f"""CREATE FUNCTION incident_people_left() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$ BEGIN
        DELETE FROM incident_people WHERE part = '{MEMBER}' AND slack_user_id = old.slack_user_id
            AND number = (SELECT number FROM incidents WHERE id = old.incident_id);
        RETURN NULL; END $$""",
    """CREATE TRIGGER incident_people_left AFTER DELETE ON incident_memberships FOR EACH ROW
        EXECUTE FUNCTION incident_people_left()""",
)
IMPORTING = "tocsin.importing"
"""Setting that is `on` in the transaction of an import, which forgets all counts of days itself."""

_COUNTING = "insight days"
"""Scope of the lock that changes share while they commit, and that a count of days has alone.

None of them waits for it: a replica that stands still while it counts keeps no change waiting.
"""


def _counted_anew() -> tuple[str, ...]:
    """Return the triggers that delete the counts of a day whose incidents change.

    They run at the commit, after everything else, so that they wait for nothing that waits for them. Their
    functions are others since (see `_counted_anew_without_waiting`).
    """
    begin = "LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN"
    wait = f"PERFORM pg_advisory_xact_lock_shared({_lock_number(_COUNTING)});"

    def forget(row: str) -> str:
        return (
            f"DELETE FROM insight_days WHERE is_public = ({row}.visibility = 'public')::int"
            f" AND day = left({row}.created_at, 10);"
        )

    def trigger(table: str, event: str, function: str, only: str = "") -> str:
        when = f"COALESCE(current_setting('{IMPORTING}', true), '') <> 'on'{only}"
        name = f"insight_days_{table}_{event.split()[0].lower()}"
        return (
            f"CREATE CONSTRAINT TRIGGER {name} AFTER {event} ON {table} DEFERRABLE INITIALLY DEFERRED"
            f" FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {function}()"
        )

    functions = {
        "insight_days_added": forget("new"),
        "insight_days_changed": f"{forget('old')} {forget('new')}",
        "insight_days_gone": forget("old"),
        "insight_days_statuses": "DELETE FROM insight_days WHERE is_public >= 0;",
        "insight_days_parts": """DELETE FROM insight_days d USING incidents i
            WHERE i.id IN (new.incident_id, old.incident_id)
            AND d.is_public = (i.visibility = 'public')::int AND d.day = left(i.created_at, 10);""",
    }
    return (
        *(
            f"CREATE FUNCTION {name}() RETURNS trigger {begin} {wait} {body} RETURN NULL; END $$"
            for name, body in functions.items()
        ),
        trigger("incidents", "INSERT", "insight_days_added"),
        trigger("incidents", f"UPDATE OF {COUNTED_COLUMNS}", "insight_days_changed"),
        trigger("incidents", "DELETE", "insight_days_gone"),
        trigger(
            "incident_statuses",
            "UPDATE OF category",
            "insight_days_statuses",
            " AND old.category <> new.category",
        ),
        *(trigger(table, "INSERT OR UPDATE OR DELETE", "insight_days_parts") for table in COUNTED_PARTS),
    )


# A change that comes while something is counted leaves a row, which conflicts with none: it cannot know
# whether the count has it already, and the row of the day may be locked. The next count begins with these.
_CHANGES = (
    "CREATE TABLE insight_changes (is_public INTEGER NOT NULL, day TEXT NOT NULL)",
    "CREATE INDEX insight_changes_by_visibility ON insight_changes (is_public, day)",
)
_DELETE_VOID = """
WITH changed AS (DELETE FROM insight_changes WHERE is_public >= 0 RETURNING is_public, day)
DELETE FROM insight_days d USING (SELECT DISTINCT is_public, day FROM changed) c
WHERE d.is_public = c.is_public AND (d.day = c.day OR c.day = '')
"""
"""One statement, so that it deletes the rows of those changes alone that it sees."""


def _counted_anew_without_waiting() -> tuple[str, ...]:
    """Return the functions of those triggers, none of which waits for a count."""
    begin = "LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN"

    def forget(row: str) -> str:
        return f"PERFORM insight_days_forget(({row}.visibility = 'public')::int, left({row}.created_at, 10));"

    bodies = {
        "insight_days_added": forget("new"),
        "insight_days_changed": f"{forget('old')} {forget('new')}",
        "insight_days_gone": forget("old"),
        "insight_days_statuses": "PERFORM insight_days_forget(0, ''), insight_days_forget(1, '');",
        "insight_days_parts": f"{forget('i')[:-1]} FROM incidents i"
        " WHERE i.id IN (new.incident_id, old.incident_id);",
    }
    return (
        f"""CREATE FUNCTION insight_days_forget(of_public integer, of_day text) RETURNS void {begin}
            IF NOT pg_try_advisory_xact_lock_shared({_lock_number(_COUNTING)}) THEN
                INSERT INTO insight_changes VALUES (of_public, of_day);
            ELSIF of_day = '' THEN
                DELETE FROM insight_days d WHERE d.is_public = of_public;
            ELSE
                DELETE FROM insight_days d WHERE d.is_public = of_public AND d.day = of_day;
            END IF; END $$""",
        *(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger {begin} {body} RETURN NULL; END $$"
            for name, body in bodies.items()
        ),
    )


def _lock_number(scope: str) -> int:
    digest = hashlib.sha256(f"tocsin incidents {scope}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


_MIGRATIONS = {
    "first_tables": (
        *TABLES,
        *_LISTS,
        # Roles are listed in the order in which they were added, as SQLite's rowid does it.
        "ALTER TABLE incident_roles ADD COLUMN rowid INTEGER GENERATED BY DEFAULT AS IDENTITY",
        *_PEOPLE,
        *_WORDS,
    ),
    "call_links": CALLS,
    "memberships": _MEMBERS,
    "timestamps": TIMESTAMPS,
    "tasks": TASKS,
    "updates": UPDATED,
    "automations": AUTOMATIONS,
    "changes_by_keys": BY_KEYS,
    "alerts": ALERTS,
    "webhooks": WEBHOOKS,
    "people_by_name": PEOPLE_BY_NAME,
    "assigned": ASSIGNED,
    "insight_days": (
        INSIGHTS,
        "CREATE INDEX incidents_by_creation ON incidents (is_public, created_at)",
        *_counted_anew(),
    ),
    "insight_changes": (*_CHANGES, *_counted_anew_without_waiting()),
    "next_deliveries": NEXT_DELIVERIES,
}


def in_postgresql(statement: str) -> str:
    """Return a statement of `schema.py` as PostgreSQL understands it; text sorts by bytes, as in SQLite."""
    identity = "id INTEGER GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    statement = statement.replace(" id INTEGER PRIMARY KEY", f" {identity}")
    return re.sub(r"\bTEXT\b(?!\[)", 'TEXT COLLATE "C"', statement)


def update_tables(db: SqlConnection) -> None:
    """Create the tables, or bring them up to date; replicas that start together do so one after the other."""
    with db.transaction("tables"):
        db.execute("CREATE TABLE IF NOT EXISTS incident_migrations (name TEXT PRIMARY KEY)")
        applied = {row[0] for row in db.execute("SELECT name FROM incident_migrations")}
        for name, statements in _MIGRATIONS.items():
            if name not in applied:
                for statement in statements:
                    db.execute(in_postgresql(statement))
                db.execute("INSERT INTO incident_migrations VALUES (?)", [name])


# The connection.


class PostgresqlConnection(SqlConnection):
    """Connection from the pool, in autocommit mode; it is given back when `run` returns."""

    is_public = "i.is_public"
    is_open = "i.is_open"

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Parameters = ()) -> Any:
        given = parameters if isinstance(parameters, dict) else tuple(parameters)
        return self._connection.exec_driver_sql(_with_psycopg_marks(sql), given)

    @property
    def connection(self) -> sa.Connection:
        """The connection, for another module to write in the same transaction."""
        return self._connection

    def execute_many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        """Run a statement once for each row."""
        self._connection.exec_driver_sql(_with_psycopg_marks(sql), rows)

    def query(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        for row in self.execute(sql, parameters).mappings():
            yield dict(row)

    def lock(self, scope: str) -> None:
        """Wait for the lock of one more scope, until the end of the transaction."""
        self.execute(f"SELECT pg_advisory_xact_lock({_lock_number(scope)})")

    @contextmanager
    def transaction(self, scope: str) -> Iterator[None]:
        """Commit all statements of the block together, under a lock of this scope in the whole database."""
        with self._begun(f"BEGIN; SELECT pg_advisory_xact_lock({_lock_number(scope)})"):
            yield

    @contextmanager
    def _begun(self, begin: str) -> Iterator[None]:
        self.execute(begin)
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if not self._connection.invalidated:
                self.execute("ROLLBACK")
            raise

    @contextmanager
    def counting(self) -> Iterator[bool]:
        """Yield False if a change is being committed, or another count stored: neither is waited for."""
        with self._begun("BEGIN"):
            asked = f"SELECT pg_try_advisory_xact_lock({_lock_number(_COUNTING)})"
            is_lasting = bool(self.execute(asked).fetchone()[0])
            if is_lasting:
                self.execute(_DELETE_VOID)
            yield is_lasting

    def recounted(self, public: int) -> frozenset[str]:
        """Return the days of which a change was committed while something was counted."""
        asked = "SELECT DISTINCT day FROM insight_changes WHERE is_public = ?"
        return frozenset(row[0] for row in self.execute(asked, [public]))

    def forget_counts(self) -> None:
        """Make the counts of all days void with the commit of this transaction."""
        self.execute("SELECT insight_days_forget(0, ''), insight_days_forget(1, '')")

    def indexed_by(self, index: str) -> str:
        return ""

    def word_searches(
        self,
        text: str,
        before: int,
        public: int | None = None,
        people: Sequence[str] = (),
        at_least: int = 0,
    ) -> Sequence[Query]:
        """Return queries over one span of numbers after the other, each a few times wider than the last.

        An index of words (GIN) has no order, and would give all of a million matches for a page of twenty.
        """
        newest = self.execute("SELECT COALESCE(MAX(number), 0) FROM incidents").fetchone()[0]
        asked = [*sorted(set(_words(text))), *map(_person, people)]
        either = [_seen_as(asked, one) for one in ((1, 0) if public is None else (public,))]
        below = min(before, newest + 1)
        searches = []
        for size, wider in pairwise([*BLOCKS, WIDEST]):
            if below > at_least:
                newest_block = (below - 1) // size
                last = newest_block - newest_block % (wider // size)
                blocks = [_block(size, index) for index in range(last, newest_block + 1)]
                wanted = [[*words, block] for words in either for block in blocks]
                searches.append(_word_search(wanted, below, at_least))
                below = last * size
        return [*searches, _word_search(either, below, at_least)] if below > at_least else searches

    def has_words(self, number: str, text: str) -> None:
        """Return None: a search for words finds a person's incidents as well."""

    def contains_words(self, text: str) -> Query:
        words = sorted(set(_words(text)))
        # Behind OFFSET the planner looks for the incident first, and not for the words among all incidents.
        words_of = "SELECT w.words FROM incident_words w WHERE w.number = i.number OFFSET 0"
        found = f"SELECT 1 FROM ({words_of}) own WHERE own.words @> ? OR own.words @> ?"
        return f"EXISTS ({found})", [_seen_as(words, public) for public in (1, 0)]

    def index_words(self, number: int) -> None:
        (row,) = self.query(f"{SEARCHABLE} WHERE i.number = ?", [number])
        self.execute(
            "INSERT INTO incident_words VALUES (?, ?)"
            " ON CONFLICT (number) DO UPDATE SET words = excluded.words",
            [number, indexed_words(row)],
        )


@lru_cache(maxsize=512)
def _with_psycopg_marks(sql: str) -> str:
    marked = re.sub(r"(?<![:\w]):([a-z_]+)", r"%(\1)s", sql.replace("%", "%%"))
    return marked.replace("?", "%s")


# Words, as an array of their beginnings for each incident: `checkout` is found by `c`, `ch`, `che` …

LONGEST_WORD = 24
"""Characters of a word that count; the rest is neither kept nor compared."""

BLOCKS = (16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144)
"""Sizes of the blocks of numbers that can be searched by themselves: each incident also has a word for the
block of each size that it is in."""

WIDEST = 8 * BLOCKS[-1]
"""Numbers that the last of these searches goes through; all that is older follows at once."""


SEARCHABLE = """
SELECT i.number, i.is_public, i.reference || ' ' || i.name || ' ' || i.summary AS text,
    ARRAY(SELECT DISTINCT slack_user_id FROM incident_people p WHERE p.number = i.number) AS people
FROM incidents i
"""


def indexed_words(row: Row) -> list[str]:
    """Return the words by which the incident of this row of SEARCHABLE is found."""
    beginnings = {word[:length] for word in _words(row["text"]) for length in range(1, len(word) + 1)}
    blocks = (_block(size, row["number"] // size) for size in BLOCKS)
    return [*_seen_as([*sorted(beginnings), *map(_person, row["people"])], row["is_public"]), *blocks]


def _words(text: str) -> list[str]:
    """Return the words in small letters, Latin ones without accents, as SQLite's search has them.

    See FTS5, unicode61, remove_diacritics 2.
    """
    return [word[:LONGEST_WORD] for word in WORD.findall("".join(map(_folded, text)))]


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    if character in _ACCENTS:
        return ""
    apart = unicodedata.normalize("NFD", character)
    plain = apart[0] if apart[0].isascii() else character
    return next((one for one in (plain.casefold(), plain.lower()) if len(one) == 1), plain)


_ACCENTS = frozenset(map(chr, range(0x300, 0x332)))
"""Marks that stand after a letter of their own."""


# No word of a text contains a colon, an at sign or a hyphen.


def _block(size: int, index: int) -> str:
    return f"{size}:{index}"


def _seen_as(words: Sequence[str], public: int) -> list[str]:
    """Return the words as an incident has them that is public or not: a search goes through one kind only."""
    return list(words) if public else [f"-{word}" for word in words]


def _person(slack_user_id: str) -> str:
    return f"@{slack_user_id}"


def _word_search(wanted: Sequence[Sequence[str]], before: int, at_least: int) -> Query:
    """Return the query for incidents that have all words of one of these lists."""
    either = " OR ".join(["words @> ?"] * len(wanted))
    # The words are looked up first, and then each incident: left to itself, the planner would rather walk
    # along all numbers, in their order, and look for the words in each row.
    query = f"""
    WITH w AS MATERIALIZED (SELECT number FROM incident_words WHERE {either}),
    matching AS MATERIALIZED (
        SELECT i.number FROM w JOIN incidents i ON i.number = w.number
        WHERE i.number < ? AND i.number >= ?{{conditions}})
    SELECT number FROM matching ORDER BY number DESC"""
    return query, [*map(list, wanted), before, at_least]


# The database.

THREADS = 8
"""Threads, each with a connection, that wait for the database."""

TRIES = 3

_SENTENCES = {
    "25006": "The incident database takes no changes just now; it is read-only.",
    "53100": "The disk of the incident database is full: nothing can be added. Free some space, try again.",
    "53300": "The incident database has no connection left for Tocsin. Try again in a moment.",
    "55P03": "Another program is holding the incidents. Try again in a moment.",
    "57014": "The incident database took too long. Try again in a moment.",
    "42P01": "The database has no incidents yet: Tocsin was never started with it.",
    "42501": "The incident database does not allow that to Tocsin's user. Ask its administrator.",
}
_UNREACHED = "The incident database cannot be reached. Try again in a moment."


class PostgresqlDatabase:
    """IncidentDatabase in PostgreSQL, over the connections of an SQLAlchemy engine in autocommit mode."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="incidents")

    @classmethod
    async def open(cls, engine: sa.Engine) -> PostgresqlDatabase:
        """Create the tables, or bring them up to date. Raises Unavailable."""
        database = cls(engine)
        try:
            await database.run(update_tables)
        except BaseException:
            await database.close()
            raise
        return database

    async def run(self, work: Callable[[PostgresqlConnection], T]) -> T:
        """Run `work` in a thread, again after a lost connection or a deadlock: its keys make that safe.

        Raises Unavailable, and Refused for a character that PostgreSQL cannot keep.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    def _run(self, work: Callable[[PostgresqlConnection], T]) -> T:
        tries = 0
        while True:
            tries += 1
            try:
                with self.engine.connect() as connection:
                    return work(PostgresqlConnection(connection))
            except UnicodeEncodeError as error:
                raise Refused(
                    "The text has a broken character in it that cannot be kept. Remove it."
                ) from error
            except sa.exc.DataError as error:
                raise Refused("The text has a character in it that cannot be kept. Remove it.") from error
            except sa.exc.SQLAlchemyError as error:
                if tries == TRIES or not may_pass(error):
                    raise _unavailable(error) from error

    async def close(self) -> None:
        """Close all connections; closing them again does nothing."""
        self._threads.shutdown(wait=False)
        await asyncio.to_thread(self.engine.dispose)


def _unavailable(error: sa.exc.SQLAlchemyError) -> Unavailable:
    code = error_code(error)
    if code in _SENTENCES:
        return Unavailable(_SENTENCES[code], retry_after=1.0)
    if isinstance(error, sa.exc.OperationalError | sa.exc.TimeoutError):
        return Unavailable(_UNREACHED, retry_after=1.0)
    return Unavailable(f"The incident database could not be used ({type(error).__name__} {code}).")
