"""People who are brought into an incident: they see a private one from then on, until they are taken out."""

from __future__ import annotations

import pytest
from support.bot import RunningBot, ticked
from support.errands import declared, opened_by, sent, typed_verb
from support.readings import newest, settled, told, words

from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_SEEN = "There is no such incident, or it is not yours to see."


def members(bot: RunningBot, incident: Incident) -> list[str]:
    return bot.workspace.channel(incident.slack_channel_id).members


async def test_who_is_invited_to_a_private_incident_is_brought_in_and_sees_it_everywhere(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "payroll leaks", visibility=ticked("private"))
    general, chloe = bot.slack.channel("general"), bot.slack.person("chloe")
    assert NOT_SEEN in await typed_verb(bot, "chloe", general, f"/incident show {incident.reference}")
    said = await typed_verb(bot, "ana", incident.slack_channel_id, "/incident invite @chloe")
    assert said == f"{incident.reference}: Chloe Marchetti is invited."
    await settled(bot)
    assert chloe in members(bot, incident)
    shown = await typed_verb(bot, "chloe", general, f"/incident show {incident.reference}")
    assert f"Seen by <@{bot.slack.person('ana')}> (reporter) and <@{chloe}> (invited)." in shown
    assert "invited Chloe Marchetti" in shown
    assert incident.reference in await typed_verb(bot, "chloe", general, "/incident list")
    assert "Fixing" in await typed_verb(bot, "chloe", incident.slack_channel_id, "/incident status fixing")


async def test_who_is_taken_out_sees_nothing_more_and_leaves_its_channel(bot: RunningBot) -> None:
    incident = await declared(bot, "payroll leaks", visibility=ticked("private"))
    general, chloe = bot.slack.channel("general"), bot.slack.person("chloe")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident invite @ben, @chloe")
    await settled(bot)
    said = await typed_verb(bot, "ben", incident.slack_channel_id, "/incident remove @chloe")
    assert said == f"{incident.reference}: Chloe Marchetti is taken out."
    await settled(bot)
    assert chloe not in members(bot, incident)
    assert bot.slack.person("ben") in members(bot, incident)
    assert NOT_SEEN in await typed_verb(bot, "chloe", general, f"/incident show {incident.reference}")
    refusal = await typed_verb(bot, "ben", incident.slack_channel_id, "/incident remove @ana")
    assert "reported" in refusal


async def test_who_may_not_see_it_invites_nobody(bot: RunningBot) -> None:
    incident = await declared(bot, "payroll leaks", visibility=ticked("private"))
    general = bot.slack.channel("general")
    for text in ("invite {} @chloe", "remove {} @ana"):
        command = f"/incident {text.format(incident.reference)}"
        assert NOT_SEEN in await typed_verb(bot, "chloe", general, command)
    assert (await newest(bot)).members == ()
    assert told(bot, "chloe") == []


async def test_the_form_brings_several_people_into_the_channel_of_a_public_incident(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident invite")
    assert "They see this private incident" not in words(view)
    ben, chloe = bot.slack.person("ben"), bot.slack.person("chloe")
    people = {"type": "multi_users_select", "selected_users": [ben, chloe]}
    assert "are invited" in await sent(bot, "ana", view, people=people)
    await settled(bot)
    assert {ben, chloe} <= set(members(bot, incident))
    # What is made private later is not for who was only brought into the public channel.
    assert (await newest(bot)).members == ()
