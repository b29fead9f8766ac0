"""Signatures of webhooks (Standard Webhooks, Signature scheme)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence

PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64
"""Bytes of a signing key (Standard Webhooks, Signature scheme)."""


def signed_headers(keys: Sequence[bytes], id_: str, seconds: float, body: bytes) -> dict[str, str]:
    """Return the three headers of a webhook, with one signature for each key, so that keys can be changed.

    `seconds` is the time of the attempt since 1970.
    """
    stamp = str(int(seconds))
    return {
        "webhook-id": id_,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signature(key, id_, stamp, body) for key in keys),
    }


def signature(key: bytes, id_: str, stamp: str, body: bytes) -> str:
    """Return one signature of the header `webhook-signature`."""
    signed = hmac.new(key, f"{id_}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def signing_key(secret: str) -> bytes | None:
    """Return the bytes of a `whsec_` secret; None if it is no such secret."""
    if not secret.startswith(PREFIX):
        return None
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return None
    return key if SHORTEST_KEY <= len(key) <= LONGEST_KEY else None


def signing_keys(secrets: str) -> tuple[bytes, ...]:
    """Return the keys of one secret, or of several with spaces or commas between; empty if one is wrong."""
    found = [signing_key(one) for one in re.split(r"[\s,]+", secrets.strip())]
    return tuple(key for key in found if key is not None) if None not in found else ()
