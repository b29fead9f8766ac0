"""Runs in which incidents are taken away, written up, linked to, put away, and declared by a workflow."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from secrets import token_hex
from typing import Any

from reliability.history.deeds import Deed, Told, Try
from reliability.history.history import Press
from reliability.history.managing import Scenario, declared, does
from reliability.history.stage import SECONDS, Stage

GLANCE = 0.05
REFERENCE = "INC-1"


async def asks(run: Stage, press: Press, verb: str, **deed: Any) -> None:
    """`/incident verb`, for the incident that there is, away from its channel."""
    general = run.slack.channel("general")
    outcome = await run.workspace.command(press.person, general, f"/incident {verb} {REFERENCE}")
    told: Told = "done" if outcome.ok else "cut off"
    run.deeds.append(Deed(verb, press.person, press.token, (Try(told),), **deed))


async def exported_and_killed(run: Stage) -> None:
    press = await declared(run, "before an export is recorded")
    exporting = asyncio.create_task(asks(run, press, "export", each=("exported it as",), takes="md"))
    await run.died()
    run.slack.clock.turn(4.0)
    await exporting
    await run.start()


async def _closed(run: Stage) -> Press:
    press = await declared(run)
    ending: dict[str, Any] = {"worded": "resolved it:", "sets": {"incident_status_id": "closed"}}
    await does(run, press, "close", "it is over", entries=("set the status to",), **ending)
    assert run.bot is not None
    await run.bot.quiet()
    return press


async def _comes_due(run: Stage, death: str | None = None) -> None:
    """The time of its channel has come; a bot that begins looks at once."""
    await run.kill()
    _departure(run, "UPDATE tocsin_departures SET due_at = 1.0")
    if death is not None:
        await run.start_and_die(death)
    await run.start()


async def _until(run: Stage, stage: str) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            # Nothing of it need be seen in Slack.
            if _departure(run, "SELECT stage FROM tocsin_departures") == [(stage,)]:
                return
            await asyncio.sleep(GLANCE)


def _departure(run: Stage, query: str) -> list[Any]:
    path = run.folder / "kept" / "journal.db"
    with closing(sqlite3.connect(path, timeout=SECONDS, isolation_level=None)) as file:
        return file.execute(query).fetchall()


def _happened(run: Stage, press: Press, verb: str, **deed: Any) -> None:
    run.deeds.append(Deed(verb, "", press.token, (Try("done"),), **deed))


async def told_and_killed(run: Stage) -> None:
    press = await _closed(run)
    await _comes_due(run, "before a notice is recorded")
    await _until(run, "told")
    _happened(run, press, "notice")


async def archived_and_killed(run: Stage) -> None:
    press = await _closed(run)
    await _comes_due(run)
    await _until(run, "told")
    _happened(run, press, "notice")
    await _comes_due(run, "before the archiving is noted")
    await _until(run, "gone")
    _happened(run, press, "archive", entries=("archived the channel",))


async def shown_then_private(run: Stage) -> None:
    """Its document is in its channel, and it is shown below a link, when it is made private."""
    press = await declared(run)
    await asks(run, press, "document", entries=("wrote the post-incident document",))
    assert run.bot is not None
    token = f"tok{token_hex(4)}"
    page = f"{run.bot.url}/incidents/{REFERENCE}"
    await run.workspace.say(press.person, run.slack.channel("alerts"), f"{page} {token}")
    await run.workspace.heard("event.link_shared", timeout=SECONDS)
    run.deeds.append(Deed("link", press.person, press.token, (Try("done", token),)))
    view = await run.command("ana", "general", f"private {REFERENCE}")
    outcome = await run.workspace.submit(press.person, view.id)
    assert outcome.ok, outcome
    _happened(run, press, "private", entries=("made it private",), sets={"visibility": "private"})


async def by_workflow(run: Stage) -> None:
    await run.start()
    token, ana = f"tok{token_hex(4)}", run.slack.person("ana")
    given = {"name": f"zq{token} {token}", "reporter": ana, "severity": "major"}
    step = run.workspace.steps.begin(run.slack.app, "declare_incident", given)
    run.presses.append(Press(step.id, ana, token))
    await run.workspace.heard("event.function_executed", timeout=SECONDS)


TAKING: dict[str, Scenario] = {
    "killed before an export is recorded": exported_and_killed,
    "killed before a notice is recorded": told_and_killed,
    "killed before the archiving is noted": archived_and_killed,
    "shown, then private": shown_then_private,
    "by workflow": by_workflow,
}
