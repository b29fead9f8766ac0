"""Webhooks go only where the configuration says, and it is said plainly what is wrong with it."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import Mapping
from typing import Any

import pytest
from support.webhooks import SECRET, running_receiver

from tocsin.incidents.webhooks import EVENTS
from tocsin.manual import read_page
from tocsin.rules import read_rules
from tocsin.settings import ConfigurationError
from tocsin.webhooks.client import Address, EndpointClient, refusal
from tocsin.webhooks.endpoints import examine, open_endpoints
from tocsin.webhooks.signing import signed_headers, signing_keys

ENTRY = {"name": "deploys", "url": "https://hooks.example.com/a?b=c", "secret_variable": "HOOK"}
PRIVATE = "127.0.0.1 10.0.0.1 172.16.9.9 192.168.1.1 100.64.0.1 ::1 fd00::1 ::ffff:10.0.0.1"
PRIVATE += " 64:ff9b::a00:1 2002:a00:1:: ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b:1::7f00:1 fec0::1"
NEVER = "169.254.169.254 fe80::1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 0.0.0.0 :: 224.0.0.1 ff02::1"
PUBLIC = "93.184.215.14 2606:2800:21f::1 ::ffff:8.8.8.8 64:ff9b::808:808"


def test_private_addresses_need_leave_and_those_of_the_link_are_never_asked() -> None:
    def refused(addresses: str, allow: bool) -> set[bool]:
        return {bool(refusal(ipaddress.ip_address(one), allow)) for one in addresses.split()}

    assert (refused(PRIVATE, False), refused(PRIVATE, True)) == ({True}, {False})
    assert (refused(NEVER, False), refused(NEVER, True)) == ({True}, {True})
    assert (refused(PUBLIC, False), refused(PUBLIC, True)) == ({False}, {False})


async def test_one_private_address_among_others_is_enough_and_nothing_is_sent() -> None:
    async def both(host: str, port: int) -> list[Address]:
        return [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("8.8.8.8")]

    async with running_receiver() as receiver:
        client = EndpointClient(receiver.url, allow_private_network=False, look_up=both)
        answer = await client.post(b"{}", {})
        await client.close()
        assert answer.status is None
        assert "private network" in answer.said
        assert receiver.received == []


async def test_a_request_goes_to_the_address_that_was_checked_whatever_the_name_says_next() -> None:
    asked = list[str]()

    async def rebinding(host: str, port: int) -> list[Address]:
        asked.append(host)
        return [ipaddress.ip_address("127.0.0.1" if len(asked) == 1 else "127.0.0.9")]

    async with running_receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", "hooks.example.com")
        client = EndpointClient(url, allow_private_network=True, look_up=rebinding)
        assert (await client.post(b"{}", {})).status == 204
        await client.close()
        assert asked == ["hooks.example.com"]
        assert receiver.received[0].headers["host"].startswith("hooks.example.com:")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "http://hooks.example.com"}, "url: give an address that begins with https://"),
        ({"url": "https://user:word@hooks.example.com"}, "url: give an address"),
        ({"secret_variable": SECRET}, "secret_variable: give the name of an environment variable"),
        ({"events": ["incident.created"]}, "there is no event 'incident.created'"),
        ({"events": ["private_incident.incident_created_v2"]}, "needs private = true"),
        ({"name": "two words"}, "name"),
        ({"secret": "whsec_"}, "secret"),
    ],
)
def test_a_wrong_entry_is_refused_with_what_to_write_instead(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match="webhooks") as refused:
        read_rules({"webhooks": [ENTRY | change]})
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)


def test_two_endpoints_have_two_names() -> None:
    with pytest.raises(ConfigurationError, match="webhooks: two have the name 'deploys'"):
        read_rules({"webhooks": [ENTRY, ENTRY | {"name": "Deploys"}]})


def opened(secrets: Mapping[str, str], backend: str = "local", *, here_only: bool = False) -> list[str]:
    async def names() -> list[str]:
        entries = read_rules({"webhooks": [ENTRY]}).webhooks
        async with open_endpoints(
            entries, lambda name: secrets.get(name, ""), backend=backend, here_only=here_only
        ) as found:
            return [one.name for one in found]

    return asyncio.run(names())


def test_an_endpoint_needs_its_secret_and_incidents_that_are_kept_here() -> None:
    assert opened({"HOOK": SECRET}) == ["deploys"]
    assert opened({"HOOK": f"{SECRET}, {SECRET}"}) == ["deploys"]
    assert opened({"HOOK": SECRET}, here_only=True) == []
    for secrets, backend, said in (
        ({}, "local", "no environment variable of this name is set; make one with"),
        ({"HOOK": "hush"}, "local", "the secret is no signing key"),
        ({"HOOK": SECRET}, "incident_io", "incident.io and DevRev send their own"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            opened(secrets, backend)


async def test_the_doctor_says_of_each_endpoint_what_is_wrong_with_it() -> None:
    local = ENTRY | {"url": "https://localhost/x"}
    entries = read_rules(
        {
            "webhooks": [
                local,
                local | {"name": "here", "allow_private_network": True},
                local | {"name": "bare", "secret_variable": "NONE"},
                local | {"name": "short", "secret_variable": "SHORT"},
                ENTRY | {"name": "nowhere", "url": "https://nowhere.invalid/x"},
            ]
        }
    ).webhooks
    secrets = {"HOOK": SECRET, "SHORT": "whsec_c2hvcnQ="}
    found = {one.name: one for one in await examine(entries, lambda name: secrets.get(name, ""), "local")}
    assert "private network" in found["Webhook deploys"].said
    assert found["Webhook here"].ok
    assert "tocsin webhooks test here" in found["Webhook here"].said
    assert found["Webhook bare"].said == "its secret is not set."
    assert found["Webhook short"].said == "its secret is not a signing key."
    assert found["Webhook nowhere"].said == "its host is not known."
    (hosted,) = await examine(entries, lambda name: "", "devrev")
    assert (hosted.ok, "send their own" in hosted.said) == (False, True)


def test_the_manuals_way_to_check_a_signature_takes_what_is_signed_and_nothing_else() -> None:
    example: dict[str, Any] = {}
    (code,) = re.findall(r"^```python\n(.*?)^```", read_page("webhooks"), re.MULTILINE | re.DOTALL)
    exec(code, example)
    body, now = b'{"event_type":"x"}', time.time()
    headers = signed_headers([b"k" * 32, *signing_keys(SECRET)], "msg_1", now, body)
    assert example["is_signed"](SECRET, headers, body)
    assert not example["is_signed"](SECRET, headers, body + b" ")
    assert not example["is_signed"]("whsec_" + "A" * 32, headers, body)
    assert not example["is_signed"](SECRET, headers | {"webhook-id": "msg_2"}, body)
    old = signed_headers(signing_keys(SECRET), "msg_1", now - 600, body)
    assert not example["is_signed"](SECRET, old, body)


def test_the_manual_lists_every_event() -> None:
    assert set(re.findall(r"^\| `(\w+\.\w+)` \|", read_page("webhooks"), re.MULTILINE)) == set(EVENTS)
