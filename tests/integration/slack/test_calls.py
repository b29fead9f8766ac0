"""The call of an incident: where it is read, how it is set, and the rules that give one."""

from __future__ import annotations

from typing import Any

import pytest
from support.bot import RunningBot, chosen, ticked, typed
from support.errands import declared, headline, opened_by, press_card, sent, typed_verb, whispers
from support.readings import newest, own_channel, pressed, settled, value, words

from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
severities = ["Minor", "Major", "Critical"]

[[custom_fields]]
name = "Status page"
field_type = "link"

[[calls]]
severities = ["critical"]
url = "https://bridge.example.com/sev1"

[[calls]]
severities = ["minor"]
url = "huddle"
"""
ZOOM, MEET = "https://zoom.example.com/j/1?pwd=a&b=c", "https://meet.example.com/abc"


def links(message: Any) -> list[str]:
    """The addresses that the buttons of a message lead to, by their words."""
    rows = [block["elements"] for block in message.blocks if block["type"] == "actions"]
    return [b["url"] for row in rows for b in row if b.get("action_id") == "join_call"]


def bookmarks(bot: RunningBot, incident: Incident) -> list[tuple[str, str]]:
    return [(mark["title"], mark["link"]) for mark in own_channel(bot, incident).bookmarks]


async def test_a_call_that_is_set_is_one_press_away_in_the_card_the_news_and_the_bookmarks(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "checkout is slow")
    here = incident.slack_channel_id
    assert ZOOM.replace("&", "&amp;") in await typed_verb(bot, "ana", here, f"/incident call <{ZOOM}>")
    await settled(bot)
    assert links(headline(bot, incident)) == [ZOOM]
    assert links(bot.workspace.history(here, bot.slack.person("ana"))[-2]) == [ZOOM]
    assert bookmarks(bot, incident)[1:] == [("Call", ZOOM)]
    await typed_verb(bot, "ana", here, f"/incident call {MEET}")
    await settled(bot)
    assert bookmarks(bot, incident)[1:] == [("Call", MEET)]
    assert MEET in await typed_verb(
        bot, "chloe", bot.slack.channel("general"), f"/incident call {incident.reference}"
    )


async def test_the_form_asks_for_a_call_says_what_is_no_link_and_keeps_what_was_typed(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "search is slow")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident show")
    shown, opened = whispers(bot, "ana", incident.slack_channel_id)[-1], bot.opened_so_far
    await press_card(bot, "ana", shown, "incident_menu", option=f"call {incident.id}")
    view = await bot.opened_form("ana", since=opened)
    await bot.fill("ana", view, call_url=typed("zoom me"))
    outcome = await bot.submit("ana", view)
    assert "https://" in outcome.errors["call_url"]
    assert value(view, "call_url") == "zoom me"
    assert MEET in await sent(bot, "ana", view, call_url=typed(MEET))
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident call centre is down")
    assert "It may be the name of a new incident." in words(view)


async def test_a_huddle_is_that_of_the_channel_also_after_it_moved_to_a_private_one(bot: RunningBot) -> None:
    incident = await declared(bot, "keys leaked", severity_id=chosen("minor"))
    team = incident.slack_team_id
    assert links(headline(bot, incident)) == [
        f"https://app.slack.com/huddle/{team}/{incident.slack_channel_id}"
    ]
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident private")
    await sent(bot, "ana", view)
    await settled(bot)
    now = await newest(bot)
    assert now.slack_channel_id != incident.slack_channel_id
    huddle = f"https://app.slack.com/huddle/{team}/{now.slack_channel_id}"
    assert links(headline(bot, now)) == [huddle]
    assert ("Call", huddle) in bookmarks(bot, now)


@pytest.mark.parametrize("private", [False, True])
async def test_a_rule_gives_a_fixed_bridge_to_public_incidents_alone(bot: RunningBot, private: bool) -> None:
    more = {"visibility": ticked("private")} if private else {}
    incident = await declared(bot, "all is down", severity_id=chosen("critical"), **more)
    assert incident.is_private is private
    assert links(headline(bot, incident)) == ([] if private else ["https://bridge.example.com/sev1"])


async def test_a_link_that_a_field_holds_is_a_bookmark_of_the_channel(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident mail is late")
    await pressed(bot, view, "more_fields", "more_fields")
    page = {"custom_field_entries.status_page": {"type": "url_text_input", "value": MEET}}
    await bot.fill("ana", view, severity_id=chosen("major"), **page)
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    assert ("Status page", MEET) in bookmarks(bot, await newest(bot))
