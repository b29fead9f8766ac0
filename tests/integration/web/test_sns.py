"""What comes from Amazon SNS is signed by Amazon, and nothing but Amazon's own addresses is ever asked."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from support.alerts import body_of
from support.declarations import DAWN

from tocsin.incidents.alert_payloads import AlertSource, path_of
from tocsin.incidents.alerts import AlertEvent
from tocsin.web.alert_events import AlertEvents
from tocsin.web.sns import SnsMessages, is_amazons

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
AMAZON = "https://sns.eu-west-1.amazonaws.com"
PEM = f"{AMAZON}/SimpleNotificationService-0123abcd.pem"
TOKEN = "a-token-of-the-topic"
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    made = made.serial_number(1).not_valid_before(DAWN).not_valid_after(DAWN + timedelta(days=365))
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


CERTIFICATE = certificate()


def message(kind: str = "Notification", version: str = "2", **changed: Any) -> dict[str, Any]:
    """A message as SNS sends it, signed by the key whose certificate Amazon serves."""
    body = {
        "Type": kind,
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": 'ALARM: "ServerCpuTooHigh" in EU (Ireland)',
        "Message": json.dumps(body_of("cloudwatch-alarm")),
        "Timestamp": DAWN.isoformat().replace("+00:00", "Z"),
        "SignatureVersion": version,
        "SigningCertURL": PEM,
        **({"Token": "t0ken", "SubscribeURL": f"{AMAZON}/?Action=Confirm"} if kind != "Notification" else {}),
        **changed,
    }
    signed = "".join(f"{name}\n{body[name]}\n" for name in SIGNED[kind] if name in body)
    kinds = {"1": hashes.SHA1, "2": hashes.SHA256}
    signature = KEY.sign(signed.encode(), padding.PKCS1v15(), kinds[version]())
    return {**body, "Signature": base64.b64encode(signature).decode()}


@dataclass
class Amazon:
    """Amazon SNS, and a Tocsin that a topic sends to."""

    asked: list[str] = field(default_factory=list)
    taken: list[AlertEvent] = field(default_factory=list)
    tocsin: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    async def answer(self, request: Request) -> Response:
        self.asked.append(str(request.url))
        return PlainTextResponse(CERTIFICATE)

    async def take_in(self, source: AlertSource, events: Sequence[AlertEvent]) -> None:
        self.taken += events

    async def sends(self, body: Any) -> httpx.Response:
        # SNS says that its JSON is text.
        headers = {"Content-Type": "text/plain; charset=UTF-8"}
        path = f"{path_of('cloudwatch')}?token={TOKEN}"
        return await self.tocsin.post(path, content=json.dumps(body), headers=headers)


@pytest.fixture
async def amazon() -> AsyncIterator[Amazon]:
    amazon = Amazon()
    there = Starlette(routes=[Route("/{path:path}", amazon.answer)])
    source = AlertSource(id="cloudwatch", name="CloudWatch", kind="cloudwatch", token=TOKEN)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(there)) as client:
        events = AlertEvents([source], amazon.take_in, SnsMessages(client), lambda: DAWN)
        here = httpx.ASGITransport(Starlette(routes=[events.route]))
        async with httpx.AsyncClient(transport=here, base_url="http://tocsin") as amazon.tocsin:
            yield amazon


@pytest.mark.parametrize("version", ["1", "2"])
async def test_an_alarm_that_amazon_signed_is_taken_in_and_the_certificate_is_fetched_once(
    amazon: Amazon, version: str
) -> None:
    for _ in range(2):
        assert (await amazon.sends(message(version=version))).status_code == 202
    assert [event.title for event in amazon.taken] == ["ServerCpuTooHigh"] * 2
    assert amazon.asked == [PEM]


async def test_a_subscription_is_confirmed_at_amazon_and_no_alert_comes_of_it(amazon: Amazon) -> None:
    answer = await amazon.sends(
        message("SubscriptionConfirmation", Subject=None, Message="You have chosen …")
    )
    assert (answer.status_code, answer.json()["message"]) == (202, "The subscription is confirmed")
    assert amazon.asked == [PEM, f"{AMAZON}/?Action=Confirm"]
    assert amazon.taken == []


@pytest.mark.parametrize(
    "forged",
    [
        {**message(), "Message": "{}"},
        {**message(), "Signature": "nonsense!"},
        {**message(), "SignatureVersion": "1"},
        {**message(), "SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/S.pem"},
        {**message(), "SigningCertURL": f"{AMAZON}/other.pem"},
        *({**message(), "SigningCertURL": f"{PEM}{end}"} for end in ("\n", "?a=\x01", "?", "?a=b", "#a")),
        {**message(), "SigningCertURL": f"{PEM}é"},
        {**message(), "SigningCertURL": f"\x00{PEM}"},
        {**message(), "Signature": "é"},
        {**message(), "Signature": "\ud800"},
        {**message(), "Type": "Other"},
        message(Timestamp="2020-01-01T00:00:00Z"),
        message("SubscriptionConfirmation", SubscribeURL="http://169.254.169.254/latest/meta-data"),
        message("SubscriptionConfirmation", SubscribeURL=f"{AMAZON}/?Action=\x01"),
        message("SubscriptionConfirmation", SubscribeURL="https://s3.eu-west-1.amazonaws.com/bucket"),
    ],
)
async def test_what_is_forged_is_refused_and_no_other_address_is_asked(
    amazon: Amazon, forged: dict[str, Any]
) -> None:
    answer = await amazon.sends(forged)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["source"]["field"] in forged
    assert set(amazon.asked) <= {PEM}
    assert amazon.taken == []


async def test_an_address_that_is_too_long_to_be_asked_is_refused(amazon: Amazon) -> None:
    long = f"{AMAZON}/?Action={'x' * 70_000}"
    assert (await amazon.sends(message("SubscriptionConfirmation", SubscribeURL=long))).status_code == 422
    certificate = f"{AMAZON}/SimpleNotificationService-{'a' * 70_000}.pem"
    assert (await amazon.sends(message(SigningCertURL=certificate))).status_code == 422
    assert amazon.asked == [PEM]


async def test_a_key_of_any_depth_is_echoed_or_refused() -> None:
    async def take_in(source: AlertSource, events: Sequence[AlertEvent]) -> None:
        assert not events

    source = AlertSource(id="pagerduty", name="PagerDuty", kind="pagerduty", token=TOKEN)
    routes = [AlertEvents([source], take_in, None, lambda: DAWN).route]
    path = f"{path_of('pagerduty')}?token={TOKEN}"
    there = httpx.ASGITransport(Starlette(routes=routes))
    async with httpx.AsyncClient(transport=there, base_url="http://tocsin") as client:
        for depth in range(700, 1000):
            body = '{"event": {}, "deduplication_key": ' + "[" * depth + "]" * depth + "}"
            assert (await client.post(path, content=body)).status_code in (202, 422)


async def test_a_password_that_is_no_base64_is_a_wrong_token(amazon: Amazon) -> None:
    headers = {"Authorization": b"Basic \xe9"}
    answer = await amazon.tocsin.post(path_of("cloudwatch"), content="{}", headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("address", "is_theirs"),
    [
        (PEM, True),
        ("https://sns.cn-north-1.amazonaws.com.cn/x", True),
        ("https://sns.us-gov-west-1.amazonaws.com:443/x", True),
        ("http://sns.eu-west-1.amazonaws.com/x", False),
        ("https://sns.eu-west-1.amazonaws.com:8443/x", False),
        ("https://sns.eu-west-1.amazonaws.com@evil.example/x", False),
        ("https://evil.example#sns.eu-west-1.amazonaws.com", False),
        ("https://sns.eu-west-1.amazonaws.com.evil.example/", False),
        ("https://[::1", False),
        (f"{PEM}\n", False),
        (f" {PEM}", False),
        (f"{AMAZON}/\x00", False),
        (f"{AMAZON}/\ud800", False),
        (f"{AMAZON}/é", False),
    ],
)
def test_only_amazons_own_hosts_are_amazons(address: str, is_theirs: bool) -> None:
    assert is_amazons(address) is is_theirs
