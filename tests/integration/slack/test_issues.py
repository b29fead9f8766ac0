"""Follow-ups go on in a tracker: a button that opens its form, and the link that is pasted back."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.bot import RunningBot, chosen, typed
from support.errands import declared, opened_by, press_card, sent, typed_verb
from support.readings import settled, value, words

from slack_emulator.manifest import Manifest
from slack_emulator.models import Message
from tocsin.incidents.model import FollowUp, Incident
from tocsin.slack import routes

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[tracker]
url = "https://github.com/acme/web/issues/new?title={title}&body={body}"
"""
LINK = "https://github.com/acme/web/issues/12"


def message_of(bot: RunningBot, incident: Incident, text: str) -> Message:
    posted = bot.workspace.state.lasting(incident.slack_channel_id)
    return [message for message in posted if f"Follow-up: {text}" in words(message)][-1]


def new_issues(shown: Any) -> list[str]:
    """The addresses of *Open an issue*."""
    elements = [e for block in shown if block["type"] == "actions" for e in block["elements"]]
    return [one["url"] for one in elements if one.get("action_id") == "open_issue"]


async def follow_ups(bot: RunningBot, incident: Incident) -> list[tuple[str, str]]:
    """Each follow-up with the link of its issue."""
    listed: list[FollowUp] = list(await bot.app.workflows.follow_ups.of(incident.id))
    issues = [one.external_issue_reference for one in listed]
    return [
        (one.text, issue.issue_permalink if issue else "") for one, issue in zip(listed, issues, strict=True)
    ]


async def test_an_issue_is_opened_with_a_button_and_its_link_pasted_back_replaces_it(bot: RunningBot) -> None:
    incident = await declared(bot, "checkout is slow")
    here = incident.slack_channel_id
    await typed_verb(bot, "ana", here, "/incident follow-up write an alert & test it")
    await settled(bot)
    (address,) = new_issues(message_of(bot, incident, "write").blocks)
    assert parse_qs(urlsplit(address).query)["title"] == ["write an alert & test it"]
    view = await opened_by(bot, "ana", here, "/incident follow-up")
    assert new_issues(view.payload["blocks"]) == [address]
    said = await typed_verb(bot, "ana", here, f"/incident follow-up <{LINK}>")
    assert "its issue is linked" in said
    await settled(bot)
    shown = message_of(bot, incident, "write")
    assert new_issues(shown.blocks) == []
    assert f"<{LINK}|#12>" in words(shown)
    assert await follow_ups(bot, incident) == [("write an alert & test it", LINK)]
    (entry,) = [e for e in await bot.backend.timeline(incident.id) if "linked" in e.verb]  # type: ignore[attr-defined]
    assert entry.verb == "linked the issue of the follow-up:"


async def test_a_link_is_asked_about_where_it_may_be_of_several_and_nothing_typed_is_lost(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "search is slow")
    here = incident.slack_channel_id
    view = await opened_by(bot, "ana", here, f"/incident follow-up {LINK}")
    assert "Say what is to be done." in words(view)
    assert value(view, "issue_url") == LINK
    await sent(bot, "ana", view, text=typed("grow the pool"))
    for text in ("write an alert", "write it down", f"tell them: <{LINK}4>"):
        await typed_verb(bot, "ana", here, f"/incident follow-up {text}")
    view = await opened_by(bot, "ana", here, f"/incident follow-up {LINK}3")
    assert "Choose the follow-up whose issue this is." in words(view)
    assert value(view, "issue_url") == f"{LINK}3"
    waiting = [
        one.id for one in await bot.app.workflows.follow_ups.of(incident.id) if one.text == "write it down"
    ]
    assert "its issue is linked" in await sent(bot, "ana", view, follow_up_id=chosen(waiting[0]))
    await typed_verb(bot, "ana", here, f"/incident follow-up Write an ALERT {LINK}2")
    await settled(bot)
    assert await follow_ups(bot, incident) == [
        ("grow the pool", LINK),
        ("write an alert", f"{LINK}2"),
        ("write it down", f"{LINK}3"),
        ("tell them", f"{LINK}4"),
    ]


async def test_a_reply_with_a_link_to_the_tracker_links_the_follow_up_it_replies_to(bot: RunningBot) -> None:
    app = bot.slack.app
    app.manifest = Manifest.from_dict(routes.manifest(tracker="github.com"))
    incident = await declared(bot, "logs are full")
    here = incident.slack_channel_id
    for text in ("write an alert", "write it down"):
        await typed_verb(bot, "ana", here, f"/incident follow-up {text}")
    await settled(bot)
    thread = message_of(bot, incident, "write it down").ts
    for number, below in enumerate((None, thread, thread), start=1):
        await bot.workspace.say(bot.slack.person("ana"), here, f"see {LINK}{number}", below)
        await bot.workspace.heard("event.link_shared", number)
        await settled(bot)
    assert await follow_ups(bot, incident) == [("write an alert", ""), ("write it down", f"{LINK}2")]


async def test_the_link_is_added_by_a_button_and_what_is_no_link_is_said_in_the_form(bot: RunningBot) -> None:
    incident = await declared(bot, "mail is late")
    here = incident.slack_channel_id
    await typed_verb(bot, "ana", here, "/incident follow-up write an alert")
    await settled(bot)
    opened = bot.opened_so_far
    await press_card(bot, "ana", message_of(bot, incident, "write"), "link_issue")
    view = await bot.opened_form("ana", since=opened)
    await bot.fill("ana", view, issue_url={"type": "url_text_input", "value": LINK.ljust(2100, "0")})
    outcome = await bot.submit("ana", view)
    assert "at most 2048 characters" in outcome.errors["issue_url"]
    assert "its issue is linked" in await sent(
        bot, "ana", view, issue_url={"type": "url_text_input", "value": LINK}
    )
    assert await follow_ups(bot, incident) == [("write an alert", LINK)]


async def test_the_link_of_an_issue_can_be_changed_and_the_form_has_the_one_that_is_there(
    bot: RunningBot,
) -> None:
    incident = await declared(bot, "carts are empty")
    here = incident.slack_channel_id
    await typed_verb(bot, "ana", here, f"/incident follow-up write an alert {LINK}1")
    await settled(bot)
    opened = bot.opened_so_far
    await press_card(bot, "ana", message_of(bot, incident, "write"), "link_issue")
    view = await bot.opened_form("ana", since=opened)
    assert f'"initial_value": "{LINK}1"' in json.dumps(view.payload)
    await sent(bot, "ana", view, issue_url={"type": "url_text_input", "value": f"{LINK}2"})
    assert await follow_ups(bot, incident) == [("write an alert", f"{LINK}2")]
    assert f"{LINK}2" in words(message_of(bot, incident, "write"))
