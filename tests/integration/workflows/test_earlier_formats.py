"""What a version with other recorded steps left unfinished is finished: nothing is lost, nothing is doubled.

`data/stories-1.json` has a declaration and an update as the version before wrote them down, with all their
steps. A test puts as many of them into a journal as that version had recorded when it was killed.
"""

from __future__ import annotations

import copy
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.bot import RunningBot, chosen, running_bot
from support.errands import declared
from support.first_files import opened_journal
from support.readings import deliver, how_many, last_delivery, newest, settled, words
from support.slack import RunningWorkspace, running_workspace
from support.slash import slash

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import Message
from tocsin.incidents.model import Incident
from tocsin.slack import routes
from tocsin.storage.workflow_engine import fetch_pending

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEFORE = json.loads((Path(__file__).parents[2] / "data" / "stories-1.json").read_text())
STEPS = {verb: len(BEFORE[verb]["operation_outputs"]) for verb in ("declare", "change")}
SAME_ADDRESS: dict[str, Any] = {"tocsin_public_url": "http://127.0.0.1:1"}


@dataclass(frozen=True)
class Left:
    """A bot that has stopped: what it left in its folder and in Slack, for each test to begin with."""

    slack: RunningWorkspace
    folder: Path
    incident: Incident
    submission: dict[str, Any]
    said: Any

    @classmethod
    def by(cls, bot: RunningBot, incident: Incident, submission: dict[str, Any]) -> Left:
        state = bot.workspace.state
        said = copy.deepcopy((state.channels, state.messages))
        return cls(bot.slack, bot.folder, incident, submission, said)

    def again(self, folder: Path) -> Incident:
        """Have it in this folder and in Slack as it was left."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        workspace = self.slack.workspace
        for person in workspace.people():
            workspace.views.close_all(person.id)
        workspace.state.channels, workspace.state.messages = copy.deepcopy(self.said)
        workspace.clear()
        return self.incident


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slack() -> AsyncIterator[RunningWorkspace]:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def after_a_declaration(slack: RunningWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("declared")
    async with running_bot(folder, slack, **SAME_ADDRESS) as bot:
        incident = await declared(bot, "checkout is slow")
        submission = last_delivery(bot, "view_submission")
    return Left.by(bot, incident, submission)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def after_an_update(after_a_declaration: Left, tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("updated")
    incident = after_a_declaration.again(folder)
    async with running_bot(folder, after_a_declaration.slack, **SAME_ADDRESS) as bot:
        await slash(bot, "ana", incident.slack_channel_id, "update we rolled back")
        await settled(bot)
    return Left.by(bot, incident, after_a_declaration.submission)


@pytest.fixture
def declaration(after_a_declaration: Left, tmp_path: Path) -> Incident:
    """An incident that a bot declared from the test's folder before it stopped."""
    return after_a_declaration.again(tmp_path)


@pytest.fixture
def update(after_an_update: Left, tmp_path: Path) -> Incident:
    """An incident that a bot declared and updated from the test's folder before it stopped."""
    return after_an_update.again(tmp_path)


@pytest_asyncio.fixture(loop_scope="module")
async def own_slack() -> AsyncIterator[RunningWorkspace]:
    """A workspace of the test's own, in which nothing has happened."""
    async with running_workspace(Manifest.from_dict(routes.manifest())) as running:
        yield running


class Journal:
    """The journal of a bot that does not run."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self._path}"

    def is_as_before(self, verb: str, steps: int, incident: Incident, **status: Any) -> str:
        """Make the only workflow of this verb one of the version before, killed after so many steps.

        Returns its key.
        """
        kept = BEFORE[verb]
        with closing(opened_journal(self._path)) as file, file:
            asked = "SELECT workflow_uuid FROM workflow_input WHERE inputs LIKE ?"
            ((key,),) = file.execute(asked, (f'%"positionalArgs":["{verb}",%',)).fetchall()
            names = {
                kept["workflow_status"]["workflow_uuid"]: key,
                BEFORE["incident"]: incident.id,
                BEFORE["channel"]: incident.slack_channel_id,
            }
            for table in ("workflow_output", "operation_outputs"):
                file.execute(f"DELETE FROM {table} WHERE workflow_uuid = ?", (key,))
            row = {**kept["workflow_status"], "status": "PENDING", "completed_at": None, **status}
            row["workflow_uuid"] = key
            columns = ", ".join(f"{name} = :{name}" for name in row)
            file.execute(f"UPDATE workflow_status SET {columns} WHERE workflow_uuid = :workflow_uuid", row)
            for step in kept["operation_outputs"][:steps]:
                insert(file, "operation_outputs", {**_renamed(step, names), "workflow_uuid": key})
        return str(key)

    def status(self, key: str) -> tuple[str, str]:
        with closing(sqlite3.connect(self._path)) as file:
            asked = "SELECT status, application_version FROM workflow_status WHERE workflow_uuid = ?"
            ((status, version),) = file.execute(asked, (key,)).fetchall()
            return str(status), str(version)


def insert(file: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    file.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", row)


def _renamed(step: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A recorded step of the workflow, incident and channel of the test."""
    output = step["output"]
    for before, now in names.items():
        output = output.replace(before, now)
    return {**step, "output": output}


def ours(slack: RunningWorkspace, channel: str) -> list[Message]:
    return [
        m for m in slack.workspace.state.lasting(channel) if m.app_id == slack.app.app_id and not m.subtype
    ]


def everything_is_there_once(slack: RunningWorkspace, incident: Incident, updates: int = 0) -> None:
    workspace, ana = slack.workspace, slack.person("ana")
    (room,) = [c for c in workspace.state.channels.values() if c.name.startswith("inc-")]
    assert room.id == incident.slack_channel_id
    assert ana in room.members
    assert incident.name in room.topic
    assert len(room.bookmarks) == 1
    headline = next(m for m in ours(slack, room.id) if m.ts in room.pins)
    assert room.pins == [headline.ts]
    places = {name: workspace.channel_by_name(name).id for name in ("general", "incidents")}
    assert Counter({name: len(ours(slack, place)) for name, place in places.items()}) == {
        "general": 1,
        "incidents": 1 + updates,
    }
    assert f"<#{room.id}>" in words(ours(slack, places["general"])[0])


@pytest.mark.parametrize("steps", range(STEPS["declare"] + 1))
async def test_a_declaration_of_the_version_before_is_finished_and_nothing_is_doubled(
    after_a_declaration: Left, declaration: Incident, slack: RunningWorkspace, tmp_path: Path, steps: int
) -> None:
    journal = Journal(tmp_path)
    key = journal.is_as_before("declare", steps, declaration)
    (pending,) = await fetch_pending(journal.url)
    assert (pending.name, pending.by) == ("checkout is slow", "Ana Ferreira")
    async with running_bot(tmp_path, slack, **SAME_ADDRESS) as bot:
        await settled(bot)
        assert await how_many(bot) == 1
        everything_is_there_once(slack, await newest(bot))
        assert len(ours(slack, declaration.slack_channel_id)) == 1
        answer = await deliver(bot, "interactive", after_a_declaration.submission)
        assert declaration.reference in words(answer["view"])
    assert journal.status(key) == ("SUCCESS", "stories-2")


HELD = ["conversations.create", "conversations.setPurpose", "bookmarks.add", "chat.postMessage"]


@pytest.mark.parametrize(
    ("steps", "held"),
    [
        (0, ["conversations.create"]),
        (1, ["conversations.create"]),
        (2, ["conversations.invite", "conversations.setTopic", *HELD[1:]]),
        (5, HELD[1:]),
        (7, ["chat.postMessage"]),
        (10, ["pins.add"]),
    ],
)
async def test_what_the_version_before_had_not_done_is_done(
    own_slack: RunningWorkspace, tmp_path: Path, steps: int, held: list[str]
) -> None:
    slack = own_slack
    faults = slack.workspace.faults
    for method in held:
        faults.plan(method, *(Fault(status=503) for _ in range(9)))
    async with running_bot(tmp_path, slack, **SAME_ADDRESS) as bot:
        await begun(bot)
        await slack.workspace.heard(held[0])
        incident = await newest(bot)
    faults.clear()
    Journal(tmp_path).is_as_before("declare", steps, incident)
    async with running_bot(tmp_path, slack, **SAME_ADDRESS) as bot:
        await settled(bot)
        assert await how_many(bot) == 1
        everything_is_there_once(slack, await newest(bot))


async def begun(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident checkout is slow")
    await bot.fill("ana", view, severity_id=chosen("major"))
    assert (await bot.submit("ana", view)).ok


@pytest.mark.parametrize("steps", range(STEPS["change"] + 1))
async def test_an_update_of_the_version_before_is_posted_once(
    update: Incident, slack: RunningWorkspace, tmp_path: Path, steps: int
) -> None:
    journal = Journal(tmp_path)
    key = journal.is_as_before("change", steps, update)
    async with running_bot(tmp_path, slack, **SAME_ADDRESS) as bot:
        await settled(bot)
        timeline = await bot.backend.timeline(update.id)
    assert [entry.text for entry in timeline].count("we rolled back") == 1
    everything_is_there_once(slack, update, updates=1)
    said = [m for m in ours(slack, update.slack_channel_id) if "we rolled back" in words(m)]
    assert len(said) == 1
    assert journal.status(key) == ("SUCCESS", "stories-2")


async def test_a_process_that_was_killed_while_it_took_over_leaves_it_to_the_next(
    declaration: Incident, slack: RunningWorkspace, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    marked = '{"tocsin_being_taken_over": true}'
    key = journal.is_as_before("declare", 4, declaration, status="CANCELLED", attributes=marked)
    assert [one.reference for one in await fetch_pending(journal.url)] == ["INC-1"]
    async with running_bot(tmp_path, slack, **SAME_ADDRESS) as bot:
        await settled(bot)
        everything_is_there_once(slack, await newest(bot))
    assert journal.status(key) == ("SUCCESS", "stories-2")


async def test_what_an_operator_cancelled_in_the_version_before_stays_cancelled(
    declaration: Incident, slack: RunningWorkspace, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    key = journal.is_as_before("declare", 4, declaration, status="CANCELLED")
    assert await fetch_pending(journal.url) == []
    async with running_bot(tmp_path, slack, **SAME_ADDRESS):
        pass
    assert journal.status(key) == ("CANCELLED", "stories-1")


async def test_a_press_on_what_the_version_before_finished_is_answered_with_the_same_reference(
    after_a_declaration: Left, declaration: Incident, slack: RunningWorkspace, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.db")) as file, file:
        file.execute("UPDATE workflow_status SET application_version = 'stories-1'")
    async with running_bot(tmp_path, slack, **SAME_ADDRESS) as bot:
        answer = await deliver(bot, "interactive", after_a_declaration.submission)
        assert declaration.reference in words(answer["view"])
        assert await how_many(bot) == 1
