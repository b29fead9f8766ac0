"""From the embedded files to PostgreSQL: `tocsin incidents import`, as an operator meets it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.bot import running_bot
from support.declarations import ANA, BEN, DAWN, Ticking, declaration, full_declaration
from support.forked import forked
from support.managing import an_incident, changed
from support.postgresql import PostgresqlServer
from support.readings import cards, own_channel, words
from support.slack import running_workspace
from support.terminal import Ended, Terminal

from slack_emulator.manifest import Manifest
from tocsin.backends.local import LocalBackend
from tocsin.backends.local.postgresql import SESSION
from tocsin.config import IncidentConfig
from tocsin.incidents.model import ChannelId, PersonId, SourceMessage
from tocsin.incidents.postmortem import ScheduledArchive
from tocsin.incidents.requests import FollowUpRequest, IncidentChange, IncidentFilter
from tocsin.incidents.updates import Reminder
from tocsin.slack import routes
from tocsin.storage.database import TABLES, Database
from tocsin.storage.importing import COPIED
from tocsin.storage.installations import SqlInstallationStore
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.storage.postgresql import postgresql_engine
from tocsin.storage.slack_state import SqlSlackStateStore
from tocsin.workflows.ports import Channel

pytestmark = pytest.mark.process

NUMBER = 12


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture
def target(postgresql: PostgresqlServer) -> str:
    return postgresql.create_database()


@asynccontextmanager
async def backend_at(where: Path | str, toml: str = "") -> AsyncIterator[LocalBackend]:
    """The local backend over a file or a database, as the bot has it."""
    place = where if isinstance(where, Path) else postgresql_engine(where, session=SESSION, autocommit=True)
    backend = await LocalBackend.open(
        place, IncidentConfig.from_toml(toml), public_url="http://127.0.0.1:8080", clock=Ticking()
    )
    try:
        yield backend
    finally:
        await backend.close()


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """Incidents of every kind: open and closed, private, with roles, fields, updates and follow-ups."""
    path = tmp_path / "old" / "incidents.db"
    async with backend_at(path, "severities = ['Minor', 'Major', 'Critical', 'Left over']") as kept:
        await kept.create(declaration("first", name="Zürich ist langsam", severity_id="left_over"))
    async with backend_at(path, "severities = ['Minor', 'Major', 'Critical']") as kept:
        for number in range(NUMBER - 1):
            made = await kept.create(
                full_declaration(f"key-{number}", name=f"Checkout {number} ist schön")
                if number % 2
                else declaration(f"key-{number}", reporter=BEN, visibility="private")
            )
            await kept.set_channel(made.id, Channel(id=ChannelId(f"C{number}"), name=f"inc-{number}"))
            change = IncidentChange(
                key=f"change-{number}",
                by=BEN,
                at=DAWN,
                message="rolled back",
                incident_status_id="closed" if number % 3 else "fixing",
                incident_role_assignments={"communications": ANA.slack_user_id},
                assignees=(ANA,),
            )
            await kept.change(made.id, change)
            request = FollowUpRequest(key=f"todo-{number}", by=ANA, at=DAWN, text="write it up", assignee=BEN)
            todo = await kept.add_follow_up(made.id, request)
            await kept.complete_follow_up(todo.id, ANA, DAWN, f"done-{number}")
    return path


async def imported(terminal: Terminal, file: Path, url: str, **more: str) -> Ended:
    return await terminal.run("incidents", "import", str(file), TOCSIN_DATABASE_URL=url, **more)


async def exported(terminal: Terminal, **settings: str) -> Any:
    ended = await terminal.run("incidents", "export", "--format", "json", **settings)
    assert ended.code == 0, ended
    return json.loads(ended.out)


def counted(url: str, table: str = "incidents") -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM tocsin.{table}").fetchone()  # type: ignore[call-overload]
    return int(row[0])


async def test_everything_comes_over_and_a_second_run_changes_nothing(
    terminal: Terminal, file: Path, target: str
) -> None:
    first = await imported(terminal, file, target)
    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines()[0] == f"Incidents imported: {NUMBER}."
    old, new = await asyncio.gather(
        exported(terminal, TOCSIN_DATA_DIR=str(file.parent)), exported(terminal, TOCSIN_DATABASE_URL=target)
    )
    assert new == old
    again = await imported(terminal, file, target)
    assert (again.code, again.out) == (
        0,
        f"All {NUMBER} incidents are there already. Nothing was changed.\n",
    )
    assert await exported(terminal, TOCSIN_DATABASE_URL=target) == old


TABLES_OF_BOTH = {
    "severities": "*",
    "incident_statuses": "*",
    "incident_types": "*",
    "custom_fields": "*",
    "custom_field_options": "*",
    "incident_roles": "rowid, id, name, created_at, archived_at",
    "people": "*",
    "incident_people": "*",
    "incident_role_assignments": "*",
    "custom_field_entries": "*",
    "incident_timeline_items": "*",
    "incident_changes": "*",
    "follow_ups": "*",
}


async def test_every_table_has_the_same_rows(terminal: Terminal, file: Path, target: str) -> None:
    assert (await imported(terminal, file, target)).code == 0
    with closing(sqlite3.connect(file)) as old, psycopg.connect(target) as new:
        for table, columns in TABLES_OF_BOTH.items():
            theirs = old.execute(f"SELECT {columns} FROM {table}").fetchall()
            ours = new.execute(f"SELECT {columns} FROM tocsin.{table}").fetchall()  # type: ignore[call-overload]
            assert sorted(ours, key=str) == sorted(theirs, key=str), table
            assert theirs, table
        archived = new.execute("SELECT archived_at FROM tocsin.severities WHERE id = 'left_over'").fetchone()
        assert archived is not None
        assert archived[0] is not None


LISTS: dict[str, dict[str, Any]] = {
    "all": {},
    "open": {"is_open": True},
    "closed ones that a stranger may see": {"is_open": False, "visible_to": PersonId("U0CHLOE")},
    "one's own": {"involving": BEN.slack_user_id, "visible_to": BEN.slack_user_id},
    "a severity": {"severity_id": "critical"},
    "a word": {"text": "schon"},
    "a word that Ben may see": {"text": "CHECKOUT", "visible_to": BEN.slack_user_id},
    "a reference": {"reference": "INC-3", "visible_to": ANA.slack_user_id},
}


async def test_lists_pages_and_searches_hold_the_same_incidents(
    terminal: Terminal, file: Path, target: str
) -> None:
    assert (await imported(terminal, file, target)).code == 0
    async with backend_at(file) as old, backend_at(target) as new:
        for name, asked in LISTS.items():
            after, wanted = None, IncidentFilter(**asked)
            while theirs := await old.matching(wanted, after=after, limit=3):
                assert await new.matching(wanted, after=after, limit=3) == theirs, name
                after = theirs[-1].id
                if len(theirs) < 3:
                    break
            assert after is not None, name


async def test_a_replica_that_runs_on_the_target_declares_the_next_number(
    terminal: Terminal, file: Path, target: str
) -> None:
    toml = "severities = ['Minor', {id = 'major', name = 'Serious'}, 'Unheard of']"
    config = file.with_name("tocsin.toml")
    config.write_text(toml)
    async with backend_at(target, toml) as replica:
        assert (await imported(terminal, file, target, TOCSIN_CONFIG=str(config))).code == 0
        made = await replica.create(declaration("next", name="Nothing works", severity_id="unheard_of"))
        assert made.reference == f"INC-{NUMBER + 1}"
        found = await replica.matching(IncidentFilter(text="nothing"), limit=5)
        assert [incident.id for incident in found] == [made.id]
        older = await replica.find("INC-2")
        assert older is not None
        assert older.severity is not None
        assert older.severity.name == "Serious", "as this replica has it configured"
        await replica.note(older.id, (await replica.timeline(older.id))[0], "noted anew")
        assert len(await replica.timeline(older.id)) > 1
    again = await imported(terminal, file, target)
    assert again.out == f"All {NUMBER} incidents are there already. Nothing was changed.\n"


async def test_a_bot_on_the_target_goes_on_where_the_other_stopped(
    terminal: Terminal, tmp_path: Path, target: str
) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        async with running_bot(tmp_path / "old", slack) as bot:
            made = await an_incident(bot, lead="ben")
            posted = [len(cards(bot, channel.id)) for channel in bot.workspace.state.channels.values()]
        ended = await imported(terminal, tmp_path / "old" / "incidents.db", target)
        assert (ended.code, ended.out.splitlines()[0]) == (0, "Incidents imported: 1."), ended
        assert "Rows from the journal beside it: " in ended.out
        async with running_bot(tmp_path / "new", slack, tocsin_database_url=target) as bot:
            after = await changed(bot, made, "ana", name="Carts are slow")
            headline = next(m for m in cards(bot, own_channel(bot, after).id) if "Carts" in words(m.blocks))
            assert headline.edited is not None, "the card that the other bot posted"
            now = [len(cards(bot, channel.id)) for channel in bot.workspace.state.channels.values()]
            assert sum(now) - sum(posted) <= 1, "one update, and no card anew"


async def test_reminders_archiving_installations_and_sign_ins_come_over_and_secrets_do_not(
    terminal: Terminal, file: Path, target: str
) -> None:
    reminder = Reminder(incident_id="1", due_at=DAWN, by=BEN, key="reminded", asking=True)
    archive = ScheduledArchive(incident_id="2", ended_at=DAWN, due_at=DAWN, stage="told")
    source = SourceMessage(channel="C0ALERTS", timestamp="1772334000.000100", permalink=None)
    old, new = Database(f"sqlite:///{file.with_name('journal.db')}"), Database(target)
    await SqlSlackStateStore(old).remember_reminder(reminder)
    await SqlSlackStateStore(old).save_scheduled_archive(archive)
    await SqlSlackStateStore(old).claim_source("T1", source, "first")
    await SqlInstallationStore(old).save("T1", '{"token": "xoxb-1"}')
    await SqlKeyValueStore(old).set("signed in: T1 U1", "[]")
    await SqlKeyValueStore(old).set("secret:api-token", "of the old one")
    await SqlInstallationStore(new).encrypt_all(str.swapcase)
    old.close()
    assert (await imported(terminal, file, target)).out.splitlines()[1:] == [
        "Rows from the journal beside it: 5."
    ]
    assert await SqlSlackStateStore(new).find_reminder("1") == reminder
    assert await SqlSlackStateStore(new).find_scheduled_archive("2") == archive
    assert await SqlSlackStateStore(new).source_key("T1", source) == "first"
    assert await SqlInstallationStore(new).bodies() == {"T1": '{"token": "xoxb-1"}'}
    assert not await SqlInstallationStore(new).is_encrypted(), "the next start encrypts it"
    assert await SqlKeyValueStore(new).get("signed in: T1 U1") == "[]"
    assert await SqlKeyValueStore(new).get("secret:api-token") is None
    new.close()


async def test_killed_in_the_middle_it_leaves_nothing_and_can_be_run_again(
    terminal: Terminal, file: Path, target: str
) -> None:
    environment = terminal.settings(TOCSIN_DATABASE_URL=target)
    async with await psycopg.AsyncConnection.connect(target, autocommit=True) as other:
        await other.execute("BEGIN; LOCK TABLE tocsin.incident_words IN EXCLUSIVE MODE")
        arguments = ["incidents", "import", str(file)]
        process = forked(arguments, cwd=terminal.home, env=environment, out=terminal.home / "out")
        waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database"
        waiting += " WHERE datname = current_database())"
        while not (blocked := await (await other.execute(waiting)).fetchone()):
            assert process.returncode is None, (terminal.home / "out").read_text()
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await other.execute("ROLLBACK")
        alive = f"SELECT 1 FROM pg_stat_activity WHERE pid = {blocked[0]}"
        while await (await other.execute(alive)).fetchone():  # type: ignore[call-overload]
            pass
    assert {table: counted(target, table) for table in ("incidents", "people", "severities")} == {
        "incidents": 0,
        "people": 0,
        "severities": 0,
    }
    assert (await imported(terminal, file, target)).code == 0
    assert counted(target) == NUMBER


async def test_what_postgresql_cannot_keep_comes_as_the_pages_show_it(
    terminal: Terminal, file: Path, target: str
) -> None:
    with closing(sqlite3.connect(file)) as old:
        old.executescript("""
            UPDATE incidents SET name = CAST(x'4163ff' AS TEXT), created_at = x'00' WHERE number = 2;
            UPDATE incidents SET summary = x'41e9' WHERE number = 3;
            UPDATE severities SET rank = 'high' WHERE id = 'major';
            UPDATE custom_fields SET required = 'yes', field_type = x'ff' WHERE id = 'status_page';
            PRAGMA foreign_keys = OFF;
            INSERT INTO incident_timeline_items (incident_id, idempotency_key, timestamp, verb, text)
                VALUES ('gone', 'k', '2026-03-01T03:00:00.000000Z', 'noted', 'belongs to no incident');
        """)
    ended = await imported(terminal, file, target)
    assert ended.code == 0, ended
    assert "Values that PostgreSQL cannot keep: 6; they came as pages show them." in ended.out
    assert "Rows of no incident, left out: 1." in ended.out
    assert await exported(terminal, TOCSIN_DATABASE_URL=target) == await exported(
        terminal, TOCSIN_DATA_DIR=str(file.parent)
    )


async def test_a_character_that_postgresql_has_not_is_marked(
    terminal: Terminal, file: Path, target: str
) -> None:
    with closing(sqlite3.connect(file)) as old:
        old.execute("UPDATE incidents SET name = 'a' || char(0) || 'b', severity_id = 'x' WHERE number = 2")
        old.commit()
    ended = await imported(terminal, file, target)
    assert ended.code == 0, ended
    assert "Values that PostgreSQL cannot keep: 2; they came as pages show them." in ended.out
    async with backend_at(target) as new:
        found = await new.find("INC-2")
    assert found is not None
    assert found.name == "a\N{REPLACEMENT CHARACTER}b"
    assert found.severity is not None
    assert found.severity.name == "x", "a severity that the file lacks has its id as its name"


async def test_a_number_that_does_not_fit_is_refused(terminal: Terminal, file: Path, target: str) -> None:
    with closing(sqlite3.connect(file)) as old:
        old.execute("UPDATE incidents SET number = 3000000000 WHERE number = 2")
        old.commit()
    ended = await imported(terminal, file, target)
    assert (ended.code, len(ended.lines), counted(target)) == (1, 1, 0)
    assert "3000000000" in ended.err


async def test_a_database_with_other_incidents_is_refused(
    terminal: Terminal, file: Path, target: str
) -> None:
    async with backend_at(target) as there:
        await there.create(declaration("another"))
    ended = await imported(terminal, file, target)
    assert (ended.code, ended.out, len(ended.lines)) == (1, "", 1)
    assert f"other incidents already (0 of the file's {NUMBER} are there)" in ended.err
    assert counted(target) == 1


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The data folder as a running bot holds it."""
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def test_a_bot_that_still_runs_on_the_file_is_told_of(
    terminal: Terminal, file: Path, target: str
) -> None:
    with held(file.parent):
        ended = await imported(terminal, file, target)
    assert (ended.code, len(ended.lines), counted(target)) == (2, 1, 0)
    assert "in use by another Tocsin process" in ended.err


async def test_unfinished_work_beside_the_file_is_refused_with_what_to_do(
    terminal: Terminal, file: Path, target: str
) -> None:
    data = Path(__file__).parent.parent / "data" / "pending-0.1-journal.sql"
    with closing(sqlite3.connect(file.with_name("journal.db"))) as journal:
        journal.executescript(data.read_text())
    ended = await imported(terminal, file, target)
    assert (ended.code, ended.out, len(ended.lines), counted(target)) == (1, "", 1, 0)
    assert "start Tocsin once more with the file and let them finish" in ended.err


def _an_older_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.execute("DELETE FROM _sqlite_migrations WHERE name = 'longer_beginnings_of_words'")
        old.commit()


def _a_newer_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.execute("UPDATE _sqlite_migrations SET name = 'of_next_year' WHERE name = 'changes_and_lists'")
        old.commit()


def _a_damaged_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096:12288] = b"\xff" * 8192
    path.write_bytes(data)


WRONG_FILES = {
    "older than this Tocsin": _an_older_file,
    "written by a newer version": _a_newer_file,
    "is damaged": _a_damaged_file,
    "is not an incident file": lambda path: path.write_bytes(b"no database, whatever it says" * 300),
    "is not an incident file. Give": lambda path: path.write_bytes(b""),
    "There is no file": lambda path: path.unlink(),
}


async def test_a_file_that_cannot_be_imported_is_told_in_one_line(
    terminal: Terminal, file: Path, target: str, tmp_path: Path
) -> None:
    for number, (sentence, spoil) in enumerate(WRONG_FILES.items()):
        spoiled = tmp_path / f"{number}" / "incidents.db"
        spoiled.parent.mkdir()
        shutil.copy(file, spoiled)
        spoil(spoiled)
        ended = await imported(terminal, spoiled, target)
        assert (ended.code, ended.out, len(ended.lines)) == (2, "", 1), (sentence, ended)
        assert sentence in ended.err
    assert counted(target) == 0


async def test_without_a_postgresql_database_it_says_which_setting_to_set(
    terminal: Terminal, file: Path
) -> None:
    for url in ("", "sqlite:////nowhere/tocsin.db", "postgresql://tocsin@/none?host=/nowhere"):
        ended = await imported(terminal, file, url)
        assert (ended.code, ended.out, len(ended.lines)) == (2, "", 1), ended
        assert ended.err.startswith("TOCSIN_DATABASE_URL"), ended


def test_every_table_of_the_journal_comes_over_or_belongs_to_its_database() -> None:
    assert set(TABLES.tables) - set(COPIED) == {"tocsin_pulse", "tocsin_seals", "tocsin_claims"}


async def test_what_to_come_from_is_named_and_its_key_is_asked_for(terminal: Terminal) -> None:
    ways = ((), ("incidents.db", "--from", "incident.io"), ("--from", "incident.io"))
    nothing, both, no_key = await asyncio.gather(
        *(terminal.run("incidents", "import", *arguments) for arguments in ways)
    )
    for misused in (nothing, both):
        assert misused.code == 2
        assert "give a file, or --from incident.io" in misused.err
    assert (no_key.code, no_key.out) == (2, "")
    assert no_key.err.startswith("INCIDENT_IO_API_KEY is not set: ")
