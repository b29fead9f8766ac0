"""What may be no incident starts in triage, and is announced once it is accepted."""

from __future__ import annotations

from typing import Any

import pytest
from support.bot import RunningBot, chosen, radio, ticked
from support.errands import headline, opened_by, press_card, sent, typed_verb
from support.readings import cards, newest, own_channel, said, told, value, words

from slack_emulator.faults import Fault
from slack_emulator.models import Message
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
severities = ["Minor", "Major", "Critical"]

[[incident_types]]
name = "Incident"
is_default = true

[[incident_types]]
name = "Alert"

[[incident_types]]
name = "Suspicion"
create_in_triage = "always"

[triage]
incident_types = ["alert"]

[[announcements]]
severities = ["critical"]
channels = ["C0ALERTS02"]
invite = ["@oncall"]
"""


async def declared(bot: RunningBot, text: str = "triage checkout may be slow", **fields: Any) -> Incident:
    view = await bot.type_command("ana", "general", f"/incident {text}")
    await bot.fill("ana", view, **{"severity_id": chosen("minor"), **fields})
    outcome = await bot.submit("ana", view)
    assert outcome.ok, outcome
    return await now(bot, await newest(bot))


async def now(bot: RunningBot, incident: Incident) -> Incident:
    await bot.app.settled()
    found = await bot.backend.find(incident.id)
    assert found is not None
    return found


def shown(bot: RunningBot, incident: Incident, channel: str) -> list[Message]:
    return [card for card in cards(bot, bot.slack.channel(channel)) if incident.reference in words(card)]


def is_announced(bot: RunningBot, incident: Incident) -> dict[str, int]:
    counted = {channel: len(shown(bot, incident, channel)) for channel in ("incidents", "alerts")}
    return {channel: count for channel, count in counted.items() if count}


async def test_what_may_be_an_incident_has_a_channel_and_is_announced_nowhere(bot: RunningBot) -> None:
    incident = await declared(bot, severity_id=chosen("critical"))
    assert incident.incident_status.category == "triage"
    assert incident.name == "checkout may be slow"
    assert is_announced(bot, incident) == {}
    assert bot.slack.person("darius") not in own_channel(bot, incident).members
    for card in (headline(bot, incident), *shown(bot, incident, "general")):
        assert all(button in words(card) for button in ("Accept", "Decline", "Merge"))


async def test_accepting_it_from_its_card_announces_it_in_full_and_once(bot: RunningBot) -> None:
    incident = await declared(bot)
    opened = bot.opened_so_far
    await press_card(bot, "ben", headline(bot, incident), "accept_incident")
    view = await bot.opened_form("ben", since=opened)
    assert value(view, "severity_id") == "minor"
    answer = await sent(bot, "ben", view, severity_id=chosen("critical"))
    assert "Investigating (was Triage)" in answer
    incident = await now(bot, incident)
    assert is_announced(bot, incident) == {"incidents": 1, "alerts": 1}
    assert bot.slack.person("darius") in own_channel(bot, incident).members
    assert "Take the lead" in words(headline(bot, incident))
    accepted = [e for e in await bot.backend.timeline(incident.id) if e.verb == "accepted it as"]
    assert [(e.text, e.by and e.by.slack_user_id) for e in accepted] == [
        ("Investigating", bot.slack.person("ben"))
    ]


async def test_it_is_accepted_with_a_severity_and_a_reason_in_one_line(bot: RunningBot) -> None:
    incident = await declared(bot)
    here = incident.slack_channel_id
    assert "Investigating" in await typed_verb(
        bot, "ana", here, "/incident accept critical: the disk is full"
    )
    incident = await now(bot, incident)
    assert incident.severity is not None
    assert incident.severity.name == "Critical"
    assert "the disk is full" in " ".join(words(message) for message in cards(bot, here))
    answer = await typed_verb(bot, "ana", here, "/incident accept it again")
    assert "only what is in triage can be accepted" in answer


async def test_setting_another_status_accepts_it_too_and_it_is_announced_once(bot: RunningBot) -> None:
    incident = await declared(bot)
    here = incident.slack_channel_id
    for status in ("fixing", "triage", "monitoring"):
        await typed_verb(bot, "ana", here, f"/incident status {status}")
        await bot.app.settled()
    assert is_announced(bot, incident) == {"incidents": 1}


async def test_an_announcement_that_slack_refuses_is_told_and_one_that_it_delays_is_made(
    bot: RunningBot,
) -> None:
    alerts = bot.workspace.channel_by_name("alerts")
    incident = await declared(bot, severity_id=chosen("critical"))
    alerts.archived = True
    bot.workspace.faults.plan("usergroups.users.list", Fault(retry_after=0))
    try:
        await typed_verb(bot, "ana", incident.slack_channel_id, "/incident accept it is one")
        await bot.app.settled()
    finally:
        alerts.archived = False
    assert is_announced(bot, incident) == {"incidents": 1}
    assert f"is changed, but not everything went well: It could not be announced in <#{alerts.id}>" in (
        told(bot, "ana")[-1].text
    )
    assert bot.slack.person("darius") in own_channel(bot, incident).members


async def test_a_private_one_is_announced_nowhere_when_it_is_accepted(bot: RunningBot) -> None:
    incident = await declared(bot, severity_id=chosen("critical"), visibility=ticked("private"))
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident accept")
    assert "announced" not in words(view)
    await sent(bot, "ana", view)
    incident = await now(bot, incident)
    assert incident.incident_status.category == "live"
    assert is_announced(bot, incident) == {}
    assert bot.slack.person("darius") not in own_channel(bot, incident).members


async def test_what_is_part_of_another_is_merged_and_its_card_in_the_messages_thread_says_so(
    bot: RunningBot,
) -> None:
    first = await declared(bot, "checkout is slow")
    general = bot.slack.channel("general")
    message = await said(bot, "ben", "general", "checkout answers in 12 s")
    view = await bot.pick_shortcut("ana", message)
    await bot.fill("ana", view, severity_id=chosen("minor"), status=radio("triage"))
    assert (await bot.submit("ana", view)).ok
    second = await now(bot, await newest(bot))
    (card,) = [one for one in cards(bot, general) if one.thread_ts == message.ts]
    opened = bot.opened_so_far
    await press_card(bot, "ana", card, "merge_incident")
    await sent(bot, "ana", await bot.opened_form("ana", since=opened), merged_into=chosen(first.id))
    await bot.app.settled()
    (card,) = [one for one in cards(bot, general) if one.thread_ts == message.ts]
    assert "Merged" in words(card)
    assert "Reopen" in words(card)
    assert is_announced(bot, second) == {}
    assert second.reference in [entry.text for entry in await bot.backend.timeline(first.id)]


async def test_incidents_in_triage_are_listed_below_the_others(bot: RunningBot) -> None:
    triage, live = await declared(bot), await declared(bot, "payments fail")
    later = await declared(bot, "triage mail may be late")
    answer = await typed_verb(bot, "ben", bot.slack.channel("general"), "/incident list")
    places = [answer.index(text) for text in (live.reference, "In triage", later.reference, triage.reference)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("kind", "asked", "category"),
    [
        ("incident", "", "live"),
        ("alert", "", "triage"),
        ("alert", "live", "live"),
        ("suspicion", "live", "triage"),
    ],
)
async def test_a_type_decides_where_an_incident_starts_unless_a_person_does(
    bot: RunningBot, kind: str, asked: str, category: str
) -> None:
    status = {"status": radio(asked)} if asked else {}
    incident = await declared(bot, "door is open", incident_type_id=chosen(kind), **status)
    assert incident.incident_status.category == category


async def test_a_name_of_which_the_word_is_the_subject_is_the_name(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident triage is never done")
    assert value(view, "name") == "triage is never done"
    assert value(view, "status") == "triage"
