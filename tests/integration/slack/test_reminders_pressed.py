"""The channel is asked for the next update: every button under the question does what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.bot import RunningBot
from support.errands import declared, press_card, until, whispers
from support.managing import somebody, verbs
from support.readings import cards, words
from support.slash import slash

from slack_emulator.models import Message
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def asked(bot: RunningBot, incident: Incident) -> Message:
    """The question in the incident's channel, which was due an hour ago."""
    since = datetime.now(UTC) - timedelta(hours=1)
    await verbs(bot).remind.plan(incident, 15, somebody(bot, "ana"), since, f"key-{incident.id}")
    await verbs(bot).remind.ask_due()
    return cards(bot, incident.slack_channel_id)[-1]


@pytest.mark.parametrize(
    ("action", "answer", "planned"),
    [
        ("snooze_update", "in 15 minutes", "ana"),
        ("take_over_update", "You give the next update", "ben"),
        ("stop_updates", "No more updates", ""),
    ],
)
async def test_the_question_is_put_off_taken_over_or_stopped(
    bot: RunningBot, action: str, answer: str, planned: str
) -> None:
    incident = await declared(bot, f"asked to {action}")
    question = await asked(bot, incident)
    assert "is due" in words(question)
    who = bot.slack.person("ben")
    await bot.workspace.join(who, question.channel)
    before = len(whispers(bot, "ben", question.channel))
    await press_card(bot, "ben", question, action)
    await until(bot, lambda: len(whispers(bot, "ben", question.channel)) > before)
    assert answer in words(whispers(bot, "ben", question.channel)[-1])
    reminder = await verbs(bot).remind.planned(incident.id)
    assert (reminder is not None) is bool(planned)
    if action == "take_over_update" and reminder is not None:
        assert reminder.by.slack_user_id == who


async def test_giving_the_update_opens_the_form(bot: RunningBot) -> None:
    incident = await declared(bot, "asked for an update")
    question = await asked(bot, incident)
    opened = bot.opened_so_far
    await press_card(bot, "ana", question, "give_update")
    view = await bot.opened_form("ana", since=opened)
    assert view.payload["callback_id"] == "update"


async def test_where_nothing_is_asked_there_is_nothing_to_snooze(bot: RunningBot) -> None:
    incident = await declared(bot, "never asked about")
    said = (await slash(bot, "ana", incident.slack_channel_id, "snooze 1 hour")).said
    assert f"There are no nudges about {incident.reference}: no update of it is due." in said
