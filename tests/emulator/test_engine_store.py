"""What happened in a workspace is still there after it stopped, however it stopped."""

from __future__ import annotations

import asyncio
import stat
import sys
from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.clock import fitting_clock
from support.manifests import manifest
from support.patience import LIMIT

from slack_emulator.state import Store
from slack_emulator.testing import running_slack
from slack_emulator.workspace import Workspace


async def test_everything_that_lasts_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    async with running_slack(manifest(), store=Store(path), clock=fitting_clock()) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        room = (await client.conversations_create(name="inc-1"))["channel"]["id"]
        ts = (await client.chat_postMessage(channel=room, text="headline"))["ts"]
        await client.pins_add(channel=room, timestamp=ts)
        await client.reactions_add(channel=room, timestamp=ts, name="fire")
        await client.bookmarks_add(channel_id=room, title="Page", type="link", link="https://a.example")
        ana, alerts = slack.user_id("ana"), slack.channel_id("alerts")
        slack.workspace.mark_read(ana, alerts)
        slack.app.withheld_scopes = ["pins:read"]
        slack.workspace.state.save(slack.app)
        token, before = slack.bot_token, slack.workspace.history(alerts, ana)
    async with running_slack(manifest(), store=Store(path), clock=fitting_clock()) as slack:
        channel = slack.workspace.channel_by_name("inc-1")
        message = slack.workspace.message(room, ts)
        assert (slack.bot_token, slack.app.withheld_scopes) == (token, ["pins:read"])
        assert (channel.pins, channel.bookmarks[0]["title"]) == ([ts], "Page")
        assert message.reactions == [("fire", [slack.app.bot_user_id])]
        assert slack.workspace.unread(ana, alerts) == 0
        assert slack.workspace.history(alerts, ana) == before
        client = AsyncWebClient(token=token, base_url=slack.api_url)
        assert (await client.chat_postMessage(channel=room, text="later"))["ts"] > ts


async def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    async with running_slack(manifest(), store=Store(path), clock=fitting_clock()):
        modes = modes_in(tmp_path)
    assert modes == {0o600}


def modes_in(folder: Path) -> set[int]:
    return {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from slack_emulator.seed import seed
from slack_emulator.state import Store
from slack_emulator.workspace import Workspace

async def main():
    workspace = Workspace(store=Store(Path(sys.argv[1])))
    seed(workspace)
    ana, general = workspace.person_by_name("ana").id, workspace.channel_by_name("general").id
    await workspace.say(ana, general, "said just before the end")
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


@pytest.mark.process
async def test_a_message_said_just_before_a_kill_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, str(path))
    assert await asyncio.wait_for(process.wait(), LIMIT) == -9
    workspace = Workspace(store=Store(path))
    ana, general = workspace.person_by_name("ana").id, workspace.channel_by_name("general").id
    assert workspace.history(general, ana)[-1].text == "said just before the end"
    await workspace.close()
