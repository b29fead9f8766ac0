"""A process that has everything imported but the bot, and forks one bot for each line it reads."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

# What takes long to import, and that nothing is planted in.
import aiohttp
import dbos
import httpx
import jinja2
import platformdirs
import pydantic_settings
import slack_bolt.adapter.socket_mode.websockets
import slack_bolt.app.async_app
import slack_sdk.models.views
import sqlite_utils
import starlette.applications
import structlog
import uvicorn
import websockets

from reliability.history.bugs import BUGS
from reliability.history.deaths import DEATHS
from reliability.history.planting import StandIn, plant
from tocsin import settings
from tocsin.slack import payloads
from tocsin.workflows import declaration

LONGEST_LIFE = 600
"""Seconds after which a bot is ended by the system, should everything else have failed."""

LOOK_SECONDS = 0.02

ENDED: set[str] = set()
"""The stories that have run to some end in this process, well or not."""


def _in_hand(original: Callable[..., None], journal: Any) -> None:
    """As the bot does it, and note when the running story ends: one that fails stays unfinished for ever."""
    original(journal)
    task, key = asyncio.current_task(), dbos.DBOS.workflow_id
    if task is not None and key is not None:
        task.add_done_callback(lambda _: ENDED.add(key))


IN_HAND = StandIn("tocsin.storage.workflow_engine:DbosEngine.in_hand", _in_hand)
IMPORTED = (
    aiohttp,
    dbos,
    httpx,
    jinja2,
    platformdirs,
    pydantic_settings,
    slack_bolt,
    slack_sdk,
    sqlite_utils,
    starlette,
    structlog,
    uvicorn,
    websockets,
    settings,
    declaration,
    payloads,
)


def main() -> None:
    """A line is a request: the bot's settings, what is planted in it, and the socket it reports to."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            request = json.loads(line)
            log = os.open(request["log"], os.O_WRONLY | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            signal.alarm(LONGEST_LIFE)
            # A thread that somebody left running must not keep this process alive.
            try:
                asyncio.run(_serve(request))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)


async def _serve(request: dict[str, Any]) -> None:
    # Who waits for us sees the connection end if one of these imports fails.
    reader, writer = await asyncio.open_unix_connection(request["socket"])
    asked: asyncio.Queue[bytes] = asyncio.Queue()
    listening_to_parent = asyncio.create_task(_listen(reader, asked))
    plant(_planted(request["bug"], request["death"]))

    from tocsin.app import open_app
    from tocsin.data_dir import folder_of
    from tocsin.resources import open_resources
    from tocsin.server import listen, serving
    from tocsin.settings import read_settings
    from tocsin.start import connected

    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    settings = read_settings(tocsin_port=port, **request["settings"])
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_resources(settings, folder_of(settings)))
        app = await stack.enter_async_context(open_app(parts))
        await stack.enter_async_context(serving(app.pages(), listening))
        await stack.enter_async_context(connected(app))
        hello = {"pid": os.getpid(), "url": settings.public_url, "token": parts.api_token}
        writer.write(json.dumps(hello).encode() + b"\n")
        while not listening_to_parent.done():
            await asked.get()
            await parts.tasks.settled()
            while set(await parts.engine.unfinished()) - ENDED:
                await parts.engine.finish(LOOK_SECONDS)
                await asyncio.sleep(LOOK_SECONDS)
            writer.write(b"quiet\n")


def _planted(bug: str | None, death: str | None) -> list[StandIn]:
    """What a bug and a death of these names consist of; one of no such name is an error."""
    return [IN_HAND, *(BUGS[bug].stand_ins if bug else ()), *([DEATHS[death]] if death else [])]


async def _listen(reader: asyncio.StreamReader, asked: asyncio.Queue[bytes]) -> None:
    """What is asked of us; when nobody is there to ask any more, this process has no reason to be."""
    while line := await reader.readline():
        asked.put_nowait(line)
    os._exit(0)


if __name__ == "__main__":
    # The folder of this package is the one thing that a child must find again.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
