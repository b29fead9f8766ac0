"""Links to incidents' pages that people post: shown where everybody may read them, and true from then on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.bot import RunningBot, chosen, running_bot, ticked
from support.declarations import BEN, DAWN
from support.managing import changed, order, verbs
from support.patience import LIMIT
from support.readings import cards, newest, said, told, words
from support.slack import running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from slack_emulator.models import Message, Person
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentChange
from tocsin.slack import routes
from tocsin.workflows.change import Changed
from tocsin.workflows.sync import LATE_SECONDS

HOST = "http://127.0.0.1"


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    installed = Manifest.from_dict(routes.manifest(pages=HOST))
    async with running_workspace(installed) as slack, running_bot(tmp_path, slack) as running:
        yield running


async def declared(bot: RunningBot, name: str = "checkout is slow", **fields: dict[str, Any]) -> Incident:
    view = await bot.type_command("ana", "general", f"/incident {name}")
    await bot.fill("ana", view, severity_id=chosen("major"), **fields)
    assert (await bot.submit("ana", view)).ok
    await bot.app.settled()
    await bot.workspace.dismiss(bot.slack.person("ana"), whole_stack=True)
    return await newest(bot)


async def heeded(bot: RunningBot, count: int = 1) -> None:
    """Every link so far has been heard of, and what was to be done is done."""
    await bot.workspace.heard("event.link_shared", count)
    await bot.app.settled()


def entity(message: Message) -> dict[str, Any]:
    (shown,) = message.attachments
    found: dict[str, Any] = shown["entity"]
    return found


async def test_a_link_to_an_incident_is_shown_as_an_incident(bot: RunningBot) -> None:
    incident = await declared(bot)
    message = await said(bot, "ben", "general", f"see {incident.permalink}?from=mail")
    await heeded(bot)
    assert len(bot.calls("chat.unfurl")) == 1
    shown = entity(message)
    assert (shown["entity_type"], shown["url"]) == ("slack#/entities/incident", incident.permalink)
    assert shown["external_ref"] == {"id": incident.id}
    attributes, fields = shown["entity_payload"]["attributes"], shown["entity_payload"]["fields"]
    assert (attributes["title"]["text"], attributes["display_id"]) == (incident.name, incident.reference)
    assert (fields["status"]["value"], fields["priority"]["value"]) == ("Investigating", "Major")
    assert fields["created_by"]["user"] == {"user_id": bot.slack.person("ana")}


async def test_what_is_shown_follows_the_incident_and_goes_when_it_becomes_private(bot: RunningBot) -> None:
    incident = await declared(bot)
    message = await said(bot, "ben", "general", str(incident.permalink))
    await heeded(bot)
    await changed(bot, incident, "ben", incident_status_id="fixing")
    assert entity(message)["entity_payload"]["fields"]["status"]["value"] == "Fixing"
    await changed(bot, incident, "ana", visibility="private")
    shown = str(entity(message))
    assert "This incident is not shown here." in shown
    assert incident.name not in shown
    assert incident.id not in shown


async def test_without_work_objects_a_card_is_shown(tmp_path: Path) -> None:
    whole = routes.manifest(pages=HOST)
    whole["features"]["rich_previews"]["is_active"] = False
    async with (
        running_workspace(Manifest.from_dict(whole)) as slack,
        running_bot(tmp_path, slack) as bot,
    ):
        incident = await declared(bot, "<!channel> is slow")
        message = await said(bot, "ben", "general", str(incident.permalink))
        await heeded(bot)
        (shown,) = message.attachments
        assert incident.reference in words(shown["blocks"])
        assert [block["type"] for block in shown["blocks"]].count("actions") == 0
        assert "<!channel>" not in str([b for b in shown["blocks"] if b["type"] != "rich_text"])
        refused = [call for call in bot.calls("chat.unfurl") if not call.ok]
        other = await said(bot, "ana", "alerts", str(incident.permalink))
        await heeded(bot, 2)
        assert other.attachments
        assert [call for call in bot.calls("chat.unfurl") if not call.ok] == refused


async def test_what_is_shown_after_it_was_taken_back_is_taken_back_also_when_slack_fails(
    bot: RunningBot,
) -> None:
    incident, goes_on = await declared(bot), asyncio.Event()
    # What shows it comes late, taking it back is well, and taking it back once more fails at first.
    bot.workspace.faults.plan("chat.unfurl", Fault(until=goes_on), Fault(), Fault(status=500))
    message = await said(bot, "ben", "general", str(incident.permalink))
    await bot.workspace.begun("chat.unfurl")
    await changed(bot, incident, "ana", visibility="private")
    goes_on.set()
    await heeded(bot)
    await bot.workspace.heard("chat.unfurl", 4)
    await bot.app.settled()
    assert incident.name not in str(message.attachments)


async def test_what_is_shown_is_taken_back_also_when_it_became_private_while_it_was_being_edited(
    bot: RunningBot,
) -> None:
    incident, goes_on = await declared(bot), asyncio.Event()
    message = await said(bot, "ben", "general", str(incident.permalink))
    await heeded(bot)
    assert incident.name in str(message.attachments)
    # Slack asks the edit to come again, late; by then the incident is private.
    bot.workspace.faults.plan("chat.unfurl", Fault(until=goes_on, status=429, retry_after=1))
    editing = asyncio.create_task(changed(bot, incident, "ben", incident_status_id="fixing"))
    await bot.workspace.begun("chat.unfurl", 2)
    hidden = IncidentChange(key="hidden", by=BEN, at=DAWN, visibility="private")
    await bot.backend.change(incident.id, hidden)
    goes_on.set()
    await editing
    await bot.app.settled()
    assert incident.name not in str(message.attachments)


@pytest.mark.parametrize("shown_before", [False, True])
async def test_what_slack_shows_after_we_gave_up_waiting_is_taken_back(
    bot: RunningBot, shown_before: bool
) -> None:
    incident, goes_on = await declared(bot), asyncio.Event()
    message = await said(bot, "ben", "general", str(incident.permalink)) if shown_before else None
    if shown_before:
        await heeded(bot)
    bot.workspace.faults.plan("chat.unfurl", Fault(until=goes_on))
    if message is None:
        message = await said(bot, "ben", "general", str(incident.permalink))
    else:
        await verbs(bot).change(order(bot, incident, "ben", incident_status_id="fixing"))
    await bot.workspace.begun("chat.unfurl", 1 + shown_before)
    hidden = asyncio.create_task(changed(bot, incident, "ana", visibility="private"))
    # Longer than the bot waits for an answer.
    await asyncio.sleep(15)
    goes_on.set()
    await asyncio.sleep(2 * LATE_SECONDS)
    await hidden
    await bot.app.settled()
    assert incident.name not in str(message.attachments)


async def test_what_slack_fails_to_take_back_for_long_is_taken_back_in_the_end(bot: RunningBot) -> None:
    incident = await declared(bot)
    link = await said(bot, "ben", "general", str(incident.permalink))
    await heeded(bot)
    bot.workspace.faults.plan("chat.unfurl", *[Fault(status=500)] * 24)
    assert isinstance(await verbs(bot).change(order(bot, incident, "ana", visibility="private")), Changed)
    while await bot.engine.unfinished():
        await bot.engine.finish(LIMIT)
    assert incident.name not in str(link.attachments)
    for room in ("general", "incidents"):
        assert incident.name not in " ".join(map(words, cards(bot, bot.slack.channel(room))))
    heard = [message.text for message in told(bot, "ana")]
    assert any("could be taken back" in text for text in heard), heard
    assert f"Everything that was shown of {incident.reference} elsewhere is taken back now." in heard[-1]


async def test_what_was_to_be_taken_back_when_the_bot_ended_is_taken_back_after_the_start(
    tmp_path: Path,
) -> None:
    installed, goes_on = Manifest.from_dict(routes.manifest(pages=HOST)), asyncio.Event()
    async with running_workspace(installed) as slack:
        async with running_bot(tmp_path, slack, tocsin_public_url=HOST) as bot:
            incident = await declared(bot)
            # What shows it comes late, and what takes it back then fails until the bot ends.
            bot.workspace.faults.plan("chat.unfurl", Fault(until=goes_on), Fault(), *[Fault(status=500)] * 99)
            message = await said(bot, "ben", "general", str(incident.permalink))
            await bot.workspace.begun("chat.unfurl")
            await changed(bot, incident, "ana", visibility="private")
            goes_on.set()
            await bot.workspace.heard("chat.unfurl", 3)
        for task in asyncio.all_tasks():
            # It ends with its process.
            if "/slack/listeners/" in task.get_coro().cr_code.co_filename:  # type: ignore[union-attr]
                task.cancel()
        assert incident.name in str(message.attachments)
        slack.workspace.faults.clear()
        slack.workspace.clear()
        async with running_bot(tmp_path, slack, tocsin_public_url=HOST) as bot:
            await bot.workspace.heard("chat.unfurl")
            await bot.app.settled()
            assert incident.name not in str(message.attachments)


async def test_of_a_private_incident_nothing_is_shown_anywhere(bot: RunningBot) -> None:
    incident = await declared(bot, "secret thing", visibility=ticked("private"))
    posted = [
        await said(bot, "ana", "general", str(incident.permalink)),
        await said(bot, "ben", "general", str(incident.permalink)),
    ]
    outcome = await bot.workspace.say(
        bot.slack.person("ana"), incident.slack_channel_id, str(incident.permalink)
    )
    assert outcome.ok, outcome
    await heeded(bot, 3)
    assert bot.calls("chat.unfurl") == []
    assert [message.attachments for message in posted] == [[], []]


async def test_nothing_is_shown_where_others_read_or_for_who_may_not_read(bot: RunningBot) -> None:
    incident = await declared(bot)
    link = str(incident.permalink)
    away = Person("U0AWAY00001", "away", "Away", "", role="member")
    bot.workspace.share(bot.slack.channel("alerts"), "T0OTHER", away)
    await said(bot, "ana", "alerts", link)
    await bot.workspace.say(away.id, bot.slack.channel("alerts"), link)
    await bot.workspace.say(bot.slack.person("gus"), bot.slack.channel("general"), link)
    # The bot is not in that private channel, and cannot see who reads it.
    await said(bot, "ana", "leads", link)
    bot.workspace.unfurls.compose(bot.slack.person("ana"), bot.slack.app, link)
    await said(bot, "ana", "general", f"{bot.url}/incidents/INC-999 and {bot.url}/healthz")
    posted = [r for r in bot.workspace.requests if r.method == "chat.postMessage"]
    await heeded(bot, len([r for r in bot.workspace.requests if r.method == "event.link_shared"]))
    assert bot.calls("chat.unfurl") == []
    assert posted


async def test_who_opens_a_link_reads_what_they_may(bot: RunningBot) -> None:
    incident = await declared(bot)
    message = await said(bot, "ben", "general", str(incident.permalink))
    await heeded(bot)
    for person, may in (("ben", True), ("gus", False)):
        look = bot.workspace.unfurls.open(bot.slack.person(person), message, str(incident.permalink))
        async with asyncio.timeout(60):
            await look.answered.wait()
        assert bool(look.shown) is may
        assert look.error == ({} if may else {"status": "not_found"})


async def test_who_opens_a_link_can_update_the_incident_and_take_its_lead(bot: RunningBot) -> None:
    incident = await declared(bot)
    message = await said(bot, "ben", "general", f"see {incident.permalink}")
    await heeded(bot)
    ben, opened = bot.slack.person("ben"), bot.opened_so_far
    look = bot.workspace.unfurls.open(ben, message, str(incident.permalink))
    await look.answered.wait()
    buttons = look.shown["entity_payload"]["actions"]["primary_actions"]
    assert [button["text"] for button in buttons] == ["Update", "Take the lead"]
    assert (await bot.workspace.press_entity(ben, look, "update_incident")).ok
    assert "checkout is slow" in words(await bot.opened_form("ben", since=opened))
    assert (await bot.workspace.press_entity(ben, look, "take_lead")).ok
    await bot.app.settled()
    lead = (await newest(bot)).lead
    assert lead is not None
    assert lead.slack_user_id == ben
    assert "Lead" in told(bot, "ben")[-1].text


async def test_a_link_in_the_bots_own_posts_is_not_shown_again(bot: RunningBot) -> None:
    await declared(bot)
    assert [r for r in bot.workspace.requests if r.method == "event.link_shared"] == []
    posts = bot.calls("chat.postMessage")
    assert posts
    assert all(call.args["unfurl_links"] is False for call in posts)
