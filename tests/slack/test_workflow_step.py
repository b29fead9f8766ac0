"""*Declare an incident* in a workflow: declared once, answered in full, and refused in plain words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakes.bot import RunningBot, running_bot
from fakes.readings import cards, how_many, newest, told, value, words
from fakes.slack import running_workspace

from tocsin.playground.faults import Fault
from tocsin.playground.manifest import Manifest
from tocsin.playground.model import Person
from tocsin.playground.step_runs import StepRun
from tocsin.slack import routes

CALLBACK = "declare_incident"


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with running_bot(tmp_path) as running:
        yield running


def begun(bot: RunningBot, **inputs: Any) -> StepRun:
    given = {"name": "checkout is slow", "reporter": bot.slack.person("ana"), "severity": "major", **inputs}
    return bot.workspace.steps.begin(bot.slack.app, CALLBACK, given)


async def ended(run: StepRun) -> StepRun:
    async with asyncio.timeout(60):
        await run.ended.wait()
    return run


async def direct(bot: RunningBot, person: str) -> str:
    """What the bot wrote to this person alone."""
    await bot.bot.settled()
    return "\n".join(f"{message.text} {words(message.blocks)}" for message in told(bot, person))


async def test_a_step_declares_and_gives_reference_permalink_and_channel(bot: RunningBot) -> None:
    run = await ended(
        begun(
            bot,
            summary="Since the release",
            lead=bot.slack.person("ben"),
            channel=bot.slack.channel("alerts"),
            fields="",
        )
    )
    assert run.state == "completed", run.error
    await bot.bot.settled()
    (incident,) = await bot.bot.backend.incidents()
    assert run.outputs == {
        "reference": incident.reference,
        "permalink": incident.permalink,
        "channel": incident.slack_channel_id,
    }
    assert (incident.name, incident.summary) == ("checkout is slow", "Since the release")
    assert incident.severity is not None
    assert incident.severity.name == "Major"
    assert incident.creator.slack_user_id == bot.slack.person("ana")
    assert incident.lead is not None
    assert incident.lead.slack_user_id == bot.slack.person("ben")
    for channel in ("alerts", "incidents"):
        assert incident.reference in words(cards(bot, bot.slack.channel(channel))[-1])


async def test_a_step_that_is_sent_again_declares_nothing_twice_and_is_answered_again(
    bot: RunningBot,
) -> None:
    bot.workspace.faults.plan("functions.completeSuccess", Fault(status=500, after_effect=True))
    run = begun(bot)
    bot.workspace.steps.deliver(bot.slack.app, run)
    await ended(run)
    await bot.bot.settled()
    answers = len(bot.calls("functions.completeSuccess"))
    bot.workspace.steps.deliver(bot.slack.app, run)
    await bot.workspace.heard("functions.completeSuccess", answers + 1)
    assert len(await bot.bot.backend.incidents()) == 1
    assert run.state == "completed"


async def test_two_runs_of_one_workflow_are_two_incidents(bot: RunningBot) -> None:
    first, second = await ended(begun(bot)), await ended(begun(bot))
    assert first.outputs["reference"] != second.outputs["reference"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"severity": "dreadful"}, "There is no severity “dreadful”. There are Minor, Major and Critical."),
        ({"severity": ""}, "Choose a severity."),
        ({"incident_type": "Party"}, "There is no incident type “Party”."),
        ({"fields": "Mood: bad"}, "There is no field “Mood”."),
        ({"name": "\u200b\u2800"}, "Give the incident a name"),
        ({"name": "x" * 201}, "Shorten the name to 200 characters"),
    ],
)
async def test_what_is_wrong_is_said_to_the_workflow_and_its_reporter_gets_the_form(
    bot: RunningBot, inputs: dict[str, str], said: str
) -> None:
    run = await ended(begun(bot, summary="It began at noon", **inputs))
    assert run.state == "failed"
    assert said in run.error
    told = await direct(bot, "ana")
    assert said in told
    assert "Open the form" in told
    assert await bot.bot.backend.incidents() == []


async def test_the_form_that_its_reporter_opens_has_what_the_workflow_gave(bot: RunningBot) -> None:
    await ended(begun(bot, severity="", summary="It began at noon"))
    await bot.bot.settled()
    ana = bot.slack.person("ana")
    (message,) = told(bot, "ana")
    block = message.blocks[-1]
    await bot.workspace.press(ana, "open_form", block["block_id"], channel=message.channel, ts=message.ts)
    view = await bot.opened_form("ana")
    assert (value(view, "name"), value(view, "summary")) == ("checkout is slow", "It began at noon")


@pytest.mark.parametrize(
    ("person", "said"),
    [
        ("gus", "Guests of this workspace may not declare incidents here."),
        ("tom", "Deactivated accounts may not declare incidents here."),
    ],
)
async def test_who_may_not_declare_may_not_by_a_workflow(bot: RunningBot, person: str, said: str) -> None:
    run = await ended(begun(bot, reporter=bot.slack.person(person)))
    assert run.state == "failed"
    assert said in run.error
    assert await direct(bot, person) == ""
    assert await bot.bot.backend.incidents() == []


async def test_of_a_private_incident_the_workflow_learns_only_that_it_is_done(bot: RunningBot) -> None:
    run = await ended(begun(bot, private=True, channel=bot.slack.channel("alerts")))
    assert (run.state, run.outputs) == ("completed", {})
    await bot.bot.settled()
    (incident,) = await bot.bot.backend.incidents()
    assert incident.is_private
    assert cards(bot, bot.slack.channel("alerts")) == []
    assert incident.reference in await direct(bot, "ana")


async def test_a_private_one_is_not_declared_while_slack_does_not_say_who_asks(bot: RunningBot) -> None:
    # Whoever came after the bot looked who is here is asked for one by one.
    bot.workspace.faults.plan("users.info", *[Fault(status=500)] * 20)
    nora = Person("U0NORA00009", "nora", "Nora Lind", "nora@lumen.example")
    bot.workspace.state.keep(nora)
    run = await ended(begun(bot, private=True, reporter=nora.id))
    assert run.state == "failed"
    assert "Slack could not be asked" in run.error


async def test_what_was_begun_is_answered_by_the_next_process(tmp_path: Path) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        slack.workspace.faults.plan("functions.completeSuccess", *[Fault(status=500)] * 8)
        async with running_bot(tmp_path, slack) as bot:
            run = begun(bot)
            await bot.workspace.heard("functions.completeSuccess")
        assert run.state == "running"
        slack.workspace.faults.clear()
        async with running_bot(tmp_path, slack) as bot:
            await ended(run)
            assert run.outputs["reference"] == (await newest(bot)).reference
            assert await how_many(bot) == 1


async def test_a_step_of_another_version_is_refused_in_words(bot: RunningBot) -> None:
    run = begun(bot)
    await ended(run)
    declared = dict(bot.slack.app.manifest.functions)
    declared["declare_old"] = declared[CALLBACK]
    object.__setattr__(bot.slack.app.manifest, "functions", declared)
    old = bot.workspace.steps.begin(
        bot.slack.app, "declare_old", {"name": "x", "reporter": bot.slack.person("ana")}
    )
    assert "another version" in (await ended(old)).error


async def test_nothing_that_was_typed_into_a_step_is_a_mention(bot: RunningBot) -> None:
    run = await ended(begun(bot, severity="<!channel>"))
    assert "<!channel>" not in run.error
    assert "&lt;!channel&gt;" in run.error
