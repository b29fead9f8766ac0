"""A receiver of webhooks over real sockets, which answers, fails, hangs, drips, redirects or breaks off."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

SECRET = "whsec_" + base64.b64encode(b"a webhook's key of 32 bytes, yes").decode()
VARIABLE = "TEST_HOOK_SECRET"
CONFIG = """
[[webhooks]]
name = "{name}"
url = "{url}"
secret_variable = "TEST_HOOK_SECRET"
allow_private_network = true
private = {private}
"""

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def configured(*urls: str, private: bool = False) -> str:
    """The configuration with an endpoint for each address: `hook1`, `hook2` …"""
    flag = str(private).lower()
    return "".join(CONFIG.format(name=f"hook{n}", url=u, private=flag) for n, u in enumerate(urls, 1))


@dataclass(frozen=True)
class Received:
    """One request: when it came, its headers, and what it says."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.body)
        return said

    @property
    def type(self) -> str:
        return str(self.said["event_type"])

    @property
    def about(self) -> dict[str, Any]:
        about: dict[str, Any] = self.said[self.type]
        return about

    def is_signed(self, secret: str = SECRET) -> bool:
        """True if the signature fits, as the Standard Webhooks specification has it verified."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        good = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return any(hmac.compare_digest(one, good) for one in self.headers["webhook-signature"].split(" "))


def status(code: int, *headers: str, body: str = "") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(body.encode())}", *headers]
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    return answer


async def hang(writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.sleep(3600)


async def drip(writer: asyncio.StreamWriter) -> None:
    """Answer one byte a second, without end: a header that is never whole."""
    writer.write(b"HTTP/1.1 200 X\r\nX: ")
    while True:
        writer.write(b"x")
        await asyncio.sleep(1)


async def pour(writer: asyncio.StreamWriter) -> None:
    """Answer with more than anybody would read."""
    writer.write(b"HTTP/1.1 500 X\r\nContent-Length: 1000000000\r\n\r\n")
    for _ in range(100):
        writer.write(b"y" * 10_000)
        await writer.drain()


async def break_off(writer: asyncio.StreamWriter) -> None:
    """End the connection without a word."""
    writer.transport.abort()


@dataclass
class Receiver:
    """What came in, and what is to be answered: the next of `answers`, else `usually`."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    usually: Answer = field(default_factory=lambda: status(204))
    reads: Callable[[dict[str, Any]], None] = lambda said: None
    """Is told of each body as it comes, for a test that judges what may be known then."""
    at_once: int = 0
    most_at_once: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").strip().split("\r\n")
                pairs = (line.partition(":") for line in lines)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                now = asyncio.get_running_loop().time()
                self.received.append(Received(now, first.split(" ")[1], headers, body))
                self.reads(json.loads(body))
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    await (self.answers.pop(0) if self.answers else self.usually)(writer)
                    await writer.drain()
                finally:
                    self.at_once -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running_receiver() -> AsyncIterator[Receiver]:
    receiver, tasks = Receiver(), set[asyncio.Task[None]]()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(receiver.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    before = os.environ.get(VARIABLE)
    # Where an operator has it.
    os.environ[VARIABLE] = SECRET
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?token=hush"
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        os.environ.pop(VARIABLE, None)
        os.environ |= {VARIABLE: before} if before is not None else {}
