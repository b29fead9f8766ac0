"""A person in a private incident's channel who may not see the incident: the lead is asked, and decides."""

from __future__ import annotations

import pytest
from support.bot import RunningBot, picked, ticked
from support.errands import declared, press_card, typed_verb, until, whispers
from support.readings import deliver, last_delivery, settled, told, words

from slack_emulator.models import Message
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = "Access was asked for; its lead has yet to decide."


async def led_by_ben(bot: RunningBot) -> Incident:
    """A private incident of Ana's that Ben leads."""
    ben = picked(bot.slack.person("ben"))
    return await declared(
        bot, "payroll leaks", visibility=ticked("private"), incident_role_assignments__lead=ben
    )


async def brought_in_by_hand(bot: RunningBot, incident: Incident, who: str = "chloe", by: str = "ana") -> str:
    """The person is invited into the incident's channel in Slack itself."""
    person, event = bot.slack.person(who), "event.member_joined_channel"
    joined = sum(request.method == event for request in bot.workspace.requests)
    outcome = await bot.workspace.invite(bot.slack.person(by), incident.slack_channel_id, person)
    assert outcome.ok, outcome
    await bot.workspace.heard(event, joined + 1)
    await settled(bot)
    return person


def questions(bot: RunningBot, person: str) -> list[Message]:
    return [message for message in told(bot, person) if "May they see it?" in words(message)]


async def test_the_lead_is_asked_once_about_who_was_brought_in_by_hand_and_allows_it(bot: RunningBot) -> None:
    incident = await led_by_ben(bot)
    chloe = await brought_in_by_hand(bot, incident)
    (question,) = questions(bot, "ben")
    assert f"<@{bot.slack.person('ana')}> brought <@{chloe}> into" in words(question)
    assert questions(bot, "ana") == questions(bot, "chloe") == []
    here, general = incident.slack_channel_id, bot.slack.channel("general")
    assert ASKED in await typed_verb(bot, "chloe", here, "/incident status fixing")
    assert "no such incident" in await typed_verb(
        bot, "chloe", general, f"/incident show {incident.reference}"
    )
    await press_card(bot, "ben", question, "allow_access")
    await settled(bot)
    assert f"may see {incident.reference} now. Decided by" in words(questions_left(bot, "ben"))
    assert f"You may see {incident.reference} now in <#{here}>." in words(told(bot, "chloe")[-1])
    assert "Fixing" in await typed_verb(bot, "chloe", here, "/incident status fixing")


def questions_left(bot: RunningBot, person: str) -> Message:
    """The message to the person that was a question."""
    return next(message for message in told(bot, person) if ":lock:" in words(message))


async def test_who_is_declined_leaves_the_channel_and_reads_nothing_of_the_incident(bot: RunningBot) -> None:
    incident = await led_by_ben(bot)
    chloe = await brought_in_by_hand(bot, incident)
    (question,) = questions(bot, "ben")
    await press_card(bot, "ben", question, "decline_access")
    await settled(bot)
    # Allowed by who had the question still on their screen: the first press counts.
    pressed = last_delivery(bot, "block_actions")
    late = pressed["actions"][0] | {"action_id": "allow_access"}
    await deliver(bot, "interactive", pressed | {"actions": [late], "trigger_id": "1.late"}, "block_actions")
    await settled(bot)
    assert chloe not in bot.workspace.channel(incident.slack_channel_id).members
    said = " ".join(words(message) for message in told(bot, "chloe"))
    assert "declined" in said
    assert incident.reference not in said
    assert "payroll" not in said
    # Whoever is brought back by hand is not asked about again.
    await brought_in_by_hand(bot, incident)
    assert questions(bot, "ben") == []
    refusal = await typed_verb(bot, "chloe", incident.slack_channel_id, "/incident note hello")
    assert "can bring you in with /incident invite" in refusal


async def test_who_came_in_unseen_asks_for_access_where_they_know_of_it_and_nowhere_else(
    bot: RunningBot,
) -> None:
    incident = await led_by_ben(bot)
    here = incident.slack_channel_id
    # As if Slack had never told of it.
    bot.workspace.channel(here).members.append(bot.slack.person("chloe"))
    assert "You can ask for access" in await typed_verb(bot, "chloe", here, "/incident status fixing")
    before = len(whispers(bot, "chloe", here))
    await press_card(bot, "chloe", whispers(bot, "chloe", here)[-1], "ask_for_access")
    await until(bot, lambda: "Access was asked for" in words(whispers(bot, "chloe", here)[before - 1]))
    await settled(bot)
    (question,) = questions(bot, "ben")
    assert "asks for access" in words(question)
    elsewhere = bot.slack.channel("general")
    said = await typed_verb(bot, "chloe", elsewhere, f"/incident status {incident.reference} fixing")
    assert said.startswith("There is no such incident, or it is not yours to see.")
    assert "access" not in said


async def test_who_may_not_see_it_allows_nobody_with_a_press_of_another_message(bot: RunningBot) -> None:
    incident = await led_by_ben(bot)
    chloe = await brought_in_by_hand(bot, incident)
    (question,) = questions(bot, "ben")
    await press_card(bot, "ben", question, "decline_access")
    await settled(bot)
    pressed = last_delivery(bot, "block_actions")
    action = pressed["actions"][0] | {"action_id": "allow_access"}
    forged = pressed | {"actions": [action], "user": {"id": chloe}, "trigger_id": "1.forged"}
    await deliver(bot, "interactive", forged, "block_actions")
    await settled(bot)
    found = await bot.backend.find(incident.id)
    assert found is not None
    assert found.members == ()
