"""One life of the bot, from its start to the kill, told to the runner over a socket."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
import socket
import traceback
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from reliability.crash.clock import BOT_TIME, Hurried, Hurry
from reliability.crash.switch import Kill, Switch
from tocsin.app import open_app
from tocsin.data_dir import folder_of
from tocsin.resources import open_resources
from tocsin.server import listen, serving
from tocsin.settings import read_settings
from tocsin.start import connected
from tocsin.storage.workflow_engine import DbosEngine

GLANCE_SECONDS = 0.05
API_TOKEN = "a-token-of-the-operator"
"""Key with which clients ask for something over HTTP."""


def live(order: dict[str, Any], switches: Switch, kill: Kill | None) -> None:
    """Run the bot until killed, or until the runner hangs up."""
    faulthandler.register(signal.SIGUSR1)
    line = socket.socket(socket.AF_UNIX)
    line.connect(order["line"])
    _say(line, {"pid": os.getpid()})
    switches.arm(kill, Path(order["note"]))
    try:
        with asyncio.Runner(loop_factory=_new_loop(order["clock"])) as runner:
            runner.run(_live(order, line, switches))
    except BaseException:
        traceback.print_exc()
        _say(line, {"event": "failed", "why": traceback.format_exc(limit=-3)})
        raise


def _new_loop(clock: str | None) -> Callable[[], asyncio.AbstractEventLoop]:
    """The loop that `tocsin run` has; or one whose waiting can be hurried, which that one's cannot."""
    if clock is None:
        return uvloop.new_event_loop
    hurry = BOT_TIME.hurry = Hurry(Path(clock))
    return lambda: asyncio.SelectorEventLoop(Hurried(hurry))


async def _live(order: dict[str, Any], line: socket.socket, switches: Switch) -> None:
    settings = read_settings(**order["settings"], tocsin_api_token=API_TOKEN)
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_resources(settings, folder_of(settings)))
        app = await stack.enter_async_context(open_app(parts))
        listening = listen("127.0.0.1", 0)
        await stack.enter_async_context(serving(app.pages(), listening))
        await stack.enter_async_context(connected(app))
        _say(line, {"event": "up", "port": listening.getsockname()[1]})
        reader, _ = await asyncio.open_connection(sock=line.dup())
        while await reader.readline():
            await _quiet(parts.engine)
            _say(line, {"event": "quiet", "passed": dict(switches.passed)})
    # Nobody listens any more.
    os._exit(0)


async def _quiet(journal: DbosEngine) -> None:
    """Until no story is unfinished, also none that waits to be begun again."""
    while await journal.unfinished():
        await journal.finish(GLANCE_SECONDS)
        await asyncio.sleep(GLANCE_SECONDS / 5)


def _say(line: socket.socket, said: dict[str, Any]) -> None:
    line.sendall(json.dumps(said).encode() + b"\n")
