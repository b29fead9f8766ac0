"""What a slash command costs the processor: in Tocsin, and in bare Bolt.

`valgrind --tool=callgrind --instr-atstart=no python -m benchmarks.instructions instructions …` has callgrind
count instructions: each way answers so many commands, from the request that the web server read to the opened
form, and then many more; the difference is what a command costs. `python -m benchmarks.instructions calls …`
prints how many functions of Python's are called for each. The other words are the address of a stub of Slack
and a data folder. Both ways have the same loop, the same session to Slack, and open the same form.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType

import uvloop
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Scope

from benchmarks import bare
from benchmarks.wire import SECRET, command
from tocsin import logs
from tocsin.app import open_app
from tocsin.resources import open_resources
from tocsin.settings import read_settings
from tocsin.slack import commands
from tocsin.slack.http import HttpReceiver
from tocsin.slack.web_api import open_session, web_client
from tocsin.start import connected

FEW, MANY = 5, 45
VERBS = 200
PEOPLE = 50
"""All who type a command have done so before: Slack is asked who somebody new is, once in five minutes."""
Answer = Callable[[Scope, bytes], Awaitable[int]]
Count = Callable[[str, Answer], Awaitable[None]]


def one_command(number: int) -> tuple[Scope, bytes]:
    """A slash command, as a web server hands it on (ASGI, HTTP connection scope)."""
    head, _, body = command(number, f"checkout is slow {number}").partition(b"\r\n\r\n")
    lines = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/slack/events",
        "raw_path": b"/slack/events",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in lines],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
        "state": {},
    }
    return scope, body


async def answered(app: ASGIApp, scope: Scope, body: bytes) -> int:
    """The status that the application answers with."""
    status = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status


async def count_calls(way: str, answer: Answer) -> None:
    """Warm up, and print as JSON how many functions are called for each of many commands."""
    await warm_up(answer)
    made = [one_command(1000 + number) for number in range(MANY)]
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    for scope, body in made:
        await answer(scope, body)
    sys.setprofile(None)
    print(json.dumps([way, calls / MANY]))


async def count_instructions(way: str, answer: Answer) -> None:
    """Warm up, then have callgrind write down what a few commands cost, and what many do."""
    await warm_up(answer)
    for times in (FEW, MANY):
        made = [one_command(1000 + number) for number in range(times)]
        control("-i", "on")
        control("-z")
        for scope, body in made:
            await answer(scope, body)
        control("-d", f"{way} {times}")
        control("-i", "off")


async def warm_up(answer: Answer) -> None:
    for number in range(PEOPLE):
        assert await answer(*one_command(number)) == 200


def control(*words: str) -> None:
    own = str(os.getpid())
    subprocess.run(["callgrind_control", *words, own], check=True, capture_output=True)


async def bolt(slack: str, count: Count) -> None:
    """Bolt with the tuning that Tocsin has, opening the form that Tocsin opens."""
    async with open_session() as session:
        app, going = bare.tuned_app(web_client(session, token="xoxb-1", base_url=slack))
        served = bare.on_starlette(app)

        async def answer(scope: Scope, body: bytes) -> int:
            status = await answered(served, scope, body)
            await asyncio.gather(*going)
            return status

        await count("bolt", answer)


async def tocsin(slack: str, folder: Path, count: Count) -> None:
    """Tocsin as it is, and with as many verbs as nobody has."""
    logs.configure()
    settings = read_settings(
        slack_api_url=slack, slack_bot_token="xoxb-1", slack_signing_secret=SECRET, tocsin_data_dir=folder
    )
    async with open_resources(settings, folder) as parts, open_app(parts) as app, connected(app):
        assert isinstance(app.receiver, HttpReceiver)
        served = Starlette(routes=[app.receiver.route])

        async def answer(scope: Scope, body: bytes) -> int:
            status = await answered(served, scope, body)
            await parts.tasks.settled()
            return status

        await count("tocsin", answer)
        verb = commands.VERBS["help"]
        commands.VERBS.update({f"verb{number}": verb for number in range(VERBS - len(commands.VERBS))})
        await count("tocsin with 200 verbs", answer)


COUNTS: dict[str, Count] = {"calls": count_calls, "instructions": count_instructions}


async def main(counted: str, slack: str, folder: Path) -> None:
    await bolt(slack, COUNTS[counted])
    await tocsin(slack, folder, COUNTS[counted])


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
