"""What is not finished can be seen from outside, survives a copy, and is finished once."""

from __future__ import annotations

import asyncio
import json
import pickle
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.failures import noted_failures
from support.held_backend import HeldBackend
from support.patience import LIMIT
from support.readings import cards, newest, own_channel
from support.slack import RunningWorkspace, running_workspace
from support.terminal import Terminal

from reliability.faults.run import Run, run
from reliability.history.history import Press
from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.slack import routes
from tocsin.workflows.ports import IncidentBackend

GLANCE_SECONDS = 0.05
RECORDED = Path(__file__).parents[2] / "data"


def copied(folder: Path, to: Path) -> Path:
    """A copy of the data folder while the bot runs, each file as `VACUUM INTO` makes it."""
    to.mkdir(mode=0o700)
    for name in ("journal.db", "incidents.db"):
        with closing(sqlite3.connect(folder / name)) as original:
            original.execute("VACUUM INTO ?", [str(to / name)])
    return to


async def listed(folder: Path) -> list[dict[str, str]]:
    """What `tocsin incidents pending --json` says, beside the running bot."""
    asked = await Terminal(folder).run("incidents", "pending", "--json", TOCSIN_DATA_DIR=str(folder))
    pending: list[dict[str, str]] = json.loads(asked.out)["pending"]
    return pending


@pytest.mark.process
async def test_a_declaration_that_waits_is_listed_counted_and_gone_when_it_is_through(day: Run) -> None:
    goes_on = asyncio.Event()
    # The bot waits ten seconds for each answer: on a busy machine, a command may take longer.
    day.fail("conversations.create", *[Fault(until=goes_on)] * 50)
    _, press = await day.filled()
    assert (await day.submit(press)).ok
    await day.bot.workspace.begun("conversations.create")
    (waiting,) = await listed(day.bot.folder)
    assert waiting["reference"] == "INC-1"
    assert press.token in waiting["name"]
    assert waiting["waits_for"] == "Slack has not opened its channel"
    day.bot.workspace.faults.clear()
    goes_on.set()
    await day.settled()
    assert await listed(day.bot.folder) == []
    registry = day.bot.app.resources.metrics.registry
    assert registry.get_sample_value("tocsin_declarations_total", {"outcome": "declared"}) == 1
    posted = {"method": "chat.postMessage", "outcome": "ok"}
    assert registry.get_sample_value("tocsin_slack_calls_total", posted) == 3


MOMENTS = ["conversations.create", "bookmarks.add", "chat.postMessage", "pins.add"]


@pytest.mark.parametrize("moment", ["before the create", *MOMENTS, "at the end"])
async def test_a_copy_from_any_moment_restored_later_does_nothing_twice(tmp_path: Path, moment: str) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        presses = await first_life(tmp_path, slack, moment)
        async with run(tmp_path / "copy", slack, presses=presses) as restored:
            await restored.settled()
            assert (await newest(restored.bot)).reference == "INC-1"
            assert restored.broken() == []


async def first_life(tmp_path: Path, slack: RunningWorkspace, moment: str) -> list[Press]:
    """A declaration made from beginning to end, with a copy of the folder taken in between."""
    held: list[HeldBackend] = []

    def behind(real: IncidentBackend) -> IncidentBackend:
        held.append(HeldBackend(real))
        return held[0]  # type: ignore[return-value]

    async with run(tmp_path / "data", slack, behind) as day:
        goes_on = asyncio.Event()
        if moment in MOMENTS:
            day.fail(moment, *(Fault(until=goes_on) for _ in range(3)))
        _, press = await day.filled()
        if moment != "before the create":
            held[0].go_on.set()
        assert (await day.submit(press)).ok
        if moment in MOMENTS:
            await day.bot.workspace.begun(moment)
        elif moment == "at the end":
            await day.settled()
        copied(day.bot.folder, tmp_path / "copy")
        held[0].go_on.set()
        goes_on.set()
        await day.settled()
        return day.presses


def as_it_is(kept: dict[str, Any]) -> None:
    """What the version that is recorded wrote."""


def with_more(kept: dict[str, Any]) -> None:
    """What a later version may have written, before it was taken back for this one."""
    kept["of_a_later_version"] = {"nobody": ["knows", 1]}


def with_less(kept: dict[str, Any]) -> None:
    """What a version may have written that had none of the fields that can be left out."""
    needed = {
        "declaration",
        "view_id",
        "origin",
        "key",
        "name",
        "severity_id",
        "reporter",
        "at",
        "kind",
        "incident",
    }
    needed |= {
        "id",
        "reference",
        "number",
        "incident_status",
        "creator",
        "created_at",
        "updated_at",
        "severity",
    }
    needed |= {"rank", "category", "slack_user_id", "permalink", "slack_channel_id", "slack_team_id"}
    for field in set(kept) - needed:
        del kept[field]


def everywhere(kept: object, change: Callable[[dict[str, Any]], None]) -> None:
    """Make the change in every object of a stored order or outcome."""
    if isinstance(kept, dict):
        for name, part in list(kept.items()):
            # Their keys are ids, not fields.
            if name not in {"incident_role_assignments", "custom_field_entries", "backend_entries"}:
                everywhere(part, change)
        change(kept)


def changed(journal: sqlite3.Connection, change: Callable[[dict[str, Any]], None]) -> None:
    """The unfinished story as another version would have left it, which kept pickles in base64."""
    (asked,) = journal.execute("SELECT inputs FROM workflow_input").fetchone()
    order = pickle.loads(b64decode(asked))
    everywhere(order["args"][1], change)
    journal.execute("UPDATE workflow_input SET inputs = ?", [b64encode(pickle.dumps(order)).decode()])
    (made,) = journal.execute("SELECT output FROM operation_outputs").fetchone()
    outcome = pickle.loads(b64decode(made))
    everywhere(outcome, change)
    journal.execute("UPDATE operation_outputs SET output = ?", [b64encode(pickle.dumps(outcome)).decode()])
    journal.commit()


@pytest.mark.process
async def test_a_declaration_that_this_version_cannot_read_waits_for_one_that_can(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    for name in ("journal", "incidents"):
        with closing(sqlite3.connect(folder / f"{name}.db")) as made:
            made.executescript((RECORDED / f"pending-0.1-{name}.sql").read_text())
            if name == "journal":
                kept = made.execute("SELECT inputs FROM workflow_input").fetchone()
                changed(made, dict[str, Any].clear)
    with noted_failures() as noted:
        async with run(folder, can_resume=False) as day, asyncio.timeout(LIMIT):
            await day.bot.engine.finish(LIMIT)
            while True:
                await asyncio.sleep(GLANCE_SECONDS)
                if noted:
                    break
            assert len(await listed(folder)) == 1
    with closing(sqlite3.connect(folder / "journal.db")) as mended:
        mended.execute("UPDATE workflow_input SET inputs = ?", kept)
        mended.execute("UPDATE workflow_status SET serialization = 'py_pickle'")
        mended.execute("DELETE FROM operation_outputs")
        mended.commit()
    async with run(folder) as day:
        await day.settled()
        assert "What you declared is through: it is INC-1" in day.told()


@pytest.mark.parametrize("change", [as_it_is, with_more, with_less])
async def test_a_declaration_that_another_version_left_unfinished_is_finished(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    for name in ("journal", "incidents"):
        with closing(sqlite3.connect(folder / f"{name}.db")) as made:
            made.executescript((RECORDED / f"pending-0.1-{name}.sql").read_text())
            if name == "journal":
                changed(made, change)
    async with run(folder) as day:
        await day.settled()
        incident = await newest(day.bot)
        assert incident.reference == "INC-1"
        assert len(cards(day.bot, own_channel(day.bot, incident).id)) == 1
        assert len(cards(day.bot, day.bot.slack.channel("general"))) == 1
        assert "What you declared is through: it is INC-1" in day.told()
