"""An incident taken away as a file, and its document written where its people are."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from structlog.typing import EventDict
from support.bot import RunningBot, ticked
from support.errands import declared, headline, opened_by, press_card, sent, typed_verb, until
from support.readings import cards, own_channel, settled, told, words

from slack_emulator.faults import Fault
from slack_emulator.models import Message
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")


def files_of(messages: list[Message]) -> list[str]:
    return [str(file["name"]) for message in messages for file in message.files]


def text_of(bot: RunningBot, message: Message) -> str:
    """What is in the file of a message."""
    return bot.workspace.state.files[message.files[0]["id"]].content


async def closed(bot: RunningBot, name: str, **fields: Any) -> Incident:
    """Closed, with an update, a note and something left to do."""
    incident = await declared(bot, name, **fields)
    room = incident.slack_channel_id
    for said in ("action grow the pool", "update A <!channel> lock.", "close Restarted it."):
        await typed_verb(bot, "ana", room, f"/incident {said}")
    await settled(bot)
    found = await bot.backend.find(incident.id)
    assert found is not None
    return found


async def test_an_export_comes_as_a_file_to_who_asked_and_nobody_else(bot: RunningBot) -> None:
    incident = await closed(bot, "checkout is slow")
    before, general = len(cards(bot, incident.slack_channel_id)), bot.slack.channel("general")
    for wanted in ("", " json", " CSV"):
        said = await typed_verb(bot, "ben", general, f"/incident export {incident.reference}{wanted}")
        assert f"{incident.reference} is in your messages" in said
    as_markdown, as_json, as_csv = [message for message in told(bot, "ben") if message.files]
    assert "Restarted it." in text_of(bot, as_markdown)
    assert "\\<\\!channel\\>" in text_of(bot, as_markdown)
    (record,) = json.loads(text_of(bot, as_json))["incidents"]
    assert (record["reference"], record["follow_ups"][0]["title"]) == (incident.reference, "grow the pool")
    (row,) = csv.DictReader(io.StringIO(text_of(bot, as_csv), newline=""))
    assert (row["reference"], row["open_follow_ups"]) == (incident.reference, "1")
    assert len(cards(bot, incident.slack_channel_id)) == before
    assert not any(message.files for message in told(bot, "ana"))
    await settled(bot)
    took = [entry for entry in await bot.backend.timeline(incident.id) if entry.verb == "exported it as"]
    assert [entry.text for entry in took] == ["Markdown", "JSON", "CSV"]


async def test_a_reference_exports_from_anywhere_and_a_format_that_is_none_is_named(bot: RunningBot) -> None:
    incident = await declared(bot, "mail is late")
    general = bot.slack.channel("general")
    said = await typed_verb(bot, "chloe", general, f"/incident export {incident.reference} pdf")
    assert "markdown, json and csv; pdf is none of them" in said
    await typed_verb(bot, "chloe", general, f"/incident export {incident.reference} md")
    assert files_of(told(bot, "chloe"))[-1].startswith(incident.reference.lower())


async def test_a_private_incident_is_exported_for_its_own_people_alone(bot: RunningBot) -> None:
    incident = await declared(bot, "a break-in", visibility=ticked("private"))
    general = bot.slack.channel("general")
    said = await typed_verb(bot, "chloe", general, f"/incident export {incident.reference}")
    assert "There is no such incident, or it is not yours to see." in said
    await typed_verb(bot, "ana", general, f"/incident export {incident.reference} json")
    file = told(bot, "ana")[-1].files[0]["id"]
    assert bot.workspace.files.seen_by(bot.slack.person("ana"), file) is not None
    assert bot.workspace.files.seen_by(bot.slack.person("ben"), file) is None
    everybody = [
        m for c in bot.workspace.state.channels.values() if c.kind == "public" for m in cards(bot, c.id)
    ]
    assert not any("break-in" in words(message) for message in everybody)


async def test_a_file_whose_answer_was_lost_is_sent_once(bot: RunningBot) -> None:
    incident = await declared(bot, "search is down")
    lost = Fault(status=500, after_effect=True)
    bot.workspace.faults.plan("files.completeUploadExternal", lost)
    bot.workspace.faults.plan("upload", Fault(status=500))
    before = len(files_of(told(bot, "priya")))
    general = bot.slack.channel("general")
    await typed_verb(bot, "priya", general, f"/incident export {incident.reference}")
    await until(bot, lambda: len(files_of(told(bot, "priya"))) > before)
    await settled(bot)
    assert len(files_of(told(bot, "priya"))) == before + 1


async def test_who_may_not_have_files_reads_what_to_do(bot: RunningBot, troubles: list[EventDict]) -> None:
    incident = await declared(bot, "login is slow")
    bot.workspace.faults.plan("files.getUploadURLExternal", Fault(error="missing_scope"))
    said = await typed_verb(bot, "ana", incident.slack_channel_id, "/incident export")
    assert "The file could not be sent" in said
    assert "a workspace admin can install it again" in said


async def test_the_close_says_how_it_went_with_buttons_for_what_comes_after(bot: RunningBot) -> None:
    incident = await closed(bot, "orders are lost")
    ending = next(
        m
        for m in reversed(cards(bot, incident.slack_channel_id))
        if "Open actions and follow-ups" in words(m)
    )
    assert "grow the pool" in words(ending)
    assert "First update after less than a minute" in words(ending)
    assert "Closed after less than a minute" in words(ending)
    bot.workspace.clear()
    await press_card(bot, "ana", ending, "export_incident")
    await press_card(bot, "ana", headline(bot, incident), "export_incident")
    await bot.workspace.heard("files.completeUploadExternal", 2)
    await press_card(bot, "ana", ending, "write_document")
    room = incident.slack_channel_id
    await until(bot, lambda: "open it" in words(cards(bot, room)[-1]))
    assert bot.workspace.files.canvas_of(room) is not None


async def test_the_document_is_the_channels_canvas_and_is_written_once(bot: RunningBot) -> None:
    incident = await closed(bot, "images are missing")
    room = incident.slack_channel_id
    assert "is a canvas in its channel" in await typed_verb(bot, "ana", room, "/incident document")
    canvas = bot.workspace.files.canvas_of(room)
    assert canvas is not None
    assert canvas.content.startswith(f"# {incident.reference}: images are missing\n")
    assert "- [ ] Action: grow the pool" in canvas.content
    assert "## What we learned" in canvas.content
    await settled(bot)
    link = f"{bot.slack.url}/docs/{bot.workspace.state.team.id}/{canvas.id}"
    assert link in cards(bot, room)[-1].text
    said = await typed_verb(bot, "ana", room, "/incident document")
    assert "has its document already" in said
    assert link in said
    assert len(bot.calls("conversations.canvases.create")) == 1


async def test_two_who_ask_for_the_document_at_once_get_one(bot: RunningBot) -> None:
    incident = await closed(bot, "fonts are missing")
    room = incident.slack_channel_id
    ben = bot.slack.person("ben")
    assert (await bot.workspace.join(ben, room)).ok
    said = await asyncio.gather(*(typed_verb(bot, who, room, "/incident document") for who in ("ana", "ben")))
    await settled(bot)
    assert sorted("has its document already" in one for one in said) == [False, True]
    assert bot.workspace.files.canvas_of(room) is not None
    assert files_of(cards(bot, room)) == []
    assert sum("open it" in words(message) for message in cards(bot, room)) == 1


async def test_a_canvas_whose_answer_was_lost_is_found_again(bot: RunningBot) -> None:
    incident = await declared(bot, "graphs are empty")
    bot.workspace.faults.plan("conversations.canvases.create", Fault(status=500, after_effect=True))
    await typed_verb(bot, "ana", incident.slack_channel_id, "/incident document")
    await settled(bot)
    assert bot.workspace.files.canvas_of(incident.slack_channel_id) is not None
    assert files_of(cards(bot, incident.slack_channel_id)) == []


async def test_where_a_canvas_cannot_be_the_document_is_a_file(bot: RunningBot) -> None:
    state = bot.workspace.state
    free = await declared(bot, "cart is empty")
    state.save(replace(state.team, plan="free"))
    said = await typed_verb(bot, "ana", free.slack_channel_id, "/incident document")
    assert "is a file in its channel" in said
    state.save(replace(state.team, plan="pro"))
    taken = await declared(bot, "prices are wrong")
    theirs = {"type": "markdown", "markdown": "what people wrote"}
    room = own_channel(bot, taken)
    bot.workspace.files.write_canvas(bot.slack.person("ana"), room, "Notes", theirs)
    assert "is a file" in await typed_verb(bot, "ana", room.id, "/incident document")
    assert bot.workspace.files.canvas_of(room.id).content == "what people wrote"  # type: ignore[union-attr]
    for incident in (free, taken):
        (name,) = files_of(cards(bot, incident.slack_channel_id))
        assert name.endswith(".md")


async def test_a_document_does_not_stay_behind_where_everybody_reads(bot: RunningBot) -> None:
    incident = await declared(bot, "a leak")
    old = incident.slack_channel_id
    await typed_verb(bot, "ana", old, "/incident document")
    await settled(bot)
    view = await opened_by(bot, "ana", old, "/incident private")
    await sent(bot, "ana", view)
    await settled(bot)
    assert bot.workspace.files.canvas_of(old) is None
    moved = await bot.backend.find(incident.id)
    assert moved is not None
    await typed_verb(bot, "ana", moved.slack_channel_id, "/incident document")
    await typed_verb(bot, "ana", moved.slack_channel_id, "/incident rename a leak of keys")
    await settled(bot)
    assert bot.workspace.files.canvas_of(moved.slack_channel_id) is not None


async def made_private_while_written(
    bot: RunningBot, name: str, fault: Fault, until_then: asyncio.Event
) -> Incident:
    """Its document was asked for in public, and it has moved before Slack answers for the canvas."""
    incident = await declared(bot, name)
    old = incident.slack_channel_id
    bot.workspace.faults.plan("conversations.canvases.create", fault)
    asked = asyncio.create_task(typed_verb(bot, "ana", old, "/incident document"))
    await bot.workspace.begun(
        lambda call: call.method == "conversations.canvases.create" and call.args["channel_id"] == old
    )
    await sent(bot, "ana", await opened_by(bot, "ana", old, "/incident private"))
    await until(bot, lambda: own_channel(bot, incident).archived)
    until_then.set()
    assert "goes on in a private channel now" in await asked
    await settled(bot)
    return incident


async def test_a_document_that_waited_its_turn_is_not_written_where_everybody_reads(bot: RunningBot) -> None:
    now = asyncio.Event()
    incident = await made_private_while_written(bot, "a slow leak", Fault(retry_after=1, until=now), now)
    written = [call for call in bot.workspace.requests if call.method == "conversations.canvases.create"]
    assert [call.args["channel_id"] for call in written].count(incident.slack_channel_id) == 1


async def test_a_document_that_arrived_too_late_is_taken_back(bot: RunningBot) -> None:
    now = asyncio.Event()
    incident = await made_private_while_written(bot, "a fast leak", Fault(until=now, after_effect=True), now)
    assert bot.workspace.files.canvas_of(incident.slack_channel_id) is None
    moved = await bot.backend.find(incident.id)
    assert moved is not None
    await typed_verb(bot, "ana", moved.slack_channel_id, "/incident document")
    assert bot.workspace.files.canvas_of(moved.slack_channel_id) is not None


async def test_a_guest_takes_nothing_away(bot: RunningBot) -> None:
    incident = await declared(bot, "api is down")
    for verb in ("export", "document"):
        said = await typed_verb(
            bot, "gus", bot.slack.channel("general"), f"/incident {verb} {incident.reference}"
        )
        assert said.startswith("Guests of this workspace may not ")
