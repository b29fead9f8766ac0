"""Slack says no: the incident stands, nothing goes where it must not, and the reporter reads why."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from support.autojump import passing
from support.bot import ticked
from support.readings import cards, newest, own_channel, settled, words

from reliability.faults.run import Run
from slack_emulator.faults import Fault

AFTER_THE_CHANNEL = {
    "views.update": 1,
    "conversations.invite": 1,
    "conversations.setTopic": 1,
    "conversations.setPurpose": 1,
    "bookmarks.add": 1,
    "chat.postMessage": 3,
}


async def test_all_nine_names_taken_by_strangers_still_gives_a_channel(day: Run) -> None:
    _, press = await day.filled()
    ben, name = day.bot.slack.person("ben"), f"inc-1-{press.token}-is-slow"
    for number in range(1, 10):
        taken = name if number == 1 else f"{name}-{number}"
        assert (await day.bot.workspace.create_channel(ben, taken)).ok
    assert (await day.submit(press)).ok
    await settled(day.bot)
    assert own_channel(day.bot, await newest(day.bot)).creator == day.bot.slack.app.bot_user_id
    assert day.broken() == []


async def test_a_channel_whose_answer_was_lost_is_taken_though_a_stranger_has_the_first_name(
    day: Run,
) -> None:
    _, press = await day.filled()
    ben = day.bot.slack.person("ben")
    assert (await day.bot.workspace.create_channel(ben, f"inc-1-{press.token}-is-slow")).ok
    day.fail("conversations.create", Fault(), Fault(reset=True, after_effect=True))
    assert (await day.submit(press)).ok
    await settled(day.bot)
    assert day.broken() == []


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("restricted_action", "a workspace owner can change it (restricted_action)"),
        ("missing_scope", "a workspace admin can install it again (missing_scope)"),
        ("something_new", "Slack refused it (something_new)"),
    ],
)
async def test_who_cannot_have_a_channel_reads_why_and_who_can_mend_it(day: Run, code: str, why: str) -> None:
    day.fail("conversations.create", Fault(error=code))
    view = await day.declare()
    assert "The channel could not be made: " in words(view)
    assert why in words(view)
    assert why in day.told()
    assert day.broken() == []


async def test_a_private_incident_whose_channel_is_refused_is_told_and_turns_nothing_public(day: Run) -> None:
    day.fail("conversations.create", Fault(error="restricted_action"))
    view = await day.declare(visibility=ticked("private"))
    assert "The channel could not be made" in words(view)
    assert day.broken() == []


async def test_a_channel_that_cannot_be_made_just_now_is_made_later_and_the_cards_then_name_it(
    day: Run,
) -> None:
    day.fail("conversations.create", *(Fault(status=503) for _ in range(4)))
    await day.declare()
    room = own_channel(day.bot, await newest(day.bot))
    for name in ("general", "incidents"):
        (card,) = cards(day.bot, day.bot.slack.channel(name))
        assert f"<#{room.id}>" in words(card)
    assert day.broken() == []


async def test_a_channel_archived_while_it_is_being_furnished_is_told_once_with_the_reason(day: Run) -> None:
    goes_on = asyncio.Event()
    for method in ("conversations.invite", "conversations.setTopic", "conversations.setPurpose"):
        day.fail(method, Fault(until=goes_on))
    day.fail("bookmarks.add", Fault(until=goes_on))
    day.fail("chat.postMessage", *(Fault(until=goes_on) for _ in range(3)))
    _, press = await day.filled()
    assert (await day.submit(press)).ok
    await day.bot.workspace.begun("bookmarks.add")
    room = own_channel(day.bot, await newest(day.bot))
    room.archived = True
    goes_on.set()
    await settled(day.bot)
    assert day.told().count("somebody can unarchive it (is_archived)") == 1
    for part in ("topic", "purpose", "bookmark", "card"):
        assert part in day.told()


async def test_a_bot_removed_from_the_channel_says_what_it_could_not_do_there(day: Run) -> None:
    for method in ("conversations.setTopic", "conversations.setPurpose", "bookmarks.add", "pins.add"):
        day.fail(method, Fault(error="not_in_channel"))
    await day.declare()
    assert "invite it there (not_in_channel)" in day.told()
    assert day.broken() == []


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_too_long"])
async def test_a_card_that_slack_does_not_take_is_posted_in_plain_words_with_reference_and_permalink(
    day: Run, code: str
) -> None:
    # All three cards are under way before one of them is refused, and may be sent in plain words.
    refused = asyncio.Event()
    day.fail("chat.postMessage", *(Fault(error=code, until=refused) for _ in range(3)))
    _, press = await day.filled()
    assert (await day.submit(press)).ok
    await day.bot.workspace.begun("chat.postMessage", 3)
    refused.set()
    await settled(day.bot)
    incident = await newest(day.bot)
    for where in (day.bot.slack.channel("general"), str(incident.slack_channel_id)):
        (message,) = cards(day.bot, where)
        assert not message.blocks
        assert incident.reference in message.text
        assert str(incident.permalink) in message.text


async def test_where_the_bot_must_be_a_member_to_post_it_joins_and_posts(day: Run) -> None:
    day.fail("chat.postMessage", *(Fault(error="not_in_channel") for _ in range(3)))
    await day.declare()
    assert day.broken() == []


async def test_an_announcement_channel_that_is_gone_is_told_and_the_rest_is_done(day: Run) -> None:
    room = day.bot.workspace.channel_by_name("incidents")
    room.archived = True
    await day.declare()
    assert "It could not be announced: the channel is archived" in day.told()
    assert day.broken() == []


async def test_a_guest_who_cannot_be_brought_in_is_named_and_the_others_are_in(day: Run) -> None:
    darius = day.bot.slack.person("darius")
    # In the minutes since Slack was asked about them.
    people = day.bot.workspace.state.people
    people[darius] = replace(people[darius], deleted=True)
    picked = {"type": "users_select", "selected_user": darius}
    await day.declare(incident_role_assignments__lead=picked)
    assert f"<@{darius}> could not be brought into the channel" in day.told()
    room = own_channel(day.bot, await newest(day.bot))
    assert day.bot.slack.person("ana") in room.members


@pytest.mark.parametrize("code", ["token_revoked", "invalid_auth"])
async def test_a_token_revoked_midway_is_waited_for_and_seen_from_outside(day: Run, code: str) -> None:
    for method, calls in AFTER_THE_CHANNEL.items():
        day.fail(method, *(Fault(error=code) for _ in range(calls)))
    _, press = await day.filled()
    assert (await day.submit(press)).ok
    await day.bot.workspace.heard(lambda call: call.error == code, sum(AFTER_THE_CHANNEL.values()))
    seen = day.bot.app.health.not_ready()
    await settled(day.bot)
    assert seen == [f"Slack refuses the bot token ({code})."]
    assert day.bot.app.health.not_ready() == []
    assert day.broken() == []


async def test_whoever_closed_the_window_while_it_waited_is_told_by_message(day: Run) -> None:
    goes_on = asyncio.Event()
    view, press = await day.filled()
    day.fail("views.update", Fault(error="not_found"))
    day.bot.backend.database._thread.submit(_held_until(goes_on))  # type: ignore[attr-defined]
    with passing():
        assert (await day.submit(press)).ok
    assert "Saved, still declaring" in words(view)
    goes_on.set()
    await settled(day.bot)
    assert "What you declared is through: it is INC-1" in day.told()


def _held_until(goes_on: asyncio.Event) -> object:
    """Work for the incident file's own thread that lasts until then."""
    loop = asyncio.get_running_loop()
    return lambda: asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result()
