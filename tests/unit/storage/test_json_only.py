"""Only JSON is read in the journal: a row of somebody else's runs nothing, and what is ours is not lost."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sqlite3
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.bot import chosen, running_bot
from support.first_files import copied_into, first_journal, opened_journal
from support.patience import LIMIT
from support.readings import settled
from support.terminal import Terminal

from tocsin.incidents.errors import Unavailable
from tocsin.settings import ConfigurationError
from tocsin.storage.workflow_engine import fetch_pending

RECORDED = Path(__file__).parents[2] / "data"
KEY = "00000000-0000-0000-0000-000000000001"
REFUSED = "The journal has a row that Tocsin did not write"


class Trap:
    """Whoever unpickles it makes a folder."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.made),)

    def __str__(self) -> str:
        return b64encode(pickle.dumps(self)).decode()


PLANTED = {
    "order": (
        "INSERT INTO workflow_status (workflow_uuid, name, status, priority, executor_id, "
        "application_version, application_name, serialization) VALUES (:key, 'story', 'PENDING', 0, "
        "'tocsin', 'stories-1', 'tocsin', :mark)",
        "INSERT INTO workflow_input (workflow_uuid, inputs) VALUES (:key, :trap)",
    ),
    "order, as DBOS had it once": (
        "INSERT INTO workflow_status (workflow_uuid, name, status, priority, inputs, serialization) "
        "VALUES (:key, 'story', 'PENDING', 0, :trap, :mark)",
    ),
    "output": (
        "INSERT INTO workflow_status (workflow_uuid, name, status, priority, serialization) "
        "VALUES (:key, 'story', 'SUCCESS', 0, :mark)",
        "INSERT INTO workflow_output (workflow_uuid, output) VALUES (:key, :trap)",
    ),
    "error": (
        "INSERT INTO workflow_status (workflow_uuid, name, status, priority, error, serialization) "
        "VALUES (:key, 'story', 'ERROR', 0, :trap, :mark)",
    ),
    "step": (
        "INSERT INTO operation_outputs (workflow_uuid, function_id, function_name, output, serialization) "
        "VALUES (:key, 1, 'create the incident', :trap, :mark)",
    ),
    "step that failed": (
        "INSERT INTO operation_outputs (workflow_uuid, function_id, function_name, error, serialization) "
        "VALUES (:key, 1, 'create the incident', :trap, :mark)",
    ),
    "notification": (
        "INSERT INTO notifications (destination_uuid, message, serialization) VALUES (:key, :trap, :mark)",
    ),
    "event": (
        "INSERT INTO workflow_events (workflow_uuid, key, value, serialization) "
        "VALUES (:key, 'k', :trap, :mark)",
    ),
    "event of before": (
        "INSERT INTO workflow_events_history (workflow_uuid, function_id, key, value, serialization) "
        "VALUES (:key, 1, 'k', :trap, :mark)",
    ),
    "stream": (
        'INSERT INTO streams (workflow_uuid, key, value, "offset", serialization) '
        "VALUES (:key, 'k', :trap, 0, :mark)",
    ),
}  # fmt: skip


def plant(journal: Path, rows: tuple[str, ...], made: Path, mark: str = "py_pickle") -> None:
    with closing(opened_journal(journal)) as other:
        for row in rows:
            other.execute(row, {"key": KEY, "trap": str(Trap(made)), "mark": mark})
        other.commit()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A data folder with a journal that has nothing in it yet."""
    folder = tmp_path / "data"
    copied_into(folder, await first_journal())
    return folder


def left_by_an_earlier_version(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    for name in ("journal", "incidents"):
        with closing(sqlite3.connect(folder / f"{name}.db")) as made:
            made.executescript((RECORDED / f"pending-0.1-{name}.sql").read_text())


def marks(folder: Path) -> set[str]:
    """The rows' own words for how they are to be read."""
    with closing(sqlite3.connect(folder / "journal.db")) as kept:
        return {
            mark
            for table in ("workflow_status", "operation_outputs")
            for (mark,) in kept.execute(f"SELECT serialization FROM {table}")
        }


@pytest.mark.parametrize("where", PLANTED)
async def test_a_row_that_would_run_a_program_runs_none_and_the_bot_does_not_start(
    folder: Path, tmp_path: Path, where: str
) -> None:
    plant(folder / "journal.db", PLANTED[where], tmp_path / "made")
    with pytest.raises(Unavailable, match=REFUSED):
        await fetch_pending(f"sqlite:///{folder / 'journal.db'}")
    with pytest.raises(ConfigurationError, match=f"{REFUSED}.*Restore a backup"):
        async with running_bot(folder):
            pass
    assert not (tmp_path / "made").exists()


async def test_a_row_marked_as_anything_else_is_refused_too(folder: Path, tmp_path: Path) -> None:
    plant(folder / "journal.db", PLANTED["order"], tmp_path / "made", mark="cbor")
    with pytest.raises(ConfigurationError, match=REFUSED):
        async with running_bot(folder):
            pass


@pytest.mark.process
async def test_every_command_says_so_and_runs_nothing(folder: Path, tmp_path: Path) -> None:
    plant(folder / "journal.db", PLANTED["order"], tmp_path / "made")
    terminal = Terminal(tmp_path)
    given = {"TOCSIN_DATA_DIR": str(folder)}
    pending = await terminal.run("incidents", "pending", **given)
    doctor = await terminal.run("doctor", **given)
    assert (pending.code, doctor.code) == (1, 1)
    assert REFUSED in pending.err
    assert REFUSED in " ".join(doctor.out.split())
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("where", ["order", "output", "error"])
async def test_a_row_that_is_planted_while_the_bot_runs_runs_nothing_either(
    folder: Path, tmp_path: Path, where: str
) -> None:
    async with running_bot(folder) as bot:
        plant(folder / "journal.db", PLANTED[where], tmp_path / "made")
        journal = bot.engine
        if where == "order":
            with pytest.raises(Unavailable, match="not Tocsin's"):
                await journal.find_command(KEY)
        elif where == "output":
            with pytest.raises(Unavailable, match="not Tocsin's"):
                await journal.result(KEY)
        else:
            assert await journal.result(KEY) is None
    assert not (tmp_path / "made").exists()


async def test_everything_that_a_declaration_writes_down_is_json(tmp_path: Path) -> None:
    async with running_bot(tmp_path / "data") as bot:
        view = await bot.type_command("ana", "general", "/incident checkout is slow")
        await bot.fill("ana", view, severity_id=chosen("major", "Major"))
        assert (await bot.submit("ana", view)).ok
        await settled(bot)
        with closing(sqlite3.connect(tmp_path / "data" / "journal.db")) as kept:
            written = [text for (text,) in kept.execute("SELECT inputs FROM workflow_input")]
            written += [text for (text,) in kept.execute("SELECT output FROM workflow_output")]
            written += [text for (text,) in kept.execute("SELECT output FROM operation_outputs")]
    assert len(written) > 3
    assert all(json.loads(text) is not Ellipsis for text in written)
    assert marks(tmp_path / "data") == {"portable_json"}


async def test_an_error_that_a_step_met_is_written_down_in_words(folder: Path) -> None:
    begun = asyncio.Event()
    async with running_bot(folder) as bot:
        journal = bot.engine

        async def story(order: dict[str, Any]) -> None:
            async def broken(again: bool) -> None:
                begun.set()
                raise KeyError("nobody foresaw it")

            await journal.step("break", broken)

        journal.register("break", story)
        await journal.start("break", KEY, {})
        await begun.wait()
        await journal.finish(LIMIT)
    with closing(sqlite3.connect(folder / "journal.db")) as kept:
        ((error,),) = kept.execute("SELECT error FROM operation_outputs").fetchall()
    assert json.loads(error)["message"] == "'nobody foresaw it'"
    assert marks(folder) == {"portable_json"}


async def test_what_an_earlier_version_left_is_listed_and_rewritten_as_json_at_the_start(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    left_by_an_earlier_version(folder)
    (waiting,) = await fetch_pending(f"sqlite:///{folder / 'journal.db'}")
    assert (waiting.reference, marks(folder)) == ("INC-1", {"py_pickle"})
    async with running_bot(folder) as bot:
        await settled(bot)
        assert bot.calls("conversations.create")
    assert marks(folder) == {"portable_json"}


@pytest.mark.parametrize("error", [ValueError("of Python's"), Unavailable("of ours", retry_after=3)])
async def test_an_error_that_an_earlier_version_recorded_keeps_its_words(
    folder: Path, error: Exception
) -> None:
    pickled = b64encode(pickle.dumps(error)).decode()
    with closing(opened_journal(folder / "journal.db")) as other:
        other.execute(PLANTED["step that failed"][0], {"key": KEY, "trap": pickled, "mark": "py_pickle"})
        other.commit()
    async with running_bot(folder):
        pass
    with closing(sqlite3.connect(folder / "journal.db")) as kept:
        ((kept_as,),) = kept.execute("SELECT error FROM operation_outputs").fetchall()
    assert json.loads(kept_as) == {"name": type(error).__name__, "message": str(error)}
