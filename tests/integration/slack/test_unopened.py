"""Slack did not open the form in time: a button opens it, and nothing that was typed is lost."""

from __future__ import annotations

import pytest
from support.bot import RunningBot, chosen
from support.readings import cards, newest, said, settled, told, value, words

from slack_emulator.faults import Fault
from slack_emulator.models import Message, View

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXPIRED = Fault(error="expired_trigger_id")
LONG = "It is about payments, since the deploy of 21:05. " * 55


async def unopened(bot: RunningBot, channel: str, person: str) -> Message:
    """What only this person reads there."""
    await bot.workspace.heard("response_url")
    room, who = bot.slack.channel(channel), bot.slack.person(person)
    return [m for m in bot.workspace.history(room, who) if m.ephemeral_to == who][-1]


async def press(bot: RunningBot, person: str, message: Message) -> View:
    """*Open the form* pressed, and what opens."""
    opened = bot.opened_so_far
    outcome = await bot.workspace.press(
        bot.slack.person(person), "open_form", "unopened", channel=message.channel, ts=message.ts
    )
    assert outcome.ok, outcome
    return await bot.opened_form(person, since=opened)


@pytest.mark.parametrize("text", ["the <!channel> door is open", LONG], ids=["short", "long"])
async def test_a_form_that_slack_does_not_open_is_opened_by_a_button_with_what_was_typed(
    bot: RunningBot, text: str
) -> None:
    bot.workspace.faults.plan("views.open", EXPIRED)
    ana, general = bot.slack.person("ana"), bot.slack.channel("general")
    assert (await bot.workspace.command(ana, general, f"/incident {text}")).ok
    whisper = await unopened(bot, "general", "ana")
    assert "Slack waits three seconds for a form, and it took longer" in whisper.text
    assert text.strip().replace("<", "&lt;").replace(">", "&gt;") in whisper.text
    view = await press(bot, "ana", whisper)
    if text == LONG:
        assert value(view, "summary") == LONG.strip()
        assert LONG.startswith(value(view, "name").rstrip("…"))
    else:
        assert value(view, "name") == text


async def test_a_form_on_a_message_that_slack_does_not_open_keeps_its_message(bot: RunningBot) -> None:
    message = await said(bot, "ben", "alerts", f"Payments fail\n{LONG}")
    bot.workspace.faults.plan("views.open", EXPIRED)
    who = bot.slack.person("chloe")
    picked = await bot.workspace.message_shortcut(who, "declare_from_message", message.channel, message.ts)
    assert picked.ok
    view = await press(bot, "chloe", await unopened(bot, "alerts", "chloe"))
    assert value(view, "name") == "Payments fail"
    assert LONG.strip() in value(view, "summary")
    await bot.fill("chloe", view, severity_id=chosen("major"))
    assert (await bot.submit("chloe", view)).ok
    await settled(bot)
    incident = await newest(bot)
    assert incident.source is not None
    assert incident.source.timestamp == message.ts
    (card,) = (c for c in cards(bot, message.channel) if c.thread_ts == message.ts and not c.ephemeral_to)
    assert incident.reference in words(card)


async def test_a_button_pressed_after_somebody_else_declared_says_so(bot: RunningBot) -> None:
    message = await said(bot, "ben", "alerts", "Search is down")
    bot.workspace.faults.plan("views.open", EXPIRED)
    who = bot.slack.person("chloe")
    await bot.workspace.message_shortcut(who, "declare_from_message", message.channel, message.ts)
    whisper = await unopened(bot, "alerts", "chloe")
    form = await bot.pick_shortcut("ana", message)
    await bot.fill("ana", form, severity_id=chosen("major"))
    assert (await bot.submit("ana", form)).ok
    await settled(bot)
    assert "Already declared" in words(await press(bot, "chloe", whisper))


async def test_a_button_that_does_not_open_the_form_either_is_offered_again(bot: RunningBot) -> None:
    bot.workspace.faults.plan("views.open", EXPIRED, EXPIRED)
    ana, general = bot.slack.person("ana"), bot.slack.channel("general")
    assert (await bot.workspace.command(ana, general, "/incident twice too late")).ok
    first = await unopened(bot, "general", "ana")
    await bot.workspace.press(ana, "open_form", "unopened", channel=first.channel, ts=first.ts)
    await bot.workspace.heard("response_url", 2)
    view = await press(bot, "ana", await unopened(bot, "general", "ana"))
    assert value(view, "name") == "twice too late"


async def test_a_global_shortcut_whose_form_does_not_open_is_told_directly(bot: RunningBot) -> None:
    bot.workspace.faults.plan("views.open", Fault(status=503), Fault(status=503))
    assert (await bot.workspace.global_shortcut(bot.slack.person("priya"), "declare")).ok
    await bot.workspace.heard("chat.postMessage")
    message = told(bot, "priya")[-1]
    assert "could not be opened" in message.text
    assert value(await press(bot, "priya", message), "name") in {None, ""}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(error="internal_error"),
        Fault(retry_after=1),
        Fault(body="not JSON"),
    ],
    ids=["503", "internal_error", "429", "no JSON"],
)
async def test_a_form_opens_though_slack_fails_once_while_its_trigger_works(
    bot: RunningBot, fault: Fault
) -> None:
    bot.workspace.faults.plan("views.open", fault)
    ana, general = bot.slack.person("ana"), bot.slack.channel("general")
    heard = len(bot.workspace.history(general, ana))
    assert (await bot.workspace.command(ana, general, "/incident the second try opens it")).ok
    assert value(await bot.opened_form("ana", since=1), "name") == "the second try opens it"
    assert len(bot.workspace.history(general, ana)) == heard


async def test_a_form_whose_answer_was_lost_is_not_opened_twice(bot: RunningBot) -> None:
    bot.workspace.faults.plan("views.open", Fault(status=503, after_effect=True))
    ana, general = bot.slack.person("ana"), bot.slack.channel("general")
    assert (await bot.workspace.command(ana, general, "/incident open already")).ok
    assert "could not be opened" in (await unopened(bot, "general", "ana")).text
    assert len(bot.workspace.stack(ana)) == 1


async def test_where_slack_limits_forms_for_long_a_button_comes_at_once(bot: RunningBot) -> None:
    bot.workspace.faults.plan("views.open", Fault(retry_after=30))
    ana, general = bot.slack.person("ana"), bot.slack.channel("general")
    assert (await bot.workspace.command(ana, general, "/incident limited for long")).ok
    assert "could not be opened" in (await unopened(bot, "general", "ana")).text
    assert [r.method for r in bot.workspace.requests].count("views.open") == 1
