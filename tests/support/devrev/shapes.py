"""What a request may hold: each field of a page of the reference, and how a value of it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from support.devrev.refusals import invalid_field, missing, wrong_type

Shape = Callable[[str, Any], None]


def text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise wrong_type(name, "a string")


def whole(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, "an integer")


def flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise wrong_type(name, "a boolean")


def moment(name: str, value: Any) -> None:
    text(name, value)
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise wrong_type(name, "an RFC 3339 date and time") from None
    if found.tzinfo is None:
        raise wrong_type(name, "a date and time with its zone")


def anything(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise wrong_type(name, "an object")


def many(each: Shape) -> Shape:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, list):
            raise wrong_type(name, "an array")
        for item in value:
            each(name, item)

    return check


def one_of(*values: str) -> Shape:
    def check(name: str, value: Any) -> None:
        text(name, value)
        if value not in values:
            raise wrong_type(name, f"one of {', '.join(values)}")

    return check


def holding(fields: Mapping[str, Shape], *required: str) -> Shape:
    def check(name: str, value: Any) -> None:
        anything(name, value)
        checked(value, fields, required, f"{name}." if name else "")

    return check


def checked(body: Any, fields: Mapping[str, Shape], required: tuple[str, ...] = (), prefix: str = "") -> None:
    """Refuse what is unknown, missing, null or of another type."""
    anything(prefix or "the request", body)
    for name, value in body.items():
        if name not in fields:
            raise invalid_field(f"{prefix}{name}")
        fields[name](f"{prefix}{name}", value)
    for name in required:
        if name not in body:
            raise missing(f"{prefix}{name}")


TEXTS, NUMBERS = many(text), many(whole)
SPEC = holding(
    {
        "tenant_fragment": flag,
        "subtype": text,
        "apps": TEXTS,
        "validate_required_fields": flag,
        "drop": anything,
    }
)
SYNC = holding(
    {"external_reference": text, "origin_system": text, "last_sync_in": anything, "last_sync_out": anything}
)
DATES = dict.fromkeys(("identified_date", "acknowledged_date", "mitigated_date", "target_close_date"), moment)

CREATE: Mapping[str, Shape] = {
    "title": text,
    "body": text,
    "applies_to_parts": TEXTS,
    "artifacts": TEXTS,
    "custom_fields": anything,
    "custom_schema_spec": SPEC,
    "impact": holding({"count": whole, "customer_ids": TEXTS}),
    "impacted_customers": TEXTS,
    "owned_by": TEXTS,
    "pia": TEXTS,
    "playbooks": TEXTS,
    "related_docs": TEXTS,
    "reported_by": whole,
    "severity": whole,
    "source": whole,
    "stage": holding({"stage": text, "notes": text}, "stage"),
    "stage_validation_options": many(one_of("allow_non_start")),
    "stakeholders": TEXTS,
    "sync_metadata": SYNC,
    "external_source_data": anything,
    "tags": many(holding({"tag_id": text, "value": text}, "tag_id")),
    **DATES,
}
"""`incidents.create`: the page, and what the beta reference has besides."""

_SET = holding({"set": TEXTS})
UPDATE: Mapping[str, Shape] = {
    "id": text,
    "title": text,
    "body": text,
    "severity": whole,
    "stage": holding({"stage": text, "notes": text}),
    "stage_validation_options": many(one_of("allow_invalid_transition")),
    "owned_by": _SET,
    "applies_to_parts": _SET,
    "artifacts": _SET,
    "custom_fields": anything,
    "custom_schema_spec": SPEC,
    "tags": holding({"set": many(holding({"tag_id": text, "value": text}, "tag_id"))}),
    "impact": holding({"count": whole, "customer_ids": _SET}),
    **DATES,
}


def date_filter(name: str, value: Any) -> None:
    anything(name, value)
    if value.get("type") == "range":
        checked(value, {"type": text, "after": moment, "before": moment}, (), f"{name}.")
    else:
        checked(value, {"type": one_of("preset"), "preset_type": text}, ("type", "preset_type"), f"{name}.")


LIST: Mapping[str, Shape] = {
    "applies_to_parts": TEXTS,
    "created_by": TEXTS,
    "owned_by": TEXTS,
    "reported_by": NUMBERS,
    "severity": NUMBERS,
    "source": NUMBERS,
    "stage": TEXTS,
    "subtype": TEXTS,
    "title": TEXTS,
    "custom_fields": anything,
    "created_date": date_filter,
    "modified_date": date_filter,
    "sync_metadata": holding({"external_reference": TEXTS, "origin_system": TEXTS}),
    "sort_by": many(
        one_of("created_date:asc", "created_date:desc", "modified_date:asc", "modified_date:desc")
    ),
    "cursor": text,
    "limit": whole,
    "mode": one_of("after", "before"),
}
COMMENT: Mapping[str, Shape] = {
    "type": one_of("timeline_comment"),
    "object": text,
    "body": text,
    "body_type": one_of("text", "data", "snap_kit", "snap_widget"),
    "external_ref": text,
    "visibility": one_of("external", "internal", "private", "public"),
    "labels": TEXTS,
    "collections": many(one_of("discussions", "events")),
    "private_to": TEXTS,
    "artifacts": TEXTS,
}
