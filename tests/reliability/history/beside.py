"""Runs in a channel that was there before, with tasks of rules, and with steps that change incidents."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from support.bot import chosen, ticked

from reliability.history.deeds import Deed, Told, Try
from reliability.history.history import Press
from reliability.history.managing import Scenario, declared, does
from reliability.history.stage import SECONDS, Stage

TOPIC, TASK = "What the monitors say", "Open the bridge"
RULES = f"""
[[tasks]]
do = [{{ title = "{TASK}" }}]
"""


async def _there(run: Stage) -> Press:
    """Declared into #alerts, which is the incident's channel from then on."""
    await run.start()
    place = run.slack.channel("alerts")
    run.workspace.channel(place).topic = TOPIC
    view = await run.command("ana", "alerts", "something")
    await run.press("ana", view, "more_fields")
    token = f"tok{token_hex(4)}"
    run.fill("ana", view, name={"type": "plain_text_input", "value": f"zq{token} {token}"})
    run.fill("ana", view, severity_id=chosen("major"), slack_channel_id=ticked(place))
    press = Press(view.id, view.user, token, origin=place)
    await run.submit(press)
    await _quiet(run)
    uses: dict[str, Any] = {"entries": ("uses the channel",), "keeps": TOPIC}
    run.deeds.append(Deed("use", press.person, token, (Try("done"),), **uses))
    return press


async def _quiet(run: Stage) -> None:
    assert run.bot is not None
    await run.bot.quiet()


async def used_and_closed(run: Stage) -> None:
    press = await _there(run)
    ending: dict[str, Any] = {"worded": "resolved it:", "sets": {"incident_status_id": "closed"}}
    await does(run, press, "close", "it is over", entries=("set the status to",), **ending)


async def used_then_private(run: Stage) -> None:
    press = await _there(run)
    view = await run.command("ana", "alerts", "private")
    outcome = await run.workspace.submit(press.person, view.id)
    assert outcome.ok, outcome
    hidden: dict[str, Any] = {"entries": ("made it private",), "sets": {"visibility": "private"}}
    run.deeds.append(Deed("private", press.person, press.token, (Try("done"),), **hidden))


async def tasked_and_killed(run: Stage) -> None:
    """Killed when a task was added, and that is not recorded."""
    run.rules = RULES
    await run.start("before a follow-up is recorded")
    view = await run.command("ana", "general", "something")
    token = f"tok{token_hex(4)}"
    run.fill("ana", view, name={"type": "plain_text_input", "value": f"zq{token} {token}"})
    run.fill("ana", view, severity_id=chosen("major"))
    press = Press(view.id, view.user, token, origin=run.slack.channel("general"))
    await run.submit(press)
    await run.died()
    await run.start()
    given: dict[str, Any] = {"entries": ("added an action:",), "gives": (TASK,)}
    run.deeds.append(Deed("rules", "", token, (Try("done"),), **given))


async def changed_by_workflow(run: Stage) -> None:
    press = await declared(run)
    token = f"tok{token_hex(4)}"
    inputs = {"incident": "INC-1", "person": press.person, "message": f"the cache is cold {token}"}
    step = run.workspace.steps.begin(run.slack.app, "update_incident", inputs)
    await run.workspace.heard("event.function_executed", timeout=SECONDS)
    await _quiet(run)
    told: Told = "refused" if step.state == "failed" else "saved"
    deed = Deed(
        "update", press.person, press.token, (Try(told, token),), worded="gave an update:", run=step.id
    )
    run.deeds.append(deed)


BESIDE: dict[str, Scenario] = {
    "in a channel that was there": used_and_closed,
    "in a channel that was there, then private": used_then_private,
    "killed before a task is recorded": tasked_and_killed,
    "changed by workflow": changed_by_workflow,
}
