"""Rules say where else an incident is announced, and who is brought into its channel."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.bot import RunningBot, chosen, ticked
from support.declarations import BEN, DAWN
from support.errands import opened_by, sent, typed_verb, until
from support.managing import changed, verbs
from support.readings import cards, newest, own_channel, pressed, settled, told, words

from slack_emulator.faults import Fault
from slack_emulator.models import Person, UserGroup
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentChange

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
severities = ["Minor", "Major", "Critical"]

[[incident_types]]
name = "Incident"
is_default = true

[[incident_types]]
name = "Outage"

[[custom_fields]]
name = "Affected area"
field_type = "single_select"
options = ["Website", "Payments"]

[[announcements]]
severities = ["critical"]
channels = ["C0ALERTS02", "C0INCIDEN3"]
invite = ["@oncall"]

[[announcements]]
incident_types = ["Outage"]
custom_fields = { "Affected area" = ["Payments"] }
invite = ["S0EVERYONE", "S0NOSUCH99"]

[[announcements]]
modes = ["test"]
channels = ["C0HAULERS4"]
"""


async def declared(bot: RunningBot, **fields: dict[str, Any]) -> Incident:
    view = await bot.type_command("ana", "general", "/incident checkout is slow")
    await pressed(bot, view, "more_fields", "more_fields")
    await bot.fill("ana", view, **{"severity_id": chosen("minor"), **fields})
    outcome = await bot.submit("ana", view)
    assert outcome.ok, outcome
    await settled(bot)
    return await newest(bot)


def announced(bot: RunningBot, incident: Incident) -> set[str]:
    """The rooms that have this incident's card, besides its own."""
    rooms = [room for room in bot.workspace.state.channels.values() if not room.is_direct]
    return {
        room.name
        for room in rooms
        if room.id != incident.slack_channel_id and _shown_in(bot, incident, room.id)
    }


def _shown_in(bot: RunningBot, incident: Incident, room: str) -> int:
    named = re.compile(rf"\b{incident.reference}\b")
    return sum(bool(named.search(words(card))) for card in cards(bot, room))


async def test_without_a_rule_that_fits_an_incident_is_announced_as_ever(bot: RunningBot) -> None:
    incident = await declared(bot)
    assert announced(bot, incident) == {"general", "incidents"}
    assert bot.calls("usergroups.users.list") == []
    assert bot.slack.person("chloe") not in own_channel(bot, incident).members


async def test_a_severity_is_announced_where_its_rule_says_once_and_brings_in_who_is_on_call(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, severity_id=chosen("critical"))
    assert announced(bot, incident) == {"general", "incidents", "alerts"}
    assert _shown_in(bot, incident, bot.slack.channel("incidents")) == 1
    members = own_channel(bot, incident).members
    assert {bot.slack.person("chloe"), bot.slack.person("darius")} <= set(members)


async def test_a_large_group_is_brought_in_a_hundred_at_a_time_and_an_unknown_one_is_told(
    bot: RunningBot,
) -> None:
    crowd = [Person(f"U0CROWD{n:04}", f"crowd{n}", f"Crowd {n}", "") for n in range(250)]
    for person in crowd:
        bot.workspace.state.save(person)
    bot.workspace.state.save(UserGroup("S0EVERYONE", "everybody", "All", [person.id for person in crowd]))
    area = {"custom_field_entries__affected_area": chosen("payments")}
    incident = await declared(bot, incident_type_id=chosen("outage"), **area)
    assert {person.id for person in crowd} <= set(own_channel(bot, incident).members)
    sizes = [len(call.args["users"]) for call in bot.calls("conversations.invite")]
    assert sorted(sizes) == [1, 50, 100, 100]
    said = told(bot, "ana")[-1].text
    assert "a user group that the rules name could not be brought in: Slack knows no such user group" in said


async def test_one_answer_short_of_a_rule_is_not_the_rule(bot: RunningBot) -> None:
    area = {"custom_field_entries__affected_area": chosen("website")}
    await declared(bot, incident_type_id=chosen("outage"), **area)
    assert bot.calls("usergroups.users.list") == []


async def test_a_private_incident_matches_no_rule(bot: RunningBot) -> None:
    incident = await declared(bot, severity_id=chosen("critical"), visibility=ticked("private"))
    assert announced(bot, incident) == set()
    assert bot.slack.person("chloe") not in own_channel(bot, incident).members


async def test_a_test_is_announced_only_where_a_rule_says_so(bot: RunningBot) -> None:
    incident = await declared(bot, severity_id=chosen("critical"), mode=ticked("test"))
    assert announced(bot, incident) == {"general", "haulpartner"}


async def test_a_channel_that_refuses_the_card_is_told_and_stops_nothing_else(bot: RunningBot) -> None:
    alerts = bot.workspace.channel_by_name("alerts")
    alerts.archived = True
    try:
        incident = await declared(bot, severity_id=chosen("critical"))
    finally:
        alerts.archived = False
    assert announced(bot, incident) == {"general", "incidents"}
    said = told(bot, "ana")[-1].text
    assert f"It could not be announced in <#{alerts.id}>: the channel is archived" in said


async def test_groups_that_slack_cannot_tell_of_just_now_are_brought_in_when_it_can(bot: RunningBot) -> None:
    bot.workspace.faults.plan("usergroups.users.list", Fault(status=503), Fault(retry_after=1))
    incident = await declared(bot, severity_id=chosen("critical"))
    assert bot.slack.person("darius") in own_channel(bot, incident).members


async def test_what_is_raised_is_announced_and_brings_in_whom_its_new_severity_names(bot: RunningBot) -> None:
    incident = await declared(bot)
    await changed(bot, incident, "ben", severity_id="critical")
    assert announced(bot, incident) == {"general", "incidents", "alerts"}
    members = own_channel(bot, incident).members
    assert {bot.slack.person("chloe"), bot.slack.person("darius")} <= set(members)
    (card,) = cards(bot, bot.slack.channel("alerts"))[-1:]
    assert "Critical" in words(card)
    assert told(bot, "ben") == []


async def test_what_is_lowered_takes_nothing_back_and_what_is_raised_again_says_it_once(
    bot: RunningBot,
) -> None:
    incident = await declared(bot)
    await changed(bot, incident, "ben", severity_id="critical")
    await changed(bot, incident, "ben", severity_id="minor")
    assert announced(bot, incident) == {"general", "incidents", "alerts"}
    await bot.workspace.leave(bot.slack.person("chloe"), incident.slack_channel_id)
    await changed(bot, incident, "ben", severity_id="critical")
    assert _shown_in(bot, incident, bot.slack.channel("alerts")) == 1
    assert bot.slack.person("chloe") not in own_channel(bot, incident).members


async def test_whom_the_declaration_brought_in_is_not_brought_back_when_it_is_raised_again(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, severity_id=chosen("critical"))
    await bot.workspace.leave(bot.slack.person("chloe"), incident.slack_channel_id)
    await changed(bot, incident, "ben", severity_id="minor")
    await changed(bot, incident, "ben", severity_id="critical")
    assert _shown_in(bot, incident, bot.slack.channel("alerts")) == 1
    assert bot.slack.person("chloe") not in own_channel(bot, incident).members


async def test_what_is_raised_elsewhere_is_announced_at_the_next_look(bot: RunningBot) -> None:
    incident = await declared(bot)
    change = IncidentChange(key="elsewhere", by=BEN, at=DAWN, severity_id="critical")
    await bot.backend.change(incident.id, change)
    await verbs(bot).watching.poll()
    await settled(bot)
    assert announced(bot, incident) == {"general", "incidents", "alerts"}
    assert bot.slack.person("darius") in own_channel(bot, incident).members


async def test_who_raised_it_is_told_what_a_rule_could_not_do(bot: RunningBot) -> None:
    incident, alerts = await declared(bot), bot.workspace.channel_by_name("alerts")
    alerts.archived = True
    try:
        await changed(bot, incident, "ben", severity_id="critical")
    finally:
        alerts.archived = False
    assert (
        f"It could not be announced in <#{alerts.id}>: the channel is archived" in told(bot, "ben")[-1].text
    )


async def test_a_private_incident_that_is_raised_is_announced_nowhere(bot: RunningBot) -> None:
    incident = await declared(bot, visibility=ticked("private"))
    await changed(bot, incident, "ana", severity_id="critical")
    assert announced(bot, incident) == set()
    assert bot.slack.person("chloe") not in own_channel(bot, incident).members


async def test_what_waits_in_triage_is_announced_once_it_is_accepted(bot: RunningBot) -> None:
    incident = await declared(bot)
    await changed(bot, incident, "ana", incident_status_id="triage")
    await changed(bot, incident, "ana", severity_id="critical")
    assert announced(bot, incident) == {"general", "incidents"}
    await changed(bot, incident, "ana", incident_status_id="investigating")
    assert announced(bot, incident) == {"general", "incidents", "alerts"}
    assert _shown_in(bot, incident, bot.slack.channel("incidents")) == 1


async def test_an_announcement_whose_answer_was_lost_is_taken_back_if_it_became_private_meanwhile(
    bot: RunningBot,
) -> None:
    incident = await declared(bot)
    alerts = bot.slack.channel("alerts")
    bot.workspace.faults.plan("chat.postMessage", *[Fault(status=503, after_effect=True)] * 3)
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident severity critical")
    await until(bot, lambda: _shown_in(bot, incident, alerts))
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident private")
    await sent(bot, "ana", view)
    await settled(bot)
    assert (await newest(bot)).is_private
    assert not _shown_in(bot, incident, alerts)
