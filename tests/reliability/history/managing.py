"""Runs in which people manage what they declared, some of them with a kill in the middle of a verb."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from secrets import token_hex
from typing import Any

from support.bot import chosen

from reliability.history.deeds import Deed, Told, Try
from reliability.history.history import Press
from reliability.history.stage import Stage

Scenario = Callable[[Stage], Awaitable[None]]


async def declared(run: Stage, death: str | None = None) -> Press:
    """An incident with all that belongs to it, by a bot that dies this death later."""
    await run.start(death)
    view = await run.command("ana", "general", "something")
    token = f"tok{token_hex(4)}"
    run.fill("ana", view, name={"type": "plain_text_input", "value": f"zq{token} {token}"})
    run.fill("ana", view, severity_id=chosen("major"))
    press = Press(view.id, view.user, token, origin=run.slack.channel("general"))
    await run.submit(press)
    assert run.bot is not None
    await run.bot.quiet()
    return press


async def does(run: Stage, press: Press, verb: str, words: str, **deed: Any) -> None:
    """`/incident verb words` in the incident's channel, with a word that stands nowhere else."""
    with closing(sqlite3.connect(run.folder / "kept" / "incidents.db")) as file:
        (channel,) = file.execute("SELECT slack_channel_id FROM incidents").fetchone()
    token = f"tok{token_hex(4)}"
    text = f"/incident {verb} {words} {token}"
    outcome = await run.workspace.command(press.person, channel, text)
    told: Told = "done" if outcome.ok else "cut off"
    run.deeds.append(Deed(verb, press.person, press.token, (Try(told, token),), **deed))


async def managed(run: Stage) -> None:
    press = await declared(run)
    for words in ("we look into it", "the cache is cold"):
        await does(run, press, "update", words, worded="gave an update:")
    await does(run, press, "note", "the primary was slow", worded="noted:")
    await does(run, press, "action", "drain the node", adds="action")
    status = {"incident_status_id": "fixing"}
    await does(
        run, press, "status", "fixing", entries=("set the status to",), worded="gave an update:", sets=status
    )


def killed_in(when: str, verb: str, words: str, **deed: Any) -> Scenario:
    async def scenario(run: Stage) -> None:
        press = await declared(run, when)
        doing = asyncio.create_task(does(run, press, verb, words, **deed))
        await run.died()
        run.slack.clock.turn(4.0)
        await doing
        await run.start()

    return scenario


_UPDATE: dict[str, Any] = {"worded": "gave an update:"}

MANAGING: dict[str, Scenario] = {
    "managed": managed,
    "killed before a change is recorded": killed_in(
        "before a change is recorded", "update", "the cache is cold", **_UPDATE
    ),
    "killed before a follow-up is recorded": killed_in(
        "before a follow-up is recorded", "action", "drain the node", adds="action"
    ),
    "killed before its news is recorded": killed_in(
        "before its news is recorded", "update", "the cache is cold", **_UPDATE
    ),
    "killed before a note is answered": killed_in(
        "before a note is answered", "note", "the primary was slow", worded="noted:"
    ),
}
