"""The page over HTTP: who may ask, what each address shows, what a change does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.clock import fitting_clock
from support.form_bot import CARD, MANIFEST
from support.slack import browsing

from slack_emulator.testing import Slack, running_slack


@dataclass
class Browser:
    """A browser without a screen: it keeps cookies and says where its requests come from."""

    slack: Slack
    http: httpx.AsyncClient

    async def see(self, path: str, status: int = 200) -> str:
        answer = await self.http.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    async def do(self, path: str, **fields: str) -> httpx.Response:
        return await self.http.post(path, data=fields, headers={"origin": self.slack.url})

    async def act_as(self, name: str) -> None:
        await self.do("/act-as", person=self.slack.user_id(name))


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with (
        running_slack(MANIFEST, advice="Type `/form`", clock=fitting_clock()) as slack,
        browsing(slack.workspace) as http,
    ):
        yield Browser(slack, http)


def pieces(html: str, marker: str) -> list[str]:
    return re.findall(marker, html)


async def test_the_front_door_leads_to_the_general_channel(browser: Browser) -> None:
    answer = await browser.http.get("/")
    assert answer.status_code == 303
    html = await browser.see(answer.headers["location"])
    assert "Message #general" in html
    assert "Type <code>/form</code>" in html


async def test_the_sidebar_lists_only_what_this_person_may_see(browser: Browser) -> None:
    await browser.act_as("gus")
    html = await browser.see("/client")
    assert pieces(html, r'class="row-name">([a-z]+)<') == ["general", "haulpartner"]
    assert "Browse or create channels" not in html
    await browser.act_as("ben")
    assert "leads" in await browser.see("/client")


async def test_a_private_channel_does_not_exist_for_others(browser: Browser) -> None:
    await browser.act_as("chloe")
    leads = browser.slack.channel_id("leads")
    assert "There is nothing here" in await browser.see(f"/client/{leads}", 404)
    assert "There is nothing here" in await browser.see("/client/C0NOWHERE99", 404)


async def test_a_deactivated_person_or_an_app_cannot_be_acted_as(browser: Browser) -> None:
    await browser.act_as("ben")
    await browser.act_as("tom")
    await browser.do("/act-as", person=browser.slack.app.bot_user_id)
    assert "Acting as Ben Okafor" in await browser.see("/client")
    for forged in (browser.slack.user_id("tom"), browser.slack.app.bot_user_id, "U0NOBODY00"):
        browser.http.cookies.delete("playground_person")
        browser.http.cookies.set("playground_person", forged)
        assert "Acting as Ana Ferreira" in await browser.see("/client")


async def test_unread_channels_are_marked_until_they_are_opened(browser: Browser) -> None:
    await browser.act_as("chloe")
    alerts = browser.slack.channel_id("alerts")
    assert "2 unread" in await browser.see("/client")
    await browser.see(f"/client/{alerts}")
    assert "2 unread" not in await browser.see("/client")


async def test_what_is_said_is_posted_and_what_is_typed_as_markup_is_only_text(browser: Browser) -> None:
    general = browser.slack.channel_id("general")
    answer = await browser.do(f"/client/{general}/say", text="<b>hi</b> <!channel> & *bye*")
    assert answer.status_code == 204
    html = await browser.see(f"/client/{general}")
    assert "&lt;b&gt;hi&lt;/b&gt; &lt;!channel&gt; &amp; <b>bye</b>" in html


async def test_a_command_nobody_declared_is_refused_where_the_person_looks(browser: Browser) -> None:
    general = browser.slack.channel_id("general")
    answer = await browser.do(f"/client/{general}/say", text="/nothing here")
    assert answer.status_code == 422
    assert "/nothing is not a valid command." in await browser.see(f"/client/{general}")
    await browser.do(f"/client/{general}/say", text="never mind")
    assert "not a valid command" not in await browser.see(f"/client/{general}")


async def test_a_command_without_an_app_behind_it_says_that_it_failed(browser: Browser) -> None:
    general = browser.slack.channel_id("general")
    answer = await browser.do(f"/client/{general}/say", text="/form x")
    assert answer.status_code == 422
    assert "/form failed because the app did not respond" in await browser.see(f"/client/{general}")


async def test_commands_are_not_run_in_threads(browser: Browser) -> None:
    general = browser.slack.channel_id("general")
    said = await browser.slack.workspace.say(browser.slack.user_id("ana"), general, "root")
    answer = await browser.do(f"/client/{general}/say", text="/form x", thread_ts=said.ts or "")
    assert answer.status_code == 422
    assert "not supported in threads" in await browser.see(f"/client/{general}")


async def test_a_change_asked_for_by_another_site_is_refused(browser: Browser) -> None:
    general = browser.slack.channel_id("general")
    path = f"/client/{general}/say"
    before = len(browser.slack.workspace.history(general, browser.slack.user_id("ana")))
    for headers in ({}, {"origin": "https://evil.example"}, {"origin": "null"}):
        answer = await browser.http.post(path, data={"text": "hi"}, headers=headers)
        assert answer.status_code == 403
    assert len(browser.slack.workspace.history(general, browser.slack.user_id("ana"))) == before


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:80"])
async def test_the_page_answers_only_to_names_of_this_machine(browser: Browser, host: str) -> None:
    answer = await browser.http.get("/client", headers={"host": host})
    assert answer.status_code in (400, 403)


async def test_every_page_forbids_inline_scripts_and_styles(browser: Browser) -> None:
    general = browser.slack.channel_id("general")
    for path in ("/client", f"/client/{general}", f"/client/{general}/details", "/browse", "/people"):
        answer = await browser.http.get(path)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script>|\sstyle=|\son[a-z]+=|hx-on", answer.text)


async def test_a_thread_has_its_own_address_with_the_parent_first(browser: Browser) -> None:
    alerts = browser.slack.channel_id("alerts")
    html = await browser.see(f"/client/{alerts}")
    link = pieces(html, r'class="thread-link" href="([^"]+)"')[0]
    aside = (await browser.see(link)).split('aria-label="Thread"')[1]
    assert aside.index("Checkout p95 above 4 s") < aside.index("Doubled the pool")
    assert "3 replies" in aside


async def test_a_permalink_leads_to_the_message(browser: Browser) -> None:
    general, ana = browser.slack.channel_id("general"), browser.slack.user_id("ana")
    ts = browser.slack.workspace.history(general, ana)[0].ts
    link = browser.slack.workspace.permalink(general, ts)
    answer = await browser.http.get(link)
    assert answer.headers["location"] == f"/client/{general}#m-{ts}"
    assert f'id="m-{ts}"' in await browser.see(f"/client/{general}")


async def test_a_reaction_pressed_twice_is_taken_back(browser: Browser) -> None:
    general, ana = browser.slack.channel_id("general"), browser.slack.user_id("ana")
    message = browser.slack.workspace.history(general, ana)[0]
    url = f"/client/{general}/messages/{message.ts}/react"
    await browser.do(url, name="tada")
    assert ("tada", [ana]) in message.reactions
    await browser.do(url, name="tada")
    assert message.reactions == []


async def test_a_pinned_message_is_found_in_the_details(browser: Browser) -> None:
    general, ana = browser.slack.channel_id("general"), browser.slack.user_id("ana")
    ts = browser.slack.workspace.history(general, ana)[0].ts
    await browser.do(f"/client/{general}/messages/{ts}/pin")
    details = await browser.see(f"/client/{general}/details")
    assert "The new depot in Ghent" in details.split('id="pins-title"')[1]
    await browser.do(f"/client/{general}/messages/{ts}/pin")
    assert "Nothing is pinned." in await browser.see(f"/client/{general}/details")


async def test_channels_are_created_joined_and_left(browser: Browser) -> None:
    made = await browser.do("/channels", name="plan-budget")
    room = made.headers["hx-redirect"]
    await browser.act_as("chloe")
    assert "Join channel" in await browser.see(room)
    await browser.do(f"{room}/join")
    assert "Message #plan-budget" in await browser.see(room)
    await browser.do(f"{room}/leave")
    assert "Join channel" in await browser.see(room)


async def test_a_channel_name_that_slack_refuses_is_explained(browser: Browser) -> None:
    answer = await browser.do("/channels", name="Not Allowed")
    assert answer.status_code == 422
    assert "lowercase letters" in await browser.see("/browse")


async def test_a_direct_message_is_opened_from_the_list_of_people(browser: Browser) -> None:
    answer = await browser.do(f"/people/{browser.slack.user_id('priya')}/message")
    assert answer.status_code == 303
    assert "Message Priya Raman" in await browser.see(answer.headers["location"])


async def test_an_open_page_is_sent_only_the_regions_that_changed(browser: Browser) -> None:
    general = browser.slack.channel_id("general")
    html = await browser.see(f"/client/{general}")
    marks = pieces(html, r'data-region="(\w+)" data-digest="(\w+)"')
    have = {"hx-request": "true", "x-have": ",".join(f"{name}:{mark}" for name, mark in marks)}
    assert (await browser.http.get(f"/client/{general}", headers=have)).status_code == 204
    await browser.slack.workspace.say(browser.slack.user_id("ben"), general, "news")
    answer = await browser.http.get(f"/client/{general}", headers=have)
    assert pieces(answer.text, r'hx-target="#(\w+)"') == ["messages"]
    assert "news" in answer.text


async def test_an_apps_message_shows_its_blocks_and_its_badge(browser: Browser) -> None:
    slack, general = browser.slack, browser.slack.channel_id("general")
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    await client.chat_postMessage(channel=general, text="Checkout is slow", blocks=CARD)
    html = await browser.see(f"/client/{general}")
    assert '<b class="author">Formbot</b> <span class="badge">APP</span>' in html
    assert "Checkout is slow 🐌" in html
    assert 'data-person="U0CHLOE003">@Chloe Marchetti' in html
    assert "Plain *text*" in html


async def test_an_ephemeral_is_seen_by_one_person_and_offers_no_actions(browser: Browser) -> None:
    slack, general = browser.slack, browser.slack.channel_id("general")
    await slack.workspace.invite(slack.user_id("ana"), general, slack.app.bot_user_id)
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    await client.chat_postEphemeral(channel=general, user=slack.user_id("ben"), text="psst")
    assert "psst" not in await browser.see(f"/client/{general}")
    await browser.act_as("ben")
    html = (await browser.see(f"/client/{general}")).split("Only visible to you")[1]
    assert "psst" in html
    assert "More actions" not in html


async def test_an_app_that_shouts_at_everyone_is_flagged(browser: Browser) -> None:
    slack, general = browser.slack, browser.slack.channel_id("general")
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    await client.chat_postMessage(channel=general, text="Declared: <!channel> look")
    assert "would have notified @channel" in await browser.see(f"/client/{general}")


async def test_the_page_carries_what_apps_declare(browser: Browser) -> None:
    general, ana = browser.slack.channel_id("general"), browser.slack.user_id("ana")
    html = await browser.see(f"/client/{general}")
    assert 'data-command="/form"' in html
    assert 'data-callback-id="open_form"' in html
    message = browser.slack.workspace.history(general, ana)[0]
    menu = await browser.see(f"/client/{general}/messages/{message.ts}/menu")
    assert 'data-callback-id="file_this"' in menu


async def test_a_long_channel_shows_its_newest_messages_and_a_way_to_the_earlier_ones(
    browser: Browser,
) -> None:
    general, ana = browser.slack.channel_id("general"), browser.slack.user_id("ana")
    for number in range(90):
        await browser.slack.workspace.say(ana, general, f"line {number:02}")
    html = await browser.see(f"/client/{general}")
    assert "line 89" in html
    assert "line 09" not in html
    earlier = pieces(html, r'href="([^"]+)">Show earlier messages')[0]
    assert "line 09" in await browser.see(earlier)


async def test_changes_are_announced_to_those_who_may_see_them(browser: Browser) -> None:
    slack = browser.slack
    await browser.act_as("chloe")
    async with browser.http.stream("GET", "/live") as live:
        lines = live.aiter_lines()
        async for line in lines:
            if line == "":
                break
        ben, leads = slack.user_id("ben"), slack.channel_id("leads")
        secret = slack.workspace.history(leads, ben)[0]
        await slack.workspace.react(ben, leads, secret.ts, "eyes")
        await slack.workspace.say(ben, slack.channel_id("general"), "open")
        async for line in lines:
            if line.startswith("data: "):
                break
    assert line == "data: message"
