"""Slack that fails: each call is tried again, made once, and what cannot be done is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.bot import RunningBot, chosen
from support.readings import cards, newest, own_channel, post, settled, told, words

from slack_emulator.faults import Fault
from slack_emulator.models import View

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def bot(shared_bot: RunningBot) -> RunningBot:
    return shared_bot


METHODS = (
    "conversations.create",
    "conversations.invite",
    "conversations.setTopic",
    "conversations.setPurpose",
    "bookmarks.add",
    "chat.postMessage",
    "pins.add",
)
FAULTS: dict[str, dict[str, Any]] = {
    "asked to slow down": {"retry_after": 1},
    "server error": {"status": 503},
    "lost on the way": {"reset": True},
    "answer lost": {"reset": True, "after_effect": True},
    "error after doing it": {"error": "internal_error", "after_effect": True},
}


async def declare(bot: RunningBot, text: str = "checkout is slow", **fields: dict[str, Any]) -> View:
    view = await bot.type_command("ana", "general", f"/incident {text}")
    await bot.fill("ana", view, severity_id=chosen("major"), **fields)
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    return view


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
async def test_whatever_fails_once_is_done_in_the_end_and_done_once(
    bot: RunningBot, fault: dict[str, Any]
) -> None:
    for method in METHODS:
        bot.workspace.faults.plan(method, Fault(**fault))
    await declare(bot)
    incident = await newest(bot)
    room = own_channel(bot, incident)
    ours = [c for c in bot.workspace.state.channels.values() if c.name.startswith("inc-")]
    assert ours == [room]
    assert bot.slack.person("ana") in room.members
    assert room.topic
    assert room.purpose
    assert [mark["link"] for mark in room.bookmarks] == [incident.permalink]
    (headline,) = cards(bot, room.id)
    assert room.pins == [headline.ts]
    for name in ("general", "incidents"):
        assert len(cards(bot, bot.slack.channel(name))) == 1
    assert told(bot, "ana") == []


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("conversations.invite", "<@U0ANA00001> could not be brought into the channel"),
        ("conversations.setTopic", "The topic could not be set"),
        ("conversations.setPurpose", "The purpose could not be set"),
        ("bookmarks.add", "The bookmark could not be added"),
        ("pins.add", "The card could not be pinned"),
    ],
)
async def test_what_slack_refuses_is_told_to_the_reporter_and_undoes_nothing(
    bot: RunningBot, method: str, said: str
) -> None:
    bot.workspace.faults.plan(method, Fault(error="restricted_action"))
    await declare(bot)
    incident = await newest(bot)
    (message,) = told(bot, "ana")
    assert f"{incident.reference} is declared, but not everything went well: {said}" in message.text
    room = own_channel(bot, incident)
    done = {
        "conversations.invite": bot.slack.person("ana") in room.members,
        "conversations.setTopic": bool(room.topic),
        "conversations.setPurpose": bool(room.purpose),
        "bookmarks.add": bool(room.bookmarks),
        "pins.add": bool(room.pins),
    }
    assert done == {name: name != method for name in done}


async def test_without_a_channel_the_cards_still_go_out_and_say_there_is_none(bot: RunningBot) -> None:
    bot.workspace.faults.plan("conversations.create", Fault(error="restricted_action"))
    view = await declare(bot)
    assert "The channel could not be made" in words(view)
    assert "None yet" in words(cards(bot, bot.slack.channel("general"))[-1])
    assert any("The channel could not be made" in message.text for message in told(bot, "ana"))


async def test_a_channel_that_came_of_many_lost_answers_is_found_and_no_second_one_is_made(
    bot: RunningBot,
) -> None:
    bot.workspace.faults.plan("conversations.create", Fault(reset=True, after_effect=True))
    bot.workspace.faults.plan("users.conversations", *[Fault(status=503)] * 3)
    await declare(bot)
    (ours,) = (c for c in bot.workspace.state.channels.values() if c.name.startswith("inc-"))
    assert own_channel(bot, await newest(bot)) == ours
    assert any("has its channel now" in words(message) for message in told(bot, "ana"))


async def test_a_taken_channel_name_is_left_alone_and_the_next_one_is_used(bot: RunningBot) -> None:
    owner = bot.slack.person("ben")
    assert (await bot.workspace.create_channel(owner, "inc-1-checkout-is-slow")).ok
    await declare(bot)
    assert own_channel(bot, await newest(bot)).name == "inc-1-checkout-is-slow-2"


async def test_somebody_who_cannot_be_invited_is_named_and_the_others_are_in(bot: RunningBot) -> None:
    darius = bot.slack.person("darius")
    # In the minutes since Slack was asked about them.
    people = bot.workspace.state.people
    known, picked = people[darius], {"type": "users_select", "selected_user": darius}
    people[darius] = replace(known, deleted=True)
    try:
        await declare(bot, incident_role_assignments__lead=picked)
    finally:
        people[darius] = known
    room = own_channel(bot, await newest(bot))
    assert bot.slack.person("ana") in room.members
    assert f"<@{darius}> could not be brought into the channel" in told(bot, "ana")[-1].text


@pytest.mark.parametrize("where", ["leads", "archived", "between two"])
async def test_where_the_bot_may_not_post_the_reporter_gets_the_card_instead(
    bot: RunningBot, where: str
) -> None:
    ana, workspace = bot.slack.person("ana"), bot.workspace
    if where == "archived":
        message = post(bot, "alerts", user=bot.slack.person("ben"), text="Slow")
        view = await bot.pick_shortcut("ana", message)
        assert (await workspace.archive(ana, message.channel)).ok
    else:
        room = workspace.channel_by_name("leads") if where == "leads" else workspace.channel("D0ANACHLO6")
        view = await bot.pick_shortcut("ana", workspace.history(room.id, ana)[0])
    await bot.fill("ana", view, severity_id=chosen("major"))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    incident = await newest(bot)
    sent = [words(message) for message in told(bot, "ana")]
    assert any(str(incident.permalink) in text and "Declared by" in text for text in sent)
    assert any("The card could not be posted where it was declared" in text for text in sent)
