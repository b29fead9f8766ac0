"""People who follow an incident read its updates in direct messages, and those who come back catch up."""

from __future__ import annotations

import pytest
from support.bot import RunningBot
from support.errands import declared, headline, opened_by, press_card, sent, typed_verb, whispers
from support.readings import settled, told, words

from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def typed(bot: RunningBot, person: str, text: str) -> str:
    """`/incident …` typed in #general, and its answer, once everything has followed."""
    said = await typed_verb(bot, person, bot.slack.channel("general"), f"/incident {text}")
    await settled(bot)
    return said


async def made_private(bot: RunningBot, incident: Incident) -> None:
    await sent(bot, "ana", await opened_by(bot, "ana", incident.slack_channel_id, "/incident private"))
    await settled(bot)


async def test_who_follows_reads_each_update_once_and_not_their_own(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    assert "You follow" in await typed(bot, "chloe", f"follow {incident.reference}")
    assert "You follow" in await typed(bot, "ana", f"follow {incident.reference}")
    await typed(bot, "ana", f"update {incident.reference} it is the cache")
    (update,) = told(bot, "chloe")
    assert "it is the cache" in words(update)
    assert told(bot, "ana") == []
    await typed(bot, "ben", f"rename {incident.reference} carts are slow")
    await typed(bot, "ben", f"severity {incident.reference} critical")
    assert len(told(bot, "chloe")) == 2
    assert "not follow" in await typed(bot, "chloe", f"unfollow {incident.reference}")
    await typed(bot, "ana", f"close {incident.reference} a restart helped")
    assert len(told(bot, "chloe")) == 2


async def test_the_cards_menu_makes_a_follower(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    await press_card(bot, "ana", headline(bot, incident), "incident_menu", option=f"follow {incident.id}")
    await settled(bot)
    assert f"You follow {incident.reference}" in words(whispers(bot, "ana", incident.slack_channel_id)[-1])


async def test_who_may_not_see_it_any_more_is_told_that_and_nothing_else_of_it(bot: RunningBot) -> None:
    incident = await declared(bot, "payroll leaks")
    await typed(bot, "chloe", f"follow {incident.reference}")
    await made_private(bot, incident)
    (farewell,) = told(bot, "chloe")
    said = words(farewell)
    assert said.startswith("An incident that you followed is not yours to see any more.")
    assert incident.reference not in said
    assert "payroll" not in said
    await typed(bot, "ana", f"update {incident.reference} it was the bank")
    assert told(bot, "chloe") == [farewell]


async def test_who_catches_up_is_told_what_is_new_since_the_last_time(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    await typed(bot, "ben", f"update {incident.reference} it is <!channel> the cache")
    said = await typed(bot, "ana", f"catchup {incident.reference}")
    assert "wrote an update: it is" in said
    assert "<!channel>" not in said
    assert "Nothing new" in await typed(bot, "ana", f"catchup {incident.reference}")
    bot.slack.clock.turn(60)
    await typed(bot, "ben", f"status {incident.reference} fixing")
    said = await typed(bot, "ana", f"catch-up {incident.reference}")
    assert "to Fixing" in said
    assert "the cache" not in said
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident show")
    shown = whispers(bot, "ana", incident.slack_channel_id)[-1]
    await press_card(bot, "ana", shown, "catch_up")
    await settled(bot)
    assert "Nothing new" in words(whispers(bot, "ana", incident.slack_channel_id)[-1])


async def test_a_private_incident_is_neither_followed_nor_caught_up_on_by_who_may_not_see_it(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "payroll leaks")
    await made_private(bot, incident)
    for verb in ("follow", "unfollow", "catchup"):
        said = await typed(bot, "chloe", f"{verb} {incident.reference}")
        assert said.startswith("There is no such incident, or it is not yours to see.")
