"""What people wrote does not stay in the journal, and what was done is still not done twice."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.bot import RunningBot, chosen, running_bot, ticked, typed
from support.held_backend import Held
from support.readings import (
    deliver,
    how_many,
    last_delivery,
    newest,
    own_channel,
    pressed,
    settled,
    told,
    words,
)

from slack_emulator.models import View
from tocsin.incidents.errors import Refused
from tocsin.storage.workflow_engine import KEPT

STORIES = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")
SECRET = "the vault in Antwerp is open"
DAY = timedelta(days=1)


async def forgotten(bot: RunningBot, later: timedelta = KEPT + DAY) -> None:
    """So long after everything that was done."""
    bot.slack.clock.turn(later.total_seconds())
    await bot.engine.delete_finished(bot.app.resources.clock() - KEPT)


def rows(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "journal.db")) as journal:
        return {table: journal.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in STORIES}


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("journal.db*"))


async def filled(bot: RunningBot, **fields: Any) -> View:
    view = await bot.type_command("ana", "general", "/incident checkout is slow")
    await pressed(bot, view, "more_fields", "more_fields")
    await bot.fill("ana", view, severity_id=chosen("major"), **fields)
    return view


async def pressed_again(bot: RunningBot) -> dict[str, Any]:
    """The answer to the last form that was sent, delivered once more as it was."""
    return await deliver(bot, "interactive", last_delivery(bot, "view_submission"))


async def test_what_was_written_is_in_the_journal_for_a_month_and_then_nowhere_in_its_files(
    bot: RunningBot,
) -> None:
    view = await filled(bot, summary=typed(SECRET), visibility=ticked("private"))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    own = own_channel(bot, await newest(bot)).id
    await bot.workspace.command(bot.slack.person("ana"), own, f"/incident close {SECRET}")
    await settled(bot)
    await forgotten(bot, KEPT - DAY)
    assert rows(bot.folder)["workflow_status"] == 2
    assert SECRET.encode() in bytes_of(bot.folder)
    await forgotten(bot, 2 * DAY)
    assert rows(bot.folder) == dict.fromkeys(STORIES, 0)
    assert SECRET.encode() not in bytes_of(bot.folder)
    assert (await newest(bot)).summary == SECRET


async def test_a_late_press_of_a_form_is_answered_with_the_same_reference_and_nothing_is_made(
    bot: RunningBot,
) -> None:
    assert (await bot.submit("ana", await filled(bot))).ok
    await settled(bot)
    await forgotten(bot)
    calls = len(bot.calls())
    answer = await pressed_again(bot)
    assert (await newest(bot)).reference in str(answer["view"])
    await settled(bot)
    assert (await how_many(bot), len(bot.calls())) == (1, calls)
    assert rows(bot.folder) == dict.fromkeys(STORIES, 0)


async def test_a_form_that_was_refused_put_right_and_forgotten_is_still_one_incident(held: Held) -> None:
    bot = held.bot
    held.backend.go_on.set()
    held.backend.refusal = Refused("Incidents are frozen today.")
    view = await filled(bot)
    assert (await bot.submit("ana", view)).errors
    held.backend.refusal = None
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    await forgotten(bot)
    answer = await pressed_again(bot)
    assert "INC-1" in str(answer["view"])
    await settled(bot)
    assert await how_many(bot) == 1


async def test_an_update_that_is_pressed_again_after_a_month_is_not_told_again(bot: RunningBot) -> None:
    assert (await bot.submit("ana", await filled(bot))).ok
    await settled(bot)
    own = own_channel(bot, await newest(bot)).id
    so_far = bot.opened_so_far
    await bot.workspace.command(bot.slack.person("ana"), own, "/incident update")
    update = await bot.opened_form("ana", since=so_far)
    await bot.fill("ana", update, message=typed("A lock in the database."))
    assert (await bot.submit("ana", update)).ok
    await settled(bot)
    await forgotten(bot)
    entries, posts = len(await bot.backend.timeline((await newest(bot)).id)), len(bot.calls())
    answer = await pressed_again(bot)
    assert "asked long ago" in str(answer["view"])
    await settled(bot)
    assert len(await bot.backend.timeline((await newest(bot)).id)) == entries
    assert len(bot.calls()) == posts


async def test_what_is_unfinished_is_kept_for_as_long_as_it_takes(held: Held) -> None:
    bot = held.bot
    assert (await bot.submit("ana", await filled(bot, summary=typed(SECRET)))).ok
    await held.backend.asked.wait()
    await forgotten(bot)
    held.backend.go_on.set()
    await settled(bot)
    assert (await newest(bot)).summary == SECRET


async def test_fix_and_send_after_a_month_says_that_nothing_was_kept(held: Held) -> None:
    bot, ana = held.bot, held.bot.slack.person("ana")
    assert (await bot.submit("ana", await filled(bot))).ok
    held.backend.refusal = Refused("Incidents are frozen today.")
    held.backend.go_on.set()
    await settled(bot)
    message = told(bot, "ana")[-1]
    await forgotten(bot)
    so_far = bot.opened_so_far
    await bot.workspace.press(ana, "fix_and_send", "refused", channel=message.channel, ts=message.ts)
    assert "is not kept any more" in words(await bot.opened_form("ana", since=so_far))


async def test_a_start_forgets_what_finished_long_ago(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with running_bot(folder) as bot:
        assert (await bot.submit("ana", await filled(bot))).ok
        await settled(bot)
        later = bot.app.resources.clock() + KEPT + DAY
    async with running_bot(folder, clock=lambda: later) as again:
        while rows(folder)["workflow_status"]:
            await again.engine.unfinished()
    assert rows(folder) == dict.fromkeys(STORIES, 0)
