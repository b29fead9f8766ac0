"""HTTP mode: what Slack signed is answered, and nothing else gets further than the door."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from structlog.testing import capture_logs
from support.bot import RunningBot, chosen
from support.readings import newest, settled, words
from support.slack import running_workspace

from slack_emulator.manifest import Manifest
from tocsin.app import open_app
from tocsin.resources import open_resources
from tocsin.server import listen, serving
from tocsin.settings import read_settings
from tocsin.slack import routes
from tocsin.slack.http import LARGEST_BODY, MOST_HELD, HttpReceiver
from tocsin.start import connected

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = "application/x-www-form-urlencoded"


@dataclass
class Door:
    """The bot's address, and how Slack signs what it sends there."""

    bot: RunningBot
    url: str
    client: httpx.AsyncClient

    async def post(
        self, body: bytes, *, kind: str = FORM, age: float = 0.0, **headers: str
    ) -> httpx.Response:
        stamp = str(int(time.time() - age))
        signed = b"v0:" + stamp.encode() + b":" + body
        digest = hmac.new(self.bot.slack.signing_secret.encode(), signed, hashlib.sha256).hexdigest()
        given = {
            "content-type": kind,
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": f"v0={digest}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return await self.client.post(self.url, content=body, headers=given)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    folder = tmp_path_factory.mktemp("tocsin")
    folder.chmod(0o700)
    async with AsyncExitStack() as stack:
        listening = listen("127.0.0.1", 0)
        port = listening.getsockname()[1]
        base = f"http://127.0.0.1:{port}"
        slack = await stack.enter_async_context(running_workspace(Manifest.from_dict(routes.manifest(base))))
        settings = read_settings(
            tocsin_data_dir=folder,
            tocsin_port=port,
            slack_bot_token=slack.bot_token,
            slack_signing_secret=slack.signing_secret,
            slack_api_url=slack.api_url,
        )
        parts = await stack.enter_async_context(open_resources(settings, folder))
        app = await stack.enter_async_context(open_app(parts))
        await stack.enter_async_context(connected(app))
        assert isinstance(app.receiver, HttpReceiver)
        await stack.enter_async_context(serving(Starlette(routes=[app.receiver.route]), listening))
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, verify=False))
        yield Door(RunningBot(app, slack, folder, base), f"{base}/slack/events", client)


def command(door: Door, **changed: str) -> bytes:
    given = {
        "command": "/incident",
        "text": "help",
        "team_id": door.bot.workspace.state.team.id,
        "channel_id": "C0GENERAL1",
        "user_id": "U0ANA00001",
        "trigger_id": "1.2.x",
    }
    return urlencode(given | changed).encode()


async def test_an_incident_is_declared_over_http_from_start_to_end(door: Door) -> None:
    view = await door.bot.type_command("ana", "general", "/incident checkout is slow")
    await door.bot.fill("ana", view, severity_id=chosen("major"))
    outcome = await door.bot.submit("ana", view)
    assert outcome.ok, outcome
    await settled(door.bot)
    incident = await newest(door.bot)
    assert incident.reference in words(view)
    assert f"<#{incident.slack_channel_id}>" in words(view)
    (answered,) = (r for r in door.bot.workspace.requests if r.method == "view_submission")
    made = door.bot.calls("conversations.create")[0]
    assert answered.took is not None
    assert made.at >= answered.at + answered.took


async def test_what_slack_signed_is_answered(door: Door) -> None:
    answered = await door.post(command(door))
    assert answered.status_code == 200
    assert "/incident help" in answered.json()["text"]


@pytest.mark.parametrize(
    "headers",
    [
        {"x_slack_signature": ""},
        {"x_slack_signature": "v0=" + "0" * 64},
        {"x_slack_signature": "v0=" + "g" * 64},
        {"x_slack_signature": "v1=" + "0" * 64},
        {"x_slack_request_timestamp": ""},
        {"x_slack_request_timestamp": "now"},
        {"x_slack_request_timestamp": "-1"},
        {"x_slack_request_timestamp": "9" * 400},
        {"x_slack_request_timestamp": "1e9"},
    ],
)
async def test_what_is_not_signed_by_slack_is_401(door: Door, headers: dict[str, str]) -> None:
    assert (await door.post(command(door), **headers)).status_code == 401


# What is signed ahead comes of age while a slow machine sends it.
@pytest.mark.parametrize("age", [301.0, 86_400.0, -120.0, -299.0, -360.0])
async def test_what_was_signed_too_long_ago_or_ahead_is_401(door: Door, age: float) -> None:
    assert (await door.post(command(door), age=age)).status_code == 401


async def test_the_operator_is_warned_once_a_minute_of_requests_without_a_signature_and_reads_no_word_of_them(
    door: Door,
) -> None:
    now = time.time()
    apart = HttpReceiver(door.bot.app.receiver._app, "another secret", now=lambda: now)
    await apart.open()
    there = httpx.ASGITransport(Starlette(routes=[apart.route]))
    async with httpx.AsyncClient(transport=there, base_url="http://apart", verify=False) as client:
        away = Door(door.bot, "/slack/events", client)
        with capture_logs() as logged:
            for _ in range(3):
                assert (await away.post(command(door, text="a word"))).status_code == 401
            now += 61
            assert (await away.post(command(door, text="a word"))).status_code == 401
    first, second = logged
    assert "check SLACK_SIGNING_SECRET and this machine's clock" in first["event"]
    assert (first["log_level"], first["requests"], second["requests"]) == ("warning", 1, 3)
    assert "a word" not in str(logged)


async def test_a_body_that_was_changed_after_signing_is_401(door: Door) -> None:
    stamp = str(int(time.time()))
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": "v0=" + "a" * 64}
    answered = await door.client.post(door.url, content=command(door), headers=headers)
    assert answered.status_code == 401


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM),
        (b"\xff\xfe", FORM),
        (b"hello", FORM),
        (b"payload=", FORM),
        (b"payload=%7B", FORM),
        (b"payload=%5B%5D", FORM),
        (b"payload=%7B%7D&payload=%7B%7D", FORM),
        (b"payload=" + b"%5B" * 100_000, FORM),
        (b"payload=%7B%22type%22%3A%22view_submission%22%7D", FORM),
        (b"payload=%7B%22type%22%3A%22block_actions%22%2C%22user%22%3A5%7D", FORM),
        (b"payload=%7B%22type%22%3A%22block_actions%22%2C%22actions%22%3A%5B5%5D%7D", FORM),
        (b"payload=%7B%22type%22%3A%22view_submission%22%2C%22view%22%3A%5B%5D%7D", FORM),
        (b"payload=%7B%22type%22%3A5%7D", FORM),
        (b"command=/incident", FORM),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b"[" * 100_000, "application/json"),
    ],
)
async def test_what_is_signed_but_makes_no_sense_is_400(door: Door, body: bytes, kind: str) -> None:
    assert (await door.post(body, kind=kind)).status_code == 400


async def test_a_body_of_two_megabytes_is_413_before_anything_is_read_of_it(door: Door) -> None:
    assert (await door.post(b"payload=" + b"x" * 2_000_000)).status_code == 413


async def test_slacks_clock_may_be_half_a_minute_before_ours(door: Door) -> None:
    assert (await door.post(command(door), age=-30.0)).status_code == 200


SHAPED = {"X-Slack-Request-Timestamp": "{now}", "X-Slack-Signature": "v0=" + "0" * 64}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-Slack-Signature": SHAPED["X-Slack-Signature"]}, 401),
        ({"X-Slack-Request-Timestamp": "{now}"}, 401),
        (SHAPED | {"X-Slack-Signature": "v0=" + "0" * 63}, 401),
        (SHAPED | {"X-Slack-Request-Timestamp": "1"}, 401),
        (SHAPED | {"Content-Length": "1048577"}, 413),
    ],
)
async def test_nothing_is_read_of_a_body_whose_head_is_not_slacks(
    door: Door, headers: dict[str, str], status: int
) -> None:
    given = {"Host": "x", "Content-Type": FORM, "Content-Length": "1048576", **headers}
    lines = [f"{name}: {value.format(now=int(time.time()))}" for name, value in given.items()]
    reader, writer = await asyncio.open_connection(*urlsplit(door.url).netloc.split(":"))
    began = asyncio.get_running_loop().time()
    # The body itself is never sent.
    writer.write("\r\n".join(["POST /slack/events HTTP/1.1", *lines, "", ""]).encode())
    assert (await reader.readline()).split()[1] == str(status).encode()
    assert asyncio.get_running_loop().time() - began < 1
    writer.close()


async def test_bodies_together_hold_no_more_than_their_share_and_a_small_one_is_always_taken(
    door: Door,
) -> None:
    large = MOST_HELD // LARGEST_BODY + 4
    lines = [f"{name}: {value.format(now=int(time.time()))}" for name, value in SHAPED.items()]
    head = ["POST /slack/events HTTP/1.1", "Host: x", f"Content-Length: {LARGEST_BODY}", *lines, "", ""]
    open_ones = [await asyncio.open_connection(*urlsplit(door.url).netloc.split(":")) for _ in range(large)]
    for _, writer in open_ones:
        writer.write("\r\n".join(head).encode() + b"x" * (LARGEST_BODY - 1))
    statuses = [asyncio.create_task(reader.readline()) for reader, _ in open_ones]
    await asyncio.wait(statuses, return_when=asyncio.FIRST_COMPLETED)
    assert (await door.post(command(door))).status_code == 200
    told = Counter(line.split()[1] for line in await asyncio.gather(*statuses))
    assert told.keys() == {b"503", b"408"}
    assert told[b"408"] <= MOST_HELD // (LARGEST_BODY - 1)
    for _, writer in open_ones:
        writer.close()


async def test_slack_may_check_that_the_address_is_ours(door: Door) -> None:
    asked: dict[str, Any] = {"type": "url_verification", "token": "t", "challenge": "3eZbrw1a"}
    answered = await door.post(json.dumps(asked).encode(), kind="application/json")
    assert (answered.status_code, "3eZbrw1a" in answered.text) == (200, True)
    assert (await door.post(b"ssl_check=1&token=t")).status_code == 200


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "view_closed", "view": {"id": "V1", "type": "modal"}, "is_cleared": False},
        {"type": "interactive_message", "actions": [{"name": "x", "type": "button"}], "callback_id": "x"},
        {"type": "brand_new"},
    ],
    ids=lambda payload: payload["type"],
)
async def test_a_kind_that_the_bot_has_no_use_for_is_acknowledged(
    door: Door, payload: dict[str, Any]
) -> None:
    given = payload | {"user": {"id": "U0ANA00001"}, "team": {"id": door.bot.workspace.state.team.id}}
    answered = await door.post(urlencode({"payload": json.dumps(given)}).encode())
    assert (answered.status_code, answered.text) == (200, "")


async def test_slack_may_say_that_it_holds_events_back(door: Door) -> None:
    said = {"type": "app_rate_limited", "token": "t", "team_id": "T1", "minute_rate_limited": 1518467820}
    answered = await door.post(json.dumps(said).encode(), kind="application/json")
    assert (answered.status_code, answered.text) == (200, "")


async def test_another_workspace_is_told_that_it_is_not_served(door: Door) -> None:
    answered = await door.post(command(door, team_id="T0STRANGER"))
    assert answered.json()["text"] == "Tocsin does not serve this workspace."


async def test_the_door_answers_to_post_only(door: Door) -> None:
    assert (await door.client.get(door.url)).status_code == 405
