"""Which incident a command is about, however people write it: never the channel's own by mistake."""

from __future__ import annotations

from typing import Any

import pytest
from support.beginning import declared_before
from support.bot import RunningBot, ticked
from support.errands import sent
from support.readings import cards, pressed, settled, value, words
from support.slash import CASES, Answered, slash, spelt

from slack_emulator.models import View
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

TELLING = ("update", "note", "rename", "summary", "action", "follow-up")
ENDING = ("close", "decline", "cancel", "reopen")
TEXT = "rolled back to 512"


def some_for(verb: str, cases: str = "spellings", one_in: int = 9) -> list[tuple[str, str]]:
    """The cases that are tried with a verb: all of them with `note`, and one in so many with another.

    What is read of a command is the same for all verbs, and is tried with all in
    `tests/unit/slack/test_command_text.py`.
    """
    every = list(CASES[cases].items())
    return every if verb == "note" else every[sum(map(ord, verb)) % one_in :: one_in]


async def two(bot: RunningBot) -> tuple[Incident, Incident]:
    """INC-1, in whose channel everything is typed, and INC-2."""
    one, other = await declared_before(bot, "checkout is slow"), await declared_before(bot, "payments down")
    assert (one.reference, other.reference) == ("INC-1", "INC-2")
    return one, other


async def all_of(bot: RunningBot, incident: Incident) -> tuple[Any, ...]:
    """Everything that is kept of an incident."""
    await settled(bot)
    backend = bot.backend
    timeline = await backend.timeline(incident.id)
    return (await backend.find(incident.id), timeline, await backend.follow_ups(incident.id))


async def reached(bot: RunningBot, verb: str, incident: Incident, text: str) -> bool:
    """Whether the verb was done to this incident with this text."""
    found, timeline, follow_ups = await all_of(bot, incident)
    match verb:
        case "rename":
            return bool(found.name == text)
        case "summary":
            return bool(found.summary == text)
        case "action" | "follow-up":
            return bool(follow_ups and follow_ups[-1].text == text)
        case "close" | "decline" | "cancel" | "reopen":
            is_open = found.incident_status.is_open
            return is_open == (verb == "reopen") and any(entry.text == text for entry in timeline[-3:])
    return bool(timeline[-1].text == text)


@pytest.mark.parametrize("verb", [*TELLING, *ENDING])
async def test_a_verb_means_the_incident_that_is_named_in_any_spelling(bot: RunningBot, verb: str) -> None:
    own, other = await two(bot)
    before, wrong = await all_of(bot, own), list[str]()
    for number, (spelling, template) in enumerate(some_for(verb)):
        if verb in ENDING:
            undone = "close" if verb == "reopen" else "reopen"
            await slash(bot, "ana", bot.slack.channel("general"), f"{undone} {other.reference} it is")
            await settled(bot)
        text = f"{TEXT} {number}"
        await slash(bot, "ana", own.slack_channel_id, f"{verb} {spelt(template, other, bot.url, text)}")
        if not await reached(bot, verb, other, text):
            wrong.append(f"{spelling}: not done to {other.reference}")
    assert wrong == []
    assert await all_of(bot, own) == before


CHOOSING: dict[str, tuple[str, str]] = {
    "status": ("fixing", "Fixing"),
    "severity": ("critical", "Critical"),
    "lead": ("<@U0BEN00002|ben>", "U0BEN00002"),
    "role": ("comms <@U0BEN00002|ben>", "Communications Lead"),
    "take": ("comms", "Communications Lead"),
    "fields": ("detected by: customer", "Customer"),
    "export": ("json", "INC-2"),
    "document": ("", "INC-2"),
    "private": ("", "INC-2"),
    "show": ("", "payments down"),
}


@pytest.mark.parametrize("verb", CHOOSING)
async def test_a_verb_with_a_choice_means_the_incident_that_is_named(bot: RunningBot, verb: str) -> None:
    own, other = await two(bot)
    before, wrong = await all_of(bot, own), list[str]()
    text, says = CHOOSING[verb]
    for spelling, template in some_for(verb):
        typed = f"{verb} {spelt(template, other, bot.url, text)}"
        answered = await slash(bot, "ana", own.slack_channel_id, typed)
        read = answered.said + words(answered.view)
        if other.reference not in read or own.reference in read:
            wrong.append(f"{spelling}: {read}")
    assert wrong == []
    assert await all_of(bot, own) == before
    assert says in str(await all_of(bot, other))


async def test_in_any_spelling_it_is_the_other_incident_that_this_one_is_part_of(bot: RunningBot) -> None:
    own, other = await two(bot)
    wrong = []
    for spelling, template in some_for("merge"):
        await slash(bot, "ana", own.slack_channel_id, "reopen")
        await settled(bot)
        typed = f"merge {spelt(template, other, bot.url)}"
        said = (await slash(bot, "ana", own.slack_channel_id, typed)).said
        found, timeline, _ = await all_of(bot, own)
        if found.incident_status.name != "Merged" or other.reference not in str(timeline[-1]):
            wrong.append(f"{spelling}: {said}")
    assert wrong == []
    assert (await all_of(bot, other))[0].incident_status.is_open


@pytest.mark.parametrize("verb", [*TELLING, *ENDING, "status", "severity", "lead", "role", "private"])
async def test_what_is_not_understood_is_asked_or_refused_and_nothing_is_lost(
    bot: RunningBot, verb: str
) -> None:
    own, other = await two(bot)
    before, wrong = (await all_of(bot, own), await all_of(bot, other)), list[str]()
    for spelling, template in CASES["unclear"].items():
        text = f"{verb} {template.format(text=TEXT, pages=f'{bot.url}/incidents')}"
        answered = await slash(bot, "ana", own.slack_channel_id, text)
        if (await all_of(bot, own), await all_of(bot, other)) != before:
            wrong.append(f"{spelling}: something was done")
            before = await all_of(bot, own), await all_of(bot, other)
        if TEXT not in answered.said + words(answered.view):
            wrong.append(f"{spelling}: lost in {answered.said} {words(answered.view)}")
    assert wrong == []


AFTER_A_CHOICE = {
    "severity": ("critical INC-2", "critical: INC-2 {}", "*critical* (INC-2) {}", "critical inc-2: {}"),
    "status": ("fixing INC-2 {}", "Fixing for INC-2 {}", "“monitoring” #inc-2-payments-down {}"),
    "lead": ("<@{ben}> INC-2", "<@{ben}> for INC-2"),
    "role": ("communications <@{ben}> INC-2",),
    "take": ("communications INC-2",),
}


@pytest.mark.parametrize("verb", AFTER_A_CHOICE)
async def test_an_incident_that_is_named_behind_a_choice_is_asked_and_the_channels_own_stays_as_it_was(
    bot: RunningBot, verb: str
) -> None:
    own, other = await two(bot)
    before = await all_of(bot, own), await all_of(bot, other)
    for written in AFTER_A_CHOICE[verb]:
        text = written.format("because", ben=bot.slack.person("ben"))
        answered = await slash(bot, "ana", own.slack_channel_id, f"{verb} {text}")
        assert (await all_of(bot, own), await all_of(bot, other)) == before, written
        assert "It is not clear which incident" in answered.said + words(answered.view), written


async def test_what_happened_elsewhere_may_be_named_in_what_is_said(bot: RunningBot) -> None:
    own, other = await two(bot)
    before = await all_of(bot, other)
    for text in (
        "severity critical the same root cause as in INC-2",
        f"severity {own.reference} major INC-2 was the cause",
        "update we wait for INC-2",
    ):
        said = (await slash(bot, "ana", own.slack_channel_id, text)).said
        assert own.reference in said, text
    assert await all_of(bot, other) == before


async def test_words_for_a_private_incident_are_told_nowhere_else(bot: RunningBot) -> None:
    own = await declared_before(bot, "checkout is slow")
    secret = await declared_before(bot, "keys were read", "ana", visibility=ticked("private"))
    here = own.slack_channel_id
    before = [words(card) for card in cards(bot, here)], await all_of(bot, own)
    for person in ("ana", "ben"):
        for number, (_, template) in enumerate(some_for("update")):
            text = f"customer names were downloaded {number} {person}"
            answered = await slash(bot, person, here, f"update {spelt(template, secret, bot.url, text)}")
            await settled(bot)
            told = await reached(bot, "update", secret, text)
            assert told == (person == "ana"), template
            assert person == "ana" or "There is no such incident" in answered.said, template
            assert person == "ana" or text in answered.said, template
    assert ([words(card) for card in cards(bot, here)], await all_of(bot, own)) == before


async def test_a_private_incident_is_as_unknown_as_one_that_is_not_there(bot: RunningBot) -> None:
    own = await declared_before(bot, "checkout is slow")
    secret = await declared_before(bot, "keys were read", "ana", visibility=ticked("private"))
    absent = secret.model_copy(
        update={
            "reference": "INC-9",
            "permalink": f"{bot.url}/incidents/INC-9",
            "slack_channel_name": "inc-9-keys-were-read",
        }
    )
    for spelling, template in CASES["spellings"].items():
        if "{channel}" in template:
            continue
        read = [
            (await slash(bot, "ben", own.slack_channel_id, f"note {spelt(template, one, bot.url, 'seen')}"))
            for one in (secret, absent)
        ]
        hidden, unknown = (answered.said + words(answered.view) for answered in read)
        assert _numberless(hidden.replace(bot.url, ""), 2) == _numberless(unknown.replace(bot.url, ""), 9), (
            spelling
        )


def _numberless(said: str, number: int) -> str:
    return said.translate({0xFF10 + number: "N", ord(str(number)): "N"})


async def test_a_channel_that_people_renamed_is_still_its_incidents(bot: RunningBot) -> None:
    own, other = await two(bot)
    room = bot.workspace.channel(other.slack_channel_id)
    old, room.name = room.name, "payments-war-room"
    for number, typed in enumerate((f"<#{room.id}|{room.name}>", f"#{old}", f"<#{room.id}>")):
        await slash(bot, "ana", own.slack_channel_id, f"note {typed} {TEXT} {number}")
        assert await reached(bot, "note", other, f"{TEXT} {number}"), typed


@pytest.mark.parametrize("verb", ["update", "note", "close", "rename", "summary", "action"])
async def test_a_verb_is_one_whatever_white_space_or_mark_follows_it(bot: RunningBot, verb: str) -> None:
    own = await declared_before(bot, "checkout is slow")
    wrong = []
    for number, (spelling, template) in enumerate(some_for(verb, "verbs", 3)):
        if verb == "close":
            await slash(bot, "ana", own.slack_channel_id, "reopen")
            await settled(bot)
        text = f"we rolled back {number}"
        typed = template.format(verb=verb, loud=verb.upper(), text=text)
        answered = await slash(bot, "ana", own.slack_channel_id, typed)
        if answered.view is not None or not await reached(bot, verb, own, text):
            wrong.append(f"{spelling}: {answered.said} {words(answered.view)}")
    assert wrong == []


async def test_what_reads_like_a_name_is_asked_before_anything_is_done(bot: RunningBot) -> None:
    own, other = await two(bot)
    before = await all_of(bot, own), await all_of(bot, other)
    for typed in CASES["asked"]:
        answered = await slash(bot, "ana", own.slack_channel_id, typed)
        assert answered.view is not None, f"{typed}: {answered.said}"
        asked = words(answered.view)
        assert typed in asked, typed
        assert "Nothing has been done" in asked, typed
        if typed.split()[0].lower() not in {"help", "list", "find", "show"}:
            assert own.reference in asked, typed
            assert own.name in asked, typed
        await pressed(bot, answered.view, "declare_instead", "declare_instead")
        (form,) = bot.workspace.stack(bot.slack.person("ana"))
        assert value(form, "name") == typed
        await bot.workspace.dismiss(bot.slack.person("ana"), whole_stack=True)
    assert (await all_of(bot, own), await all_of(bot, other)) == before


async def test_who_meant_the_verb_goes_on_with_all_that_was_typed(bot: RunningBot) -> None:
    own, _ = await two(bot)
    answered = await slash(bot, "ana", own.slack_channel_id, "Close to running out of disk")
    assert answered.view is not None
    assert value(answered.view, "incident_id") == own.id
    await sent(bot, "ana", answered.view)
    assert await reached(bot, "close", own, "to running out of disk")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("help desk phones are down", "/incident close"),
        ("List of orders is empty", "checkout is slow"),
        ("Find checkout please", "“checkout please”"),
    ],
)
async def test_who_meant_what_only_shows_is_shown_it(bot: RunningBot, typed: str, says: str) -> None:
    own = await declared_before(bot, "checkout is slow")
    answered = await slash(bot, "ana", own.slack_channel_id, typed)
    assert answered.view is not None
    assert says in await sent(bot, "ana", answered.view)


@pytest.mark.parametrize(("typed", "kept"), CASES["at once"].items())
async def test_what_is_no_name_is_done_at_once(bot: RunningBot, typed: str, kept: str) -> None:
    own, _ = await two(bot)
    answered = await slash(bot, "ana", own.slack_channel_id, typed)
    assert answered.view is None, words(answered.view)
    assert own.reference in answered.said
    found, timeline, follow_ups = await all_of(bot, own)
    assert any(kept in {entry.text, *entry.text.split("; ")} or kept in str(found) for entry in timeline) or [
        item for item in follow_ups if item.text == kept
    ], timeline


@pytest.mark.parametrize("text", ["{verb} {long}", "{verb} #nowhere {long}"])
async def test_a_long_text_is_whole_after_the_question(bot: RunningBot, text: str) -> None:
    own, _ = await two(bot)
    long = " ".join(f"to host-{n} and back in {n * 7919 % 1000} ms;" for n in range(95))
    assert len(long) > 2900
    answered = await slash(bot, "ana", own.slack_channel_id, text.format(verb="reopen", long=long))
    assert answered.view is not None
    await slash(bot, "ben", bot.slack.channel("general"), f"close {own.reference} done")
    await settled(bot)
    await sent(bot, "ana", answered.view, incident_id=_chosen(answered.view, own))
    _, timeline, _ = await all_of(bot, own)
    assert any(long in entry.text for entry in timeline)


def _chosen(view: View, incident: Incident) -> dict[str, Any]:
    block = next(block for block in view.payload["blocks"] if block.get("block_id") == "incident_id")
    options = block["element"]["options"]
    option = next(option for option in options if option["value"] == incident.id)
    return {"type": "static_select", "selected_option": option}


async def test_what_no_form_can_carry_is_given_back_whole(bot: RunningBot) -> None:
    own, _ = await two(bot)
    unlike = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(3900))
    answered = await slash(bot, "ana", own.slack_channel_id, f"update #nowhere {unlike}")
    assert unlike in answered.said
    assert "too long" in answered.said


@pytest.mark.parametrize("verb", ["update", "note", "rename", "summary", "close"])
async def test_a_text_is_kept_as_people_read_it(bot: RunningBot, verb: str) -> None:
    own = await declared_before(bot, "checkout is slow")
    for typed, read in some_for(verb, "read", 3):
        await slash(bot, "ana", own.slack_channel_id, f"{verb}: {typed}")
        assert await reached(bot, verb, own, read), typed
        if verb == "close":
            await slash(bot, "ana", own.slack_channel_id, "reopen")


@pytest.mark.parametrize("verb", ["action", "follow-up"])
async def test_what_is_to_be_done_is_kept_as_people_read_it(bot: RunningBot, verb: str) -> None:
    own = await declared_before(bot, "checkout is slow")
    typed = f"{verb} tell <#C0GENERAL1|general> &amp; grow the disk <@U0BEN00002|ben>"
    await slash(bot, "ana", own.slack_channel_id, typed)
    (item,) = (await all_of(bot, own))[2]
    assert item.text == "tell #general & grow the disk"
    assert item.assignee.slack_user_id == bot.slack.person("ben")


async def test_the_first_line_is_the_name_and_the_others_are_the_summary(bot: RunningBot) -> None:
    for typed, filled in CASES["names"].items():
        answered = await slash(bot, "ana", bot.slack.channel("general"), typed)
        assert answered.view is not None, typed
        assert [value(answered.view, "name"), value(answered.view, "summary") or ""] == filled, typed


async def test_a_list_knows_its_words_in_quotes_and_with_commas(bot: RunningBot) -> None:
    own = await declared_before(bot, "checkout is slow")
    for typed in ("list “open”, major.", "list\nopen", "list: mine"):
        said = (await slash(bot, "ana", bot.slack.channel("general"), typed)).said
        assert own.reference in said, typed
        assert "Left out" not in said, typed


def both(answered: Answered) -> str:
    return answered.said + words(answered.view)


async def test_outside_of_a_channel_a_name_is_asked_too(bot: RunningBot) -> None:
    own, _ = await two(bot)
    before = await all_of(bot, own)
    for typed in ("Close to running out of disk", "help desk phones are down", "private keys leaked"):
        assert typed in both(await slash(bot, "ana", bot.slack.channel("general"), typed))
    assert await all_of(bot, own) == before
