"""The command line as an operator meets it: what it prints, how it ends, and what it never says."""

from __future__ import annotations

import asyncio
import csv
import fcntl
import io
import json
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from support.bot import running_bot
from support.declarations import Ticking, declaration, full_declaration
from support.slack import RunningWorkspace, running_workspace
from support.terminal import Ended, Terminal
from support.webhooks import SECRET, VARIABLE, configured, running_receiver, status

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.webhooks import EVENTS, Subscription
from tocsin.slack import routes
from tocsin.web.api.webhook_bodies import BODIES

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The data folder as another process holds it."""
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@asynccontextmanager
async def kept_incidents(
    folder: Path, *names: str, told: Sequence[Subscription] = ()
) -> AsyncIterator[LocalBackend]:
    """A data folder with incidents of these names, the last one private, held open as by the bot."""
    _make(folder)
    backend = await LocalBackend.open(
        folder / "incidents.db",
        IncidentConfig(),
        public_url="http://127.0.0.1:8080",
        clock=Ticking(),
        subscriptions=told,
        bodies=BODIES,
    )
    for name in names[:-1]:
        await backend.create(full_declaration(name, name=name))
    await backend.create(declaration(names[-1], name=names[-1], visibility="private"))
    yield backend
    await backend.close()


def is_clean(ended: Ended) -> bool:
    return "Traceback" not in ended.err + ended.out and "╭" not in ended.err


async def test_help_says_what_each_command_is_for(terminal: Terminal) -> None:
    helped, alone = await asyncio.gather(terminal.start("--help"), terminal.run("incidents", "--help"))
    assert helped.code == alone.code == 0
    for command in ("playground", "run", "doctor", "manifest", "incidents"):
        assert command in helped.out
    assert "private ones" in alone.out


async def test_a_slip_in_typing_is_a_usage_error(terminal: Terminal) -> None:
    ended = await asyncio.gather(
        terminal.run("nonsense"),
        terminal.run("incidents", "list", "--json", "--csv"),
    )
    assert [one.code for one in ended] == [2, 2]
    assert not any("Traceback" in one.err for one in ended)


async def test_the_kept_manifests_are_exactly_what_the_command_prints(terminal: Terminal) -> None:
    socket_mode, http = await asyncio.gather(
        terminal.run("manifest"), terminal.run("manifest", "--http", "https://tocsin.example.com")
    )
    assert socket_mode.out == (ROOT / "app_manifest.yml").read_text()
    assert http.out == (ROOT / "manifests" / "slack" / "http.yml").read_text()


TOKENS = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}
NO_TOKENS = {"SLACK_BOT_TOKEN": "", "SLACK_APP_TOKEN": ""}
WRONG: dict[str, tuple[dict[str, str], list[str]]] = {
    "no tokens": (NO_TOKENS, ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"]),
    "half of an app, and keys that are none": (
        {"SLACK_CLIENT_ID": "1.2", "TOCSIN_TEAMS": "northwind", "TOCSIN_INSTALLATION_KEY": "secret"},
        ["TOCSIN_TEAMS", "TOCSIN_INSTALLATION_KEY"],
    ),
    "installs by nobody knows whom": (
        {
            **NO_TOKENS,
            "SLACK_CLIENT_ID": "1.2",
            "SLACK_CLIENT_SECRET": "s",
            "SLACK_SIGNING_SECRET": "s",
        },
        ["TOCSIN_TEAMS"],
    ),
    "a token that can be guessed": ({"TOCSIN_API_TOKEN": "incident2026"}, ["TOCSIN_API_TOKEN"]),
    "five at once": (
        {
            "SLACK_BOT_TOKEN": "xapp-1",
            "SLACK_APP_TOKEN": "xoxb-1",
            "TOCSIN_BACKEND": "jira",
            "TOCSIN_PORT": "70000",
            "TOCSIN_PUBLIC_URL": "tocsin",
        },
        ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "TOCSIN_BACKEND", "TOCSIN_PORT", "TOCSIN_PUBLIC_URL"],
    ),
    "a host that is none": ({"TOCSIN_HOST": "no.such.host.invalid"}, ["TOCSIN_HOST"]),
    "no such configuration": ({"TOCSIN_CONFIG": "missing.toml"}, ["TOCSIN_CONFIG"]),
    "a configuration that is no TOML": ({"TOCSIN_CONFIG": "bad.toml"}, ["TOCSIN_CONFIG"]),
    "two wrong keys": ({"TOCSIN_CONFIG": "wrong.toml"}, ["TOCSIN_CONFIG", "TOCSIN_CONFIG"]),
    "a data folder under a file": ({"TOCSIN_DATA_DIR": "bad.toml/x"}, ["TOCSIN_DATA_DIR"]),
    "a damaged incident file": ({"TOCSIN_DATA_DIR": "damaged"}, ["TOCSIN_DATA_DIR"]),
    "a damaged journal": ({"TOCSIN_DATA_DIR": "torn"}, ["TOCSIN_DATABASE_URL"]),
    "a database nobody speaks": (
        {"TOCSIN_DATABASE_URL": "mysql://tocsin:opensesame@h/d"},
        ["TOCSIN_DATABASE_URL"],
    ),
}


@pytest.fixture
def wrong_files(tmp_path: Path) -> Path:
    (tmp_path / "bad.toml").write_text("severities = [")
    (tmp_path / "wrong.toml").write_text('severitys = []\nroles = [{ name = "" }]\n')
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "incidents.db").write_bytes(b"not a database, whatever it says")
    (tmp_path / "torn").mkdir(mode=0o700)
    (tmp_path / "torn" / "journal.db").write_bytes(b"not a database, whatever it says" * 200)
    return tmp_path


async def test_what_is_configured_wrong_is_told_in_one_line_each(
    wrong_files: Path, terminal: Terminal
) -> None:
    two_at_once = asyncio.Semaphore(2)
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        real = settings_for(slack) | {"TOCSIN_PORT": "0"}

        async def run(folder: str, settings: dict[str, str]) -> Ended:
            async with two_at_once:
                return await terminal.run("run", **{**real, "TOCSIN_DATA_DIR": folder, **settings})

        given = enumerate(settings for settings, _ in WRONG.values())
        ended = await asyncio.gather(*(run(f"data-{number}", settings) for number, settings in given))
    for (name, (_, variables)), one in zip(WRONG.items(), ended, strict=True):
        assert one.code == 2, (name, one)
        assert [line.split(" ")[0].rstrip(":") for line in one.lines] == variables, (name, one)
        assert is_clean(one), name
        assert not any(secret in one.err for secret in (slack.bot_token, slack.app_token)), name


async def test_a_token_that_slack_refuses_ends_the_bot_with_what_to_do(terminal: Terminal) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        ended = await terminal.run(
            "run", SLACK_API_URL=slack.api_url, TOCSIN_PORT="0", **TOKENS | {"SLACK_BOT_TOKEN": "xoxb-old"}
        )
    assert (ended.code, len(ended.lines)) == (2, 1)
    assert ended.err.startswith("SLACK_BOT_TOKEN was refused by Slack (invalid_auth)")
    assert "xoxb-old" not in ended.err


async def test_a_port_in_use_and_a_folder_in_use_are_refused_in_one_line(
    terminal: Terminal, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, held(tmp_path):
        port = str(taken.getsockname()[1])
        busy, second, fresh = await asyncio.gather(
            terminal.run("run", TOCSIN_PORT=port, **TOKENS),
            terminal.run("run", TOCSIN_PORT="0", TOCSIN_DATA_DIR=str(tmp_path), **TOKENS),
            terminal.run(
                "playground", "--no-browser", "--port", "0", "--fresh", TOCSIN_DATA_DIR=str(tmp_path)
            ),
        )
    for ended, variable in ((busy, "TOCSIN_PORT"), (second, "TOCSIN_DATA_DIR"), (fresh, "TOCSIN_DATA_DIR")):
        assert (ended.code, len(ended.lines)) == (2, 1), ended
        assert ended.err.startswith(variable)
    assert "another Tocsin process" in second.err


async def test_settings_are_read_from_a_dotenv_file_and_a_broken_one_is_told(terminal: Terminal) -> None:
    dotenv = terminal.home / ".env"
    dotenv.write_text("TOCSIN_BACKEND=jira\n")
    read = await terminal.run("incidents", "list")
    dotenv.write_bytes(b"\xff\xfe=1")
    broken = await terminal.run("incidents", "list")
    assert (read.code, read.err) == (2, "TOCSIN_BACKEND must be 'local', 'incident_io' or 'devrev'.\n")
    assert (broken.code, len(broken.lines)) == (2, 1)
    assert broken.err.startswith(".env cannot be read")


async def test_incidents_are_read_while_the_bot_holds_them_private_ones_marked(terminal: Terminal) -> None:
    async with kept_incidents(terminal.folder(), "Checkout is slow", "[bold]Break-in[/bold]"):
        listed, newest, as_csv = await asyncio.gather(
            terminal.run("incidents", "list"),
            terminal.run("incidents", "list", "--limit", "1", "--json"),
            terminal.run("incidents", "list", "--csv"),
        )
    assert all((one.code, one.err) == (0, "") for one in (listed, newest, as_csv))
    rows = [line.split()[0] for line in listed.out.splitlines() if "INC-" in line]
    assert rows == ["INC-2", "INC-1"]
    assert "[bold]Break-in[/bold] [private]" in listed.out
    assert [one["reference"] for one in json.loads(newest.out)["incidents"]] == ["INC-2"]
    assert [row["visibility"] for row in csv.DictReader(io.StringIO(as_csv.out))] == ["private", "public"]


async def test_one_incident_is_shown_by_reference_or_number_and_all_are_exported(terminal: Terminal) -> None:
    async with kept_incidents(terminal.folder(), "Checkout is slow", "Break-in"):
        shown, by_number, missing, markdown, everything = await asyncio.gather(
            terminal.run("incidents", "show", "inc-1"),
            terminal.run("incidents", "show", "2", "--json"),
            terminal.run("incidents", "show", "INC-3"),
            terminal.run("incidents", "export"),
            terminal.run("incidents", "export", "--json"),
        )
    assert shown.out.startswith("# INC-1: Checkout is slow\n")
    assert "## Timeline" in shown.out
    assert json.loads(by_number.out)["visibility"] == "private"
    assert (missing.code, missing.out, missing.err) == (1, "", "There is no incident INC-3.\n")
    assert [line for line in markdown.out.splitlines() if line.startswith("# ")] == [
        "# INC-2: Break-in",
        "# INC-1: Checkout is slow",
    ]
    assert all(one["timeline"] for one in json.loads(everything.out)["incidents"])


async def test_one_incident_or_all_can_be_exported_into_a_file_for_its_owner_alone(
    terminal: Terminal,
) -> None:
    to = terminal.home / "kept.csv"
    to.write_text("what was there before")
    async with kept_incidents(terminal.folder(), "Checkout is slow", "Break-in"):
        one, written, missing, both, nowhere = await asyncio.gather(
            terminal.run("incidents", "export", "inc-1", "--format", "json"),
            terminal.run("incidents", "export", "--format", "csv", "--to", str(to)),
            terminal.run("incidents", "export", "INC-3"),
            terminal.run("incidents", "export", "--format", "csv", "--json"),
            terminal.run("incidents", "export", "--to", str(terminal.home / "none" / "kept.md")),
        )
    (record,) = json.loads(one.out)["incidents"]
    assert (record["reference"], record["follow_ups"]) == ("INC-1", [])
    assert (written.code, written.out, written.err) == (0, "", "")
    rows = list(csv.DictReader(io.StringIO(to.read_text(), newline="")))
    assert [(row["reference"], row["timeline_entries"]) for row in rows] == [("INC-2", "1"), ("INC-1", "1")]
    assert to.stat().st_mode & 0o777 == 0o600
    assert (missing.code, missing.err) == (1, "There is no incident INC-3.\n")
    assert both.code == 2
    assert "choose one" in both.err
    assert (nowhere.code, nowhere.out) == (1, "")
    assert "cannot be written" in nowhere.err
    assert not list(terminal.home.glob(".*"))


async def test_what_others_put_into_a_shared_folder_is_neither_followed_nor_written_to(
    terminal: Terminal,
) -> None:
    shared, victim = terminal.home / "shared", terminal.home / "victim"
    shared.mkdir(mode=0o777)
    victim.write_text("not to be touched")
    (shared / ".linked.md.new").symlink_to(victim)
    (shared / "linked.md").symlink_to(victim)
    for name in (".planted.md.new", "planted.md"):
        (shared / name).write_text("planted")
        (shared / name).chmod(0o666)
    planted = {(shared / name).stat().st_ino for name in (".planted.md.new", "planted.md")}
    (shared / "a folder").mkdir()
    async with kept_incidents(terminal.folder(), "Checkout is slow", "Break-in"):
        ended = [
            await terminal.run("incidents", "export", "--to", str(shared / name))
            for name in ("linked.md", "planted.md", "a folder")
        ]
    assert [one.code for one in ended] == [0, 0, 1]
    assert victim.read_text() == "not to be touched"
    for name in ("linked.md", "planted.md"):
        written = (shared / name).lstat()
        assert stat.S_ISREG(written.st_mode)
        assert written.st_mode & 0o777 == 0o600
        assert written.st_ino not in planted
        assert "Checkout is slow" in (shared / name).read_text()
    assert not list(shared.glob(".tocsin-*"))


async def test_reading_where_nothing_is_kept_makes_nothing(terminal: Terminal) -> None:
    listed = await terminal.run("incidents", "list", "--json")
    assert (listed.code, json.loads(listed.out)) == (0, {"incidents": []})
    assert not terminal.folder().exists()


async def test_reading_changes_nothing_even_with_another_configuration(terminal: Terminal) -> None:
    (terminal.home / "other.toml").write_text('severities = ["Whatever"]')
    async with kept_incidents(terminal.folder(), "Checkout is slow", "Break-in") as backend:
        await terminal.run("incidents", "list", TOCSIN_CONFIG="other.toml")
        there = await backend.database.run(
            lambda db: list(db.execute("SELECT id FROM severities WHERE archived_at IS NULL"))
        )
    assert ("major",) in there


async def test_the_playgrounds_incidents_are_read_where_there_are_no_others(terminal: Terminal) -> None:
    async with kept_incidents(terminal.folder("tocsin-playground"), "Drill", "Secret drill"):
        listed = await terminal.run("incidents", "list")
    assert listed.code == 0
    assert "Drill" in listed.out
    assert listed.err == f"Reading the playground's incidents ({terminal.folder('tocsin-playground')}).\n"


def settings_for(slack: RunningWorkspace) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        "TOCSIN_ANNOUNCE_CHANNEL": slack.channel("incidents"),
    }


def failing(ended: Ended) -> list[str]:
    return [check["name"] for check in json.loads(ended.out)["checks"] if not check["ok"]]


async def test_the_doctor_finds_nothing_wrong_with_a_bot_set_up_as_readme_says(terminal: Terminal) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        given = settings_for(slack)
        well = await terminal.run("doctor", **given)
    assert well.code == 0, well
    assert [line for line in well.out.splitlines() if not line.startswith("ok  ")] == []
    assert well.err == ""
    assert not any(secret in well.out for secret in (slack.bot_token, slack.app_token))
    assert not terminal.folder().exists()


async def test_the_doctor_names_each_thing_that_is_wrong_and_what_to_do(
    wrong_files: Path, terminal: Terminal
) -> None:
    declared = routes.manifest()
    for scope in ("pins:write", "bookmarks:write"):
        declared["oauth_config"]["scopes"]["bot"].remove(scope)
    (wrong_files / "damaged").chmod(0o755)
    async with running_workspace(Manifest.from_dict(declared)) as slack:
        given = settings_for(slack)
        unset, refused, away, ill = await asyncio.gather(
            terminal.run("doctor", "--json"),
            terminal.run(
                "doctor", "--json", **given | {"SLACK_BOT_TOKEN": "xoxb-x", "SLACK_APP_TOKEN": "xapp-x"}
            ),
            terminal.run("doctor", "--json", **given | {"SLACK_API_URL": "http://127.0.0.1:9/api/"}),
            terminal.run(
                "doctor",
                "--json",
                **given
                | {
                    "TOCSIN_CONFIG": "wrong.toml",
                    "TOCSIN_DATA_DIR": "damaged",
                    "TOCSIN_ANNOUNCE_CHANNEL": "C0NOWHERE",
                },
            ),
        )
    tokens = ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"]
    assert (failing(unset), failing(refused), failing(away)) == (tokens, tokens, tokens)
    assert failing(ill) == [
        *("TOCSIN_CONFIG", "TOCSIN_CONFIG", "Data folder", "Scopes", "Scopes", "TOCSIN_ANNOUNCE_CHANNEL")
    ]
    assert {one.code for one in (unset, refused, away, ill)} == {1}
    for one in (unset, refused, away, ill):
        wrong = [check for check in json.loads(one.out)["checks"] if not check["ok"]]
        assert all(check["fix"] and check["said"] for check in wrong), wrong
        assert not any(secret in one.out for secret in (slack.bot_token, slack.app_token, "xoxb-x"))
    for scope in ("pins:write", "bookmarks:write"):
        assert f"{scope} is not granted; it is for {routes.SCOPES[scope]}." in ill.out


async def test_the_doctor_opens_a_socket_and_has_every_form_looked_at_but_not_beside_a_running_bot(
    terminal: Terminal,
) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        given = settings_for(slack) | {"TOCSIN_DATA_DIR": str(terminal.home / "kept")}
        alone = await terminal.run("doctor", **given)
        validated = [r for r in slack.workspace.requests if r.method == "blocks.validate"]
        assert (slack.workspace.sockets.greeted, slack.workspace.sockets.count(slack.app.app_id)) == (1, 0)
        slack.workspace.faults.plan("blocks.validate", *(Fault(error="unknown_method") for _ in range(60)))
        async with running_bot(terminal.home / "kept", slack):
            beside = await terminal.run("doctor", **given)
            assert slack.workspace.sockets.greeted == 3
        slack.workspace.sockets.refuse_next(1)
        refused = await terminal.run("doctor", "--json", **given)
    assert (alone.code, beside.code) == (0, 0), (alone, beside)
    assert all(request.ok for request in validated)
    assert f"Slack takes all {len(validated)} of them." in alone.out
    assert "a Socket Mode connection opens" in alone.out
    assert "the running bot holds the connections" in beside.out
    assert "not looked at: Slack does not offer it here" in beside.out
    assert failing(refused) == ["SLACK_APP_TOKEN"]


async def test_the_doctor_tells_of_settings_that_cannot_be_read_and_damaged_files(
    wrong_files: Path, terminal: Terminal
) -> None:
    (wrong_files / "torn" / "incidents.db").write_bytes(b"neither is this one")
    unreadable, torn = await asyncio.gather(
        terminal.run("doctor", "--json", TOCSIN_PORT="http", TOCSIN_BACKEND="jira"),
        terminal.run("doctor", "--json", TOCSIN_DATA_DIR="torn", SLACK_API_URL="http://127.0.0.1:9/api/"),
    )
    assert failing(unreadable) == ["Settings", "Settings"]
    assert failing(torn)[:2] == ["Journal", "Backend local"]
    assert (unreadable.code, torn.code) == (1, 1)


async def test_playing_leaves_a_real_workspaces_incidents_alone(terminal: Terminal) -> None:
    async with kept_incidents(terminal.folder(), "Checkout is slow", "Break-in"):
        ended = await terminal.run(
            "playground", "--no-browser", "--port", "0", "--fresh", TOCSIN_DATA_DIR=str(terminal.folder())
        )
    assert (ended.code, len(ended.lines)) == (2, 1)
    assert "incidents of a real workspace" in ended.err
    assert (terminal.folder() / "incidents.db").exists()


async def test_webhooks_are_listed_shown_sent_again_and_tested_beside_the_running_bot(
    terminal: Terminal,
) -> None:
    async with running_receiver() as receiver:
        config = terminal.home / "tocsin.toml"
        config.write_text(configured(receiver.url, private=True))
        given = {"TOCSIN_CONFIG": str(config), VARIABLE: SECRET}
        everything = (Subscription(name="hook1", events=frozenset(EVENTS)),)
        async with kept_incidents(terminal.folder(), "Checkout is slow", "Break-in", told=everything) as kept:
            public = (await kept.deliveries.newest(2))[1]
            await kept.deliveries.save(public.model_copy(update={"state": "failed", "attempts": 8}))
            await kept.deliveries.disable("hook1", receiver.url, public.created_at)
            receiver.answers.append(status(503, body="busy"))
            listed, as_json, shown, unknown = await asyncio.gather(
                terminal.run("webhooks", "list", **given),
                terminal.run("webhooks", "list", "--json", **given),
                terminal.run("webhooks", "show", public.webhook_id, **given),
                terminal.run("webhooks", "show", "msg_1", **given),
            )
            failed = await terminal.run("webhooks", "test", "hook1", **given)
            assert await kept.deliveries.is_disabled("hook1", receiver.url)
            works = await terminal.run("webhooks", "test", "hook1", **given)
            assert not await kept.deliveries.is_disabled("hook1", receiver.url)
            again = await terminal.run("webhooks", "send-again", public.webhook_id, **given)
            wrong = await terminal.run("webhooks", "send-again", public.webhook_id, "--to", "x", **given)
            stranger = await terminal.run("webhooks", "test", "hook9", **given)
            hosted = await terminal.run(
                "webhooks", "list", TOCSIN_BACKEND="incident_io", INCIDENT_IO_API_KEY="k"
            )
            found = await kept.deliveries.find(public.event_id, "hook1")
    secret, open_ = listed.out.splitlines()
    assert "private_incident.incident_created_v2  to hook1  pending, 0 attempts" in secret
    assert f"{public.webhook_id}  INC-1  public_incident.incident_created_v2  to hook1  failed, 8" in open_
    assert [one["is_private"] for one in json.loads(as_json.out)["webhooks"]] == [True, False]
    assert "Break-in" not in listed.out + as_json.out
    assert '"name": "Checkout is slow"' in shown.out
    assert (unknown.code, unknown.err) == (1, "There is no webhook msg_1.\n")
    assert (failed.code, failed.out) == (1, "hook1 answered 503: busy.\n")
    assert (works.code, works.out) == (0, "hook1 answered 204.\nhook1 is sent to again.\n")
    assert again.out == f"{public.webhook_id} is sent again to hook1.\n"
    assert found is not None
    assert (found.state, found.attempts) == ("pending", 0)
    assert (wrong.code, stranger.code, hosted.code) == (1, 2, 2)
    assert [one.type for one in receiver.received] == ["tocsin.test_v1"] * 2
    assert all(one.is_signed() for one in receiver.received)
    assert "hush" not in "".join(ended.out + ended.err for ended in (listed, failed, works, again))
