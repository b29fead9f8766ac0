"""What incident.io says when it says no, and how long it asks us to wait."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tocsin.incidents.errors import TocsinError
from tocsin.incidents.model import Frozen

LONGEST_PAUSE = 300.0
UNSAID_PAUSE = (15.0, 45.0)
"""A limit of incidents in an hour comes without a time; a few tries a minute do no harm."""


class Wrong(Frozen):
    """One thing that was wrong with what was sent: where, as dotted names and indexes, and a sentence."""

    path: str = ""
    said: str = ""


class Rejected(TocsinError):
    """incident.io refuses the request itself; sending it again as it is will not help."""

    def __init__(self, status: int, wrong: tuple[Wrong, ...]) -> None:
        super().__init__(" ".join(w.said for w in wrong) or f"incident.io refused it (HTTP {status}).")
        self.status = status
        self.wrong = wrong

    @classmethod
    def of(cls, status: int, body: Mapping[str, Any]) -> Rejected:
        return cls(status, tuple(_wrongs(body)))


def _wrongs(body: Mapping[str, Any]) -> Iterator[Wrong]:
    """incident.io, Errors: `errors[].message` with `source.field`, or a JSON pointer in `source.pointer`."""
    errors = body.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            source = error.get("source")
            source = source if isinstance(source, dict) else {}
            field, pointer = str(source.get("field") or ""), str(source.get("pointer") or "")
            path = field if "." in field or not pointer else pointer
            yield Wrong(path=_dotted(path), said=_sentence(error.get("message")))
    if not errors and body.get("message"):
        yield Wrong(said=_sentence(body["message"]))


def _dotted(path: str) -> str:
    """`/custom_field_entries/1/values`, `custom_field_entries[1].values`: with dots, nothing before it."""
    plain = re.sub(r"\[(\d+)\]", r".\1", path.replace("~1", "/").replace("/", "."))
    return plain.strip(".")


def _sentence(message: object) -> str:
    said = str(message or "").strip()
    return said if not said or said[-1] in ".!?" else f"{said}."


def told_wrong(body: Mapping[str, Any]) -> str:
    """What an error says, in one line; nothing where it says nothing."""
    return " ".join(wrong.said for wrong in _wrongs(body) if wrong.said)[:300]


def asked_to_wait(headers: Mapping[str, str], body: Mapping[str, Any]) -> float:
    """Seconds until the next request, five minutes at most (incident.io, Rate limits).

    The header `Retry-After` counts most, then `rate_limit.retry_after`: seconds, an HTTP date (whose zone
    incident.io spells UTC) or RFC 3339. What cannot be read makes us wait for a moment of our own choice.
    """
    limit = body.get("rate_limit")
    for said in (headers.get("retry-after"), limit.get("retry_after") if isinstance(limit, dict) else None):
        seconds = None if said is None else _seconds(said)
        if seconds is not None:
            return min(max(seconds, 1.0), LONGEST_PAUSE)
    return random.uniform(*UNSAID_PAUSE)


def _seconds(said: object) -> float | None:
    text = str(said).strip()
    try:
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    except ValueError:
        pass
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return (at - datetime.now(UTC)).total_seconds()
    return None
