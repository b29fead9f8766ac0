"""What callgrind counts: `valgrind --tool=callgrind --instr-atstart=no python -m benchmarks.instructions …`.

The words are the address of a stub of Slack and a data folder. Each way answers so many slash commands, from
the payload to the opened form, and then many more; the difference is what a command costs.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

from benchmarks import bare
from benchmarks.wire import command
from tocsin.assembly import connected, opened
from tocsin.settings import read_settings
from tocsin.slack import routes
from tocsin.slack.calls import open_session

FEW, MANY = 5, 45
VERBS = 200
Answer = Callable[[AsyncBoltRequest], Awaitable[Any]]


def one_command(number: int) -> AsyncBoltRequest:
    head, _, body = command(number).decode().partition("\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    return AsyncBoltRequest(body=body, headers={name.lower(): value for name, value in lines.items()})


async def count(way: str, answer: Answer) -> None:
    """Warm up, then have callgrind write down what a few commands cost, and what many do."""
    for number in range(10):
        assert (await answer(one_command(number))).status == 200
    for times in (FEW, MANY):
        made = [one_command(1000 + number) for number in range(times)]
        control("-i", "on")
        control("-z")
        for request in made:
            await answer(request)
        control("-d", f"{way} {times}")
        control("-i", "off")


def control(*words: str) -> None:
    own = str(os.getpid())
    subprocess.run(["callgrind_control", *words, own], check=True, capture_output=True)


async def bolt(slack: str) -> None:
    """Bolt with the tuning that Tocsin has, opening a form of the same size."""
    async with open_session() as session:
        client = AsyncWebClient(token="xoxb-1", base_url=slack, session=session)
        app, going = bare.tuned_app(client)

        async def answer(request: AsyncBoltRequest) -> Any:
            answered = await app.async_dispatch(request)
            await asyncio.gather(*going)
            return answered

        await count("bolt", answer)


async def tocsin(slack: str, folder: Path) -> None:
    """Tocsin as it is, and with as many verbs as nobody has."""
    settings = read_settings(
        slack_api_url=slack, slack_bot_token="xoxb-1", slack_signing_secret="s" * 32, tocsin_data_dir=folder
    )
    async with opened(settings, folder) as bot, connected(bot, settings):
        app = bot.app
        assert app is not None

        async def answer(request: AsyncBoltRequest) -> Any:
            answered = await app.async_dispatch(request)
            await bot.tasks.settled()
            return answered

        await count("tocsin", answer)
        verb = routes.VERBS["help"]
        routes.VERBS.update({f"verb{number}": verb for number in range(VERBS - len(routes.VERBS))})
        await count("tocsin with 200 verbs", answer)


async def main(slack: str, folder: Path) -> None:
    await bolt(slack)
    await tocsin(slack, folder)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
