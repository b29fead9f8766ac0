"""What monitoring sends while the bot is killed: a sender repeats what was not answered, as they all do."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from typing import Any

import httpx
from support.alerts import MONITORING, TOKEN, declared_by, fired

from reliability.crash.acting import Case
from reliability.crash.managing import Scenario
from reliability.crash.stage import LONGEST_ANSWER, MOST_TRIES, Stage
from reliability.history.history import Answered, Press
from tocsin.incidents.alert_payloads import path_of

CONFIG = declared_by("team")
SOON = 0.1
COUNTED = re.compile(r"^(\d+) (firing|resolved): ", re.MULTILINE)


async def by_alerts(stage: Stage) -> None:
    """Three alerts of one group, two of them at once and one of them resolved; then one that fires again."""
    token = stage.word()
    key, place = f"alerts-{token}", stage.slack.channel("incidents")
    stage.presses.append(Press(key, "", token, origin=place, another=True))
    first = alert(token, "Checkout is slow")
    await left(stage, first)
    await stage.lives.quiet()
    await asyncio.gather(left(stage, alert(token, "Carts are slow")), left(stage, alert(token, "Queues")))
    await left(stage, {**first, "status": "resolved"})
    await stage.lives.quiet()
    await left(stage, first)
    await stage.lives.quiet()
    case = Case(stage, token)
    state = {"visibility": {"visibility": {"value": "public"}}}
    stage.answered.append(Answered(key, "declared", case.reference, state))
    _nothing_lost(stage, case, firing=4, resolved=1)


async def by_alerts_at_once(stage: Stage) -> None:
    """Twelve alerts of one group, each left twice, all at once."""
    token = stage.word()
    key, place = f"alerts-{token}", stage.slack.channel("incidents")
    stage.presses.append(Press(key, "", token, origin=place, another=True))
    bodies = [alert(token, f"Checkout is slow {number}") for number in range(12)]
    await asyncio.gather(*(left(stage, body) for body in (*bodies, *bodies)))
    await stage.lives.quiet()
    case = Case(stage, token)
    state = {"visibility": {"visibility": {"value": "public"}}}
    stage.answered.append(Answered(key, "declared", case.reference, state))
    _nothing_lost(stage, case, firing=12, resolved=0)


BY_ALERTS: dict[str, Scenario] = {scenario.__name__: scenario for scenario in (by_alerts, by_alerts_at_once)}


def alert(token: str, title: str) -> dict[str, Any]:
    return fired(f"{title} {token}", metadata={"team": token})


async def left(stage: Stage, body: dict[str, Any]) -> None:
    """Left at the bot's address, until it is answered."""
    for _ in range(MOST_TRIES):
        life = await stage.lives.alive()
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{life.port}", trust_env=False, timeout=LONGEST_ANSWER
            ) as http:
                headers = {"Authorization": f"Bearer {TOKEN}"}
                answer = await http.post(path_of(MONITORING), json=body, headers=headers)
        except httpx.TransportError:
            await life.dead.wait()
            continue
        if answer.status_code == 202:
            return
        assert answer.status_code == 503, answer.text
        await asyncio.sleep(SOON)
    raise RuntimeError("an alert was not taken, however often it was sent")


def _nothing_lost(stage: Stage, case: Case, firing: int, resolved: int) -> None:
    """Each alert is one row, with the one incident of its group, and is counted once in its timeline."""
    with closing(
        sqlite3.connect(f"file:{stage.folder / 'data' / 'journal.db'}?mode=ro", uri=True)
    ) as journal:
        rows = journal.execute(
            "SELECT g.incident_id, a.is_pending FROM tocsin_alerts a"
            " LEFT JOIN tocsin_alert_groups g ON g.id = a.group_id"
        ).fetchall()
    assert rows == [(case.row["id"], 0)] * firing, rows
    with closing(sqlite3.connect(f"file:{stage.folder / 'data' / 'incidents.db'}?mode=ro", uri=True)) as kept:
        told = kept.execute(
            "SELECT text FROM incident_timeline_items WHERE incident_id = ? AND verb = 'sent alerts:'",
            [case.row["id"]],
        ).fetchall()
    counted = {"firing": 0, "resolved": 0}
    for number, word in COUNTED.findall("\n".join(text for (text,) in told)):
        counted[word] += int(number)
    assert counted == {"firing": firing, "resolved": resolved}, told
