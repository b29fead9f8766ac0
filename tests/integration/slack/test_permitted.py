"""Who may not read, change or close an incident is told so, whichever way they try it."""

from __future__ import annotations

import pytest
from support.beginning import declared_before
from support.bot import RunningBot
from support.readings import cards, newest, words

from slack_emulator.faults import Fault
from slack_emulator.models import Message, Person
from tocsin.incidents.model import Incident
from tocsin.incidents.permissions import Verb
from tocsin.slack import commands

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[permissions]
close = ["S0ONCALL01"]
"""
OUTSIDE = "T0HAULPART1"


PRESSED = {Verb.KEEP}
"""What is done by a button alone."""


async def test_every_verb_can_be_typed_or_pressed() -> None:
    assert {spec.verb for spec in commands.VERBS.values()} == set(Verb) - PRESSED
    assert {word: spec.verb for word, spec in commands.VERBS.items() if word} == {
        **{verb.value: verb for verb in Verb if verb not in {Verb.DECLARE, *PRESSED}},
        "triage": Verb.DECLARE,
    }


def card_in_general(bot: RunningBot, incident: Incident) -> Message:
    return next(
        card
        for card in reversed(cards(bot, bot.slack.channel("general")))
        if incident.reference in words(card).replace(":", " ").split()
    )


async def typed(bot: RunningBot, person: str, text: str) -> str:
    """What the bot answers a command with, seen by its sender alone."""
    general = bot.slack.channel("general")
    bot.workspace.clear()
    assert (await bot.workspace.command(person, general, text)).ok
    delivered = next(r for r in bot.workspace.requests if r.method == "slash_commands")
    if answered := (delivered.response or {}).get("text"):
        return str(answered)
    await bot.workspace.heard("response_url")
    return [m for m in bot.workspace.history(general, person) if m.ephemeral_to == person][-1].text


@pytest.mark.parametrize("verb", ["close done", "status fixing", "update it is worse", "rename x", "private"])
async def test_a_guest_changes_nothing_and_reads_that_guests_may_not(bot: RunningBot, verb: str) -> None:
    incident = await declared_before(bot, "checkout is slow")
    word, _, rest = verb.partition(" ")
    said = await typed(bot, bot.slack.person("gus"), f"/incident {word} {incident.reference} {rest}")
    assert said.startswith("Guests of this workspace may not ")
    assert (await newest(bot)).incident_status == incident.incident_status


@pytest.mark.parametrize("verb", ["list", "show INC-1"])
async def test_a_guest_reads_nothing_of_incidents(bot: RunningBot, verb: str) -> None:
    await declared_before(bot, "checkout is slow")
    said = await typed(bot, bot.slack.person("gus"), f"/incident {verb}")
    assert said.startswith("Guests of this workspace may not ")
    assert "checkout" not in said


async def test_a_stranger_who_presses_a_card_changes_nothing_and_is_told(bot: RunningBot) -> None:
    incident = await declared_before(bot, "checkout is slow")
    card = card_in_general(bot, incident)
    stranger = Person("U0PRESSER", "presser", "Presser", "")
    bot.workspace.share(card.channel, OUTSIDE, stranger)
    block = next(b for b in card.blocks if "take_lead" in str(b))
    await bot.workspace.press(stranger.id, "take_lead", block["block_id"], channel=card.channel, ts=card.ts)
    await bot.workspace.heard("response_url")
    whisper = [m for m in bot.workspace.history(card.channel, stranger.id) if m.ephemeral_to == stranger.id]
    assert whisper[-1].text.startswith("People from another organization may not ")
    assert (await newest(bot)).lead is None
    bot.workspace.channel(card.channel).shared_with.clear()


async def test_while_slack_says_nothing_of_somebody_they_close_nothing(bot: RunningBot) -> None:
    incident = await declared_before(bot, "checkout is slow")
    person = Person("U0NEWHERE", "newhere", "New Here", "")
    bot.workspace.state.save(person)
    bot.workspace.channel_by_name("general").members.append(person.id)
    bot.workspace.faults.plan("users.info", *(Fault(status=503) for _ in range(3)))
    said = await typed(bot, person.id, f"/incident update {incident.reference} it is over")
    assert said.startswith("Slack could not be asked whether you may give updates")
    bot.workspace.faults.clear()


async def test_closing_is_for_the_group_that_the_rules_name(bot: RunningBot) -> None:
    incident = await declared_before(bot, "checkout is slow")
    said = await typed(bot, bot.slack.person("ana"), f"/incident close {incident.reference} mended")
    assert said == "Only members of @oncall may close incidents here. Ask one of them."
    assert (await newest(bot)).incident_status.is_open
    await typed(bot, bot.slack.person("chloe"), f"/incident close {incident.reference} mended")
    assert not (await newest(bot)).incident_status.is_open
