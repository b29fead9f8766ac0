"""`/incident test`: each part is tried, one person alone reads how it went, and nothing of it is left."""

from __future__ import annotations

import asyncio
import re

import pytest
from support.bot import RunningBot, chosen, typed
from support.errands import declared, press_in_view, typed_verb, until
from support.readings import cards, settled, told

from slack_emulator.faults import Fault
from slack_emulator.models import Channel
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[[custom_fields]]
name = "Depot"
field_type = "single_select"
required = true
options = ["Ghent", "Antwerp"]

[[custom_fields]]
name = "Trucks"
field_type = "numeric"
required = true
"""
"""Fields without which nobody declares."""

LOST = Fault(status=500, after_effect=True)
PARTS = (
    "Slack answers",
    "is saved",
    "is created",
    "channel opens",
    "card is posted there",
    "message reaches you",
)


async def report(bot: RunningBot, person: str = "ana") -> str:
    """The outcome of a test that this person typed: the one message that they are sent."""
    before = len(told(bot, person))
    said = await typed_verb(bot, person, bot.slack.channel("general"), "/incident test")
    assert "A message from Tocsin tells you" in said
    await settled(bot)
    (outcome,) = told(bot, person)[before:]
    return outcome.text


async def tried(bot: RunningBot) -> Incident:
    """The incident of the last test, as the backend has it."""
    (found,) = await bot.backend.incidents(limit=1)
    assert found.mode == "test"
    return found


def rooms(bot: RunningBot) -> list[Channel]:
    return [c for c in bot.workspace.state.channels.values() if c.name.startswith("inc-")]


async def nothing_is_left(bot: RunningBot) -> bool:
    incident, (room,) = await tried(bot), rooms(bot)
    return room.archived and room.kind == "private" and incident.incident_status.category == "canceled"


async def test_everything_works_and_only_who_asked_reads_how_long_each_part_took(bot: RunningBot) -> None:
    bot.workspace.faults.plan("conversations.create", Fault(status=429, retry_after=3))
    lines = (await report(bot)).splitlines()
    assert lines[0] == "Tocsin was tested: everything works."
    for part, line in zip(PARTS, lines[1:-1], strict=True):
        assert re.fullmatch(rf":white_check_mark: .*{part}: [0-9]+\.[0-9]{{2}} s", line), line
    (seconds,) = re.findall(r"opens: ([0-9.]+) s", "\n".join(lines))
    assert 3.0 <= float(seconds) < 5.0
    assert "INC-1 is Canceled" in lines[-1]
    assert await nothing_is_left(bot)
    entries = (await tried(bot)).custom_field_entries
    assert [[value.shown for value in entry.values] for entry in entries] == [["Ghent"], ["0"]]
    assert not cards(bot, rooms(bot)[0].id)
    assert not told(bot, "ben")
    assert not cards(bot, bot.slack.channel("general"))
    assert not cards(bot, bot.slack.channel("incidents"))


async def test_a_test_is_counted_nowhere_and_in_no_list(bot: RunningBot) -> None:
    real = await declared(
        bot,
        "checkout is slow",
        custom_field_entries__depot=chosen("ghent"),
        custom_field_entries__trucks={**typed("2"), "type": "number_input"},
    )
    await typed_verb(bot, "ana", real.slack_channel_id, "/incident close done")
    before = bot.app.resources.metrics.registry.get_sample_value(
        "tocsin_declarations_total", {"outcome": "declared"}
    )
    reference = re.search(r"INC-[0-9]+", await report(bot))
    assert reference is not None
    listed = await typed_verb(bot, "ana", bot.slack.channel("general"), "/incident list closed")
    assert real.reference in listed
    assert reference[0] not in listed
    after = bot.app.resources.metrics.registry.get_sample_value(
        "tocsin_declarations_total", {"outcome": "declared"}
    )
    assert after == before


async def test_what_slack_refuses_is_said_in_plain_words_with_what_to_do(bot: RunningBot) -> None:
    bot.workspace.faults.plan("conversations.create", Fault(error="restricted_action"))
    said = await report(bot)
    assert "Tocsin was tested: 1 of its parts failed." in said
    assert ":x: its channel cannot be opened" in said
    assert "(restricted_action). See that the app has all its scopes" in said
    assert ":heavy_minus_sign: not tried: its card is posted there" in said
    assert "`tocsin doctor`" in said
    assert (await tried(bot)).incident_status.category == "canceled"
    assert rooms(bot) == []


async def test_what_slack_did_though_its_answers_were_lost_is_taken_back(bot: RunningBot) -> None:
    for method in ("conversations.create", "chat.postMessage", "conversations.archive"):
        bot.workspace.faults.plan(method, LOST, LOST)
    assert "everything works" in await report(bot)
    assert await nothing_is_left(bot)


async def test_a_channel_that_opened_and_failed_in_the_end_is_archived(bot: RunningBot) -> None:
    bot.workspace.faults.plan("conversations.invite", Fault(error="missing_scope"))
    assert ":x: its channel cannot be opened" in await report(bot)
    assert await nothing_is_left(bot)


async def test_what_cannot_be_taken_back_is_said(bot: RunningBot) -> None:
    bot.workspace.faults.plan("conversations.archive", Fault(error="missing_scope"))
    assert "Left over, to be taken away by hand: its channel (" in await report(bot)


async def test_each_person_has_one_test_at_a_time(bot: RunningBot) -> None:
    go_on, general = asyncio.Event(), bot.slack.channel("general")
    bot.workspace.faults.plan("conversations.create", Fault(until=go_on))
    assert "tells you" in await typed_verb(bot, "ana", general, "/incident test")
    await bot.workspace.begun("conversations.create")
    assert "still running" in await typed_verb(bot, "ana", general, "/incident test")
    assert "tells you" in await typed_verb(bot, "ben", general, "/incident test")
    go_on.set()
    await settled(bot)
    assert len(told(bot, "ana")) == len(told(bot, "ben")) == 1
    await report(bot)


async def test_who_may_not_declare_may_not_test(bot: RunningBot) -> None:
    said = await typed_verb(bot, "gus", bot.slack.channel("general"), "/incident test")
    assert said.startswith("Guests of this workspace may not test Tocsin here.")
    await settled(bot)
    assert not await bot.backend.incidents(limit=1)


async def test_the_button_on_home_tests_too(bot: RunningBot) -> None:
    ana = bot.slack.person("ana")
    await bot.workspace.open_home(ana, bot.slack.app.app_id)
    home = await until(bot, lambda: bot.workspace.home(ana, bot.slack.app.app_id))
    await press_in_view(bot, "ana", home, "run_test")
    await bot.workspace.heard("chat.delete")
    await settled(bot)
    (said,) = told(bot, "ana")
    assert "everything works" in said.text
