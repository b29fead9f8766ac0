"""The configured choices as rows.

So the choices of old incidents can still be named after the configuration has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tocsin.backends.local.connection import Row, SqlConnection
from tocsin.incidents.model import OPEN_CATEGORIES, Form

ELSEWHERE = {"options", "searched", "catalog_type_id", "required_when", "asked"}
"""Properties of a custom field that are no columns.

Options have their own table, and no old incident needs the others to be shown.
"""


def update_choices(db: SqlConnection, form: Form, now: str) -> None:
    """Update the tables to match the form; rows that the form lacks are archived, never deleted."""
    if not list(_changes(db, form, now)):
        return
    with db.transaction("choices"):
        # Compared again under the lock: another process may have written the same rows meanwhile.
        for table, row, known in list(_changes(db, form, now)):
            if known:
                _update(db, table, row, known, now)
            else:
                _insert(db, table, {**row, "created_at": now, "updated_at": now})
        agree_on_what_is_open(db, now)


def agree_on_what_is_open(db: SqlConnection, now: str) -> None:
    """Close or reopen incidents whose status got another category in the configuration."""
    marks = ", ".join("?" * len(OPEN_CATEGORIES))
    is_open = f"incident_status_id IN (SELECT id FROM incident_statuses WHERE category IN ({marks}))"
    categories = sorted(OPEN_CATEGORIES)
    db.execute(f"UPDATE incidents SET closed_at = NULL WHERE closed_at IS NOT NULL AND {is_open}", categories)
    db.execute(
        f"UPDATE incidents SET closed_at = ? WHERE closed_at IS NULL AND NOT ({is_open})", [now, *categories]
    )


def _changes(db: SqlConnection, form: Form, now: str) -> Iterator[tuple[str, Row, tuple[str, ...]]]:
    for table, keys, wanted in _tables(form):
        for row, known in _differences(db, table, keys, wanted, now):
            yield table, row, known


def _tables(form: Form) -> Iterator[tuple[str, tuple[str, ...], list[Row]]]:
    yield "severities", ("id",), [severity.model_dump() for severity in form.severities]
    yield "incident_statuses", ("id",), [status.model_dump() for status in form.statuses]
    yield "incident_types", ("id",), [kind.model_dump() for kind in form.incident_types]
    yield "incident_roles", ("id",), [role.model_dump() for role in form.roles]
    yield "incident_timestamps", ("id",), [timestamp.model_dump() for timestamp in form.incident_timestamps]
    fields = enumerate(form.custom_fields)
    yield "custom_fields", ("id",), [{**f.model_dump(exclude=ELSEWHERE), "rank": r} for r, f in fields]
    yield (
        "custom_field_options",
        ("custom_field_id", "id"),
        [
            {"custom_field_id": field.id, **option.model_dump()}
            for field in form.custom_fields
            for option in field.options
        ],
    )


def _differences(
    db: SqlConnection, table: str, keys: tuple[str, ...], wanted: list[Row], now: str
) -> Iterator[tuple[Row, tuple[str, ...]]]:
    """Yield the rows to write, each with the names of its key columns (none for a new row)."""
    wanted = [{column: _plain(value) for column, value in row.items()} for row in wanted]
    there = {tuple(row[key] for key in keys): row for row in db.query(f"SELECT * FROM {table}")}
    for row in wanted:
        found = there.pop(tuple(row[key] for key in keys), None)
        if found is None:
            yield row, ()
        elif found["archived_at"] or any(found[column] != value for column, value in row.items()):
            yield {**row, "archived_at": None}, keys
    for row in there.values():
        if not row["archived_at"]:
            yield {**{key: row[key] for key in keys}, "archived_at": now}, keys


def _plain(value: Any) -> Any:
    """Return the value as its column keeps it: a switch is a number, as SQLite has no other."""
    return int(value) if isinstance(value, bool) else value


# Table and column names below come only from this module and the models, never from user input.


def _insert(db: SqlConnection, table: str, row: Mapping[str, Any]) -> None:
    columns = ", ".join(row)
    marks = ", ".join(f":{column}" for column in row)
    db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", dict(row))


def _update(db: SqlConnection, table: str, row: Mapping[str, Any], keys: tuple[str, ...], now: str) -> None:
    changed = ", ".join(f"{column} = :{column}" for column in [*row, "updated_at"] if column not in keys)
    where = " AND ".join(f"{key} = :{key}" for key in keys)
    db.execute(f"UPDATE {table} SET {changed} WHERE {where}", {**row, "updated_at": now})
