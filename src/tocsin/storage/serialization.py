"""Serialization of DBOS's rows: JSON only, so that no row can run code.

Each row names the serializer to read it with, and DBOS would read a row marked as pickle with Python's
unpickler: a person who can write a row could run a program here. So rows marked as pickle are read by our own
unpickler, which builds only plain values. Earlier versions of Tocsin wrote only such rows; they are rewritten
as JSON before any workflow is resumed. Any other row is not Tocsin's and is refused.
"""

from __future__ import annotations

import builtins
import io
import pickle
from base64 import b64decode
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import dbos._serialization
import sqlalchemy as sa
from dbos import DBOSPortableJSONSerializer
from dbos._serialization import DefaultSerializer

from tocsin.incidents import errors
from tocsin.incidents.errors import Unavailable
from tocsin.storage.sqlite import create_file

JSON = DBOSPortableJSONSerializer()
PICKLE = DefaultSerializer().name()

_PAYLOADS = {
    "workflow_status": ("inputs", "output", "error"),
    "operation_outputs": ("output", "error"),
    "notifications": ("message",),
    "workflow_events": ("value",),
    "workflow_events_history": ("value",),
    "streams": ("value",),
}
"""Serialized columns of each table whose rows name their serializer."""

_BESIDE = {"workflow_input": ("inputs",), "workflow_output": ("output", "error")}
"""Serialized columns of the tables whose serializer is named by the workflow's row in `workflow_status`."""

_MALFORMED = (
    pickle.UnpicklingError, ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, OSError,
    EOFError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""Errors that unpickling may raise (Python, pickle)."""


LONGEST_KEY = 100


class NotOurs(ValueError):
    """A row holds more than plain values, so Tocsin did not write it."""

    def __init__(self) -> None:
        super().__init__(
            "The journal has a row that Tocsin did not write; it is not read, since that could run a program"
        )


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler of plain values and exceptions (Python, pickle: restricting globals)."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[str, ModuleType] = {"builtins": builtins, errors.__name__: errors}
        found = getattr(known.get(module), name, None)
        if isinstance(found, type) and issubclass(found, Exception):
            # A new class of the same name, whose constructor takes anything and does nothing.
            return type(name, (Exception,), {})
        raise NotOurs


class PlainSerializer(DefaultSerializer):
    """DBOS's pickle serializer, restricted to reading plain values."""

    def deserialize(self, serialized_data: str) -> Any:
        try:
            return _PlainUnpickler(io.BytesIO(b64decode(serialized_data))).load()
        except _MALFORMED:
            raise NotOurs from None


def read_plainly() -> None:
    """Make DBOS in this process read rows only as JSON or as plain values."""
    dbos._serialization.DBOSDefaultSerializer = PlainSerializer()


def json_only(url: str) -> None:
    """Rewrite all rows of this SQLite file as JSON. Raises Unavailable if a row is not Tocsin's."""
    create_file(url)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
        rewrite_as_json(connection)
    engine.dispose()


def rewrite_as_json(connection: sa.Connection) -> None:
    """Rewrite pickled rows of earlier versions as JSON. Raises Unavailable if a row is not Tocsin's."""
    for rewriting in _rewritten(connection):
        connection.execute(rewriting)


def refuse_foreign(connection: sa.Connection) -> None:
    """Raise Unavailable if a row is neither JSON nor of an earlier version of Tocsin; change nothing."""
    for _ in _rewritten(connection):
        pass


def _rewritten(connection: sa.Connection) -> Iterator[sa.Update]:
    """Yield the updates that rewrite every row that is not JSON."""
    schema = None if connection.dialect.name == "sqlite" else "dbos"
    foreign = _tables_with_others(connection, schema)
    if not foreign:
        return
    tables = sa.MetaData(schema=schema)
    tables.reflect(connection, only=lambda name, _: name in foreign or name in _BESIDE)
    by_name = {table.name: table for table in tables.tables.values()}
    for table in [by_name[name] for name in _PAYLOADS if name in by_name]:
        keys = list(table.primary_key)
        asked = sa.select(*keys, table.c.serialization).where(table.c.serialization != JSON.name())
        beside = [by_name[name] for name in _BESIDE] if table.name == "workflow_status" else []
        for row in connection.execute(asked).mappings().all():
            try:
                for place in (*beside, table):
                    yield from _row_rewritten(connection, place, row)
            except NotOurs as error:
                which = ascii(" ".join(str(row[key.name]) for key in keys))[:LONGEST_KEY]
                raise Unavailable(f"{error} ({table.name}, {which}).") from None


def _tables_with_others(connection: sa.Connection, schema: str | None) -> set[str]:
    """Return the names of the tables that have a row that is not JSON: mostly none, and soon said."""
    there = _PAYLOADS.keys() & set(sa.inspect(connection).get_table_names(schema))
    if not there:
        return set()
    place = f"{schema}." if schema else ""
    # One question as text: SQLAlchemy would take longer to compile one for each table than to ask it.
    looks = (
        f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {place}{name} WHERE serialization != :ours)"
        for name in sorted(there)
    )
    return set(connection.scalars(sa.text(" UNION ALL ".join(looks)), {"ours": JSON.name()}))


def _row_rewritten(connection: sa.Connection, table: sa.Table, row: sa.RowMapping) -> Iterator[sa.Update]:
    if row["serialization"] != PICKLE:
        raise NotOurs
    here = sa.and_(*(column == row[column.name] for column in table.primary_key))
    payloads = [table.c[name] for name in (_PAYLOADS | _BESIDE)[table.name]]
    found = connection.execute(sa.select(*payloads).where(here)).mappings().all()
    said = {name: _as_json(name, text) for kept in found for name, text in kept.items() if text is not None}
    mark = {"serialization": JSON.name()} if "serialization" in table.c else {}
    if said or mark:
        yield sa.update(table).where(here).values(**said, **mark)


def _as_json(column: str, text: str) -> str:
    """Return a pickled value as the JSON that DBOS writes in this column. Raises NotOurs."""
    value = PlainSerializer().deserialize(text)
    try:
        if column == "inputs":
            value = {"namedArgs": value["kwargs"], "positionalArgs": list(value["args"])}
        elif column == "error":
            value = {"name": type(value).__name__, "message": str(value)}
        return JSON.serialize(value)
    except (TypeError, LookupError, ValueError, RecursionError):
        raise NotOurs from None
