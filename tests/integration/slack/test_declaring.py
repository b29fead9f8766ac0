"""Declaring over the wire: every way in, and what is where afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.bot import RunningBot, chosen, picked, ticked, typed
from support.readings import (
    block_ids,
    cards,
    deliver,
    how_many,
    last_delivery,
    newest,
    own_channel,
    post,
    pressed,
    said,
    settled,
    told,
    value,
    words,
)

from slack_emulator.faults import Fault
from slack_emulator.models import Outcome, View
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def declare(bot: RunningBot, person: str, view: View, **fields: dict[str, Any]) -> Incident:
    """Fill in, submit, and wait until all that follows is done."""
    await bot.fill(person, view, **{"severity_id": chosen("major"), **fields})
    outcome = await bot.submit(person, view)
    assert outcome.ok, outcome
    await settled(bot)
    return await newest(bot)


async def test_a_command_alone_opens_an_empty_form(bot: RunningBot) -> None:
    before = await how_many(bot)
    view = await bot.type_command("ana", "general", "/incident")
    assert value(view, "name") is None
    assert block_ids(view) == [
        "name",
        "severity_id",
        "summary",
        "incident_role_assignments.lead",
        "status",
        "visibility",
        "more_fields",
    ]
    assert await how_many(bot) == before


async def test_what_is_typed_after_the_command_is_the_name_in_the_form(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident checkout is slow")
    assert value(view, "name") == "checkout is slow"


async def test_the_modal_answers_with_reference_permalink_and_channel(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident checkout is slow")
    await bot.fill("ana", view, severity_id=chosen("major"))
    outcome = await bot.submit("ana", view)
    assert outcome.view is not None
    shown = words(outcome.view)
    incident = await newest(bot)
    number = incident.reference.removeprefix("INC-")
    assert f"<{bot.url}/incidents/INC-{number}|INC-{number}>" in shown
    assert f"#inc-{number}-checkout-is-slow" in shown
    await settled(bot)
    incident = await newest(bot)
    assert f"<#{incident.slack_channel_id}>" in words(bot.workspace.stack(bot.slack.person("ana"))[-1])


async def test_the_incident_is_in_its_channel_where_it_was_declared_and_announced(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident checkout is slow")
    lead = bot.slack.person("ben")
    incident = await declare(
        bot,
        "ana",
        view,
        summary=typed("Payments take 40 s."),
        incident_role_assignments__lead=picked(lead),
    )
    room = own_channel(bot, incident)
    assert room.name == f"{incident.reference.lower()}-checkout-is-slow"
    assert room.kind == "public"
    assert {bot.slack.person("ana"), lead} < set(room.members)
    assert room.topic == "Major · Investigating · checkout is slow"
    assert room.purpose == f"{incident.reference}: checkout is slow"
    assert [mark["link"] for mark in room.bookmarks] == [incident.permalink]
    (headline,) = cards(bot, room.id)
    assert room.pins == [headline.ts]
    source = cards(bot, bot.slack.channel("general"))[-1]
    announced = cards(bot, bot.slack.channel("incidents"))[-1]
    assert words(headline) == words(source) == words(announced)
    for expected in (
        incident.reference,
        str(incident.permalink),
        f"<#{room.id}>",
        "Major",
        "Investigating",
        f"<@{lead}>",
        f"Declared by <@{bot.slack.person('ana')}>",
        "Payments take 40 s.",
    ):
        assert expected in words(headline)


RICH = [
    {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_section",
                "elements": [
                    {"type": "text", "text": "Checkout is "},
                    {"type": "text", "text": "down", "style": {"bold": True}},
                    {"type": "text", "text": "\nsince noon"},
                ],
            },
            {
                "type": "rich_text_list",
                "style": "bullet",
                "elements": [
                    {"type": "rich_text_section", "elements": [{"type": "text", "text": "cards fail"}]}
                ],
            },
        ],
    }
]
HEADER = [
    {"type": "header", "text": {"type": "plain_text", "text": "p95 above 4 s"}},
    {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Region*\neu-west-1"}]},
]
FIRING = [{"fallback": "FIRING: webhooks", "title": "FIRING: webhooks", "text": "312 errors &lt; 400"}]
FILE = [{"id": "F0SHOT0001", "name": "graph.png", "title": "Latency graph"}]
BOT = {"bot_id": "B0WATCH001", "username": "Watchtower", "subtype": "bot_message"}
BY_BEN = {"user": "U0BEN00002"}


@pytest.mark.parametrize(
    ("message", "name", "quoted"),
    [
        (BY_BEN | {"text": "Checkout is down", "blocks": RICH}, "Checkout is down", "> • cards fail"),
        (BOT | {"text": "see blocks", "blocks": HEADER}, "p95 above 4 s", "> Region: eu-west-1"),
        (BOT | {"text": "", "blocks": HEADER}, "p95 above 4 s", "— Watchtower"),
        (BOT | {"attachments": FIRING}, "webhooks", "> 312 errors < 400"),
        (BY_BEN | {"files": FILE}, "File: Latency graph", "> File: Latency graph"),
        (BY_BEN, None, "@Ben Okafor"),
        (BY_BEN | {"text": "<!channel> <@U0ANA00001> help"}, "@Ana", "> @channel @Ana"),
        (BY_BEN | {"text": "All is slow. " * 3077}, "All is slow. All is slow.", "— "),
    ],
    ids=[
        "rich text",
        "blocks",
        "blocks alone",
        "attachments",
        "file",
        "nothing",
        "mentions",
        "40k",
    ],
)
async def test_a_message_fills_the_form_with_its_first_line_and_itself(
    bot: RunningBot, message: dict[str, Any], name: str | None, quoted: str
) -> None:
    posted = post(bot, "alerts", **message)
    view = await bot.pick_shortcut("ana", posted)
    filled, summary = value(view, "name"), value(view, "summary")
    assert filled is None if name is None else filled.startswith(name)
    assert quoted in summary
    assert len(filled or "") <= 200
    assert len(summary) <= 3000
    assert f"archives/{posted.channel}/p{posted.ts.replace('.', '')}" in summary


async def test_an_incident_from_a_message_is_answered_in_that_messages_thread(bot: RunningBot) -> None:
    message = await said(bot, "ben", "alerts", "Everything is slow")
    incident = await declare(bot, "ana", await bot.pick_shortcut("ana", message))
    card = cards(bot, message.channel)[-1]
    assert card.thread_ts == message.ts
    assert incident.reference in words(card)
    assert incident.source is not None
    assert (incident.source.channel, incident.source.timestamp) == (message.channel, message.ts)


async def test_an_incident_from_a_reply_is_answered_in_the_same_thread(bot: RunningBot) -> None:
    message = await said(bot, "ben", "alerts", "Anybody else?")
    reply = await said(bot, "chloe", "alerts", "Yes, all of us", message.ts)
    await declare(bot, "ana", await bot.pick_shortcut("ana", reply))
    assert cards(bot, message.channel)[-1].thread_ts == message.ts


async def test_the_global_shortcut_declares_and_sends_the_card_to_who_declared(bot: RunningBot) -> None:
    opened = bot.opened_so_far
    assert (await bot.workspace.global_shortcut(bot.slack.person("chloe"), "declare")).ok
    view = await bot.opened_form("chloe", since=opened)
    incident = await declare(bot, "chloe", view, name=typed("No parcels leave Ghent"))
    assert incident.reference in words(told(bot, "chloe")[-1])
    assert incident.reference in words(cards(bot, bot.slack.channel("incidents"))[-1])


async def test_more_fields_keeps_what_was_typed_and_asks_all_five_kinds(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident")
    await bot.fill(
        "ana", view, name=typed("Login fails"), severity_id=chosen("critical"), summary=typed("Since 9:00")
    )
    await pressed(bot, view, "more_fields", "more_fields")
    assert [value(view, field) for field in ("name", "severity_id", "summary")] == [
        "Login fails",
        "critical",
        "Since 9:00",
    ]
    areas = [
        {"text": {"type": "plain_text", "text": t}, "value": v}
        for t, v in (("API", "api"), ("Login", "login"))
    ]
    await bot.fill(
        "ana",
        view,
        custom_field_entries__affected_area={"type": "multi_static_select", "selected_options": areas},
        custom_field_entries__detected_by=chosen("customer"),
        custom_field_entries__customers_affected={"type": "number_input", "value": "1200.50"},
        custom_field_entries__status_page={"type": "url_text_input", "value": "https://status.example.com"},
        custom_field_entries__customer_or_ticket=typed("ZD-1881"),
        incident_role_assignments__communications=picked(bot.slack.person("priya")),
    )
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    incident = await newest(bot)
    answers = {
        entry.custom_field.id: [v.shown for v in entry.values] for entry in incident.custom_field_entries
    }
    assert answers == {
        "affected_area": ["API", "Login"],
        "detected_by": ["Customer"],
        "customers_affected": ["1200.50"],
        "status_page": ["https://status.example.com"],
        "customer_or_ticket": ["ZD-1881"],
    }
    assert bot.slack.person("priya") in own_channel(bot, incident).members


async def test_a_test_is_marked_and_announced_to_nobody(bot: RunningBot) -> None:
    announced = len(cards(bot, bot.slack.channel("incidents")))
    view = await bot.type_command("ana", "general", "/incident a drill")
    await pressed(bot, view, "more_fields", "more_fields")
    incident = await declare(bot, "ana", view, mode=ticked("test"))
    assert incident.mode == "test"
    assert len(cards(bot, bot.slack.channel("incidents"))) == announced
    assert ":test_tube: Test" in words(cards(bot, incident.slack_channel_id)[-1])


async def test_a_private_incident_is_in_its_channel_and_with_its_reporter_only(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident payroll leaked")
    lead = bot.slack.person("ben")
    before = {c.id: len(cards(bot, c.id)) for c in bot.workspace.state.channels.values()}
    incident = await declare(
        bot, "ana", view, visibility=ticked("private"), incident_role_assignments__lead=picked(lead)
    )
    room = own_channel(bot, incident)
    assert room.kind == "private"
    assert set(room.members) == {bot.slack.person("ana"), lead, bot.slack.app.bot_user_id}
    assert incident.reference in words(told(bot, "ana")[-1])
    spoken = {
        c.id for c in bot.workspace.state.channels.values() if len(cards(bot, c.id)) > before.get(c.id, 0)
    }
    direct = told(bot, "ana")[-1].channel
    assert spoken == {room.id, direct}


async def test_a_private_channel_that_cannot_be_made_is_told_and_nothing_turns_public(
    bot: RunningBot,
) -> None:
    rooms = {c.id for c in bot.workspace.state.channels.values() if not c.is_direct}
    view = await bot.type_command("ana", "general", "/incident payroll leaked again")
    bot.workspace.faults.plan("conversations.create", Fault(error="restricted_action"))
    await declare(bot, "ana", view, visibility=ticked("private"))
    assert "The channel could not be made" in words(bot.workspace.stack(view.user)[-1])
    assert {c.id for c in bot.workspace.state.channels.values() if not c.is_direct} == rooms
    assert any("The channel could not be made" in words(message) for message in told(bot, "ana"))


async def test_a_message_that_has_an_incident_says_so_and_opens_it(bot: RunningBot) -> None:
    message = await said(bot, "ben", "alerts", "The tracker shows nothing")
    incident = await declare(bot, "ana", await bot.pick_shortcut("ana", message))
    view = await bot.pick_shortcut("chloe", message)
    shown = words(view)
    assert f"{incident.reference}>*, declared by <@{bot.slack.person('ana')}> just now" in shown
    assert "Open it" in shown
    assert (await bot.workspace.press(view.user, "open_incident", "already", view_id=view.id)).ok


async def test_another_incident_can_be_declared_from_the_same_message(bot: RunningBot) -> None:
    message = await said(bot, "ben", "alerts", "Two things broke at once")
    first = await declare(bot, "ana", await bot.pick_shortcut("ana", message))
    view = await bot.pick_shortcut("chloe", message)
    await pressed(bot, view, "declare_another", "already")
    assert value(view, "name") == "Two things broke at once"
    second = await declare(bot, "chloe", view)
    assert second.reference != first.reference
    assert cards(bot, message.channel)[-1].thread_ts == message.ts


async def test_of_two_open_forms_on_one_message_only_the_first_makes_an_incident(bot: RunningBot) -> None:
    message = await said(bot, "ben", "alerts", "The map is blank")
    forms = [await bot.pick_shortcut(who, message) for who in ("ana", "chloe")]
    first = await declare(bot, "ana", forms[0])
    before = await how_many(bot)
    await bot.fill("chloe", forms[1], severity_id=chosen("minor"), name=typed("Map is blank for me too"))
    outcome = await bot.submit("chloe", forms[1])
    assert outcome.ok
    assert f"{first.reference}>*, declared by" in words(outcome.view)
    await settled(bot)
    assert await how_many(bot) == before
    await pressed(bot, forms[1], "declare_another", "already")
    assert value(forms[1], "name") == "Map is blank for me too"
    assert value(forms[1], "severity_id") == "minor"
    assert (await bot.submit("chloe", forms[1])).ok
    await settled(bot)
    assert await how_many(bot) == before + 1


async def test_pressing_the_same_modal_twice_at_once_is_one_incident(bot: RunningBot) -> None:
    before = await how_many(bot)
    view = await bot.type_command("ana", "general", "/incident twice at once")
    await bot.fill("ana", view, severity_id=chosen("major"))
    outcomes: list[Outcome] = await asyncio.gather(bot.submit("ana", view), bot.submit("ana", view))
    assert all(outcome.ok for outcome in outcomes)
    answers = [r.response for r in bot.workspace.requests if r.method == "view_submission"]
    await settled(bot)
    assert await how_many(bot) == before + 1
    reference = (await newest(bot)).reference
    assert all(reference in words((answer or {})["view"]) for answer in answers)
    assert len(bot.calls("conversations.create")) == 1


async def test_a_late_press_of_the_same_modal_is_answered_with_the_same_reference(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident pressed late")
    incident = await declare(bot, "ana", view)
    before, calls = await how_many(bot), len(bot.calls())
    answer = await deliver(bot, "interactive", last_delivery(bot, "view_submission"))
    assert answer["response_action"] == "update"
    assert incident.reference in words(answer["view"])
    assert f"<#{incident.slack_channel_id}>" in words(answer["view"])
    await settled(bot)
    assert (await how_many(bot), len(bot.calls())) == (before, calls)


async def test_a_private_incident_is_not_given_away_by_its_message(bot: RunningBot) -> None:
    message = await said(bot, "ben", "alerts", "Who sent me the salaries?")
    view = await bot.pick_shortcut("ana", message)
    incident = await declare(bot, "ana", view, visibility=ticked("private"))
    seen = await bot.pick_shortcut("chloe", message)
    assert incident.reference not in words(seen)
    assert value(seen, "name") == "Who sent me the salaries?"
    second = await declare(bot, "chloe", seen)
    assert second.reference != incident.reference
    again = await bot.pick_shortcut("ana", message)
    assert "Already declared" in words(again)


async def test_a_long_message_that_has_an_incident_says_so_too(bot: RunningBot) -> None:
    message = post(bot, "alerts", user=bot.slack.person("ben"), text='"Slow"\n' * 600)
    await declare(bot, "ana", await bot.pick_shortcut("ana", message))
    assert "Already declared" in words(await bot.pick_shortcut("chloe", message))
