"""Addresses of incidents, as people copy them: with a slash, a question or a fragment after them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

_NAMES_ONE = re.compile(r"(?:[a-z][a-z0-9]{0,19}-)?[0-9]{1,15}|[0-9a-z]{26}", re.IGNORECASE)


def plain_address(address: str | None) -> str:
    """The host and the path in small letters: what is the same however it was copied; empty for none."""
    try:
        parts = urlsplit(address or "")
    except ValueError:
        return ""
    return f"{parts.netloc}{unquote(parts.path)}".rstrip("/").casefold()


def pages_above(address: str) -> Iterator[tuple[str, str]]:
    """The address and those of the pages above it, each as where it is, and its last part."""
    plain = plain_address(address)
    while "/" in plain:
        above, _, last = plain.rpartition("/")
        yield above, last
        plain = above


def names_one(part: str) -> bool:
    """Whether the last part of an address may be an incident's reference, number or id."""
    return _NAMES_ONE.fullmatch(part) is not None
