"""Whatever comes in: no 500, nothing hangs, nothing unforeseen in the log, and strangers change nothing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from support.bot import RunningBot, chosen, running_bot
from support.failures import every_failure
from support.patience import LIMIT
from support.readings import how_many, said
from support.slack import running_workspace

from reliability.hostile.payloads import Json, as_http, mutated, spoilt, valid_payloads
from reliability.hostile.sizes import sizes
from slack_emulator.manifest import Manifest
from tocsin.server import listen, serving
from tocsin.slack import routes
from tocsin.slack.http import HttpReceiver

AT_ONCE = 4
MANIFEST = Manifest.from_dict(routes.manifest())
LONG = "python -m tests.reliability.hostile --requests 10000"


async def valid(bot: RunningBot) -> dict[str, Json]:
    """One payload of each kind; ana has a form open whose severity is chosen."""
    message = await said(bot, "ana", "general", "checkout is *slow* <https://example.com|here>")
    who = bot.slack.person("ana")
    opened = await bot.workspace.global_shortcut(who, "declare")
    assert opened.ok
    form = await bot.opened_form("ana")
    await bot.fill("ana", form, severity_id=chosen("major"), name={"value": "it is slow"})
    return valid_payloads(bot, form, message)


@asynccontextmanager
async def behind_http(folder: Path) -> AsyncIterator[tuple[RunningBot, str, dict[str, Json]]]:
    """The bot in HTTP mode, the address of its door, and payloads that it would take."""
    async with running_workspace(MANIFEST) as slack:
        async with running_bot(folder / "first", slack) as bot:
            kinds = await valid(bot)
        secret = {"slack_app_token": None, "slack_signing_secret": slack.signing_secret}
        async with running_bot(folder / "second", slack, **secret) as bot:
            assert isinstance(bot.app.receiver, HttpReceiver)
            listening = listen("127.0.0.1", 0)
            async with serving(Starlette(routes=[bot.app.receiver.route]), listening):
                yield bot, f"http://127.0.0.1:{listening.getsockname()[1]}/slack/events", kinds


def signature(secret: str, body: bytes, at: float) -> dict[str, str]:
    stamp = str(int(at))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"}


def forged(secret: str, body: bytes, rng: Random) -> dict[str, str]:
    """Headers that are nearly right."""
    right = signature(secret, body, time.time())
    return rng.choice(
        [
            {},
            {"x-slack-signature": right["x-slack-signature"]},
            signature("another secret", body, time.time()),
            signature(secret, body + b" ", time.time()),
            signature(secret, body, time.time() - 3600),
            signature(secret, body, time.time() + 3600),
            right | {"x-slack-request-timestamp": "1e9"},
            right | {"x-slack-request-timestamp": "٣٣٣٣٣٣٣٣٣٣"},
            right | {"x-slack-signature": right["x-slack-signature"].upper()},
            right | {"x-slack-signature": "v0=" + "é" * 64},
            right | {"x-slack-signature": ""},
        ]
    )


async def answers(url: str, requests: Iterable[tuple[bytes, dict[str, str]]]) -> list[int]:
    """The status of each, some asked side by side; TimeoutError when one takes too long."""
    statuses: list[int] = []
    left = iter(requests)

    async def ask(client: httpx.AsyncClient) -> None:
        for body, headers in left:
            encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
            async with asyncio.timeout(LIMIT):
                answered = await client.post(url, content=body, headers=encoded)
            assert answered.status_code < 500, (answered.text, body[:3000])
            statuses.append(answered.status_code)

    async with httpx.AsyncClient(trust_env=False, timeout=None) as client, asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(ask(client))
    return statuses


def hostile(kinds: dict[str, Json], rng: Random, count: int) -> Iterable[tuple[bytes, str]]:
    """Bodies of every kind in turn, one in eight no longer readable at all."""
    for number in range(count):
        kind = list(kinds)[number % len(kinds)]
        body, content_type = as_http(kind, mutated(kinds[kind], rng))
        yield spoilt(body, content_type, rng) if rng.random() < 0.125 else (body, content_type)


@pytest.mark.parametrize("count", sizes(60, 1_200, LONG))
async def test_nothing_signed_that_comes_in_by_http_breaks_the_bot(tmp_path: Path, count: int) -> None:
    rng = Random(11)
    async with behind_http(tmp_path) as (bot, url, kinds):
        secret = bot.slack.signing_secret
        with every_failure() as failures:
            statuses = await answers(
                url,
                (
                    (body, {"content-type": kind, **signature(secret, body, time.time())})
                    for body, kind in hostile(kinds, rng, count)
                ),
            )
            await bot.app.settled()
        counted = Counter(statuses)
        assert not failures, "\n".join(dict.fromkeys(failures))
        # On a machine that stands still for three seconds, 408 is right.
        assert set(counted) <= {200, 400, 401, 404, 408, 413}, counted
        assert len(statuses) == count
        assert counted[200] > count / 10, counted
        body, kind = as_http("command", kinds["command"] | {"text": "help"})
        headers = {"content-type": kind, **signature(secret, body, time.time())}
        assert await answers(url, [(body, headers)]) == [200]


@pytest.mark.parametrize("count", sizes(30, 300, LONG))
async def test_what_slack_did_not_sign_is_answered_401_and_does_nothing(tmp_path: Path, count: int) -> None:
    rng = Random(12)
    async with behind_http(tmp_path) as (bot, url, kinds):
        secret, before, asked = bot.slack.signing_secret, await how_many(bot), len(bot.calls())
        with every_failure() as failures:
            bodies = list(hostile(kinds, rng, count))
            bodies += [as_http(kind, payload) for kind, payload in kinds.items()]
            statuses = await answers(
                url, ((body, {"content-type": kind, **forged(secret, body, rng)}) for body, kind in bodies)
            )
            await bot.app.settled()
        assert not failures, "\n".join(dict.fromkeys(failures))
        assert {401} <= set(statuses) <= {401, 408}
        assert await how_many(bot) == before
        assert len(bot.calls()) == asked


@pytest.mark.parametrize("count", sizes(50, 500, LONG))
async def test_nothing_that_comes_in_by_socket_breaks_the_bot(tmp_path: Path, count: int) -> None:
    rng = Random(13)
    async with (
        running_workspace(MANIFEST) as slack,
        running_bot(tmp_path, slack) as bot,
    ):
        kinds = await valid(bot)
        with every_failure() as failures:
            for start in range(0, count, 50):
                await _delivered(bot, kinds, rng, start, 50)
            await bot.app.settled()
        assert not failures, "\n".join(dict.fromkeys(failures))


def _encodable(payload: Json) -> Any:
    """No WebSocket carries half a surrogate pair."""
    return json.loads(json.dumps(payload).replace("\\ud800", "\\ufffd"))


async def _delivered(bot: RunningBot, kinds: dict[str, Json], rng: Random, start: int, count: int) -> None:
    """So many payloads, and then a question that must be answered at once."""
    sending = []
    for number in range(start, start + count):
        kind = list(kinds)[number % len(kinds)]
        envelope: Any = {"command": "slash_commands", "event_callback": "events_api"}.get(kind, "interactive")
        payload: Any = _encodable(mutated(kinds[kind], rng))
        if rng.random() < 0.05:
            payload = rng.choice([None, [], "text", 7, [payload]])
        sending.append(bot.workspace.delivery.deliver(bot.slack.app, envelope, payload, f"hostile {kind}"))
    waiting = asyncio.gather(*sending)
    async with asyncio.timeout(LIMIT):
        helped = await bot.workspace.command(
            bot.slack.person("ana"), bot.slack.channel("general"), "/incident help"
        )
    assert helped.ok, helped
    # Bolt leaves what it cannot place without an acknowledgement, until Slack's patience with it ends.
    await waiting
