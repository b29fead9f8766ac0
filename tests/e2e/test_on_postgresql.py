"""The command line where everything is in PostgreSQL: the doctor, incidents, and a copy that is restored."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.declarations import Ticking, declaration
from support.operated import free_port, operated
from support.postgresql import PostgresqlServer
from support.slack import RunningWorkspace, running_workspace
from support.terminal import Ended, Terminal

from slack_emulator.manifest import Manifest
from tocsin.backends.local import LocalBackend
from tocsin.backends.local.postgresql import SESSION
from tocsin.config import IncidentConfig
from tocsin.manual import read_page
from tocsin.slack import routes
from tocsin.storage.postgresql import postgresql_engine

pytestmark = pytest.mark.process

PASSWORD = "opensesame"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def settings_for(slack: RunningWorkspace, address: str) -> dict[str, str]:
    return {
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "TOCSIN_DATABASE_URL": address,
    }


def checks(ended: Ended) -> dict[str, dict[str, Any]]:
    """Its checks by name, and of two with the same name the first that failed."""
    found = json.loads(ended.out)["checks"]
    return {check["name"]: check for check in sorted(found, key=lambda check: not check["ok"])}


async def test_the_doctor_says_what_an_empty_database_is_good_for_and_leaves_it_empty(
    terminal: Terminal, postgresql: PostgresqlServer
) -> None:
    address = postgresql.create_database(empty=True)
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        ended, listed = await asyncio.gather(
            terminal.run("doctor", **settings_for(slack, address)),
            terminal.run("incidents", "list", TOCSIN_DATABASE_URL=address),
        )
    assert (ended.code, ended.err) == (0, ""), ended
    assert "ok  Data folder: not used: everything is kept in the database." in ended.out
    assert "ok  Database: PostgreSQL " in ended.out
    assert "ok  Replicas: none runs now." in ended.out
    assert "Journal" not in ended.out
    assert (listed.code, listed.out) == (1, "")
    assert "Tocsin was never started with it" in listed.err
    assert not terminal.folder().exists()
    with psycopg.connect(address) as connection:
        made = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname IN ('tocsin', 'dbos')")
        assert made.fetchall() == []


async def test_the_doctor_names_the_rights_that_are_missing_and_a_server_that_is_not_there(
    terminal: Terminal, postgresql: PostgresqlServer
) -> None:
    address = postgresql.create_database(empty=True)
    role = f"little_{address.partition('?')[0].rpartition('/')[2]}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute("CREATE SCHEMA tocsin; CREATE TABLE tocsin.tocsin_facts (key text)")
        connection.execute(f"GRANT USAGE, CREATE ON SCHEMA tocsin TO {role}")
    little, nowhere = await asyncio.gather(
        terminal.run("doctor", "--json", TOCSIN_DATABASE_URL=address.replace("//tocsin@", f"//{role}@")),
        terminal.run(
            "doctor",
            "--json",
            TOCSIN_DATABASE_URL=f"postgresql://tocsin:{PASSWORD}@127.0.0.1:9/tocsin",
            SLACK_CLIENT_ID="1.2",
            SLACK_CLIENT_SECRET="s",
            TOCSIN_TEAMS="T0123456789",
        ),
    )
    lacking = checks(little)["Database"]
    assert "GRANT CREATE ON DATABASE" in lacking["fix"]
    assert f"GRANT ALL ON ALL TABLES IN SCHEMA tocsin TO {role};" in lacking["fix"]
    assert "GRANT USAGE" not in lacking["fix"]
    unreached = checks(nowhere)["Database"]
    assert unreached["said"].startswith("It cannot be reached (")
    assert "TOCSIN_DATABASE_URL" in unreached["fix"]
    assert not checks(nowhere)["Installations"]["ok"]
    assert PASSWORD not in nowhere.out + nowhere.err
    assert (little.code, nowhere.code) == (1, 1)


async def test_in_schemas_that_an_administrator_made_a_replica_runs_and_the_doctor_counts_it(
    terminal: Terminal, postgresql: PostgresqlServer
) -> None:
    address = _with_schemas_of_its_own(postgresql.create_database(empty=True))
    _playgrounds_incidents(terminal)
    async with (
        running_workspace(Manifest.from_dict(routes.manifest())) as slack,
        operated(slack, terminal.home, free_port(), TOCSIN_DATABASE_URL=address),
    ):
        beside, listed = await asyncio.gather(
            terminal.run("doctor", "--json", **settings_for(slack, address)),
            terminal.run("incidents", "list", TOCSIN_DATABASE_URL=address),
        )
    assert beside.code == 0, beside
    assert checks(beside)["Replicas"]["said"] == "one runs now."
    assert "the running bot holds the connections" in checks(beside)["SLACK_APP_TOKEN"]["said"]
    assert (listed.code, listed.out, listed.err) == (0, "", "No incidents yet.\n")


async def test_what_was_dumped_beside_a_replica_is_there_again_once_it_is_restored(
    terminal: Terminal, postgresql: PostgresqlServer
) -> None:
    address, elsewhere, dump = (
        postgresql.create_database(empty=True),
        postgresql.create_database(empty=True),
        terminal.home / "dump",
    )
    dumping, restoring = _commands_of_the_manual()
    async with (
        running_workspace(Manifest.from_dict(routes.manifest())) as slack,
        operated(slack, terminal.home, free_port(), TOCSIN_DATABASE_URL=address),
    ):
        await _declare(address, "Checkout is slow")
        _run(postgresql, dumping, address, dump)
    for database in (address, elsewhere):
        _run(postgresql, restoring, database, dump)
        listed = await terminal.run("incidents", "list", TOCSIN_DATABASE_URL=database)
        assert "Checkout is slow" in listed.out, listed
    with psycopg.connect(elsewhere) as connection:
        kept = connection.execute("SELECT count(*) FROM tocsin.tocsin_facts WHERE name LIKE 'secret:%'")
        assert kept.fetchone() == (2,)


def _with_schemas_of_its_own(address: str) -> str:
    """The database as a user has it who may create no schema, and owns those that there are."""
    role = f"owner_{address.partition('?')[0].rpartition('/')[2]}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        for schema in ("tocsin", "dbos"):
            connection.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {role}")
    return address.replace("//tocsin@", f"//{role}@")


async def _declare(address: str, name: str) -> None:
    engine = postgresql_engine(address, session=SESSION, autocommit=True)
    backend = await LocalBackend.open(
        engine, IncidentConfig(), public_url="http://127.0.0.1", clock=Ticking()
    )
    await backend.create(declaration(name, name=name))
    await backend.close()


def _commands_of_the_manual() -> list[str]:
    """How the manual backs the database up, and restores it."""
    return re.findall(r"^    (pg_\w+ .*)$", read_page("replicas"), re.MULTILINE)


def _run(server: PostgresqlServer, command: str, address: str, dump: Path) -> None:
    """Run a command of the manual's with the server's own programs."""
    program, *options = shlex.split(command.replace("$TOCSIN_DATABASE_URL", address))
    options = [option.replace("tocsin.dump", str(dump)) for option in options]
    subprocess.run([server.programs / program, *options], check=True)


def _playgrounds_incidents(terminal: Terminal) -> None:
    played = terminal.folder("tocsin-playground")
    played.mkdir(mode=0o700, parents=True)
    (played / "incidents.db").touch()
