"""Timestamps of an incident, typed and in the form, and what is declared in retrospect."""

from __future__ import annotations

import pytest
from support.bot import RunningBot, chosen, dated, ticked
from support.errands import declared, opened_by, press_card, sent, typed_verb, whispers
from support.readings import cards, pressed, settled, told, value, words

from slack_emulator.models import View
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

THEN = 1_772_000_000
"""25 February 2026, 06:13 UTC."""


async def now(bot: RunningBot, incident: Incident) -> Incident:
    """The incident as the backend has it, once everything has followed."""
    await settled(bot)
    found = await bot.backend.find(incident.id)
    assert found is not None
    return found


def only_view(bot: RunningBot) -> View:
    (view,) = bot.workspace.stack(bot.slack.person("ana"))
    return view


async def test_a_typed_time_is_of_the_typists_own_zone_which_the_answer_names(bot: RunningBot) -> None:
    incident = await declared(bot, "search is slow")
    channel = incident.slack_channel_id
    said = await typed_verb(bot, "ana", channel, "/incident time impact started yesterday 23:40")
    assert "23:40 (Europe/Amsterdam, UTC+" in said
    found = await now(bot, incident)
    set_to = found.timestamp("impact_started")
    assert set_to is not None
    assert (set_to.hour, set_to.minute) in {(22, 40), (21, 40)}
    # Everybody else reads it in their own zone.
    assert f"set Impact started to <!date^{int(set_to.timestamp())}^" in words(cards(bot, channel)[-1])
    assert (await bot.backend.timeline(incident.id))[-1].text.endswith(":40 UTC")


async def test_a_time_that_cannot_be_read_changes_nothing_and_is_given_back(bot: RunningBot) -> None:
    incident = await declared(bot, "carts are empty")
    said = await typed_verb(bot, "ana", incident.slack_channel_id, "/incident time fixed 25:99")
    assert "no such time of day" in said
    assert "You had typed: /incident time fixed 25:99" in said
    assert (await now(bot, incident)).timestamp("fixed") is None


async def test_times_opens_the_form_which_sets_what_was_changed_alone(bot: RunningBot) -> None:
    incident = await declared(bot, "mails are late")
    view = await opened_by(bot, "ana", incident.slack_channel_id, "/incident times")
    before = (await now(bot, incident)).timestamp("reported")
    said = await sent(
        bot,
        "ana",
        view,
        incident_timestamp_values__impact_started=dated(THEN),
        incident_timestamp_values__fixed=dated(THEN - 60),
    )
    assert "Look again: Fixed is before Impact started" in said
    found = await now(bot, incident)
    assert found.timestamp("reported") == before
    assert [int(one.value.timestamp()) for one in found.incident_timestamp_values if one.value != before] == [
        THEN,
        THEN - 60,
    ]


async def test_show_has_the_times_and_durations_and_a_menu_with_their_form(bot: RunningBot) -> None:
    incident = await declared(bot, "pages hang")
    channel = incident.slack_channel_id
    await typed_verb(bot, "ana", channel, "/incident time detected 5 minutes ago")
    await typed_verb(bot, "ana", channel, "/incident time impact started 25 minutes ago")
    await typed_verb(bot, "ana", channel, "/incident show")
    shown = whispers(bot, "ana", channel)[-1]
    assert "Impact started: <!date^" in words(shown)
    assert "Time to detect: 20 min" in words(shown)
    opened = bot.opened_so_far
    await press_card(bot, "ana", shown, "incident_menu", option=f"time {incident.id}")
    view = await bot.opened_form("ana", since=opened)
    assert "incident_timestamp_values.fixed" in view.values


async def test_what_its_course_sets_by_itself_is_in_the_closing_summary(bot: RunningBot) -> None:
    incident = await declared(bot, "disks are full")
    channel = incident.slack_channel_id
    for text in ("take", "status fixing", "close a disk was added"):
        await typed_verb(bot, "ana", channel, f"/incident {text}")
    found = await now(bot, incident)
    assert {one.incident_timestamp.id for one in found.incident_timestamp_values} == {
        *("reported", "acknowledged", "identified", "fixed", "closed")
    }
    assert "Time to fix less than a minute" in words(cards(bot, channel)[-1])


async def test_what_is_over_is_declared_with_its_times_and_calls_nobody(bot: RunningBot) -> None:
    general = bot.slack.channel("general")
    made, posts = len(bot.calls("conversations.create")), len(cards(bot, general))
    view = await opened_by(bot, "ana", general, "/incident retro login was down")
    assert value(view, "name") == "login was down"
    said = await sent(
        bot,
        "ana",
        view,
        severity_id=chosen("major"),
        incident_timestamp_values__impact_started=dated(THEN),
        incident_timestamp_values__fixed=dated(THEN + 3600),
    )
    assert "It is retrospective, so it has no channel" in said
    await settled(bot)
    (incident,) = await bot.backend.incidents(limit=1)
    assert (incident.mode, incident.incident_status.name) == ("retrospective", "Closed")
    assert incident.slack_channel_id == ""
    assert {one.name: one.seconds for one in incident.duration_metrics}["Time to fix"] == 3600
    assert len(bot.calls("conversations.create")) == made
    assert len(cards(bot, general)) == posts
    card = words(told(bot, "ana")[-1])
    assert ":rewind: Retrospective" in card
    assert "*Channel*\nNone" in card
    listed = await typed_verb(bot, "ana", general, "/incident list closed")
    assert ":rewind: Retrospective" in listed


async def test_who_ticks_that_it_is_over_is_asked_for_its_times_and_loses_nothing(bot: RunningBot) -> None:
    view = await opened_by(bot, "ana", bot.slack.channel("general"), "/incident queues were stuck")
    await pressed(bot, view, "more_fields", "more_fields")
    await sent(bot, "ana", only_view(bot), severity_id=chosen("minor"), mode=ticked("retrospective"))
    again = only_view(bot)
    assert "not declared yet" in words(again)
    assert (value(again, "name"), value(again, "severity_id")) == ("queues were stuck", "minor")
    await sent(bot, "ana", again, incident_timestamp_values__closed=dated(THEN))
    (incident,) = await bot.backend.incidents(limit=1)
    assert incident.is_retrospective
    assert incident.closed_at is not None
    assert int(incident.closed_at.timestamp()) == THEN
