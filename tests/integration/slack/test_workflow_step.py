"""*Declare an incident* in a workflow: declared once, answered in full, and refused in plain words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.bot import RunningBot
from support.readings import cards, how_many, words
from support.workflow_step import CALLBACK, begun, direct, ended, from_a_webhook, posts_in

from slack_emulator.faults import Fault
from slack_emulator.models import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    await bot.app.settled()
    (incident,) = await bot.backend.incidents()
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
    await bot.app.settled()
    answers = len(bot.calls("functions.completeSuccess"))
    bot.workspace.steps.deliver(bot.slack.app, run)
    await bot.workspace.heard("functions.completeSuccess", answers + 1)
    assert len(await bot.backend.incidents()) == 1
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
async def test_what_is_wrong_is_said_to_the_workflow_and_to_nobody_else(
    bot: RunningBot, inputs: dict[str, str], said: str
) -> None:
    run = await ended(begun(bot, summary="It began at noon", **inputs))
    assert run.state == "failed"
    assert said in run.error
    await bot.app.settled()
    assert bot.calls("chat.postMessage") == []
    assert await bot.backend.incidents() == []


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
    assert await bot.backend.incidents() == []


async def test_of_a_private_incident_the_workflow_learns_only_that_it_is_done(bot: RunningBot) -> None:
    run = await ended(begun(bot, private=True, channel=bot.slack.channel("alerts")))
    assert (run.state, run.outputs) == ("completed", {})
    await bot.app.settled()
    (incident,) = await bot.backend.incidents()
    assert incident.is_private
    assert cards(bot, bot.slack.channel("alerts")) == []
    assert incident.reference in await direct(bot, "ana")


async def test_a_private_one_is_not_declared_while_slack_does_not_say_who_asks(bot: RunningBot) -> None:
    # Whoever came after the bot looked who is here is asked for one by one.
    bot.workspace.faults.plan("users.info", *[Fault(status=500)] * 20)
    nora = Person("U0NORA00009", "nora", "Nora Lind", "nora@lumen.example")
    bot.workspace.state.save(nora)
    run = await ended(begun(bot, private=True, reporter=nora.id))
    assert run.state == "failed"
    assert "Slack could not be asked" in run.error


async def test_a_step_of_another_version_is_refused_in_words(bot: RunningBot) -> None:
    run = begun(bot)
    await ended(run)
    functions = bot.slack.app.manifest.functions
    functions["declare_old"] = functions[CALLBACK]
    try:
        old = bot.workspace.steps.begin(
            bot.slack.app, "declare_old", {"name": "x", "reporter": bot.slack.person("ana")}
        )
        assert "another version" in (await ended(old)).error
    finally:
        del functions["declare_old"]


async def test_nothing_that_was_typed_into_a_step_is_a_mention(bot: RunningBot) -> None:
    run = await ended(begun(bot, severity="<!channel>"))
    assert "<!channel>" not in run.error
    assert "&lt;!channel&gt;" in run.error


@pytest.mark.parametrize(
    "channel",
    [
        "U0CHLOE003",
        "W0CHLOE003",
        "D0SOMEBODY",
        "#general",
        "general",
        "<#C0GENERAL1>",
        "C0GENERAL1\n",
        ["C"],
        7,
    ],
)
async def test_what_is_no_channel_is_refused_and_nobody_is_written_to(bot: RunningBot, channel: Any) -> None:
    run = await ended(from_a_webhook(bot, channel=channel))
    assert run.state == "failed"
    assert "The channel “" in run.error
    await bot.app.settled()
    assert bot.calls("chat.postMessage") == []
    assert await how_many(bot) == 0


@pytest.mark.parametrize("field", ["reporter", "lead"])
@pytest.mark.parametrize(
    "person", ["C0GENERAL1", "@ana", "<@U0ANA00001>", "ana@lumen.example", {"id": "U0ANA00001"}]
)
async def test_who_is_no_person_is_refused(bot: RunningBot, field: str, person: Any) -> None:
    run = await ended(from_a_webhook(bot, **{field: person}))
    assert run.state == "failed"
    assert f"The {field} “" in run.error
    assert await how_many(bot) == 0


@pytest.mark.parametrize(
    ("field", "said"), [("reporter", "Nobody in this workspace has the id"), ("lead", "no such")]
)
async def test_an_id_that_nobody_has_is_refused(bot: RunningBot, field: str, said: str) -> None:
    run = await ended(from_a_webhook(bot, **{field: "U0NOBODY99"}))
    assert said in run.error
    assert await how_many(bot) == 0


@pytest.mark.parametrize(
    ("person", "said"),
    [("tom", "Tom Aldridge’s account is deactivated"), ("tocsin", "is a bot"), ("max", "organization")],
)
async def test_who_can_have_no_role_is_not_made_the_lead(bot: RunningBot, person: str, said: str) -> None:
    stranger = Person("U0MAX00001", "max", "Max Brandt", "max@northwind.example")
    bot.workspace.share(bot.slack.channel("haulpartner"), "T0NORTH0002", stranger)
    run = await ended(from_a_webhook(bot, lead=bot.slack.person(person)))
    assert run.state == "failed"
    assert said in run.error
    assert await how_many(bot) == 0


async def bot_in(bot: RunningBot, channel: str, member: str) -> None:
    """Somebody who is in a channel brings the bot in."""
    ana, room = bot.slack.person(member), bot.slack.channel(channel)
    assert (await bot.workspace.invite(ana, room, bot.slack.app.bot_user_id)).ok


async def test_the_card_goes_to_a_private_channel_that_the_reporter_is_in(bot: RunningBot) -> None:
    await bot_in(bot, "leads", "ana")
    run = await ended(begun(bot, channel=bot.slack.channel("leads")))
    await bot.app.settled()
    assert run.outputs["reference"] in words(posts_in(bot, "leads")[-1])


@pytest.mark.parametrize("with_the_bot", [True, False])
async def test_a_private_channel_that_the_reporter_does_not_see_gets_no_card(
    bot: RunningBot, with_the_bot: bool
) -> None:
    if with_the_bot:
        await bot_in(bot, "leads", "ana")
    run = await ended(begun(bot, reporter=bot.slack.person("chloe"), channel=bot.slack.channel("leads")))
    assert run.state == "completed"
    told = await direct(bot, "chloe")
    assert posts_in(bot, "leads") == []
    assert run.outputs["reference"] in told
    assert "you and Tocsin do not both see that channel" in told
    assert "leads" not in told


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(status=429), Fault(until=asyncio.Event())])
async def test_while_slack_does_not_say_who_sees_a_channel_no_card_goes_there(
    bot: RunningBot, fault: Fault
) -> None:
    bot.workspace.faults.plan("conversations.info", *[fault] * 2)
    run = await ended(begun(bot, channel=bot.slack.channel("alerts")))
    assert run.state == "completed"
    told = await direct(bot, "ana")
    assert posts_in(bot, "alerts") == []
    assert "Slack does not say just now who reads that channel" in told
    if fault.until is not None:
        fault.until.set()


async def test_a_member_of_a_large_private_channel_is_found_on_its_last_page(bot: RunningBot) -> None:
    await bot_in(bot, "leads", "ana")
    leads = bot.workspace.channel(bot.slack.channel("leads"))
    leads.members[:0] = [f"U0CROWD{number:05}" for number in range(1500)]
    run = await ended(begun(bot, channel=leads.id))
    await bot.app.settled()
    assert run.outputs["reference"] in words(posts_in(bot, "leads")[-1])


async def test_what_may_be_no_incident_starts_in_triage(bot: RunningBot) -> None:
    run = await ended(begun(bot, triage=True))
    (incident,) = await bot.backend.incidents()
    assert (run.state, incident.incident_status.category) == ("completed", "triage")


async def test_what_is_over_is_declared_with_its_times_and_without_a_channel(bot: RunningBot) -> None:
    run = await ended(begun(bot, retrospective=True))
    assert "say when it happened" in run.error
    times = "Impact started: 2026-03-01T14:05Z\nFixed: 2026-03-01T15:05Z"
    run = await ended(begun(bot, retrospective=True, times=times))
    assert run.outputs.keys() == {"reference", "permalink"}
    (incident,) = await bot.backend.incidents()
    values = [f"{value.value:%H:%M}" for value in incident.incident_timestamp_values]
    assert (incident.mode, values[0], values[-1]) == ("retrospective", "14:05", "15:05")
    run = await ended(begun(bot, retrospective=True, times="Whenever: noon"))
    assert "There is no time" in run.error
