"""Wherever an incident is declared, it is; where its card cannot or may not go, that is said plainly."""

from __future__ import annotations

import pytest
from support.bot import RunningBot, chosen
from support.readings import cards, newest, own_channel, post, said, settled, told, words

from slack_emulator.models import Person, View
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUTSIDE = "T0HAULPART1"


async def opened_in(bot: RunningBot, person: str, room: str) -> View:
    """The form, opened with the command in a room given by its id."""
    so_far = bot.opened_so_far
    assert (await bot.workspace.command(person, room, "/incident checkout is slow")).ok
    await bot.workspace.heard("views.open", so_far + 1)
    return bot.workspace.stack(person)[-1]


async def sent(bot: RunningBot, view: View) -> Incident:
    bot.workspace.type_into(view.user, view.id, "severity_id", "severity_id", chosen("major"))
    outcome = await bot.workspace.submit(view.user, view.id)
    assert outcome.ok, outcome
    await settled(bot)
    return await newest(bot)


async def declared_in(bot: RunningBot, room: str, person: str = "ana") -> Incident:
    return await sent(bot, await opened_in(bot, bot.slack.person(person), room))


def shown_in(bot: RunningBot, incident: Incident, room: str) -> bool:
    return any(incident.reference in words(card).split() for card in cards(bot, room))


def read_by(bot: RunningBot, person: str, incident: Incident) -> str:
    """What the bot told somebody of an incident, cards included."""
    return " ".join(words(message) for message in told(bot, person) if incident.reference in words(message))


async def shared_room(bot: RunningBot, name: str) -> tuple[str, str]:
    """A channel that another organisation reads, and one of its people."""
    ana = bot.slack.person("ana")
    made = await bot.workspace.create_channel(ana, name)
    assert made.channel is not None
    stranger = Person(f"U0X{name[-6:].upper()}", f"x-{name}", "Stranger", "")
    bot.workspace.share(made.channel, OUTSIDE, stranger)
    return made.channel, stranger.id


async def test_in_a_public_channel_without_the_bot_the_card_comes_back_there(bot: RunningBot) -> None:
    room = bot.slack.channel("general")
    assert bot.slack.app.bot_user_id not in bot.workspace.channel(room).members
    incident = await declared_in(bot, room)
    assert incident.reference in words(cards(bot, room)[-1])
    assert bot.slack.app.bot_user_id not in bot.workspace.channel(room).members


async def test_in_a_private_channel_without_the_bot_the_reporter_gets_the_card_and_the_reason(
    bot: RunningBot,
) -> None:
    room = bot.slack.channel("leads")
    incident = await declared_in(bot, room)
    assert cards(bot, room) == []
    said_to = read_by(bot, "ana", incident)
    assert "The card could not be posted where it was declared" in said_to
    assert "invite Tocsin there" in said_to


async def test_in_a_private_channel_with_the_bot_the_card_comes_back_there(bot: RunningBot) -> None:
    made = await bot.workspace.create_channel(bot.slack.person("ana"), "quiet", private=True)
    assert made.channel is not None
    await bot.workspace.invite(bot.slack.person("ana"), made.channel, bot.slack.app.bot_user_id)
    incident = await declared_in(bot, made.channel)
    assert incident.reference in words(cards(bot, made.channel)[-1])


async def test_in_a_direct_message_with_the_bot_the_card_comes_back_there(bot: RunningBot) -> None:
    made = await bot.workspace.open_dm(bot.slack.person("priya"), bot.slack.app.bot_user_id)
    assert made.channel is not None
    incident = await declared_in(bot, made.channel, "priya")
    assert incident.reference in words(cards(bot, made.channel)[-1])


@pytest.mark.parametrize("others", [("chloe",), ("chloe", "darius")], ids=["two people", "a group"])
async def test_in_other_peoples_direct_messages_the_reporter_gets_the_card_and_nobody_else_does(
    bot: RunningBot, others: tuple[str, ...]
) -> None:
    made = await bot.workspace.open_dm(bot.slack.person("ben"), *map(bot.slack.person, others))
    assert made.channel is not None
    incident = await declared_in(bot, made.channel, "ben")
    assert cards(bot, made.channel) == []
    assert "The card could not be posted where it was declared" in read_by(bot, "ben", incident)
    for other in others:
        assert read_by(bot, other, incident) == ""


async def test_where_another_organisation_reads_no_card_is_posted_and_the_reporter_reads_why(
    bot: RunningBot,
) -> None:
    room, _ = await shared_room(bot, "with-partner")
    incident = await declared_in(bot, room)
    assert cards(bot, room) == []
    assert "people of another organization read that channel" in read_by(bot, "ana", incident)
    assert incident.slack_channel_id
    assert incident.reference in read_by(bot, "ana", incident)


async def test_a_message_of_a_stranger_can_be_declared_by_one_of_us_and_they_read_nothing_of_it(
    bot: RunningBot,
) -> None:
    room, stranger = await shared_room(bot, "with-vendor")
    message = post(bot, "with-vendor", user=stranger, text="Your API is down")
    incident = await sent(bot, await bot.pick_shortcut("ana", message))
    assert incident.source is not None
    assert incident.source.timestamp == message.ts
    assert cards(bot, room) == []
    assert stranger not in own_channel(bot, incident).members


async def test_strangers_have_no_command_and_no_shortcut_and_are_given_no_role(
    bot: RunningBot,
) -> None:
    room, stranger = await shared_room(bot, "with-others")
    assert not (await bot.workspace.command(stranger, room, "/incident help")).ok
    assert not (await bot.workspace.global_shortcut(stranger, "declare")).ok
    view = await opened_in(bot, bot.slack.person("ana"), bot.slack.channel("general"))
    lead = {"type": "users_select", "selected_user": stranger}
    await bot.fill("ana", view, severity_id=chosen("major"), incident_role_assignments__lead=lead)
    refused = await bot.submit("ana", view)
    assert "is from another organization" in refused.errors["incident_role_assignments.lead"]


async def test_who_reads_a_channel_is_asked_after_the_form_opened_and_once(bot: RunningBot) -> None:
    made = await bot.workspace.create_channel(bot.slack.person("ana"), "asked-once")
    assert made.channel is not None
    bot.workspace.clear()
    await declared_in(bot, made.channel)
    await declared_in(bot, made.channel)
    asked = [call.method for call in bot.calls()]
    assert asked.index("views.open") < asked.index("conversations.info")
    looked = [c for c in bot.calls("conversations.info") if c.args["channel"] == made.channel]
    assert len(looked) == 1


async def test_from_a_reply_the_card_goes_into_its_thread_and_commands_have_none(bot: RunningBot) -> None:
    start = await said(bot, "ana", "general", "Anyone else?")
    reply = await said(bot, "ben", "general", "Yes, since noon", start.ts)
    ana, general = bot.slack.person("ana"), bot.slack.channel("general")
    assert not (await bot.workspace.command(ana, general, "/incident x", start.ts)).ok
    incident = await sent(bot, await bot.pick_shortcut("ana", reply))
    card = next(c for c in reversed(cards(bot, general)) if incident.reference in words(c))
    assert card.thread_ts == start.ts


async def test_in_a_channel_archived_meanwhile_the_reporter_gets_the_card_and_the_reason(
    bot: RunningBot,
) -> None:
    made = await bot.workspace.create_channel(bot.slack.person("ana"), "ending")
    assert made.channel is not None
    view = await opened_in(bot, bot.slack.person("ana"), made.channel)
    bot.workspace.channel(made.channel).archived = True
    incident = await sent(bot, view)
    assert "the channel is archived" in read_by(bot, "ana", incident)
    assert cards(bot, made.channel) == []


async def test_on_a_message_deleted_meanwhile_the_reporter_gets_the_card_and_the_reason(
    bot: RunningBot,
) -> None:
    message = await said(bot, "ana", "general", "Checkout is slow")
    view = await bot.pick_shortcut("ana", message)
    assert (await bot.workspace.delete(view.user, message.channel, message.ts)).ok
    incident = await sent(bot, view)
    assert "the message is gone" in read_by(bot, "ana", incident)


async def test_from_no_channel_at_all_the_reporter_gets_the_card(bot: RunningBot) -> None:
    so_far, priya = bot.opened_so_far, bot.slack.person("priya")
    assert (await bot.workspace.global_shortcut(priya, "declare")).ok
    await bot.workspace.heard("views.open", so_far + 1)
    view = bot.workspace.stack(priya)[-1]
    await bot.fill("priya", view, name={"type": "plain_text_input", "value": "Nothing loads"})
    incident = await sent(bot, view)
    assert "Nothing loads" in read_by(bot, "priya", incident)
