"""Channels are named by the template of the configuration, and follow what is in it."""

from __future__ import annotations

import pytest
from support.bot import RunningBot
from support.errands import declared, typed_verb
from support.readings import settled

from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[channels]
name = "{severity}-{number}-{name}"
"""


def called(bot: RunningBot, incident: Incident) -> str:
    return bot.workspace.channel(incident.slack_channel_id).name


async def test_a_channel_is_named_by_the_template_and_follows_the_incident(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    number = incident.reference.removeprefix("INC-")
    assert called(bot, incident) == f"major-{number}-checkout-is-slow"
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident severity critical")
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident rename payments are slow")
    await settled(bot)
    assert called(bot, incident) == f"critical-{number}-payments-are-slow"
