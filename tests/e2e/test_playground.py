"""`tocsin playground` as it is started: for one person, and untouched by the settings of a real bot."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.incident_io.account import Account
from support.incident_io.server import running_incident_io
from support.patience import LIMIT
from support.playground import Playground, running_playground

from tocsin.settings import Settings

pytestmark = pytest.mark.process

REAL = {
    "SLACK_BOT_TOKEN": "xoxb-real",
    "SLACK_APP_TOKEN": "xapp-real",
    "SLACK_SIGNING_SECRET": "real",
    "SLACK_CLIENT_ID": "1.2",
    "SLACK_CLIENT_SECRET": "real",
    "SLACK_API_URL": "http://127.0.0.1:9/",
    "TOCSIN_BACKEND": "incident_io",
    "TOCSIN_DATA_DIR": "kept-by-the-real-bot",
    "TOCSIN_DATABASE_URL": "sqlite:///real.db",
    "TOCSIN_CONFIG": "real.toml",
    "TOCSIN_ANNOUNCE_CHANNEL": "C0REAL00001",
    "TOCSIN_HOST": "0.0.0.0",
    "TOCSIN_PORT": "9",
    "TOCSIN_PUBLIC_URL": "https://tocsin.example.com",
    "TOCSIN_API_TOKEN": "a-real-token-of-the-operator",
    "TOCSIN_ADMIN_CHANNEL": "C0REAL00002",
    "TOCSIN_TEAMS": "T0REAL00001",
    "TOCSIN_INSTALLATION_KEY": f"{'A' * 43}=",
    "INCIDENT_IO_API_KEY": "real",
    "INCIDENT_IO_URL": "http://127.0.0.1:9/",
    "INCIDENT_IO_CREATE": "v2",
    "DEVREV_TOKEN": "real",
    "DEVREV_URL": "http://127.0.0.1:9/",
    "DEVREV_PART": "real",
    "DEVREV_PERMALINK": "https://app.example.com/{display_id}",
    "DEVREV_KEY_FIELD": "tnt__real",
}
"""Everything that a real bot may have set."""

LOOK = (
    "import json, sys; from tocsin.settings import read_play_settings as read; "
    "print(read(8080, sys.argv[1] or None).model_dump_json())"
)

TELL = (
    'import socket, sys; there = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); '
    "there.sendall(sys.argv[2].encode())"
)
"""A browser that only tells a test which address it was started with."""


def dotenv(folder: Path, **changed: str) -> None:
    """A real bot's `.env` in the folder from which the playground is started."""
    (folder / "home").mkdir(exist_ok=True)
    lines = [f"{name}={value}\n" for name, value in {**REAL, **changed}.items()]
    (folder / "home" / ".env").write_text("".join(lines))


def settings_to_play(home: Path, backend: str = "", **environment: str) -> dict[str, Any]:
    """What the playground is set to where this is in the environment, as far as it is not the default."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    said = subprocess.run([sys.executable, "-c", LOOK, backend], cwd=home, env=env, capture_output=True)
    read = json.loads(said.stdout or said.stderr)
    default = json.loads(Settings(_env_file=None).model_dump_json())
    return {name: value for name, value in read.items() if value != default[name]}


def test_every_setting_is_among_those_that_must_not_reach_the_playground() -> None:
    assert {name.upper() for name in Settings.model_fields} == set(REAL)


def test_of_a_real_bots_dotenv_nothing_reaches_the_playground(tmp_path: Path) -> None:
    dotenv(tmp_path)
    assert settings_to_play(tmp_path / "home") == {}


def test_of_a_real_bots_environment_only_the_folder_and_the_rules_reach_it(tmp_path: Path) -> None:
    there = {"tocsin_data_dir": REAL["TOCSIN_DATA_DIR"], "tocsin_config": REAL["TOCSIN_CONFIG"]}
    assert settings_to_play(tmp_path, **REAL) == there


@pytest.mark.parametrize("backend", ["incident_io", "devrev"])
def test_a_backend_that_is_typed_is_read_and_nothing_else(tmp_path: Path, backend: str) -> None:
    dotenv(tmp_path)
    found = settings_to_play(tmp_path / "home", backend)
    assert found.pop("tocsin_backend") == backend
    assert {name.upper() for name in found} == {name for name in REAL if name.lower().startswith(backend)}


def test_what_is_wrong_in_a_real_bots_dotenv_does_not_stop_the_playground(tmp_path: Path) -> None:
    dotenv(tmp_path, **dict.fromkeys(REAL, "\u2603 wrong"))
    assert settings_to_play(tmp_path / "home") == {}


async def test_beside_a_real_bots_settings_it_is_a_playground_and_no_hosted_backend_is_asked(
    tmp_path: Path,
) -> None:
    account = Account()
    async with running_incident_io(account) as io:
        hosted = {"INCIDENT_IO_URL": io.url, "INCIDENT_IO_API_KEY": account.key}
        dotenv(tmp_path, **hosted)
        exported = {name: value for name, value in {**REAL, **hosted}.items() if name != "TOCSIN_CONFIG"}
        async with running_playground(tmp_path, **exported) as playground, let_in(playground) as browser:
            assert "#general" in (await browser.get("/client/C0GENERAL1")).text
            assert (await browser.get("/incidents")).status_code == 200
            assert "No incidents in this range" in (await browser.get("/insights")).text
        assert not any(io.asked(method, "/") for method in ("GET", "POST"))
    assert not (tmp_path / "home" / "kept-by-the-real-bot").exists()
    assert not (tmp_path / "home" / "real.db").exists()


def outsider(playground: Playground) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=playground.url, trust_env=False, verify=False)


def let_in(playground: Playground) -> httpx.AsyncClient:
    """A browser that has opened the address which was printed."""
    browser = outsider(playground)
    browser.params = {"token": playground.address.partition("token=")[2]}
    browser.follow_redirects = True
    return browser


async def test_the_browser_opens_the_workspace_by_an_address_that_is_good_once(tmp_path: Path) -> None:
    opened: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.put_nowait(await reader.read())
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        starter = f"{sys.executable} -c '{TELL}' {port} %s"
        async with running_playground(tmp_path, browser=True, BROWSER=starter) as playground:
            async with asyncio.timeout(LIMIT):
                address = (await opened.get()).decode()
            await the_first_gets_in(playground, address)
    assert sum("The workspace is at" in line for line in playground.said) == 1


async def the_first_gets_in(playground: Playground, address: str) -> None:
    """Whoever lists the processes of the machine reads what a browser is started with."""
    assert address.startswith(f"{playground.url}/?token=")
    assert address != playground.address
    async with outsider(playground) as browser, outsider(playground) as other:
        assert (await browser.get(address)).status_code == 303
        assert (await browser.get("/client")).status_code == 200
        assert (await other.get(address)).status_code == 403
        assert (await other.get(playground.address)).status_code == 303


async def test_other_users_of_the_machine_get_nothing_of_the_workspace_or_its_incidents(
    tmp_path: Path,
) -> None:
    async with running_playground(tmp_path) as playground, outsider(playground) as other:
        ours = ("/incidents", "/incidents/INC-1", "/insights", "/metrics")
        for path in ("/", "/client/C0GENERAL1", "/live", *ours):
            refused = await other.get(path, headers={"accept": "application/json"})
            assert (refused.status_code, "the address that was printed" in refused.text) == (403, True), path
        assert (await other.post("/sign-out")).status_code == 403
        said = await other.post("/api/auth.test")
        assert said.json() == {"ok": False, "error": "not_authed"}
        assert (await other.get("/readyz")).status_code == 200


async def test_a_folder_where_a_real_bot_has_its_journal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "journal.db").touch()
    with pytest.raises(AssertionError, match="TOCSIN_DATA_DIR has the journal of a real workspace"):
        async with running_playground(tmp_path):
            pass
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["journal.db"]
