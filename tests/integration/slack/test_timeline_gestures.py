"""The timeline as people fill it: the shortcut, pins and 📌, each message once, and out again."""

from __future__ import annotations

import pytest
from support.bot import RunningBot, chosen, picked, typed
from support.errands import (
    declared,
    headline,
    opened_by,
    press_card,
    press_in_view,
    sent,
    typed_verb,
    until,
    whispers,
)
from support.readings import deliver, last_delivery, settled, words

from slack_emulator.models import Message
from tocsin.incidents.model import Incident, TimelineEntry

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def kept(bot: RunningBot, incident: Incident) -> list[TimelineEntry]:
    """What people put into the timeline."""
    await settled(bot)
    return [entry for entry in await bot.backend.timeline(incident.id) if entry.verb == "noted:"]


async def said_here(bot: RunningBot, incident: Incident, person: str, text: str) -> Message:
    """A message in the incident's own channel."""
    here, who = incident.slack_channel_id, bot.slack.person(person)
    await bot.workspace.join(who, here)
    outcome = await bot.workspace.say(who, here, text)
    assert outcome.ts is not None
    return bot.workspace.message(here, outcome.ts)


async def heard(bot: RunningBot, kind: str, count: int = 1) -> None:
    """The bot has heeded so many events of a kind."""
    await bot.workspace.heard(f"event.{kind}", count)


async def test_a_pushpin_keeps_a_message_and_taking_it_off_takes_it_out(bot: RunningBot) -> None:
    incident = await declared(bot, "graphs look odd")
    message = await said_here(bot, incident, "ben", "The error rate doubled at 21:05.")
    chloe = bot.slack.person("chloe")
    await bot.workspace.join(chloe, message.channel)
    await bot.workspace.react(chloe, message.channel, message.ts, "pushpin")
    await heard(bot, "reaction_added")
    (entry,) = await kept(bot, incident)
    assert entry.text.startswith("The error rate doubled at 21:05.")
    assert f"p{message.ts.replace('.', '')}" in entry.text
    assert entry.by is not None
    assert entry.by.slack_user_id == chloe
    assert entry.at.timestamp() == pytest.approx(float(message.ts), abs=1)
    await bot.workspace.unreact(chloe, message.channel, message.ts, "pushpin")
    await heard(bot, "reaction_removed")
    assert await kept(bot, incident) == []


async def test_a_message_that_several_people_mark_is_one_entry_until_the_last_mark_is_gone(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "queue grows")
    message = await said_here(bot, incident, "ben", "Restarted the consumer.")
    ana, ben = bot.slack.person("ana"), bot.slack.person("ben")
    await bot.workspace.react(ana, message.channel, message.ts, "pushpin")
    await bot.workspace.react(ben, message.channel, message.ts, "pushpin")
    await heard(bot, "reaction_added", 2)
    await bot.workspace.pin(ben, message.channel, message.ts)
    await heard(bot, "pin_added", 2)
    assert len(await kept(bot, incident)) == 1
    await bot.workspace.unreact(ana, message.channel, message.ts, "pushpin")
    await bot.workspace.unreact(ben, message.channel, message.ts, "pushpin")
    await heard(bot, "reaction_removed", 2)
    assert len(await kept(bot, incident)) == 1
    await bot.workspace.unpin(ben, message.channel, message.ts)
    await heard(bot, "pin_removed")
    assert await kept(bot, incident) == []


async def test_an_event_that_comes_again_or_too_late_adds_nothing(bot: RunningBot) -> None:
    incident = await declared(bot, "cache misses")
    message = await said_here(bot, incident, "ben", "Warmed the cache.")
    ana = bot.slack.person("ana")
    await bot.workspace.react(ana, message.channel, message.ts, "pushpin")
    await heard(bot, "reaction_added")
    added = last_delivery(bot, "event.reaction_added")
    await deliver(bot, "events_api", added)
    assert len(await kept(bot, incident)) == 1
    await bot.workspace.unreact(ana, message.channel, message.ts, "pushpin")
    await heard(bot, "reaction_removed")
    await deliver(bot, "events_api", {**added, "event_id": "Ev0COMESLATE"})
    assert await kept(bot, incident) == []


async def test_other_reactions_other_channels_and_the_bots_own_pin_are_left_alone(bot: RunningBot) -> None:
    incident = await declared(bot, "logs are missing")
    message = await said_here(bot, incident, "ben", "Looking.")
    elsewhere = await bot.workspace.say(bot.slack.person("ana"), bot.slack.channel("general"), "Hm.")
    ana = bot.slack.person("ana")
    await bot.workspace.react(ana, message.channel, message.ts, "eyes")
    await bot.workspace.react(ana, bot.slack.channel("general"), elsewhere.ts or "", "pushpin")
    await heard(bot, "reaction_added")
    assert await kept(bot, incident) == []


async def test_a_picture_keeps_its_own_link(bot: RunningBot) -> None:
    incident = await declared(bot, "latency rises")
    room = bot.workspace.channel(incident.slack_channel_id)
    link = "https://northwind.slack.com/files/U0BEN/F0GRAPH/graph.png"
    file = {
        "id": "F0GRAPH",
        "name": "graph.png",
        "title": "p99",
        "permalink": link,
        "public_url_shared": False,
    }
    message = bot.workspace.messages.post(
        room, Message(room.id, "", user=bot.slack.person("ana"), text="See:", files=[file])
    )
    await bot.workspace.pin(bot.slack.person("ana"), room.id, message.ts)
    await heard(bot, "pin_added", 2)
    (entry,) = await kept(bot, incident)
    assert f"p99 {link}" in entry.text
    assert not [call for call in bot.calls() if call.method.startswith("files.")]


async def test_the_shortcut_keeps_a_message_of_the_incidents_channel_at_once(bot: RunningBot) -> None:
    incident = await declared(bot, "search is empty")
    message = await said_here(bot, incident, "ben", "The index was dropped.")
    ana = bot.slack.person("ana")
    for _ in range(2):
        before = len(whispers(bot, "ana", message.channel))
        await bot.workspace.message_shortcut(ana, "add_to_timeline", message.channel, message.ts)
        await until(bot, lambda before=before: len(whispers(bot, "ana", message.channel)) > before)
    assert [entry.text.split("\n")[0] for entry in await kept(bot, incident)] == ["The index was dropped."]


async def kept_again(bot: RunningBot, message: Message) -> None:
    """*Add to incident timeline*, picked on a message."""
    before = len(whispers(bot, "ana", message.channel))
    await bot.workspace.message_shortcut(
        bot.slack.person("ana"), "add_to_timeline", message.channel, message.ts
    )
    await until(bot, lambda: len(whispers(bot, "ana", message.channel)) > before)


async def test_a_message_that_was_edited_and_is_marked_again_is_kept_anew(bot: RunningBot) -> None:
    incident = await declared(bot, "figures change")
    message = await said_here(bot, incident, "ben", "p95 is 4 s")
    for _ in range(2):
        await kept_again(bot, message)
    assert [entry.text.split("\n")[0] for entry in await kept(bot, incident)] == ["p95 is 4 s"]
    await bot.workspace.edit(bot.slack.person("ben"), message.channel, message.ts, "p95 is 9 s")
    for _ in range(2):
        await kept_again(bot, message)
    assert [entry.text.split("\n")[0] for entry in await kept(bot, incident)] == ["p95 is 4 s", "p95 is 9 s"]


async def test_taking_the_mark_off_an_edited_message_takes_out_what_was_kept_of_it(bot: RunningBot) -> None:
    incident = await declared(bot, "figures change twice")
    message = await said_here(bot, incident, "ben", "p50 is 4 s")
    ben = bot.slack.person("ben")
    await bot.workspace.react(ben, message.channel, message.ts, "pushpin")
    await heard(bot, "reaction_added")
    await bot.workspace.edit(ben, message.channel, message.ts, "p50 is 9 s")
    await kept_again(bot, message)
    assert len(await kept(bot, incident)) == 2
    await bot.workspace.unreact(ben, message.channel, message.ts, "pushpin")
    await heard(bot, "reaction_removed")
    assert await kept(bot, incident) == []


async def test_the_shortcut_asks_which_incident_where_its_channel_does_not_say(bot: RunningBot) -> None:
    incident = await declared(bot, "orders are stuck")
    general, ana = bot.slack.channel("general"), bot.slack.person("ana")
    outcome = await bot.workspace.say(bot.slack.person("ben"), general, "Orders hang since noon.")
    opened = bot.opened_so_far
    await bot.workspace.message_shortcut(ana, "add_to_timeline", general, outcome.ts or "")
    view = await bot.opened_form("ana", since=opened)
    said = await sent(bot, "ana", view, incident_id=chosen(incident.id))
    assert incident.reference in said
    (entry,) = await kept(bot, incident)
    assert entry.text.startswith("Orders hang since noon.")


async def test_the_cards_buttons_do_what_they_say(bot: RunningBot) -> None:
    incident = await declared(bot, "cards are pressed")
    card = headline(bot, incident)
    before = len(whispers(bot, "ana", card.channel))
    await press_card(bot, "ana", card, "take_lead")
    await until(bot, lambda: len(whispers(bot, "ana", card.channel)) > before)
    await settled(bot)
    assert "Take the lead" not in words(headline(bot, incident))
    opened = bot.opened_so_far
    await press_card(bot, "ana", headline(bot, incident), "update_incident")
    view = await bot.opened_form("ana", since=opened)
    assert view.payload["callback_id"] == "update"
    opened = bot.opened_so_far
    await press_card(bot, "ana", headline(bot, incident), "incident_menu", option=f"close {incident.id}")
    view = await bot.opened_form("ana", since=opened)
    await sent(bot, "ana", view)
    await settled(bot)
    await press_card(bot, "ana", headline(bot, incident), "reopen_incident")
    await until(bot, lambda: "Investigating" in words(headline(bot, incident)))


async def test_what_is_to_be_done_is_done_with_a_button(bot: RunningBot) -> None:
    incident = await declared(bot, "a list of things")
    here = incident.slack_channel_id
    await typed_verb(bot, "ana", here, "/incident follow-up write an alert for it")
    await settled(bot)
    posted = [m for m in bot.workspace.state.lasting(here) if "write an alert for it" in words(m)][-1]
    await bot.workspace.join(bot.slack.person("ben"), here)
    before = len(whispers(bot, "ben", here))
    await press_card(bot, "ben", posted, "complete_follow_up")
    await until(bot, lambda: len(whispers(bot, "ben", here)) > before)
    await settled(bot)
    assert bot.app.workflows is not None
    (item,) = await bot.app.workflows.follow_ups.of(incident.id)
    assert item.is_done


async def test_the_form_lists_what_is_to_be_done_adds_to_it_and_marks_it_done(bot: RunningBot) -> None:
    incident = await declared(bot, "forms of things")
    here, ben = incident.slack_channel_id, bot.slack.person("ben")
    view = await opened_by(bot, "ana", here, "/incident action")
    await sent(bot, "ana", view, text=typed("drain the node"), assignee=picked(ben))
    await settled(bot)
    view = await opened_by(bot, "ana", here, "/incident action")
    assert "drain the node" in words(view)
    assert f"<@{ben}>" in words(view)
    await press_in_view(bot, "ana", view, "complete_follow_up")
    await until(bot, lambda: ":white_check_mark: drain the node" in words(bot.workspace.stack(view.user)[-1]))
