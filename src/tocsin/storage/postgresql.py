"""Engines for PostgreSQL: how Tocsin connects, and which settings its sessions have."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url

from tocsin.storage.barrier import WriteBarrier, is_asked_now

SCHEMA = "tocsin"
"""Schema of Tocsin's own tables; DBOS has one of its own."""

CONNECTIONS, MORE_CONNECTIONS = 10, 20

_CONNECT = {
    "application_name": "tocsin",
    "connect_timeout": 3,
    # A database that is gone without a word is noticed after about 8 s, instead of after two hours.
    "keepalives_idle": 5,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,
}
"""Parameters of a connection (PostgreSQL, libpq: parameter key words); those in the URL take precedence."""

_SESSION = {
    "search_path": SCHEMA,
    "lock_timeout": "1500ms",
    "statement_timeout": "10s",
    # A replica that stands still within a transaction must not keep its locks from the others.
    "idle_in_transaction_session_timeout": "5s",
}


def is_postgresql(url: str) -> bool:
    return make_url(url).get_backend_name() in {"postgresql", "postgres"}


def postgresql_url(url: str) -> sa.URL:
    """Return the URL as SQLAlchemy needs it: with psycopg as its driver."""
    given = make_url(url)
    known = {name: str(value) for name, value in _CONNECT.items() if name not in given.query}
    return given.set(drivername="postgresql+psycopg").update_query_dict(known)


def postgresql_engine(
    url: str,
    *,
    session: Mapping[str, str] | None = None,
    autocommit: bool = False,
    wait: Callable[[], None] = lambda: None,
) -> sa.Engine:
    """Return an engine whose sessions have Tocsin's settings and these.

    Nothing is asked of the database before the first connection. `wait` may block a thread that wants one.
    """
    settings = {**_SESSION, **(session or {})}
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}

    class WaitingPool(sa.QueuePool):
        def _do_get(self) -> Any:
            wait()
            return super()._do_get()

    engine = sa.create_engine(
        postgresql_url(url),
        poolclass=WaitingPool,
        pool_size=CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        pool_timeout=3,
        **options,
    )
    said = "; ".join(f"SET {name} = '{value}'" for name, value in settings.items())

    def prepare(connection: Any, _record: Any) -> None:
        before, connection.autocommit = connection.autocommit, True
        connection.execute(said)
        connection.autocommit = before

    event.listen(engine, "connect", prepare)
    return engine


def barred_engine(url: str) -> tuple[sa.Engine, WriteBarrier]:
    """Return an engine, and the barrier that DBOS's threads wait behind while the database takes nothing."""
    barrier: WriteBarrier

    def write() -> None:
        """Write more than a large step, in a table of its own: its file would have to grow. Nothing stays."""
        own = postgresql_engine(url)
        try:
            with own.connect() as connection:
                table = f"tocsin_trial_{secrets.token_hex(8)}"
                connection.exec_driver_sql(f"CREATE TABLE {table} (said BYTEA)")
                connection.exec_driver_sql(
                    f"INSERT INTO {table} VALUES (%s)", (secrets.token_bytes(TRIAL_SIZE),)
                )
                connection.rollback()
        finally:
            own.dispose()
        # Sessions that began while it took nothing may go on to refuse.
        engine.dispose()

    barrier = WriteBarrier(write)
    engine = postgresql_engine(url, wait=barrier.wait)

    def failed(context: sa.ExceptionContext) -> None:
        refused, away = takes_nothing(context.original_exception), context.connection is None
        if barrier.is_closed or not (refused or away):
            return
        barrier.shut(context.original_exception)
        if is_asked_now():
            # DBOS would wait and try again, and a person waits for the answer.
            raise sa.exc.InvalidRequestError(barrier.problem) from context.original_exception
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False

    event.listen(engine, "handle_error", failed)
    return engine, barrier


def create_schema(engine: sa.Engine) -> None:
    """Create Tocsin's schema unless it is there, which may be the case without the right to create one."""
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7466732)")
        if connection.scalar(sa.text("SELECT to_regnamespace(:name)"), {"name": SCHEMA}) is None:
            connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")


TRIAL_SIZE = 1_000_000
"""Bytes of a test write, which must not fit where the next few writes do not."""


def takes_nothing(error: BaseException) -> bool:
    """True if the database is read-only, or lacks room, memory or connections (PostgreSQL, error codes)."""
    code = str(getattr(error, "sqlstate", None) or "")
    return code == "25006" or code.startswith("53")


_AGAIN = frozenset({"40001", "40P01"})
"""Transactions that got in each other's way (PostgreSQL, error codes): one of them is to be repeated."""


def error_code(error: sa.exc.SQLAlchemyError) -> str:
    """Return PostgreSQL's code for the error; empty if it is none of the server's."""
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")


def may_pass(error: sa.exc.SQLAlchemyError) -> bool:
    """True if the same transaction may succeed at once: after a lost connection or a deadlock."""
    return error_code(error) in _AGAIN or bool(getattr(error, "connection_invalidated", False))
