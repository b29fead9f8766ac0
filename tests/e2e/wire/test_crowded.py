"""More connections than the process may open files: probes and Slack are answered all the same.

In a process, since how many files may be open is a limit of the whole process.
"""

from __future__ import annotations

import asyncio
import resource
import time
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from reliability.hostile.test_inbound import signature
from support.operated import Operated, free_port, operated
from support.patience import LIMIT
from support.slack import RunningWorkspace, running_workspace

from slack_emulator.manifest import Manifest
from tocsin.slack import routes

pytestmark = [pytest.mark.process, pytest.mark.asyncio]

FILES, CROWD = 256, 300
POST = "POST /slack/events HTTP/1.1\r\nHost: x\r\n"


def unfinished() -> dict[str, str]:
    """Requests that never come to their end, by what is missing."""
    shaped = f"X-Slack-Request-Timestamp: {int(time.time())}\r\nX-Slack-Signature: v0={'0' * 64}\r\n"
    return {
        "everything": "",
        "half of the head": POST,
        "half of the body": f"{POST}{shaped}Content-Length: 2\r\n\r\n1",
    }


async def crowded(port: int, started: str) -> list[asyncio.StreamWriter]:
    opened = []
    for _ in range(CROWD):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(started.encode())
        opened.append(writer)
    return opened


async def look(slack: RunningWorkspace, bot: Operated, crowd: str) -> None:
    """What probes and Slack are answered, each on a connection of its own."""
    asked = {"command": "/incident", "text": "help", "team_id": slack.workspace.state.team.id}
    asked |= {"channel_id": slack.channel("general"), "user_id": slack.person("ana"), "trigger_id": "1.2.x"}
    body, form = urlencode(asked).encode(), {"content-type": "application/x-www-form-urlencoded"}
    signed = signature(slack.signing_secret, body, time.time())
    for _ in range(5):
        async with httpx.AsyncClient(base_url=bot.url, trust_env=False, timeout=None) as fresh:
            assert (await fresh.get("/healthz")).status_code == 200, crowd
            told = await fresh.post("/slack/events", content=body, headers=form | signed)
            assert (told.status_code, "/incident help" in told.text) == (200, True), crowd
    async with httpx.AsyncClient(base_url=bot.url, trust_env=False, timeout=None) as fresh:
        assert (await fresh.get("/readyz")).status_code == 200, crowd


async def test_three_hundred_who_finish_nothing_keep_nobody_else_out(tmp_path: Path) -> None:
    port = free_port()
    manifest = Manifest.from_dict(routes.manifest(f"http://127.0.0.1:{port}"))
    async with running_workspace(manifest) as slack, operated(slack, tmp_path, port, http=True) as bot:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.prlimit(bot.process.pid, resource.RLIMIT_NOFILE, (FILES, hard))
        for missing, started in unfinished().items():
            crowd = await crowded(port, started)
            async with asyncio.timeout(LIMIT):
                await look(slack, bot, missing)
            for writer in crowd:
                writer.close()
        assert await bot.stopped() == 0
