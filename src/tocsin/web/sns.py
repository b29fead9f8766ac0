"""Messages of Amazon SNS: their signature, and the confirmation of a subscription.

Sources: Amazon SNS, "Verifying the signatures of Amazon SNS messages" and "HTTP/HTTPS notification JSON
format". Only addresses of Amazon SNS are ever fetched: a certificate, and a confirmation.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from tocsin.incidents.errors import Refused, Unavailable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

# What checks signatures is imported where it is used: it takes six megabytes, and most have no source of SNS.

HOST = re.compile(r"sns\.[a-z]{2}(-[a-z]+)+-\d\.amazonaws\.com(\.cn)?")
"""Hosts of Amazon SNS: `sns.eu-west-1.amazonaws.com`."""

CERTIFICATE = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]+\.pem")
_VISIBLE = re.compile(r"[!-~]+")
TIMEOUT_SECONDS = 5.0
LONGEST_ANSWER = 64_000
MOST_CERTIFICATES = 16
OLDEST = timedelta(hours=24)
"""Age after which a message is refused: SNS gives up after an hour by itself; queues may be set to a day."""

_SIGNED: Final[Mapping[str, tuple[str, ...]]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
    "UnsubscribeConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
"""Properties that are signed, in their order, by the type of the message."""

_VERSIONS: Final = frozenset("12")
FORGED = "Amazon SNS did not sign this message."


class SnsMessages:
    """Checking of messages; certificates are fetched once."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """`client` follows no redirects."""
        self._client = client
        self._certificates: dict[str, Certificate] = {}

    async def verify(self, body: Mapping[str, Any], now: datetime) -> None:
        """Raise Refused for a message that Amazon SNS did not sign, Unavailable if that cannot be known."""
        names = _SIGNED.get(str(body.get("Type")))
        address, version = body.get("SigningCertURL"), str(body.get("SignatureVersion"))
        if names is None or not isinstance(address, str) or version not in _VERSIONS:
            raise Refused(
                "This is no message of Amazon SNS.", {"Type": "Type must be that of an SNS message."}
            )
        if not _is_certificates(address):
            raise Refused(FORGED, {"SigningCertURL": "SigningCertURL is no address of Amazon SNS."})
        signed = "".join(f"{name}\n{body[name]}\n" for name in names if body.get(name) is not None)
        certificate = await self._certificate(address)
        if not _is_signed(signed, str(body.get("Signature")), version, certificate):
            raise Refused(FORGED, {"Signature": FORGED})
        if not _is_recent(body.get("Timestamp"), now):
            raise Refused(FORGED, {"Timestamp": "Timestamp is too old."})

    async def confirm(self, body: Mapping[str, Any]) -> None:
        """Confirm a subscription whose message was verified. Raises Refused and Unavailable."""
        address = body.get("SubscribeURL")
        if not isinstance(address, str) or not is_amazons(address):
            raise Refused(FORGED, {"SubscribeURL": "SubscribeURL is no address of Amazon SNS."})
        await self._fetch(address)

    async def _certificate(self, address: str) -> Certificate:
        if address not in self._certificates:
            from cryptography.x509 import load_pem_x509_certificate

            written = await self._fetch(address)
            try:
                certificate = load_pem_x509_certificate(written)
            except ValueError:
                raise Refused(FORGED, {"SigningCertURL": "SigningCertURL is no certificate."}) from None
            if len(self._certificates) >= MOST_CERTIFICATES:
                self._certificates.clear()
            self._certificates[address] = certificate
        return self._certificates[address]

    async def _fetch(self, address: str) -> bytes:
        written = bytearray()
        try:
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                self._client.stream("GET", address) as response,
            ):
                if response.status_code != 200:
                    raise Unavailable(f"Amazon SNS answered {response.status_code}.")
                async for chunk in response.aiter_bytes():
                    written += chunk
                    if len(written) > LONGEST_ANSWER:
                        raise Unavailable("Amazon SNS answered too much.")
        except httpx.InvalidURL:
            raise Refused(FORGED) from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unavailable("Amazon SNS cannot be reached.") from error
        return bytes(written)


def _is_signed(text: str, signature: str, version: str, certificate: Certificate) -> bool:
    """True if the certificate's key signed the text; version 1 signs its SHA-1, version 2 its SHA-256."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key, hashed = certificate.public_key(), hashes.SHA1() if version == "1" else hashes.SHA256()
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), text.encode(), padding.PKCS1v15(), hashed)
    except (InvalidSignature, ValueError):
        # A ValueError is a signature in other letters than those of Base64, or a lone surrogate.
        return False
    return True


def is_amazons(address: str) -> bool:
    """True for an address of Amazon SNS over HTTPS, at its usual port, in visible ASCII."""
    if not _VISIBLE.fullmatch(address):
        # `urlsplit` drops line breaks and what is around an address, and httpx refuses them.
        return False
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    plain = parts.username is None and parts.password is None and port in (None, 443)
    return parts.scheme == "https" and plain and HOST.fullmatch(parts.hostname or "") is not None


def _is_certificates(address: str) -> bool:
    """True for an address of a certificate at Amazon SNS, with no query and no fragment."""
    return (
        is_amazons(address)
        and not {"?", "#"} & set(address)
        and CERTIFICATE.fullmatch(urlsplit(address).path) is not None
    )


def _is_recent(written: Any, now: datetime) -> bool:
    try:
        at = datetime.fromisoformat(str(written))
    except ValueError:
        return False
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)) > now - OLDEST
