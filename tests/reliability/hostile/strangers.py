"""Requests that Slack would not send, to `tocsin run` over HTTP, and what became of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, cast

from support.bot import RunningBot, chosen
from support.operated import Operated, canaries, free_port, operated
from support.patience import LIMIT
from support.readings import said
from support.slack import RunningWorkspace, running_workspace

from reliability.hostile.payloads import FORM, JSON, Json, as_http, mutated, spoilt, valid_payloads
from reliability.hostile.test_inbound import forged, signature
from slack_emulator.manifest import Manifest
from tocsin.slack import routes

SIGNED, UNSIGNED, ODD = 0.50, 0.34, 0.12
"""Parts of all that are sent; the rest is no HTTP at all."""

SLOW = 12
AT_ONCE = 6
CANARY = "quaggaword"
Headers = list[tuple[str, str]]


@dataclass
class Raw:
    """One request as bytes, so that nothing tidies it up on the way."""

    body: bytes
    headers: Headers
    method: str = "POST"
    path: str = "/slack/events"
    lengths: tuple[int, ...] | None = None
    """Other Content-Lengths than the body's own."""

    @property
    def sent(self) -> bytes:
        lengths = (len(self.body),) if self.lengths is None else self.lengths
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"content-length: {length}" for length in lengths]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace") + self.body


@dataclass
class Stranger:
    """Somebody who sends what they like to one port; counts what is answered."""

    port: int
    statuses: Counter[int] = field(default_factory=Counter)
    echoed: int = 0
    """How many answers repeated a word of what was sent."""

    async def send(self, requests: Iterable[Raw | bytes]) -> Counter[int]:
        """All of them, on connections that are kept while the server keeps them; what was answered."""
        before, left = self.statuses.copy(), iter(requests)
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._send(left))
        return self.statuses - before

    async def _send(self, left: Iterator[Raw | bytes]) -> None:
        connection = None
        for request in left:
            if connection is None:
                connection = await asyncio.open_connection("127.0.0.1", self.port)
            raw = request if isinstance(request, bytes) else request.sent
            async with asyncio.timeout(LIMIT):
                kept = await self._exchange(*connection, raw)
            if not kept:
                connection[1].close()
                connection = None
        if connection is not None:
            connection[1].close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> bool:
        """Whether the connection can be used again."""
        try:
            writer.write(raw)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = next(
                (int(n.split(":")[1]) for n in head.split("\r\n") if n.startswith("content-length")), 0
            )
            answer = await reader.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError):
            # Hung up on without an answer, as is right for what is no HTTP.
            self.statuses[0] += 1
            return False
        self.echoed += CANARY.encode() in answer
        self.statuses[int(head.split(" ")[1])] += 1
        return "connection: close" not in head


def headers(port: int, kind: str, signed: dict[str, str]) -> Headers:
    return [("host", f"127.0.0.1:{port}"), ("content-type", kind), *signed.items()]


def bodies(kinds: dict[str, Json], rng: Random) -> Iterator[tuple[bytes, str]]:
    """Without end: bodies of every kind in turn, one in eight no longer readable at all."""
    while True:
        for kind, payload in kinds.items():
            body, content_type = as_http(kind, planted(mutated(payload, rng), rng))
            yield spoilt(body, content_type, rng) if rng.random() < 0.125 else (body, content_type)


def planted(payload: Json, rng: Random) -> Json:
    """With a word in it that may never be seen again, as a value or as a name."""
    places = [value for value in [payload, *payload.values()] if isinstance(value, dict)]
    chosen_place = rng.choice(places)
    if rng.random() < 0.5 or not chosen_place:
        chosen_place[CANARY] = {CANARY: {CANARY: 5}}
    else:
        chosen_place[rng.choice(list(chosen_place))] = CANARY
    return payload


def odd(port: int, secret: str, kinds: dict[str, Json], rng: Random) -> Iterator[Raw]:
    """Without end: signed, but not as Slack puts a request."""
    made = bodies(kinds, rng)
    while True:
        body, kind = next(made)
        right = headers(port, kind, signature(secret, body, time.time()))
        yield Raw(body, right[:-1])
        for again in (-1, -2):
            yield Raw(body, [*right, right[again]])
        yield Raw(body, [*right, ("content-type", JSON), ("content-type", FORM)])
        yield Raw(body, right, lengths=(len(body), len(body) + 7))
        yield Raw(body, [*right, ("transfer-encoding", "chunked")])
        yield Raw(body, right, method=rng.choice(["GET", "PUT", "DELETE", "OPTIONS", "TRACE", CANARY]))
        yield Raw(body, right, path=f"/slack/{rng.choice(['', '../', 'events/', 'install?', '%00'])}{CANARY}")
        yield Raw(body, [("host", f"{CANARY}.example.com"), *right[1:]])
        yield Raw(body, [*right, ("x-padding", CANARY * rng.choice([1, 500, 20_000]))])
        huge = b"payload=" + CANARY.encode() * rng.choice([1_000, 60_000, 200_000])
        yield Raw(huge, headers(port, FORM, signature(secret, huge, time.time())))


def garbage(rng: Random) -> Iterator[bytes]:
    while True:
        yield rng.choice(
            [
                rng.randbytes(rng.randrange(1, 4000)) + b"\r\n\r\n",
                f"{CANARY}\r\n\r\n".encode(),
                f"POST /slack/events HTTP/9.9\r\n{CANARY}\r\n\r\n".encode(),
                b"POST /slack/events HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n" + CANARY.encode(),
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + CANARY.encode() + b"\r\n\r\n",
            ]
        )


async def valid(slack: RunningWorkspace, bot: Operated) -> dict[str, Json]:
    """One payload of each kind; ana has a form open whose severity is chosen."""
    people = RunningBot(cast(Any, None), slack, bot.folder, bot.url)
    message = await said(people, "ana", "general", "checkout is *slow* <https://example.com|here>")
    assert (await slack.workspace.global_shortcut(slack.person("ana"), "declare")).ok
    form = await people.opened_form("ana")
    await people.fill("ana", form, severity_id=chosen("major"), name={"value": "it is slow"})
    return valid_payloads(people, form, message)


async def heard(bot: Operated) -> float:
    """How many requests any listener has seen."""
    figures = await bot.figures()
    return sum(value for series, value in figures.items() if series.startswith("tocsin_requests_total"))


@dataclass
class Found:
    """What a run found; `wrong` has a line for each thing that may not be."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: object) -> None:
        if not holds:
            self.wrong.append(str(otherwise))

    def lines(self) -> list[str]:
        return [f"{self.sent} hostile requests: {dict(self.statuses)}", *self.wrong]


async def hostility(folder: Path, requests: int, seed: int) -> Found:
    """So many requests of every kind, to a bot of their own; what became of them."""
    rng, port, found = Random(seed), free_port(), Found()
    manifest = Manifest.from_dict(routes.manifest(f"http://127.0.0.1:{port}"))
    async with (
        running_workspace(manifest) as slack,
        operated(slack, folder, port, http=True) as bot,
    ):
        kinds, stranger = await valid(slack, bot), Stranger(port)
        await _unsigned(found, slack, bot, stranger, kinds, rng, requests)
        await _signed(found, slack, stranger, kinds, rng, requests)
        found.sent, found.statuses = stranger.statuses.total() + SLOW, stranger.statuses
        broken = [status for status in stranger.statuses if status >= 500]
        found.expect(not broken, f"{broken} answered: {stranger.statuses}")

        body, kind = as_http("command", kinds["command"] | {"text": "help"})
        right = headers(port, kind, signature(slack.signing_secret, body, time.time()))
        helped = await stranger.send([Raw(body, right)])
        found.expect(helped == Counter({200: 1}), f"what Slack sends was answered {helped}")
        code = await bot.stopped()
        found.expect(code == 0, f"ended with exit code {code}")
        secrets = canaries(slack, {"planted": CANARY})
    written = [name for name, word in secrets.items() if word in bot.log]
    found.expect(not written, f"written down: {written}")
    found.expect("Traceback" not in bot.log, bot.log[-3000:])
    return found


async def _unsigned(
    found: Found,
    slack: RunningWorkspace,
    bot: Operated,
    stranger: Stranger,
    kinds: dict[str, Json],
    rng: Random,
    requests: int,
) -> None:
    """What Slack did not sign, or is no HTTP, or never comes to its end: refused, and nothing done."""
    before, asked, secret = await heard(bot), len(slack.workspace.requests), slack.signing_secret
    unsigned = await stranger.send(
        Raw(body, headers(stranger.port, kind, forged(secret, body, rng)))
        for body, kind in islice(bodies(kinds, rng), int(requests * UNSIGNED))
    )
    # On a machine that stands still for three seconds, 408 is right.
    found.expect(set(unsigned) <= {401, 408} and unsigned[401] > 0, f"unsigned answered {unsigned}")
    count = requests - sum(int(requests * part) for part in (SIGNED, UNSIGNED, ODD))
    noise = await stranger.send(islice(garbage(rng), count))
    found.expect(set(noise) <= {0, 400} and noise.total() == count, f"no HTTP, answered {noise}")
    late = Counter(await asyncio.gather(*(slow(stranger, secret, n) for n in range(SLOW))))
    found.expect(late == {408: SLOW}, f"slow, answered {late}")
    now = (await heard(bot), len(slack.workspace.requests))
    found.expect(now == (before, asked), f"listeners and Slack were asked {now}, and before {before, asked}")
    found.expect(stranger.echoed == 0, f"{stranger.echoed} answers repeat what was sent")


async def _signed(
    found: Found,
    slack: RunningWorkspace,
    stranger: Stranger,
    kinds: dict[str, Json],
    rng: Random,
    requests: int,
) -> None:
    """What Slack signed and would not send: none of it may break anything."""
    port, secret = stranger.port, slack.signing_secret
    await stranger.send(islice(odd(port, secret, kinds, rng), int(requests * ODD)))
    signed = await stranger.send(
        Raw(body, headers(port, kind, signature(secret, body, time.time())))
        for body, kind in islice(bodies(kinds, rng), int(requests * SIGNED))
    )
    found.expect(signed[200] > signed.total() / 10, f"signed answered {signed}")


async def slow(stranger: Stranger, secret: str, number: int) -> int:
    """A body that never comes to its end; what it is answered."""
    body = f"payload={CANARY}".encode()
    right = headers(stranger.port, FORM, signature(secret, body, time.time()))
    reader, writer = await asyncio.open_connection("127.0.0.1", stranger.port)
    writer.write(Raw(body, right, lengths=(len(body) + 1 + number,)).sent)
    async with asyncio.timeout(LIMIT):
        status = int((await reader.readuntil(b"\r\n")).split(b" ")[1])
    writer.close()
    return status
