"""*Update an incident* and *Close an incident* in a workflow: done once, and refused in plain words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.bot import RunningBot, ticked
from support.errands import declared
from support.readings import newest, settled

from slack_emulator.workflow_steps import StepRun

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[[custom_fields]]
name = "Root cause"
required_when = "closing"
"""
HIDDEN = "There is no such incident, or it is not yours to see."


async def ran(bot: RunningBot, step: str, **inputs: Any) -> StepRun:
    """A step that has run, with all that follows done; it may fill its inputs from a webhook."""
    person = inputs.pop("person", "ana")
    given = {"incident": "INC-1", "person": bot.slack.person(person)}
    run = bot.workspace.steps.begin(bot.slack.app, step, given, variables=inputs)
    async with asyncio.timeout(60):
        await run.ended.wait()
    await settled(bot)
    return run


async def test_a_step_updates_an_incident_once(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    run = await ran(
        bot,
        "update_incident",
        incident=incident.permalink,
        message="We rolled back",
        status="fix",
        severity="critical",
        lead=bot.slack.person("ben"),
    )
    assert run.state == "completed", run.error
    assert run.outputs["reference"] == incident.reference
    bot.workspace.steps.deliver(bot.slack.app, run)
    await settled(bot)
    now, timeline = await newest(bot), await bot.backend.timeline(incident.id)
    assert now.severity is not None
    assert now.lead is not None
    assert (now.incident_status.name, now.severity.name) == ("Fixing", "Critical")
    assert now.lead.slack_user_id == bot.slack.person("ben")
    assert [entry.text for entry in timeline].count("We rolled back") == 1


async def test_a_step_closes_an_incident_with_what_its_organisation_wants_to_know(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    run = await ran(bot, "close_incident", message="The disk is bigger")
    assert run.state == "failed"
    assert "Root cause is needed to close INC-1" in run.error
    run = await ran(bot, "close_incident", message="The disk is bigger", fields="Root cause: A full disk")
    assert (run.state, run.outputs["permalink"]) == ("completed", incident.permalink)
    assert not (await newest(bot)).incident_status.is_open
    run = await ran(bot, "close_incident", fields="Root cause: A full disk")
    assert run.error == "INC-1 is Closed already."


@pytest.mark.parametrize("step", ["update_incident", "close_incident"])
async def test_a_step_learns_nothing_of_a_private_incident(bot: RunningBot, step: str) -> None:
    await declared(bot, "accounts are open", visibility=ticked("private"))
    for named in ("INC-1", "INC-7"):
        assert (await ran(bot, step, incident=named, message="known?")).error == HIDDEN
    assert [e.verb for e in await bot.backend.timeline((await newest(bot)).id)][-1] == "opened the channel"


async def test_a_step_is_refused_in_plain_words(bot: RunningBot) -> None:
    await declared(bot, "checkout is slow")
    for inputs, why in (
        ({"status": "asleep"}, "There is no status “asleep”."),
        (
            {"person": "gus", "message": "known?"},
            "Guests of this workspace may not give updates here.",
        ),
        ({"incident": "checkout"}, "The step names no incident."),
        ({}, "Nothing would change: INC-1 is Investigating, Major already."),
    ):
        run = await ran(bot, "update_incident", **inputs)
        assert (run.state, why in run.error) == ("failed", True), run.error
