"""Raw connections: a request has little time to come, is written in one way, and keeps nobody else out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from support.site import Site

from tocsin.server import KEEP_ALIVE_SECONDS
from tocsin.web.http_protocol import HEAD_SECONDS
from tocsin.web.middleware import HEADERS

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(site: Site) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    try:
        yield reader, writer
    finally:
        writer.close()


def head(site: Site, *lines: str, method: str = "GET", path: str = "/healthz") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{site.port}", *lines, "", ""]).encode()


async def answered(reader: asyncio.StreamReader) -> int:
    """The status of the next answer, which is read to the end of its head."""
    return int((await reader.readuntil(b"\r\n\r\n")).split()[1])


async def status_of(site: Site, raw: bytes) -> tuple[int, str]:
    """The status of the answer to these bytes, and all that comes until the server hangs up."""
    async with connected(site) as (reader, writer):
        writer.write(raw)
        told = (await reader.read()).decode()
    return int(told.split(" ", 2)[1]), told.lower()


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1"])
async def test_a_connection_that_brings_no_whole_head_is_closed_after_ten_seconds(site, sent: bytes) -> None:
    async with connected(site) as (reader, writer):
        writer.write(sent)
        began = now()
        told = await reader.read()
        assert now() - began == pytest.approx(HEAD_SECONDS, abs=1)
    assert told.startswith(b"HTTP/1.1 408 ") if sent else told == b""


async def test_a_head_that_comes_letter_by_letter_has_no_more_time(site) -> None:
    async with connected(site) as (reader, writer):
        began = now()
        told = asyncio.ensure_future(reader.read())
        for letter in head(site)[:-1].decode():
            writer.write(letter.encode())
            await asyncio.wait({told}, timeout=1.5)
            if told.done():
                break
        assert (await told).startswith(b"HTTP/1.1 408 ")
        assert now() - began == pytest.approx(HEAD_SECONDS, abs=1)


async def test_the_second_request_of_a_connection_has_no_more_time_than_the_first(site) -> None:
    async with connected(site) as (reader, writer):
        writer.write(head(site))
        assert await answered(reader) == 200
        await reader.readexactly(3)
        await asyncio.sleep(KEEP_ALIVE_SECONDS - 5)
        writer.write(head(site))
        assert await answered(reader) == 200
        await reader.readexactly(3)
        writer.write(head(site)[:-1])
        began = now()
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        assert now() - began == pytest.approx(HEAD_SECONDS, abs=1)


async def test_a_body_that_nobody_reads_keeps_no_connection(site) -> None:
    async with connected(site) as (reader, writer):
        writer.write(head(site, "Content-Length: 1000000", method="POST", path="/incidents"))
        assert await answered(reader) == 405
        began, told = now(), asyncio.ensure_future(reader.read())
        while not told.done() and now() - began < 10 * HEAD_SECONDS:
            writer.write(b"x")
            await asyncio.wait({told}, timeout=1.0)
        assert now() - began == pytest.approx(HEAD_SECONDS, abs=2)


async def test_what_a_proxy_may_read_otherwise_is_refused(site) -> None:
    host = f"Host: 127.0.0.1:{site.port}\r\n"
    lines = f"POST /incidents HTTP/1.1\r\n{host}"
    chunked = "Transfer-Encoding: chunked\r\n"
    for raw in (
        f"{lines}Content-Length: 5\r\n{chunked}\r\n0\r\n\r\n",
        f"{lines}{chunked}Content-Length: 5\r\n\r\n0\r\n\r\n",
        f"{lines}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        f"POST /incidents HTTP/1.0\r\n{host}{chunked}\r\n0\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\n{host}X-Folded: one\r\n two\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\n{host}X-Folded: one\r\n\ttwo\r\n\r\n",
        f"GET /healthz HTTP/1.1\n{host}\r\n",
        f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\n\r\n",
        f"GET /healthz HTTP/1.1\r\n{host}\n",
        f"GET /healthz HTTP/1.1\r\n{host}X : 1\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\n{host}X: a\rb\r\n\r\n",
    ):
        status, told = await status_of(site, raw.encode())
        assert status == 400, raw
        for name, value in HEADERS.items():
            assert f"{name}: {value}".lower() in told, raw


async def test_the_second_of_two_requests_in_one_packet_is_looked_at_as_the_first_is(site) -> None:
    folded = head(site, "X-Folded: one\r\n two")
    status, told = await status_of(site, head(site) + folded)
    assert (status, told.count("http/1.1 200"), told.count("http/1.1 400")) == (200, 1, 1)


async def test_an_ordinary_request_is_answered_however_it_is_cut(site) -> None:
    whole = head(site, "X-One: a  b", "Connection: close")
    for cut in range(1, len(whole), 7):
        async with connected(site) as (reader, writer):
            writer.write(whole[:cut])
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(whole[cut:])
            assert await answered(reader) == 200
