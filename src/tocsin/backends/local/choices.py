"""Severities, statuses, types, roles, fields and timestamps as rows.

A kind that the configuration file names follows the file. Every other kind begins with the defaults and is
then ruled by its table. Rows are archived and never deleted, so that old incidents go on naming them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tocsin.backends.local.connection import Row, SqlConnection
from tocsin.backends.local.queries import readable, stripped
from tocsin.config import CHOICE_LIMIT, IncidentConfig
from tocsin.incidents.model import (
    OPEN_CATEGORIES,
    CustomField,
    FieldOption,
    Form,
    IncidentTimestamp,
    IncidentType,
    Role,
    Severity,
    Status,
)
from tocsin.incidents.validation import clean_text, is_visible

SCOPE = "choices"
"""Scope of the transactions that write these tables."""

TABLES = {
    "severities": "severities",
    "statuses": "incident_statuses",
    "incident_types": "incident_types",
    "roles": "incident_roles",
    "custom_fields": "custom_fields",
    "incident_timestamps": "incident_timestamps",
}
"""Table of each kind, by its key in the configuration file."""

ELSEWHERE = {"options", "searched", "catalog_type_id", "required_when", "asked"}
"""Properties of a custom field that are no columns.

Options have their own table, and no old incident needs the others to be shown.
"""


def update_choices(db: SqlConnection, config: IncidentConfig, now: str) -> None:
    """Write what the file rules, and the defaults of what has no rows yet."""
    if not list(_changes(db, config, now)):
        return
    with db.transaction(SCOPE):
        # Compared again under the lock: another process may have written the same rows meanwhile.
        for table, row, known in list(_changes(db, config, now)):
            if known:
                update_row(db, table, row, known, now)
            else:
                insert_row(db, table, {**row, "created_at": now, "updated_at": now})
        agree_on_what_is_open(db, now)


def agree_on_what_is_open(db: SqlConnection, now: str) -> None:
    """Close or reopen incidents whose status got another category in the configuration."""
    marks = ", ".join("?" * len(OPEN_CATEGORIES))
    of = f"incident_status_id IN (SELECT id FROM incident_statuses WHERE category {{}} ({marks}))"
    is_open, is_over, open_ones = of.format("IN"), of.format("NOT IN"), sorted(OPEN_CATEGORIES)
    db.execute(f"UPDATE incidents SET closed_at = NULL WHERE closed_at IS NOT NULL AND {is_open}", open_ones)
    db.execute(f"UPDATE incidents SET closed_at = ? WHERE closed_at IS NULL AND {is_over}", [now, *open_ones])


def ruled_tables(config: IncidentConfig) -> set[str]:
    """Return the tables of the kinds that the configuration file names."""
    found = {table for key, table in TABLES.items() if key in config.model_fields_set}
    return found | ({"custom_field_options"} if "custom_fields" in found else set())


def _changes(
    db: SqlConnection, config: IncidentConfig, now: str
) -> Iterator[tuple[str, Row, tuple[str, ...]]]:
    """Yield the rows to write of the kinds that the file rules, and of those that have no rows yet."""
    empty = {table for table in TABLES.values() if _is_empty(db, table)}
    written = ruled_tables(config) | empty
    written |= {"custom_field_options"} if "custom_fields" in written else set()
    for table, keys, wanted in _tables(config.form()):
        if table in written:
            for row, known in _differences(db, table, keys, wanted, now):
                yield table, row, known


def read_form(db: SqlConnection, config: IncidentConfig) -> Form:
    """Return the choices as they are now: those of the file, and those that the tables rule."""
    form = config.form()
    found = {
        "severities": tuple(Severity(**row) for row in _rows(db, "severities", "rank, created_at, id")),
        "statuses": tuple(Status(**row) for row in _rows(db, "incident_statuses", "rank, created_at, id")),
        "incident_types": tuple(IncidentType(**row) for row in _rows(db, "incident_types", "created_at, id")),
        "roles": tuple(Role(**row) for row in _rows(db, "incident_roles", "rowid")),
        "incident_timestamps": tuple(
            IncidentTimestamp(**row) for row in _rows(db, "incident_timestamps", "rank, id")
        ),
    }
    if "custom_fields" not in config.model_fields_set:
        found["custom_fields"] = _fields(db)
    ruled = {key: rows for key, rows in found.items() if key not in config.model_fields_set}
    return form.model_copy(update={**_seeded(db, ruled), "archived": _archived(db)})


def _archived(db: SqlConnection) -> Form:
    """Return the archived choices; of a field that is not archived, its archived options alone."""
    rows = list(_rows(db, "custom_fields", "rank, created_at, id", among="TRUE"))
    gone = {row["id"] for row in rows if row["archived_at"]}
    options: dict[str, list[FieldOption]] = {}
    for row in _rows(db, "custom_field_options", "sort_key, created_at, id", among="TRUE"):
        # The options of a deleted field are not archived themselves.
        if row["archived_at"] or row["custom_field_id"] in gone:
            options.setdefault(row["custom_field_id"], []).append(FieldOption(**row))
    fields = (
        CustomField(**row, options=tuple(options.get(row["id"], ())))
        for row in rows
        if row["id"] in gone or row["id"] in options
    )
    return Form(
        severities=tuple(Severity(**row) for row in _rows(db, "severities", "rank, id", among=_ARCHIVED)),
        statuses=tuple(Status(**row) for row in _rows(db, "incident_statuses", "rank, id", among=_ARCHIVED)),
        incident_types=tuple(
            IncidentType(**row) for row in _rows(db, "incident_types", "created_at, id", among=_ARCHIVED)
        ),
        roles=tuple(Role(**row) for row in _rows(db, "incident_roles", "rowid", among=_ARCHIVED)),
        custom_fields=tuple(fields),
    )


def _seeded(db: SqlConnection, found: Mapping[str, tuple[Any, ...]]) -> Mapping[str, tuple[Any, ...]]:
    """Return the kinds without those whose table was never written: their defaults still hold."""
    return {key: rows for key, rows in found.items() if rows or not _is_empty(db, TABLES[key])}


def _is_empty(db: SqlConnection, table: str) -> bool:
    return db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is None


def _fields(db: SqlConnection) -> tuple[CustomField, ...]:
    """Return the fields that can be answered: a select field is asked once it has an option."""
    options: dict[str, list[FieldOption]] = {}
    for row in _rows(db, "custom_field_options", "sort_key, created_at, id"):
        options.setdefault(row["custom_field_id"], []).append(FieldOption(**row))
    found = (
        CustomField(**row, options=tuple(options.get(row["id"], ())))
        for row in _rows(db, "custom_fields", "rank, created_at, id")
    )
    return tuple(one for one in found if one.options or not one.field_type.endswith("_select"))


_LIVE, _ARCHIVED = "archived_at IS NULL", "archived_at IS NOT NULL"


def _rows(db: SqlConnection, table: str, order: str, *, among: str = _LIVE) -> Iterator[Row]:
    """Yield the rows of which this holds. A row that was edited by hand may have any name, or none."""
    for row in db.query(f"SELECT * FROM {table} WHERE {among} ORDER BY {order}"):
        found = readable(row)
        if found["id"]:
            key = "value" if "value" in found else "name"
            name = clean_text(found[key])
            yield {**stripped(found), key: name[:CHOICE_LIMIT] if is_visible(name) else found["id"]}


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


def insert_row(db: SqlConnection, table: str, row: Mapping[str, Any]) -> None:
    """Insert a row."""
    columns = ", ".join(row)
    marks = ", ".join(f":{column}" for column in row)
    db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", dict(row))


def update_row(
    db: SqlConnection, table: str, row: Mapping[str, Any], keys: tuple[str, ...], now: str
) -> None:
    """Change the row with the values of `keys` in `row` to the other values in it."""
    changed = ", ".join(f"{column} = :{column}" for column in [*row, "updated_at"] if column not in keys)
    where = " AND ".join(f"{key} = :{key}" for key in keys)
    db.execute(f"UPDATE {table} SET {changed} WHERE {where}", {**row, "updated_at": now})
