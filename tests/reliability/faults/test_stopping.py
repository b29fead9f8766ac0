"""`tocsin run` told to stop in the middle of something."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from support.bot import chosen, typed
from support.forked import Forked, forked
from support.patience import LIMIT
from support.slack import RunningWorkspace, running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.slack import routes

pytestmark = pytest.mark.process


async def started(slack: RunningWorkspace, folder: Path) -> Forked:
    """`tocsin run` as a process of its own, once it is connected."""
    process = forked(
        ["run"],
        cwd=folder,
        out=folder / "log",
        env={
            "HOME": str(folder), "TOCSIN_DATA_DIR": str(folder / "data"), "TOCSIN_PORT": "0",
            "SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token,
            "SLACK_API_URL": slack.api_url,
        },
    )  # fmt: skip
    async with asyncio.timeout(LIMIT):
        await slack.workspace.sockets.connected(slack.app.app_id, 1)
    return process


async def stopped(process: Forked) -> int:
    process.send_signal(signal.SIGTERM)
    return await process.wait()


async def test_a_bot_told_to_stop_in_the_middle_goes_on_at_the_next_start(tmp_path: Path) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        workspace, ana = slack.workspace, slack.person("ana")
        bot = await started(slack, tmp_path)
        assert (await workspace.command(ana, slack.channel("general"), "/incident stop me")).ok
        await workspace.heard("views.open", timeout=LIMIT)
        view = workspace.stack(ana)[-1]
        for block, value in {"name": typed("stop me"), "severity_id": chosen("major")}.items():
            workspace.type_into(ana, view.id, block, block, value)
        goes_on = asyncio.Event()
        workspace.faults.plan("conversations.create", Fault(until=goes_on))
        assert (await workspace.submit(ana, view.id)).ok
        await workspace.begun("conversations.create", timeout=LIMIT)
        assert await stopped(bot) == 0
        goes_on.set()
        await workspace.sockets.disconnected(slack.app.app_id)
        bot = await started(slack, tmp_path)
        await workspace.heard("pins.add", timeout=LIMIT)
        assert await stopped(bot) == 0
        rooms = [c for c in workspace.state.channels.values() if c.name.startswith("inc-1-")]
        assert len(rooms) == 1
        mine = [m for m in workspace.history(slack.channel("general"), ana) if m.app_id == slack.app.app_id]
        assert len(mine) == 1
