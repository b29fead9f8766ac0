"""Reading of a vendor's answer without what is not as documented: null, and parts that cannot be parsed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError, ValidatorFunctionWrapHandler

log = structlog.get_logger()
T = TypeVar("T", bound=BaseModel)


def or_none(given: object, read: ValidatorFunctionWrapHandler) -> Any:
    """Treat a value that cannot be parsed as missing: what is only shown must not hide an incident."""
    try:
        return read(given)
    except ValidationError:
        return None


def without_nulls(given: Any) -> Any:
    """Return an object without its nulls, which are the same as missing, also in a list."""
    if not isinstance(given, dict):
        return given
    present = {name: value for name, value in given.items() if value is not None}
    return {n: [x for x in v if x is not None] if isinstance(v, list) else v for n, v in present.items()}


def read_answer(kind: type[T], told: Any, vendor: str) -> T:
    """Return what the vendor told, without its odd parts. Raises ValidationError if nothing is left of it."""
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        places = [problem["loc"] for problem in error.errors(include_input=False, include_url=False)]
    # Only names are logged, and nothing that was sent.
    fields = sorted({str(place[0]) for place in places if place})
    log.warning(f"left out of {vendor}'s answer", kind=kind.__name__, fields=fields)
    return kind.model_validate(_without(told, places))


def _without(told: Any, places: Iterable[tuple[int | str, ...]]) -> Any:
    """Return an answer without these fields; of a list only the items that are wrong are left out."""
    if not isinstance(told, dict):
        return told
    # The places count without null.
    kept = {n: [x for x in v if x is not None] if isinstance(v, list) else v for n, v in told.items()}
    wrong = {place[:2] if isinstance(kept.get(str(place[0])), list) else place[:1] for place in places}
    return {
        name: [x for at, x in enumerate(value) if (name, at) not in wrong]
        if isinstance(value, list)
        else value
        for name, value in kept.items()
        if (name,) not in wrong
    }
