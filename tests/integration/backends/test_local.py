"""The incident file: who may read it, and what people are told when it cannot be used."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlite_utils import Database
from support.autojump import passing
from support.declarations import ANA, BEN, DAWN, Ticking, declaration, full_declaration
from support.patience import LIMIT

from tocsin.backends import BACKENDS, BackendOptions
from tocsin.backends.local import LocalBackend, queries
from tocsin.backends.local.schema import migrations
from tocsin.backends.local.sqlite import PATIENCE, IncidentFile
from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.requests import IncidentFilter

PROCESS = Path(__file__).with_name("declaring_process.py")
PERMALINKS = "http://127.0.0.1:8080"


async def opened(path: Path, toml: str = "", public_url: str = PERMALINKS) -> LocalBackend:
    return await LocalBackend.open(
        path, IncidentConfig.from_toml(toml), public_url=public_url, clock=Ticking()
    )


@pytest.fixture
async def holder(local: LocalBackend) -> AsyncIterator[sqlite3.Connection]:
    """Another program that has the file open."""
    connection = sqlite3.connect(local.database.path, isolation_level=None)
    yield connection
    connection.close()


@pytest.mark.process
async def test_two_processes_share_the_file_without_a_gap_or_a_duplicate(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    async with asyncio.timeout(LIMIT):
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, PROCESS, path, str(first), "15")
            for first in (0, 1000)
        ]
        assert [await process.wait() for process in processes] == [0, 0]
    backend = await opened(path)
    kept = await backend.incidents(limit=100)
    await backend.close()
    assert [incident.reference for incident in kept] == [f"INC-{number}" for number in range(31, 0, -1)]
    assert sum(incident.name == "raced" for incident in kept) == 1


async def test_only_the_owner_can_read_the_file_and_its_companions(local: LocalBackend) -> None:
    await local.create(declaration())
    folder = local.database.path.parent
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"incidents.db": 0o600, "incidents.db-wal": 0o600, "incidents.db-shm": 0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    path.touch(0o644)
    backend = await opened(path)
    await backend.create(declaration())
    await backend.close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_commit_reaches_the_disk_before_anyone_is_told(local: LocalBackend) -> None:
    def pragma(name: str) -> object:
        return lambda db: db.execute(f"PRAGMA {name}").fetchone()[0]

    assert await local.database.run(pragma("journal_mode")) == "wal"  # type: ignore[arg-type]
    assert await local.database.run(pragma("synchronous")) == 2  # type: ignore[arg-type]
    assert await local.database.run(pragma("foreign_keys")) == 1  # type: ignore[arg-type]
    assert await local.database.run(pragma("busy_timeout")) == PATIENCE * 1000  # type: ignore[arg-type]


@pytest.mark.process
async def test_a_process_killed_right_after_declaring_has_declared(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    script = PROCESS.read_text().replace("await backend.close()", "__import__('os')._exit(9)")
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script.replace("__file__", repr(str(PROCESS))), path, "0", "1"
    )
    assert await killed.wait() == 9
    backend = await opened(path)
    assert {incident.name for incident in await backend.incidents()} == {"key-0", "raced"}
    await backend.close()


@pytest.mark.process
async def test_everyones_tools_can_read_an_incident(local: LocalBackend) -> None:
    await local.create(full_declaration())
    command = [sys.executable, "-m", "sqlite_utils", "rows", local.database.path, "incidents"]
    shown = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
    (row,) = json.loads(shown.stdout)
    assert row["reference"] == "INC-1"
    assert row["severity_id"] == "critical"
    assert row["source_message_channel_id"] == "C0ALERTS"


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (queries.BY_ID, ["x"]),
        (queries.BY_NUMBER, [1]),
        (queries.NEWEST, [50]),
        (queries.OLDER_THAN, ["x", 50]),
    ],
)
async def test_lists_and_lookups_go_by_an_index(
    local: LocalBackend, query: str, values: list[object]
) -> None:
    def plan(db: Database) -> list[str]:
        return [step["detail"] for step in db.query("EXPLAIN QUERY PLAN " + query, values)]

    steps = await local.database.run(plan)
    assert steps
    assert not [step for step in steps if "TEMP B-TREE" in step]
    assert not [step for step in steps if step.startswith("SCAN") and "USING INDEX" not in step]


async def test_names_learned_later_are_shown_for_people_who_were_only_ids(local: LocalBackend) -> None:
    made = await local.create(full_declaration())
    assert made.lead is not None
    assert made.lead.name is None
    await local.remember_people([BEN])
    found = await local.find(made.reference)
    assert found is not None
    assert found.lead == BEN


async def test_a_severity_that_left_the_configuration_is_still_named(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    backend = await opened(path)
    made = await backend.create(full_declaration())
    await backend.close()
    backend = await opened(path, "severities = ['Bad', 'Worse']\ncustom_fields = []")
    assert [severity.name for severity in (await backend.form()).severities] == ["Bad", "Worse"]
    assert await backend.find(made.id) == made
    await backend.close()


async def test_a_declaration_saved_before_the_configuration_changed_is_still_made(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    await (await opened(path)).close()
    backend = await opened(path, "severities = ['Bad', 'Worse']")
    made = await backend.create(declaration(severity_id="major"))
    assert made.severity is not None
    assert made.severity.name == "Major"
    await backend.close()


async def test_a_renamed_severity_has_its_new_name_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    backend = await opened(path)
    await backend.create(declaration())
    await backend.close()
    backend = await opened(path, "severities = [{id = 'major', name = 'Serious'}]")
    found = await backend.find("1")
    assert found is not None
    assert found.severity is not None
    assert found.severity.name == "Serious"
    await backend.close()


async def test_opening_with_the_same_configuration_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    await (await opened(path)).close()
    reader = sqlite3.connect(path)
    before = reader.execute("PRAGMA data_version").fetchone()
    await (await opened(path)).close()
    assert reader.execute("PRAGMA data_version").fetchone() == before
    reader.close()


async def test_permalinks_follow_the_public_address(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    backend = await opened(path)
    await backend.create(declaration())
    await backend.close()
    backend = await opened(path, public_url="https://incidents.example.com/")
    found = await backend.find("1")
    assert found is not None
    assert found.permalink == "https://incidents.example.com/incidents/INC-1"
    await backend.close()


async def test_a_held_file_is_told_within_two_seconds_and_works_again_afterwards(
    local: LocalBackend, holder: sqlite3.Connection
) -> None:
    holder.execute("BEGIN IMMEDIATE")
    waits = await local.database.run(lambda db: db.execute("PRAGMA busy_timeout").fetchone()[0])
    assert waits / 1000 == PATIENCE < 2.0, "the form is answered within Slack's three seconds"
    with pytest.raises(Unavailable, match="Another program is holding") as told:
        await local.create(declaration())
    assert told.value.retry_after is not None
    holder.execute("ROLLBACK")
    assert (await local.create(declaration())).reference == "INC-1"


async def test_nobody_waits_while_the_file_is_held(local: LocalBackend, holder: sqlite3.Connection) -> None:
    holder.execute("BEGIN IMMEDIATE")
    with passing():
        waiting = asyncio.create_task(local.create(declaration()))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        holder.execute("ROLLBACK")
        assert (await waiting).reference == "INC-1"


async def test_a_full_disk_is_told_and_leaves_no_half_incident(local: LocalBackend) -> None:
    def fill(db: Database) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")

    await local.create(declaration("fits"))
    await local.database.run(fill)

    async def declare_until_full() -> None:
        for number in range(50):
            await local.create(full_declaration(f"key-{number}", summary="long " * 600))

    with pytest.raises(Unavailable, match="disk is full"):
        await declare_until_full()
    await local.database.run(lambda db: db.execute("PRAGMA max_page_count = 100000"))
    kept = await local.incidents(limit=200)
    assert [incident.reference for incident in kept] == [f"INC-{n}" for n in range(len(kept), 0, -1)]
    for incident in kept:
        assert len(await local.timeline(incident.id)) == 1
    assert (await local.create(declaration("after"))).reference == f"INC-{len(kept) + 1}"


async def test_a_read_only_file_is_told_without_its_folder(local: LocalBackend) -> None:
    await local.create(declaration("before"))
    await local.database.run(lambda db: db.execute("PRAGMA query_only = ON"))
    with pytest.raises(Unavailable, match=r"incidents\.db is read-only") as told:
        await local.create(declaration("after"))
    # Whoever has a key of the API reads this, and need not know the machine's folders.
    assert "/" not in str(told.value)
    assert len(await local.incidents()) == 1


@pytest.mark.parametrize(
    "content", [b"not a database, just words. " * 400, b"SQLite format 3\x00" + b"\xff" * 9000]
)
async def test_a_file_that_is_no_incident_file_is_told_in_one_line_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "incidents.db"
    path.write_bytes(content)
    with pytest.raises(Unavailable, match="eft as it is") as told:
        await opened(path)
    assert "\n" not in str(told.value)
    assert str(path) in str(told.value)
    assert path.read_bytes() == content


async def test_a_damaged_incident_file_is_told_in_one_line_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    backend = await opened(path)
    for number in range(20):
        await backend.create(full_declaration(f"key-{number}"))
    await backend.close()
    content = bytearray(path.read_bytes())
    content[4096:20_000] = os.urandom(20_000 - 4096)
    path.write_bytes(content)
    with pytest.raises(Unavailable, match="is damaged") as told:
        await opened(path)
    assert "\n" not in str(told.value)
    assert path.read_bytes() == content


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be opened"):
        await opened(tmp_path / "file" / "incidents.db")


async def test_a_closed_file_says_so(local: LocalBackend) -> None:
    await local.close()
    await local.close()
    with pytest.raises(Unavailable, match="closed"):
        await local.incidents()


async def test_the_words_of_an_older_file_are_found_by_how_they_begin(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    older, dawn = Database(path), "2026-03-01T03:00:00.000000Z"
    migrations.apply(older, stop_before="longer_beginnings_of_words")
    ids = {"id": "1", "number": 1, "reference": "INC-1", "idempotency_key": "key", "name": "Checkouts fail"}
    kinds = {"severity_id": "major", "incident_status_id": "closed", "incident_type_id": "incident"}
    who = {"visibility": "public", "mode": "standard", "creator_slack_user_id": "U1"}
    older["incidents"].insert({**ids, **kinds, **who, "created_at": dawn, "updated_at": dawn})
    older.close()
    backend = await opened(path)
    await backend.create(declaration(name="Checkout is slow"))
    for written in ("chec", "checkout", "checkout s"):
        found = await backend.matching(IncidentFilter(text=written), limit=5)
        assert [one.reference for one in found] == (["INC-2"] if " " in written else ["INC-2", "INC-1"])
    await backend.close()


async def test_the_file_of_a_newer_version_is_not_touched_by_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "incidents.db"
    await (await opened(path)).close()
    other = sqlite3.connect(path)
    other.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES ('incidents', 'tomorrow', '')"
    )
    other.commit()
    other.close()
    with pytest.raises(Unavailable, match="newer version of Tocsin"):
        await IncidentFile.open(path)


async def test_the_local_backend_opens_by_its_name(tmp_path: Path) -> None:
    opening = BackendOptions(data_dir=tmp_path / "data", public_url=PERMALINKS, clock=Ticking())
    backend = await BACKENDS["local"](opening)
    made = await backend.create(declaration())
    assert made.creator == ANA
    assert made.created_at == DAWN
    assert (tmp_path / "data" / "incidents.db").exists()
    await backend.close()  # type: ignore[attr-defined]
