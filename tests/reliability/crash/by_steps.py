"""Workflows whose steps update and close an incident: each is done once, and the workflow goes on."""

from __future__ import annotations

from typing import Any

from support.bot import ticked

from reliability.crash.acting import Case, heeded
from reliability.crash.managing import RESOLVED, SEVERITY, STATUS, UPDATED, Scenario
from reliability.crash.stage import Stage
from reliability.history.deeds import Deed, Told, Try
from slack_emulator.faults import Fault

UPDATE, CLOSE = "update_incident", "close_incident"
LOST = Fault(status=500, after_effect=True)
CLOSED = {"incident_status_id": "closed"}


async def changed_by_workflows(stage: Stage) -> None:
    """Updated with everything that the step has, then closed; Slack sends one of both twice."""
    case = await Case.by_command(stage)
    twice = stage.rng.choice((UPDATE, CLOSE))
    await ran(
        *(case, UPDATE, twice == UPDATE),
        Deed(
            *("update", stage.slack.person("ana"), case.token, ()),
            entries=(STATUS, SEVERITY, "set Incident Lead to"),
            worded=UPDATED,
            sets={"incident_status_id": "fixing", "severity_id": "critical"},
            holds={"lead": stage.slack.person("ben")},
        ),
        *("the cache is cold {token}", "completed"),
        status="fixing",
        severity="critical",
        lead=stage.slack.person("ben"),
    )
    ben = stage.slack.person("ben")
    deed = Deed("close", ben, case.token, (), entries=(STATUS,), worded=RESOLVED, sets=CLOSED)
    await ran(case, CLOSE, twice == CLOSE, deed, "it is warm {token}", "completed")
    await ran(case, CLOSE, False, deed, "it is warm again {token}", "failed")


async def workflows_that_are_refused(stage: Stage) -> None:
    """A status that there is not; then the incident is private, of which a workflow learns nothing."""
    case = await Case.by_command(stage)
    deed = Deed("update", stage.slack.person("ana"), case.token, (), worded=UPDATED)
    await ran(case, UPDATE, True, deed, "known {token}", "failed", status="asleep")
    view = await stage.command("ana", "general")
    await stage.button(view, "more_fields", "more_fields")
    hidden = await Case.declared(stage, view, stage.slack.channel("general"), visibility=ticked("private"))
    deed = Deed("close", stage.slack.person("ana"), hidden.token, (), worded=RESOLVED)
    await ran(hidden, CLOSE, False, deed, "over {token}", "failed")


async def workflows_whose_answers_get_lost(stage: Stage) -> None:
    """Slack takes an answer of ours, and its own never comes; and it is slow to take the next."""
    case = await Case.by_command(stage)
    unwell = LOST, Fault(status=503), Fault(status=429, retry_after=0), Fault(reset=True)
    for method in ("functions.completeSuccess", "chat.postMessage", "chat.update"):
        stage.workspace.faults.plan(method, *stage.rng.sample(unwell, 2))
    ana = stage.slack.person("ana")
    deed = Deed("update", ana, case.token, (), worded=UPDATED)
    await ran(case, UPDATE, stage.rng.random() < 0.5, deed, "the cache is cold {token}", "completed")
    stage.workspace.faults.plan("functions.completeError", stage.rng.choice(unwell))
    await ran(case, UPDATE, False, deed, "known {token}", "failed", severity="dreadful")
    deed = Deed("close", ana, case.token, (), entries=(STATUS,), worded=RESOLVED, sets=CLOSED)
    await ran(case, CLOSE, False, deed, "it is warm {token}", "completed")


BY_STEPS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (changed_by_workflows, workflows_that_are_refused, workflows_whose_answers_get_lost)
}


async def ran(case: Case, step: str, twice: bool, deed: Deed, message: str, ends: str, **inputs: Any) -> None:
    """A workflow comes to the step, which Slack may send again once it was taken; it ends in this way."""
    stage, token = case.stage, case.stage.word()
    given = {"incident": case.reference, "person": deed.person, "message": message.format(token=token)}
    life, start = await stage.lives.alive(), len(stage.workspace.requests)
    # Workflow Builder has no step for a status that there is not; a webhook's variable may.
    run = stage.workspace.steps.begin(stage.slack.app, step, given, variables=inputs)
    told = await heeded(stage, "event.function_executed", start, life)
    if twice:
        life, start = await stage.lives.alive(), len(stage.workspace.requests)
        stage.workspace.steps.deliver(stage.slack.app, run)
        await heeded(stage, "event.function_executed", start, life)
    await stage.lives.quiet()
    ended: dict[str, Told] = {"completed": "done", "failed": "refused"}
    tries = (Try(ended.get(run.state, "saved" if told == "done" else told), token),)
    stage.deeds.append(Deed(**{**vars(deed), "tries": tries, "run": run.id}))
    assert run.state == ends, f"the step {step} is {run.state}: {run.error}"
