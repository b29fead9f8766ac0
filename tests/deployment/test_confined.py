"""The bot where little is allowed: everything read-only but its folder, nobody's name, no home."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.bot import chosen, typed
from support.patience import LIMIT
from support.slack import running_workspace

from slack_emulator.manifest import Manifest
from tocsin.slack import routes

NOBODY = "10001"

CONFINED = """
set -e
mount --bind "$FOLDER" "$FOLDER"
for mounted in $(awk '{print $2}' /proc/mounts | sort -r); do
    case $mounted in
        "$FOLDER"|/proc*|/sys*|/dev|/dev/[!s]*) ;;
        *) mount -o remount,bind,ro "$mounted" 2>/dev/null || true ;;
    esac
done
cd /
if touch "$FOLDER/../elsewhere" 2>/dev/null; then echo "not read-only"; exit 99; fi
exec unshare --user --map-user="$NOBODY" --map-group="$NOBODY" -- "$PYTHON" -m tocsin "$@"
"""


def _can_be_confined() -> bool:
    if not shutil.which("unshare"):
        return False
    tried = ["unshare", "--user", "--map-root-user", "--mount", "unshare", "--user", "--map-user=1", "true"]
    return subprocess.run(tried, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not _can_be_confined(), reason="this machine has no user namespaces"),
]


async def confined(folder: Path, **settings: str) -> asyncio.subprocess.Process:
    """`tocsin run` with its data folder to be made in `folder`, the one place that can be written to."""
    return await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"),
        *("sh", "-c", CONFINED, "sh", "run"),
        env={
            "PATH": os.environ["PATH"],
            "FOLDER": str(folder),
            "NOBODY": NOBODY,
            "PYTHON": sys.executable,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TOCSIN_DATA_DIR": str(folder / "data"),
            "TOCSIN_HOST": "0.0.0.0",
            "TOCSIN_PORT": "0",
            **settings,
        },
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_bot_that_may_write_to_its_folder_only_declares_and_stops_in_time(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    folder.mkdir()
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack, asyncio.timeout(LIMIT):
        workspace, ana = slack.workspace, slack.person("ana")
        bot = await confined(
            folder,
            SLACK_API_URL=slack.api_url,
            SLACK_BOT_TOKEN=slack.bot_token,
            SLACK_APP_TOKEN=slack.app_token,
        )
        connected = asyncio.create_task(workspace.sockets.connected(slack.app.app_id, 1))
        ended = asyncio.create_task(bot.wait())
        await asyncio.wait({connected, ended}, return_when=asyncio.FIRST_COMPLETED)
        assert connected.done(), (await bot.communicate())[1].decode()
        assert (await workspace.command(ana, slack.channel("general"), "/incident")).ok
        await workspace.heard("views.open", timeout=LIMIT)
        view = workspace.stack(ana)[-1]
        for block, value in {"name": typed("confined"), "severity_id": chosen("major")}.items():
            workspace.type_into(ana, view.id, block, block, value)
        assert (await workspace.submit(ana, view.id)).ok
        await workspace.heard("pins.add", timeout=LIMIT)
        bot.terminate()
        _, said = await bot.communicate()
    complaints = [line for line in said.decode().splitlines() if "[info " not in line]
    assert (bot.returncode, complaints) == (0, [])
    kept = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "data").iterdir()}
    assert set(kept) >= {"incidents.db", "journal.db", "api-token"}
    assert set(kept.values()) == {0o600}
    assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700


async def test_without_a_folder_to_write_to_the_bot_says_which_setting_is_missing(tmp_path: Path) -> None:
    bot = await confined(tmp_path, TOCSIN_DATA_DIR="", SLACK_BOT_TOKEN="xoxb-1", SLACK_APP_TOKEN="xapp-1")
    async with asyncio.timeout(LIMIT):
        _, said = await bot.communicate()
    assert bot.returncode == 2
    assert said.decode().startswith("TOCSIN_DATA_DIR cannot be used (/.local/share/tocsin)")
    assert len(said.splitlines()) == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
async def test_a_data_folder_of_somebody_else_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    folder.chmod(0o777)
    tokens = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}
    bot = await confined(folder, TOCSIN_DATA_DIR=str(folder), **tokens)
    async with asyncio.timeout(LIMIT):
        _, said = await bot.communicate()
    assert bot.returncode == 2
    assert said.decode().startswith(f"TOCSIN_DATA_DIR belongs to another user ({folder}): give it to the one")
    assert "a folder inside it" in said.decode()
    assert list(folder.iterdir()) == []
