"""One soak from start to quiet, and its figures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.operated import free_port, operated
from support.patience import LIMIT
from support.slack import running_workspace

from reliability.history.checker import violations
from reliability.history.history import History
from reliability.soak.bot import sample
from reliability.soak.crowd import Crowd
from reliability.soak.figures import Figures
from reliability.soak.weather import Weather, refreshing
from slack_emulator.manifest import Manifest
from tocsin.slack import routes

LISTS = frozenset({"users.conversations", "users.list", "conversations.history", "conversations.replies"})
"""In an hour there are thousands of channels, and each page of them is a megabyte in this process."""

QUIET_FACTOR = 4.0
"""What is begun in bad weather may go on for so many lengths of the soak after the last press."""


async def soak(
    folder: Path, *, declarations: int, rate: float, http: bool = False, seed: int = 1, refreshed: int = 15
) -> Figures:
    """Declare so often, at that rate at most; wait until all is quiet, stop the bot, and judge it all.

    After every `refreshed` presses one of the bot's connections is replaced.
    """
    port = free_port()
    manifest = routes.manifest(f"http://127.0.0.1:{port}" if http else None)
    figures = Figures()
    loop = asyncio.get_running_loop()
    async with running_workspace(Manifest.from_dict(manifest)) as slack:
        slack.workspace.request_log.most_kept = 10_000_000
        slack.workspace.request_log.unkept = LISTS
        weather = slack.workspace.faults = Weather(seed)
        crowd = Crowd(slack, rate)
        await crowd.gather()
        async with operated(slack, folder, port, http=http) as bot:
            async with crowd.looking(), _beside(crowd, bot.process.pid, figures, weather, refreshed):
                began = loop.time()
                await crowd.declare(declarations)
                figures.seconds = loop.time() - began
                figures.unfinished = await bot.quiet(max(LIMIT, QUIET_FACTOR * figures.seconds))
                figures.quiet_after = loop.time() - began - figures.seconds
            figures.exit_code = await bot.stopped()
        judge(figures, History.of(slack.workspace, folder / "data", crowd.presses, log=bot.log))
    figures.ended, figures.met = crowd.ended, weather.met
    return figures


def judge(figures: Figures, history: History) -> None:
    answered = [e.took for e in history.exchanges if e.method == "view_submission" and e.took is not None]
    figures.answers = sorted(answered)
    figures.presses = len(history.presses)
    figures.kept = len(history.tables["incidents"])
    figures.violations = [str(broken) for broken in violations(history)]


@asynccontextmanager
async def _beside(
    crowd: Crowd, pid: int, figures: Figures, weather: Weather, refreshed: int
) -> AsyncIterator[None]:
    """The bot is measured, and its connections are refreshed where it has any."""
    going_on = [asyncio.create_task(sample(pid, figures.memory, figures.descriptors))]
    slack = crowd.slack
    if slack.app.manifest.socket_mode:
        turning = refreshing(
            slack.workspace.sockets, slack.app.app_id, lambda n: crowd.pressed(n * refreshed), weather.met
        )
        going_on.append(asyncio.create_task(turning))
    try:
        yield
    finally:
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)
