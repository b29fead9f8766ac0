"""Our own files locked, full, read-only, damaged or gone: nothing is promised that is not kept."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from support.autojump import passing, threads_beside
from support.bot import typed
from support.patience import LIMIT
from support.readings import how_many, settled, words

from reliability.faults.run import Run, run
from slack_emulator.faults import Fault
from tocsin.settings import ConfigurationError

OTHERWISE = {"max_page_count": "max_page_count=4294967294", "query_only": "query_only=OFF"}

SMALL_FILE = 4096
GLANCE_SECONDS = 0.05

LONG = "延々と続く話" * 499
"""Longer than what a page of SQLite may have room for (three bytes each)."""


@pytest.fixture
async def dial() -> AsyncIterator[list[str]]:
    """SQLite's own settings, put to every connection of the journal before each use."""
    wanted: list[str] = []

    def turn(connection: object, *_: object) -> None:
        for pragma in wanted or OTHERWISE.values():
            connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    event.listen(sa.pool.Pool, "checkout", turn)
    yield wanted
    event.remove(sa.pool.Pool, "checkout", turn)


def fill(path: Path) -> None:
    """Use up every free page, so that the next row needs a page more than there are."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE filler (said)")
        other.execute("PRAGMA max_page_count=1")
        row = "INSERT INTO filler VALUES (zeroblob(1000))"
        with pytest.raises(sqlite3.OperationalError, match="full"):
            other.executescript(";".join([row] * 1000))


async def test_a_locked_journal_is_not_called_saved_and_pressing_again_is_one_incident(day: Run) -> None:
    view, press = await day.filled()
    with closing(sqlite3.connect(day.bot.folder / "journal.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with passing():
            outcome = await day.submit(press)
        other.execute("ROLLBACK")
    assert outcome.errors is not None
    assert (
        "Not saved yet: Tocsin's journal did not answer in time. Press Declare again"
        in outcome.errors["name"]
    )
    assert view.values["name"]["name"]["value"] == f"{press.token} is slow"
    assert (await day.submit(press)).ok
    await settled(day.bot)
    assert day.broken() == []


@pytest.mark.parametrize(
    ("pragma", "why"),
    [("max_page_count=1", "full"), ("query_only=ON", "readonly")],
    ids=["full", "read-only"],
)
async def test_a_journal_that_takes_nothing_is_said_with_the_text_kept_and_works_again_afterwards(
    day: Run, dial: list[str], pragma: str, why: str
) -> None:
    view, press = await day.filled(summary=typed(LONG))
    fill(day.bot.folder / "journal.db")
    dial.append(pragma)
    outcome = await day.submit(press)
    assert outcome.errors is not None
    assert "Not saved yet: Tocsin's journal cannot be written to" in outcome.errors["name"]
    assert why in outcome.errors["name"]
    assert view.values["name"]["name"]["value"] == f"{press.token} is slow"
    assert await how_many(day.bot) == 0
    dial.clear()
    assert (await day.submit(press)).ok
    await settled(day.bot)
    assert day.broken() == []


@contextmanager
def no_room() -> Iterator[None]:
    """The kernel lets this process write nothing behind the first page of any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_FILE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def turned(dial: list[str], pragma: str) -> Iterator[None]:
    dial.append(pragma)
    try:
        yield
    finally:
        dial.clear()


async def reasons(day: Run, *, ready: bool) -> str:
    """What `/readyz` says, once it says that the bot is ready, or is not."""
    async with asyncio.timeout(LIMIT), httpx.AsyncClient(trust_env=False, verify=False) as client:
        while True:
            answer = await client.get(f"{day.bot.url}/readyz")
            if answer.status_code == (200 if ready else 503):
                return " ".join(answer.json()["reasons"])
            await asyncio.sleep(GLANCE_SECONDS)


@pytest.mark.parametrize("how", ["max_page_count=1", "query_only=ON", "no room"])
@pytest.mark.parametrize("method", ["conversations.create", "bookmarks.add", "pins.add"])
async def test_what_cannot_be_written_down_midway_is_named_by_readyz_and_goes_on_by_itself(
    day: Run, dial: list[str], method: str, how: str
) -> None:
    goes_on = asyncio.Event()
    day.fail(method, Fault(until=goes_on))
    _, press = await day.filled(summary=typed(LONG))
    assert (await day.submit(press)).ok
    await day.bot.workspace.begun(method)
    fill(day.bot.folder / "journal.db")
    # Threads of the pool wait at the journal's gate.
    with threads_beside(), no_room() if how == "no room" else turned(dial, how):
        goes_on.set()
        said = await reasons(day, ready=False)
    assert "Tocsin's journal cannot be" in said
    await day.settled()
    assert await reasons(day, ready=True) == ""
    assert day.broken() == []


async def test_a_deleted_journal_promises_nothing(day: Run) -> None:
    _, press = await day.filled()
    (day.bot.folder / "journal.db").rename(day.bot.folder / "elsewhere")
    outcome = await day.submit(press)
    assert outcome.errors is not None
    assert "journal was moved or deleted; put it back" in outcome.errors["name"]
    (day.bot.folder / "elsewhere").rename(day.bot.folder / "journal.db")
    assert (await day.submit(press)).ok
    await settled(day.bot)
    assert day.broken() == []


async def test_an_incident_file_that_was_moved_away_is_waited_for(day: Run) -> None:
    view, press = await day.filled()
    (day.bot.folder / "incidents.db").rename(day.bot.folder / "elsewhere")
    assert (await day.submit(press)).ok
    assert "Saved, still declaring" in words(view)
    (day.bot.folder / "elsewhere").rename(day.bot.folder / "incidents.db")
    await settled(day.bot)
    assert "INC-1" in words(view)
    assert day.broken() == []


@pytest.mark.parametrize("pragma", ["max_page_count={}", "query_only=ON"], ids=["full", "read-only"])
async def test_an_incident_file_that_takes_nothing_is_waited_for(day: Run, pragma: str) -> None:
    file = day.bot.backend.database  # type: ignore[attr-defined]
    await day.declare(summary=typed(LONG))
    view, press = await day.filled(summary=typed(LONG))
    fill(day.bot.folder / "incidents.db")
    pages = await file.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await file.run(lambda db: db.execute(f"PRAGMA {pragma.format(pages)}").fetchall())
    assert (await day.submit(press)).ok
    assert "Saved, still declaring" in words(view)
    for usual in OTHERWISE.values():
        await file.run(lambda db, usual=usual: db.execute(f"PRAGMA {usual}").fetchall())
    await settled(day.bot)
    assert "INC-2" in words(view)
    assert day.broken() == []


@pytest.mark.parametrize("table", ["tocsin_cards", "tocsin_declared"])
async def test_what_cannot_be_written_down_after_it_was_done_is_not_done_again(day: Run, table: str) -> None:
    stop = f"CREATE TRIGGER stop BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END"
    with closing(sqlite3.connect(day.bot.folder / "journal.db", isolation_level=None)) as other:
        other.execute(stop)
        _, press = await day.filled()
        assert (await day.submit(press)).ok
        if table == "tocsin_cards":
            await day.bot.workspace.heard("chat.postMessage", 3)
            await day.bot.workspace.heard("conversations.history", 1)
        other.execute("DROP TRIGGER stop")
    await settled(day.bot)
    assert day.broken() == []


async def test_a_channel_that_cannot_be_written_down_is_not_made_again(day: Run) -> None:
    with closing(sqlite3.connect(day.bot.folder / "incidents.db", isolation_level=None)) as other:
        other.execute("CREATE TRIGGER stop BEFORE UPDATE ON incidents BEGIN SELECT RAISE(ABORT, 'no'); END")
        _, press = await day.filled()
        assert (await day.submit(press)).ok
        await day.bot.workspace.heard("users.conversations", 1)
        other.execute("DROP TRIGGER stop")
    await settled(day.bot)
    assert day.broken() == []


async def test_a_damaged_journal_is_told_in_one_line_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "journal.db").write_bytes(b"no database at all" * 500)
    with pytest.raises((ConfigurationError, sqlite3.DatabaseError, sa.exc.DatabaseError)) as said:
        async with run(folder):
            pass
    assert isinstance(said.value, ConfigurationError)
    assert len(str(said.value).splitlines()) == 1
    assert (folder / "journal.db").read_bytes().startswith(b"no database")
