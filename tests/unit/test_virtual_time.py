"""Tests wait on virtual time: what costs nothing, and what is still waited for."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from support.autojump import AutojumpLoop, passing, threads_beside

HOUR = 3600.0


async def test_an_hour_passes_exactly_and_at_once() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, AutojumpLoop)
    began = loop.time()
    await asyncio.sleep(HOUR)
    assert loop.time() - began == HOUR


async def test_time_stands_still_while_something_is_computed() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    sum(range(1_000_000))
    await asyncio.sleep(0)
    assert loop.time() == began


async def test_what_goes_over_a_socket_takes_no_time() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        async with asyncio.timeout(HOUR):
            reader, writer = await asyncio.open_connection(host, port)
        began = asyncio.get_running_loop().time()
        for _ in range(100):
            writer.write(b"ping\n")
            assert await reader.readline() == b"ping\n"
        assert asyncio.get_running_loop().time() == began
        writer.close()


async def test_a_thread_that_works_takes_no_time() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.to_thread(threading.Event().wait, 0.01)
    with ThreadPoolExecutor() as pool:
        await loop.run_in_executor(pool, threading.Event().wait, 0.01)
    assert loop.time() == began


async def test_a_thread_that_waits_for_the_loop_is_waited_for_and_no_hour_is_jumped_over_meanwhile() -> None:
    done = threading.Event()
    asyncio.get_running_loop().call_later(0.01, done.set)
    with passing():
        async with asyncio.timeout(HOUR):
            assert await asyncio.to_thread(done.wait)


async def test_threads_work_beside_the_loop_whose_time_jumps_when_none_of_them_works() -> None:
    loop, done = asyncio.get_running_loop(), threading.Event()
    with threads_beside():
        await asyncio.sleep(HOUR)
        assert loop.time() == HOUR
        loop.call_later(0.01, done.set)
        async with asyncio.timeout(HOUR):
            assert await asyncio.to_thread(done.wait)
        await asyncio.sleep(HOUR)
    assert HOUR < loop.time() - HOUR < 2 * HOUR


async def test_another_process_is_waited_for_while_time_passes() -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    threading.Timer(0.01, lambda: loop.call_soon_threadsafe(told.set)).start()
    with passing():
        async with asyncio.timeout(HOUR):
            await told.wait()
