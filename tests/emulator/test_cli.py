"""`slack-emulator`: a workspace for any app, and what Slack would refuse, on the command line."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.patience import LIMIT
from typer.testing import CliRunner, Result

from slack_emulator.cli import cli
from slack_emulator.seed_file import SeedFile, SeedFileError
from slack_emulator.workspace import Workspace

MANIFEST: dict[str, Any] = {
    "display_information": {"name": "Deployer"},
    "features": {
        "bot_user": {"display_name": "deployer"},
        "slash_commands": [{"command": "/deploy", "description": "Deploy something"}],
    },
    "oauth_config": {"scopes": {"bot": ["commands", "chat:write", "users:read", "channels:read"]}},
    "settings": {"interactivity": {"is_enabled": True}, "socket_mode_enabled": True},
}
SEED = """
team: {name: Acme, domain: acme, emoji: {shipit: "alias:rocket"}}
users:
  - {name: kim, role: owner, real_name: Kim Doe, title: CTO, status_text: On call, presence: away}
  - {name: lee}
  - {name: gia, role: guest}
channels:
  - name: general
    messages: [{user: kim, text: "Hello @lee, *welcome*"}]
  - {name: secret, type: private, members: [kim]}
"""


def written(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@asynccontextmanager
async def serving(folder: Path, *options: str) -> AsyncIterator[dict[str, str]]:
    """`slack-emulator serve` as a process; what it printed by name, and its address as `page`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "slack_emulator", "serve", "--port", "0", *options),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        said = ""
        async with asyncio.timeout(LIMIT):
            while "SLACK_CLIENT_SECRET" not in said:
                said += (await process.stdout.readline()).decode()
        found = dict(re.findall(r"^  (\w+)=(\S+)$", said, re.MULTILINE))
        found["said"] = said
        (found["page"],) = re.findall(r"http://\S+token=\S+", said)
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LIMIT):
            assert await process.wait() == 0


@pytest.mark.process
async def test_an_app_speaks_to_the_workspace_with_what_serve_prints(tmp_path: Path) -> None:
    declared = deepcopy(MANIFEST)
    declared["settings"]["event_subscriptions"] = {"bot_events": ["team_join"]}
    manifest, seed = written(tmp_path, "manifest.json", declared), written(tmp_path, "seed.yml", SEED)
    store = tmp_path / "kept.db"
    options = ("--manifest", str(manifest), "--seed", str(seed), "--store", str(store))
    async with serving(tmp_path, *options) as given:
        assert "Deployer subscribes to events that are never sent here: team_join." in given["said"]
        client = AsyncWebClient(given["SLACK_BOT_TOKEN"], base_url=given["SLACK_API_URL"])
        assert (await client.auth_test())["team"] == "Acme"
        people = {user["name"]: user for user in (await client.users_list())["members"]}
        assert people["kim"]["is_owner"]
        assert people["gia"]["is_restricted"]
        assert given["SLACK_APP_TOKEN"].startswith("xapp-")
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False, verify=False) as browser:
            assert "Acme" in (await browser.get(given["page"])).text
    async with serving(tmp_path, *options) as again:
        assert again["SLACK_BOT_TOKEN"] == given["SLACK_BOT_TOKEN"]


def test_check_says_what_slack_would_refuse(tmp_path: Path) -> None:
    assert run("check", written(tmp_path, "manifest.json", MANIFEST)).exit_code == 0
    nameless = run("check", written(tmp_path, "nameless.json", {**MANIFEST, "display_information": {}}))
    assert nameless.exit_code == 1
    assert "name" in nameless.output
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    for content in ([section], {"blocks": [section]}, {"type": "modal", "blocks": [section]}):
        found = run("check", written(tmp_path, "blocks.json", content))
        assert found.exit_code == 1
        assert "must be less than 3001 characters" in found.output


def test_a_seed_file_fills_a_workspace(tmp_path: Path) -> None:
    workspace = Workspace()
    SeedFile.read(written(tmp_path, "seed.yml", SEED)).fill(workspace)
    kim, lee, gia = (workspace.person_by_name(name) for name in ("kim", "lee", "gia"))
    (said,) = workspace.history(workspace.channel_by_name("general").id, lee.id)
    assert said.text == f"Hello <@{lee.id}>, *welcome*"
    assert workspace.channel_by_name("general").members == [kim.id, lee.id]
    assert workspace.channel_by_name("secret").members == [kim.id]
    assert gia.is_guest
    assert (kim.title, kim.status_text, kim.presence) == ("CTO", "On call", "away")
    assert workspace.state.team.emoji == {"shipit": "alias:rocket"}
    assert workspace.team_name == "Acme"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("users: [", "is not YAML"),
        ("users: []", "users: "),
        ("users: [{name: kim, hat: red}]", "users.0.hat: "),
        ("users: [{name: kim}, {name: kim}]", "two users are called kim"),
        ("users: [{name: kim}]\nchannels: [{name: No Spaces}]", "channel No Spaces: invalid_name_specials"),
        ("users: [{name: kim}]\nchannels: [{name: a, members: [max]}]", "channel a: no user is called max"),
    ],
)
def test_a_mistake_in_a_seed_file_is_named(tmp_path: Path, wrong: str, says: str) -> None:
    with pytest.raises(SeedFileError, match=re.escape(says)):
        SeedFile.read(written(tmp_path, "seed.yml", wrong))


def test_events_that_are_never_sent_are_a_note_that_fails_nothing(tmp_path: Path) -> None:
    declared = deepcopy(MANIFEST)
    declared["settings"]["event_subscriptions"] = {"bot_events": ["team_join"]}
    checked = run("check", written(tmp_path, "manifest.json", declared))
    assert (checked.exit_code, checked.output) == (0, "[NOTE] slack_emulator never sends: team_join\n")


def test_the_tables_of_what_is_there_are_printed() -> None:
    printed = run("coverage").output
    assert "`chat`" in printed
    assert "answered as not there" in printed
