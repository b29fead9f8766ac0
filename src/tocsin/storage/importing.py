"""Import of an embedded journal into PostgreSQL: what was posted where, and what is remembered beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tocsin.incidents.errors import Unavailable
from tocsin.storage.barrier import root_message
from tocsin.storage.database import TABLES, insert
from tocsin.storage.installations import drop_seal

COPIED = (
    "tocsin_sources",
    "tocsin_declared",
    "tocsin_cards",
    "tocsin_channels",
    "tocsin_faces",
    "tocsin_watched",
    "tocsin_departures",
    "tocsin_reminders",
    "tocsin_overdue_updates",
    "tocsin_pages",
    "tocsin_alerts",
    "tocsin_alert_groups",
    "tocsin_ended",
    "tocsin_facts",
    "tocsin_api_keys",
    "tocsin_orgs",
    "tocsin_installations",
)
"""Tables that come over. The others are about the database in which they are: `tocsin_pulse` tests whether it
can be written, and `tocsin_seals` says whether its installations are encrypted. `tocsin_claims` has what ends
within minutes."""

AT_ONCE = 1000
"""Rows that are sent together."""


def copy_journal(path: Path, target: sa.Connection) -> int:
    """Copy the rows of a journal in SQLite and return their number; a row that is there already stays.

    Raises Unavailable if the journal cannot be read.
    """
    source = sa.create_engine(f"sqlite:///{path}")
    try:
        with source.connect() as connection, _explained(path):
            there = set(sa.inspect(connection).get_table_names())
            copied = [
                _copy(connection, target, table)
                for table in TABLES.sorted_tables
                if table.name in COPIED and table.name in there
            ]
    finally:
        source.dispose()
    # Plain installations among encrypted ones are not read; the next start encrypts them all.
    drop_seal(target)
    return sum(copied)


def _copy(source: sa.Connection, target: sa.Connection, table: sa.Table) -> int:
    copied = 0
    rows = source.execution_options(yield_per=AT_ONCE).execute(sa.select(table))
    for some in rows.mappings().partitions(AT_ONCE):
        wanted: list[dict[str, Any]] = [dict(row) for row in some if not _is_secret(table, row)]
        if wanted:
            target.execute(insert(target.dialect.name, table).on_conflict_do_nothing(), wanted)
        copied += len(wanted)
    return copied


def _is_secret(table: sa.Table, row: sa.RowMapping) -> bool:
    """True for a secret of one database: the replicas of another have their own."""
    return table.name == "tocsin_facts" and str(row["name"]).startswith("secret:")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Raise Unavailable for errors of the source; those of the target are the caller's."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        if "sqlite3" not in type(error.orig).__module__:
            raise
        raise Unavailable(f"The journal {path} cannot be read ({root_message(error)}).") from error
