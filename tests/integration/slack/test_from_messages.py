"""From a message into the form and the timeline, over the wire: real shapes, names asked for, edits."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from support.bot import RunningBot, chosen
from support.errands import declared, sent, until, whispers
from support.readings import cards, newest, post, settled, value, words

from slack_emulator.faults import Fault
from slack_emulator.models import Person, View
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = {
    case["case"]: case
    for case in json.loads(
        (Path(__file__).parent.parent.parent / "data" / "messages.json").read_text(encoding="utf-8")
    )
}
WIRED = (
    "grafana mention here",
    "aws chatbot",
    "forwarded bot alert (message_blocks, text empty)",
    "e-mail",
    "uptime kuma",
    "checkmk",
    "jenkins",
    "botkube",
    "sentry metric",
)


def newcomer(bot: RunningBot, number: int, name: str) -> str:
    """Somebody of whom the bot knows nothing yet."""
    person = Person(f"U0MENTION{number}", f"mention{number}", name, "")
    bot.workspace.state.save(person)
    return person.id


async def filled(bot: RunningBot, **message: Any) -> View:
    """The form that *Declare incident* opens on such a message, once it has its fields."""
    await bot.pick_shortcut("ana", post(bot, "alerts", **message))
    ana = bot.slack.person("ana")
    await until(bot, lambda: "name" in bot.workspace.stack(ana)[-1].values)
    return bot.workspace.stack(ana)[-1]


async def noted(bot: RunningBot, incident: Incident) -> list[str]:
    await settled(bot)
    return [entry.text for entry in await bot.backend.timeline(incident.id) if entry.verb == "noted:"]


@pytest.mark.parametrize("case", WIRED)
async def test_the_form_has_the_name_and_all_that_the_message_says(bot: RunningBot, case: str) -> None:
    message = {key: part for key, part in CASES[case]["message"].items() if key != "type"}
    view = await filled(bot, **message)
    assert value(view, "name") == CASES[case]["name"]
    shown = value(view, "summary").split("\n")
    assert shown[:-1] == CASES[case]["summary"][:-1]


async def test_a_message_that_says_nothing_opens_a_form_without_a_name(bot: RunningBot) -> None:
    view = await filled(bot, user=bot.slack.person("ben"), files=[{"id": "F0A", "mode": "tombstone"}])
    assert value(view, "name") is None
    assert "None" not in value(view, "summary")


async def test_people_groups_and_channels_are_named_after_the_form_has_opened(bot: RunningBot) -> None:
    dan, alerts = newcomer(bot, 1, "Dan New"), bot.slack.channel("alerts")
    before = len(bot.calls())
    view = await filled(
        bot,
        user=bot.slack.person("ben"),
        text=f"<@{dan}> <!subteam^S0ONCALL01> checkout is down, see <#{alerts}>",
    )
    assert value(view, "name") == "@Dan New @oncall checkout is down, see #alerts"
    assert value(view, "summary").startswith(
        "> @Dan New @oncall checkout is down, see #alerts\n— @Ben Okafor "
    )
    asked = [call.method for call in bot.calls()[before:]]
    for method in ("users.info", "usergroups.list", "conversations.info"):
        assert asked.index("views.open") < asked.index(method)


async def test_whom_slack_does_not_name_in_time_is_no_id_in_the_form(bot: RunningBot) -> None:
    never = asyncio.Event()
    bot.workspace.faults.plan("users.info", Fault(until=never))
    view = await filled(
        bot, user=bot.slack.person("ben"), text=f"<@{newcomer(bot, 3, 'Late')}> search is down"
    )
    never.set()
    bot.workspace.faults.clear()
    assert value(view, "name") == "@someone search is down"
    assert "U0MENTION" not in words(view)


async def test_the_name_of_a_private_channel_is_told_to_nobody(bot: RunningBot) -> None:
    room = bot.workspace.conversations.create(bot.slack.person("ana"), "secret-plan", private=True)
    view = await filled(bot, user=bot.slack.person("ben"), text=f"<#{room.id}> is loud")
    assert value(view, "name") == "#a-channel is loud"


async def test_a_summary_from_a_message_is_on_the_card_without_marks(bot: RunningBot) -> None:
    view = await filled(bot, user=bot.slack.person("ben"), text="Disk is full\n&gt; 98 %\n```\ndf -h\n```")
    await bot.fill("ana", view, severity_id=chosen("major"))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    incident = await newest(bot)
    card = cards(bot, incident.slack_channel_id)[0]
    assert "98 %\ndf -h" in words(card)
    assert "> 98" not in words(card)
    assert "```" not in words(card)


async def kept_again(bot: RunningBot, channel: str, ts: str) -> None:
    """*Add to incident timeline*, picked on a message."""
    ana = bot.slack.person("ana")
    before = len(whispers(bot, "ana", channel))
    await bot.workspace.message_shortcut(ana, "add_to_timeline", channel, ts)
    await until(bot, lambda: len(whispers(bot, "ana", channel)) > before)


async def test_the_timeline_keeps_an_alert_in_the_same_words_with_names(bot: RunningBot) -> None:
    incident = await declared(bot, "alerts come in")
    fay = newcomer(bot, 4, "Fay Quick")
    alert = {**CASES["jira"]["message"]["attachments"][0], "pretext": f"<@{fay}> created a *Bug*"}
    room = bot.workspace.channel(incident.slack_channel_id)
    message = post(bot, room.name, username="Jira", subtype="bot_message", attachments=[alert])
    await kept_again(bot, message.channel, message.ts)
    (text,) = await noted(bot, incident)
    assert text.startswith("@Fay Quick created a Bug\nOPS-42 Checkout is down (https://acme.")
    assert "\nStatus: To Do\n" in text


async def test_a_message_of_another_channel_is_kept_with_names_and_its_link(bot: RunningBot) -> None:
    incident = await declared(bot, "orders hang")
    gil = newcomer(bot, 5, "Gil Late")
    message = post(
        bot, "general", user=bot.slack.person("ben"), text=f"<@{gil}> says " + "orders hang " * 300
    )
    opened = bot.opened_so_far
    await bot.workspace.message_shortcut(
        bot.slack.person("ana"), "add_to_timeline", message.channel, message.ts
    )
    form = await bot.opened_form("ana", since=opened)
    await until(bot, lambda: "Gil Late" in form.payload["private_metadata"])
    view = bot.workspace.stack(bot.slack.person("ana"))[-1]
    await sent(bot, "ana", view, incident_id=chosen(incident.id))
    (text,) = await noted(bot, incident)
    assert text.startswith("@Gil Late says orders hang")
    assert text.endswith(f"p{message.ts.replace('.', '')}")
