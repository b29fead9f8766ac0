"""An incident uses the channel in which people are already, and gives it back when it is over."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from support.bot import RunningBot, chosen, ticked
from support.errands import declared, opened_by, sent, typed_verb
from support.readings import block_ids, cards, how_many, newest, pressed, settled, told, words

from slack_emulator.faults import Fault
from slack_emulator.models import View
from tocsin.incidents.model import ChannelId, Incident
from tocsin.storage.slack_state import SqlSlackStateStore
from tocsin.workflows.used_channel import UsedChannels, earlier_topic

pytestmark = pytest.mark.asyncio(loop_scope="module")
USE = "slack_channel_id"


async def opened(bot: RunningBot, channel: str, name: str = "checkout is slow") -> View:
    """The form with all fields, opened in a channel of which everything is known."""
    view = await bot.type_command("ana", channel, f"/incident {name}")
    await bot.app.settled()
    await pressed(bot, view, "more_fields", "more_fields")
    return bot.workspace.stack(bot.slack.person("ana"))[-1]


async def used(bot: RunningBot, channel: str = "alerts", name: str = "checkout is slow") -> Incident:
    view = await opened(bot, channel, name)
    await sent(
        bot, "ana", view, severity_id=chosen("major"), slack_channel_id=ticked(bot.slack.channel(channel))
    )
    await settled(bot)
    return await newest(bot)


async def test_an_incident_uses_the_channel_and_gives_its_topic_back(bot: RunningBot) -> None:
    alerts = bot.workspace.channel(bot.slack.channel("alerts"))
    alerts.topic, purpose, name = "What the monitors say", alerts.purpose, alerts.name
    channels = len(bot.workspace.state.channels)
    incident = await used(bot)
    assert incident.slack_channel_id == alerts.id
    assert len(bot.workspace.state.channels) == channels
    (card,) = cards(bot, alerts.id)
    assert card.ts in alerts.pins
    assert "checkout is slow" in alerts.topic
    assert [mark["link"] for mark in alerts.bookmarks] == [incident.permalink]
    await typed_verb(bot, "ana", alerts.id, "/incident rename payments are slow")
    await settled(bot)
    assert "payments are slow" in alerts.topic
    await typed_verb(bot, "ana", alerts.id, "/incident close it was a query")
    await settled(bot)
    assert (alerts.topic, alerts.purpose, alerts.name) == ("What the monitors say", purpose, name)


async def test_two_incidents_never_share_a_channel(bot: RunningBot) -> None:
    first = await used(bot)
    assert USE not in block_ids(await opened(bot, "alerts"))
    await typed_verb(bot, "ana", first.slack_channel_id, "/incident close it was a query")
    await settled(bot)
    second = await used(bot, name="payments are slow")
    assert second.slack_channel_id == first.slack_channel_id
    await typed_verb(bot, "ana", bot.slack.channel("general"), f"/incident reopen {first.reference}")
    await settled(bot)
    now = await bot.backend.find(first.id)
    assert now is not None
    assert (now.incident_status.is_open, now.slack_channel_id) == (True, "")
    assert "payments are slow" in bot.workspace.channel(second.slack_channel_id).topic


async def test_a_channel_that_cannot_be_used_after_all_is_replaced_by_a_new_one(bot: RunningBot) -> None:
    view = await opened(bot, "alerts")
    bot.workspace.faults.plan("conversations.join", Fault(error="method_not_supported_for_channel_type"))
    use = ticked(bot.slack.channel("alerts"))
    assert f"Carry on in <#{bot.slack.channel('alerts')}>." in await sent(
        bot, "ana", view, severity_id=chosen("major"), slack_channel_id=use
    )
    await settled(bot)
    incident = await newest(bot)
    assert "could not be used" in words(bot.workspace.stack(bot.slack.person("ana"))[-1])
    assert bot.workspace.channel(incident.slack_channel_id).name == "inc-1-checkout-is-slow"
    assert "could not be used, so it has a channel of its own" in told(bot, "ana")[-1].text


async def test_no_lost_answer_loses_the_earlier_topic(bot: RunningBot) -> None:
    alerts = bot.workspace.channel(bot.slack.channel("alerts"))
    alerts.topic, lost = "What the monitors say", Fault(status=500, after_effect=True)
    for method in ("conversations.join", "conversations.setTopic", "pins.add", "bookmarks.add"):
        bot.workspace.faults.plan(method, lost)
    incident = await used(bot)
    assert (incident.slack_channel_id, len(alerts.pins), len(alerts.bookmarks)) == (alerts.id, 1, 1)
    await typed_verb(bot, "ana", alerts.id, "/incident close it was a query")
    await settled(bot)
    assert alerts.topic == "What the monitors say"


class Ending:
    """What was posted where, in a process that ends as soon as a channel has gone to another incident."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    async def claim_channel(self, channel: str, incident_id: str, *, instead_of: str | None = None) -> str:
        owner: str = await self._behind.claim_channel(channel, incident_id, instead_of=instead_of)
        if instead_of is not None:
            raise ConnectionAbortedError
        return owner


async def test_the_earlier_topic_outlives_a_process_that_ends_when_it_takes_the_channel(
    bot: RunningBot,
) -> None:
    alerts = bot.workspace.channel(bot.slack.channel("alerts"))
    alerts.topic = "What the monitors say"
    first = await used(bot)
    # Its topic stays there after it is over.
    bot.workspace.faults.plan("conversations.setTopic", Fault(error="too_long"))
    await typed_verb(bot, "ana", first.slack_channel_id, "/incident close it was a query")
    await settled(bot)
    assert "checkout is slow" in alerts.topic
    second = await declared(bot, "payments are slow")
    (context,), state = bot.app.contexts.open, SqlSlackStateStore(bot.app.resources.database)
    for ending in (Ending(state), state):
        channels = UsedChannels(bot.backend, context.workspace, ending, bot.app.resources.clock)
        with suppress(ConnectionAbortedError):
            await channels.take(ChannelId(alerts.id), second)
    assert await earlier_topic(state, second, alerts.id) == "What the monitors say"


async def test_a_private_incident_is_told_in_the_form_that_it_needs_a_channel_of_its_own(
    bot: RunningBot,
) -> None:
    view = await opened(bot, "alerts")
    use = ticked(bot.slack.channel("alerts"))
    await bot.fill(
        "ana", view, severity_id=chosen("major"), visibility=ticked("private"), slack_channel_id=use
    )
    outcome = await bot.submit("ana", view)
    assert "needs a channel of its own" in outcome.errors[USE]
    assert await how_many(bot) == 0


async def test_the_channel_is_not_offered_where_it_cannot_become_an_incidents(bot: RunningBot) -> None:
    assert USE not in block_ids(await opened(bot, "general"))
    bot.workspace.channel(bot.slack.channel("haulpartner")).shared_with.append("T0HAULPART1")
    assert USE not in block_ids(await opened(bot, "haulpartner")), "another organisation reads it"
    assert USE not in block_ids(await opened(bot, "leads")), "the bot is not in it"


async def test_what_was_declared_there_by_mistake_leaves_the_channel_to_the_others(bot: RunningBot) -> None:
    alerts = bot.workspace.channel(bot.slack.channel("alerts"))
    alerts.topic = "What the monitors say"
    await used(bot)
    await typed_verb(bot, "ana", alerts.id, "/incident cancel it was a query")
    await settled(bot)
    assert (alerts.archived, alerts.topic, alerts.bookmarks) == (False, "What the monitors say", [])


@pytest.mark.parametrize("verb", ["private", "cancel"])
async def test_a_channel_whose_topic_may_not_be_set_keeps_no_bookmark_either(
    bot: RunningBot, verb: str
) -> None:
    alerts = bot.workspace.channel(bot.slack.channel("alerts"))
    await used(bot)
    assert len(alerts.bookmarks) == 1
    alerts.topic = "checkout is slow"
    bot.workspace.faults.plan("conversations.setTopic", *[Fault(error="restricted_action")] * 9)
    if verb == "private":
        await sent(bot, "ana", await opened_by(bot, "ana", alerts.id, "/incident private"))
    else:
        await typed_verb(bot, "ana", alerts.id, "/incident cancel it was a query")
    await settled(bot)
    bot.workspace.faults.clear()
    assert (alerts.topic, alerts.bookmarks) == ("checkout is slow", [])


@pytest.mark.parametrize(
    ("method", "faults"),
    [
        # Its card in its own channel is posted; that it goes on there may not be.
        ("chat.postMessage", [Fault(), Fault(error="restricted_action")]),
        ("chat.delete", [Fault(error="cant_delete_message")] * 4),
    ],
)
async def test_an_incident_that_becomes_private_leaves_also_where_it_may_not_say_so_or_take_its_card_back(
    bot: RunningBot, method: str, faults: list[Fault]
) -> None:
    alerts = bot.workspace.channel(bot.slack.channel("alerts"))
    alerts.topic = "What the monitors say"
    incident = await used(bot)
    bot.workspace.faults.plan(method, *faults)
    await sent(bot, "ana", await opened_by(bot, "ana", alerts.id, "/incident private"))
    await settled(bot)
    assert (alerts.archived, alerts.topic, alerts.bookmarks) == (False, "What the monitors say", [])
    assert f"<#{alerts.id}> is still public" in told(bot, "ana")[-1].text
    now = await bot.backend.find(incident.id)
    assert now is not None
    assert now.slack_channel_id not in ("", alerts.id)


async def test_an_incident_that_becomes_private_leaves_the_channel_to_the_others(bot: RunningBot) -> None:
    alerts = bot.workspace.channel(bot.slack.channel("alerts"))
    alerts.topic = "What the monitors say"
    own = bot.workspace.bookmarks.add(alerts, "Dashboards", "https://grafana.example.com", "")
    incident = await used(bot)
    await sent(bot, "ana", await opened_by(bot, "ana", alerts.id, "/incident private"))
    await settled(bot)
    now = await bot.backend.find(incident.id)
    assert now is not None
    assert now.slack_channel_id not in ("", alerts.id)
    assert (alerts.archived, alerts.topic, alerts.bookmarks) == (False, "What the monitors say", [own])
    again = await used(bot, name="payments are slow")
    assert again.slack_channel_id == alerts.id
