"""Somebody who is given a role reads what is expected of them, once, and nobody else is bothered."""

from __future__ import annotations

import pytest
from support.bot import RunningBot, picked, ticked
from support.errands import declared, opened_by, typed_verb, whispers
from support.readings import settled, told, words

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[[roles]]
name = "Lead"
role_type = "lead"
shortform = "lead"
instructions = "Say who does what & give updates."

[[roles]]
name = "Scribe"
shortform = "scribe"
"""
INSTRUCTIONS = "Say who does what &amp; give updates."


async def test_a_role_that_is_given_comes_with_its_instructions_and_one_that_is_taken_answers_with_them(
    bot: RunningBot,
) -> None:
    ben, chloe = bot.slack.person("ben"), bot.slack.person("chloe")
    incident = await declared(bot, "checkout is slow", incident_role_assignments__lead=picked(ben))
    here, before = incident.slack_channel_id, len(told(bot, "chloe"))
    assert INSTRUCTIONS in words(told(bot, "ben")[-1])
    assert incident.reference in words(told(bot, "ben")[-1])
    await typed_verb(bot, "ana", here, f"/incident lead <@{chloe}>")
    await settled(bot)
    assert len(told(bot, "chloe")) == before + 1
    assert INSTRUCTIONS in words(told(bot, "chloe")[-1])
    so_far = len(told(bot, "ana"))
    assert INSTRUCTIONS in await typed_verb(bot, "ana", here, "/incident take")
    assert "Say who" not in await typed_verb(bot, "ana", here, "/incident take scribe")
    await settled(bot)
    assert len(told(bot, "ana")) == so_far


async def test_of_a_private_incident_the_instructions_are_said_in_its_channel_alone(bot: RunningBot) -> None:
    before = len(told(bot, "ben"))
    ben = {"incident_role_assignments__lead": picked(bot.slack.person("ben"))}
    incident = await declared(bot, "payroll leaked", visibility=ticked("private"), **ben)
    assert len(told(bot, "ben")) == before
    history = bot.workspace.history(incident.slack_channel_id, bot.slack.person("ben"))
    assert [INSTRUCTIONS in words(message) for message in history].count(True) == 1


async def test_what_a_role_asks_for_can_be_read_again_whenever_somebody_wants_to(bot: RunningBot) -> None:
    lead = {"incident_role_assignments__lead": picked(bot.slack.person("ben"))}
    incident = await declared(bot, "search is slow", **lead)
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident role")
    assert "Say who does what & give updates." in str(view.payload)
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident show")
    assert INSTRUCTIONS in words(whispers(bot, "ana", incident.slack_channel_id)[-1])
