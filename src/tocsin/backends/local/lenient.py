"""Rows as they should be, whatever somebody's hand or another program has put in them.

SQLite keeps any value in any column. One odd row must not take the page, the list and the card with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from tocsin.incidents.model import FieldKind

Row = dict[str, Any]
UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)

_NUMBERS = frozenset({"rank", "sort_key", "severity_rank", "status_rank", "option_sort_key"})
_SWITCHES = frozenset({"required", "is_default", "type_is_default", "type_private_only"})
_TIMES = frozenset({"created_at", "updated_at", "timestamp"})
_MAYBE_TIMES = frozenset({"closed_at", "done_at"})
_PERHAPS = (
    "_id", "_email", "_option", "_permalink", "by_name", "by_email", "assignee_name", "actor_name",
    "value_text", "value_link", "value_numeric",
)  # fmt: skip
_KINDS = frozenset(get_args(FieldKind))
_AS_TEXT = frozenset({"source_message_timestamp"})


def readable(row: Mapping[str, Any]) -> Row:
    """The row with every value of the kind that its column is for; what cannot be made out is left empty."""
    return {column: _readable(column, value) for column, value in row.items()}


def _readable(column: str, value: Any) -> Any:
    if column in _TIMES:
        return _moment(value)
    if column in _MAYBE_TIMES:
        return None if value is None else _moment(value)
    if column in _NUMBERS:
        return value if isinstance(value, int) else 0
    if column in _SWITCHES:
        return value == 1
    if column == "field_type":
        return value if value in _KINDS else "text"
    if value is None:
        return None if column.endswith(_PERHAPS) or column in _AS_TEXT else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _moment(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN_TIME
