"""Filters of the list of alerts (incident.io, Alerts V2, List): which walk along an index, and the others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from pydantic import Field

from tocsin.incidents.alerts import Alert
from tocsin.web.api.errors import invalid
from tocsin.web.api.incidents import times_of
from tocsin.web.api.query import Filter, FilterOf, PageQuery, operators

Fits = Callable[[Alert], bool]


class AlertsQuery(PageQuery):
    deduplication_key: Filter | None = Field(None, description="`is`.")
    status: Filter | None = Field(None, description="`one_of` or `not_in`: firing, resolved.")
    alert_source: Filter | None = Field(None, description="`one_of` or `not_in`, by id.")
    alert_group_id: Filter | None = Field(None, description="`one_of`, by id.")
    created_at: Filter | None = Field(None, description="`gte`, `lte` or `date_range` (from~to).")
    updated_at: Filter | None = Field(None, description="`gte`, `lte` or `date_range` (from~to).")
    attributes: FilterOf | None = Field(
        None, description="By the name of a label: `is`, `one_of`, `not_in`, `is_blank`."
    )
    has_notes: Filter | None = Field(None, description="`is`: true or false. Alerts have none here.")
    tags: Filter | None = Field(None, description="`one_of`, `all_of` or `not_in`. Alerts have none here.")
    include_maintenance_window: Filter | None = Field(
        None, description="`is`: true or false. There are no maintenance windows here."
    )


def indexed(query: AlertsQuery) -> dict[str, Any]:
    """Return the filters that the store applies. Raises ApiError 422 for an unknown operator or value."""
    groups = operators(query.alert_group_id, "alert_group_id", {"one_of"}).get("one_of")
    since, until = _moments(query.created_at, "created_at")
    return {
        "deduplication_key": _last(_short(query.deduplication_key), "deduplication_key"),
        "group_ids": frozenset(groups) if groups is not None else None,
        "since": since,
        "until": until,
    }


def fitting(query: AlertsQuery) -> Fits:
    """Return the condition of all the other filters. Raises ApiError 422 for an unknown operator or value."""
    conditions = [
        _among(query.status, "status", lambda alert: alert.status),
        _among(query.alert_source, "alert_source", lambda alert: alert.source),
        _within(query.created_at, "created_at", lambda alert: alert.created_at),
        _within(query.updated_at, "updated_at", lambda alert: alert.updated_at),
        *(_attribute(name, given) for name, given in (query.attributes or {}).items()),
        _without(query),
    ]
    return lambda alert: all(fits(alert) for fits in conditions)


def _short(given: Filter | None) -> Filter | None:
    """Return `is` for a value without an operator."""
    return {"is": given["one_of"]} if given is not None and given.keys() == {"one_of"} else given


def _last(given: Filter | None, name: str) -> str | None:
    found = operators(given, name, {"is"}).get("is")
    return found[-1] if found else None


def _among(given: Filter | None, name: str, value_of: Callable[[Alert], str]) -> Fits:
    known = operators(given, name, {"one_of", "not_in"})
    one_of, not_in = known.get("one_of"), known.get("not_in", ())
    return lambda alert: (one_of is None or value_of(alert) in one_of) and value_of(alert) not in not_in


def _within(given: Filter | None, name: str, value_of: Callable[[Alert], datetime]) -> Fits:
    since, until = _moments(given, name)
    return lambda alert: (
        (since is None or value_of(alert) >= since) and (until is None or value_of(alert) <= until)
    )


def _moments(given: Filter | None, name: str) -> tuple[datetime | None, datetime | None]:
    earliest, latest = times_of(given, name)
    return (
        datetime.fromisoformat(earliest) if earliest else None,
        datetime.fromisoformat(latest) if latest else None,
    )


def _attribute(label: str, given: Filter) -> Fits:
    """Return the condition of a label; `is` is short for `one_of` with one value."""
    name = f"attributes.{label}"
    known = operators(given, name, {"is", "one_of", "not_in", "is_blank"})
    wanted = [known[operator] for operator in ("is", "one_of") if operator in known]
    blank = _truth({"is": known["is_blank"]}, name) if "is_blank" in known else None

    def fits(alert: Alert) -> bool:
        value = alert.labels.get(label, "")
        return (
            all(value in values for values in wanted)
            and value not in known.get("not_in", ())
            and blank in (None, not value)
        )

    return fits


def _without(query: AlertsQuery) -> Fits:
    """Return the condition of what no alert has here: notes, tags and maintenance windows."""
    has_notes = _truth(query.has_notes, "has_notes")
    _truth(query.include_maintenance_window, "include_maintenance_window")
    tags: Collection[str] = operators(query.tags, "tags", {"one_of", "all_of", "not_in"}).keys() - {"not_in"}
    return lambda alert: not has_notes and not tags


def _truth(given: Filter | None, name: str) -> bool | None:
    said = _last(_short(given), name)
    if said is not None and said.casefold() not in {"true", "false"}:
        raise invalid(name, "Write true or false.")
    return None if said is None else said.casefold() == "true"
