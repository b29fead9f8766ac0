"""DevRev's errors as its reference lists them (Errors): a status, a type, and what goes with it."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    def __init__(self, status: int, kind: str | None, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {**({"type": kind} if kind else {}), "message": message, **more}


def invalid_field(name: str) -> Refusal:
    return Refusal(400, "invalid_field", f"unknown field {name}", field_name=name)


def missing(name: str) -> Refusal:
    return Refusal(400, "missing_required_field", f"{name} is required", field_name=name)


def wrong_type(name: str, wanted: str) -> Refusal:
    return Refusal(400, "unexpected_json_type", f"{name} must be {wanted}", field_name=name)


def invalid_id(name: str, value: Any) -> Refusal:
    return Refusal(400, "invalid_id", f"{name}: there is no object with the ID {value}")


def invalid_enum(name: str, value: Any, allowed: list[int]) -> Refusal:
    said = f"{value} is not an allowed value of {name}"
    return Refusal(400, "invalid_enum_value", said, field_name=name, value=str(value), allowed_values=allowed)


def not_permitted(name: str, reason: str) -> Refusal:
    said = f"the value of {name} is not permitted"
    return Refusal(400, "value_not_permitted", said, field_name=name, reason=reason, allowed_values=[])


def customization(subtype: str, name: str, reason: str) -> Refusal:
    kind = "customization_validation_error"
    return Refusal(400, kind, reason, subtype=subtype, field_name=name, reason=reason)


def not_found(what: str) -> Refusal:
    return Refusal(404, "not_found", f"{what} was not found")


def conflict(message: str) -> Refusal:
    return Refusal(409, "conflict", message)
