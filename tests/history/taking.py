"""Runs in which incidents are taken away, written up, linked to, put away, and declared by a workflow."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from secrets import token_hex
from typing import Any

from history.deeds import Deed, Told, Try
from history.history import Press
from history.managing import DIE, Scenario, declared, does
from history.seeded import Edit
from history.stage import SECONDS, Stage

GLANCE = 0.05
REFERENCE = "INC-1"

TAKING_DEATHS = {
    "before an export is recorded": Edit(
        "tocsin.actions.export",
        "        return Sent(incident=incident)",
        f"        {DIE}\n        return Sent(incident=incident)",
    ),
    "before a notice is recorded": Edit(
        "tocsin.actions.archive",
        "        if await self._departures.find_departure(incident.id) == telling:",
        f"        {DIE}\n        if await self._departures.find_departure(incident.id) == telling:",
    ),
    "before the archiving is noted": Edit(
        "tocsin.actions.archive",
        "        entry = TimelineEntry(at=self._clock(), verb=",
        f"        {DIE}\n        entry = TimelineEntry(at=self._clock(), verb=",
    ),
}
"""Where the process ends itself meanwhile."""


async def asks(run: Stage, press: Press, verb: str, **deed: Any) -> None:
    """`/incident verb`, for the incident that there is, away from its channel."""
    general = run.slack.channel("general")
    outcome = await run.workspace.command(press.person, general, f"/incident {verb} {REFERENCE}")
    told: Told = "done" if outcome.ok else "cut off"
    run.deeds.append(Deed(verb, press.person, press.token, (Try(told),), **deed))


async def exported_and_killed(run: Stage) -> None:
    press = await declared(run, TAKING_DEATHS["before an export is recorded"])
    exporting = asyncio.create_task(asks(run, press, "export", each=("exported it as",), takes="md"))
    await run.died()
    run.slack.clock.turn(4.0)
    await exporting
    await run.start()


async def _closed(run: Stage, *edits: Edit) -> Press:
    press = await declared(run, *edits)
    ending: dict[str, Any] = {"worded": "resolved it:", "sets": {"incident_status_id": "closed"}}
    await does(run, press, "close", "it is over", entries=("set the status to",), **ending)
    assert run.bot is not None
    await run.bot.quiet()
    return press


async def _due(run: Stage, stage: str) -> None:
    """The time of its channel has come; until so much has been done about it."""
    _departure(run, "UPDATE tocsin_departures SET due_at = 1.0")
    await _until(run, stage)


async def _until(run: Stage, stage: str) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            # Nothing of it need be seen in Slack.
            if _departure(run, "SELECT stage FROM tocsin_departures") == [(stage,)]:
                return
            await asyncio.sleep(GLANCE)


def _departure(run: Stage, query: str) -> list[Any]:
    path = run.folder / "kept" / "journal.db"
    with closing(sqlite3.connect(path, timeout=120.0, isolation_level=None)) as file:
        return file.execute(query).fetchall()


def _happened(run: Stage, press: Press, verb: str, **deed: Any) -> None:
    run.deeds.append(Deed(verb, "", press.token, (Try("done"),), **deed))


async def told_and_killed(run: Stage) -> None:
    press = await _closed(run, TAKING_DEATHS["before a notice is recorded"])
    _departure(run, "UPDATE tocsin_departures SET due_at = 1.0")
    await run.died()
    await run.start()
    await _until(run, "told")
    _happened(run, press, "notice")


async def archived_and_killed(run: Stage) -> None:
    press = await _closed(run, TAKING_DEATHS["before the archiving is noted"])
    await _due(run, "told")
    _happened(run, press, "notice")
    _departure(run, "UPDATE tocsin_departures SET due_at = 1.0")
    await run.died()
    await run.start()
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
