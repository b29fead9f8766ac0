"""Examination of a PostgreSQL database for `tocsin doctor`: its version, rights, replicas and clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tocsin.incidents.errors import Unavailable
from tocsin.storage.barrier import root_message
from tocsin.storage.postgresql import SCHEMA, postgresql_engine
from tocsin.storage.replicas import count_alive
from tocsin.workflows.ports import CheckResult

OLDEST_VERSION = 13
SKEW_SECONDS = 5.0
SCHEMAS = [SCHEMA, "dbos"]

_SERVER = sa.text("""
    SELECT current_setting('server_version_num')::int / 10000 AS version,
        quote_ident(current_user) AS role, quote_ident(current_database()) AS name,
        current_setting('transaction_read_only') = 'on' AS is_read_only,
        has_database_privilege(current_database(), 'CREATE') AS may_create,
        extract(epoch FROM clock_timestamp())::float AS now
""")
_OPEN_SCHEMAS = sa.text("""
    SELECT nspname, has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') AS is_open
    FROM pg_namespace WHERE nspname = ANY(:schemas)
""")
_CLOSED_TABLES = sa.text("""
    SELECT DISTINCT nspname FROM pg_class t JOIN pg_namespace s ON s.oid = t.relnamespace
    WHERE nspname = ANY(:schemas) AND relkind IN ('r', 'p') AND NOT (
        has_table_privilege(t.oid, 'SELECT') AND has_table_privilege(t.oid, 'INSERT')
        AND has_table_privilege(t.oid, 'UPDATE') AND has_table_privilege(t.oid, 'DELETE'))
    ORDER BY nspname
""")


@dataclass(frozen=True)
class DatabaseState:
    """Facts about a database that answers."""

    version: int
    is_read_only: bool
    refusals: tuple[str, ...]
    """Statements with which an administrator gives Tocsin's user the rights that it lacks."""
    has_tables: bool
    replicas: int
    """Number of replicas that run."""
    ahead: float
    """Seconds that its clock is ahead of this machine's."""

    @property
    def can_be_used(self) -> bool:
        return self.version >= OLDEST_VERSION and not self.is_read_only and not self.refusals


async def fetch_state(url: str, clock: Callable[[], float] = time.time) -> DatabaseState:
    """Examine the database and change nothing. Raises Unavailable if it cannot be reached."""
    return await asyncio.to_thread(_fetch_state, url, clock)


def _fetch_state(url: str, clock: Callable[[], float]) -> DatabaseState:
    try:
        engine = postgresql_engine(url)
        try:
            with engine.connect() as connection:
                return _read_state(connection, clock)
        finally:
            engine.dispose()
    except sa.exc.SQLAlchemyError as error:
        raise Unavailable(f"It cannot be reached ({root_message(error)}).") from None


def _read_state(connection: sa.Connection, clock: Callable[[], float]) -> DatabaseState:
    asked = clock()
    server = connection.execute(_SERVER).one()
    answered = clock()
    refusals = _refusals(connection, server)
    return DatabaseState(
        version=server.version,
        is_read_only=server.is_read_only,
        refusals=refusals,
        has_tables=sa.inspect(connection).has_table("tocsin_installations"),
        replicas=0 if refusals else count_alive(connection),
        ahead=server.now - (asked + answered) / 2,
    )


def _refusals(connection: sa.Connection, server: sa.Row[tuple[object, ...]]) -> tuple[str, ...]:
    found = connection.execute(_OPEN_SCHEMAS, {"schemas": SCHEMAS}).all()
    is_open = {row.nspname: row.is_open for row in found}
    needed = [
        f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {server.role};"
        for schema in SCHEMAS
        if not is_open.get(schema, True)
    ]
    if len(is_open) < len(SCHEMAS) and not server.may_create:
        needed.append(f"GRANT CREATE ON DATABASE {server.name} TO {server.role};")
    closed = connection.scalars(_CLOSED_TABLES, {"schemas": SCHEMAS}).all()
    return (*needed, *(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {server.role};" for schema in closed))


def examine_database(state: DatabaseState, most_replicas: int | None = None) -> Sequence[CheckResult]:
    """Return the checks of the database and of the replicas; `most_replicas` is the number that may run."""
    name, checks = "Database", []
    if state.version < OLDEST_VERSION:
        fix = f"Use version {OLDEST_VERSION} or newer."
        checks.append(CheckResult(name=name, ok=False, said=f"it is PostgreSQL {state.version}.", fix=fix))
    if state.is_read_only:
        fix = "Name the primary in TOCSIN_DATABASE_URL."
        said = "it takes no changes: it is a standby, or was made read-only."
        checks.append(CheckResult(name=name, ok=False, said=said, fix=fix))
    if state.refusals:
        fix = f"Have an administrator run: {' '.join(state.refusals)}"
        said = f"its user lacks rights in the schemas {' and '.join(SCHEMAS)}."
        checks.append(CheckResult(name=name, ok=False, said=said, fix=fix))
    if state.can_be_used:
        checks.append(
            CheckResult(name=name, ok=True, said=f"PostgreSQL {state.version}, and it can be used.")
        )
    if abs(state.ahead) > SKEW_SECONDS:
        said = f"its clock is {abs(state.ahead):.0f} s off this machine's."
        fix = "Turn on time synchronisation on both: timedatectl set-ntp true"
        checks.append(CheckResult(name=name, ok=False, said=said, fix=fix))
    return [*checks, _replicas_check(state.replicas, most_replicas)]


def _replicas_check(running: int, most: int | None) -> CheckResult:
    name, said = "Replicas", {0: "none runs now.", 1: "one runs now."}.get(running, f"{running} run now.")
    if most is None or running <= most:
        return CheckResult(name=name, ok=True, said=said)
    said = f"{running} run now, and Slack gives connections in Socket Mode to {most}."
    return CheckResult(
        name=name, ok=False, said=said, fix="Stop the others, or let Slack call Tocsin over HTTP."
    )
