"""Rate limits, and the page on which a bad day is made."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from support.slack import browsing

from slack_emulator.faults import TIER_OF
from slack_emulator.limits import CALLS_A_MINUTE
from slack_emulator.scopes import SCOPES_OF_METHOD
from slack_emulator.testing import Slack


async def limited(client: AsyncWebClient, method: str, **given: object) -> str:
    """After how many seconds a call that is one too many may come again."""
    with pytest.raises(SlackApiError) as refused:
        await client.api_call(method, params=given)
    answer = refused.value.response
    assert (answer.status_code, answer["error"]) == (429, "ratelimited")
    wait: str = answer.headers["Retry-After"]
    return wait


async def test_nothing_is_limited_until_limits_are_switched_on(slack: Slack, client: AsyncWebClient) -> None:
    for _ in range(CALLS_A_MINUTE[2] + 5):
        assert (await client.users_list(limit=1))["ok"]


async def test_a_method_may_be_called_as_often_a_minute_as_its_tier_says(
    slack: Slack, client: AsyncWebClient
) -> None:
    """Slack, rate limits: tier 2 is 20 calls a minute, per method, app and workspace."""
    slack.workspace.rates.on = True
    for _ in range(20):
        assert (await client.users_list(limit=1))["ok"]
    wait = int(await limited(client, "users.list", limit="1"))
    assert 55 <= wait <= 60
    assert (await client.users_info(user=slack.user_id("ana")))["ok"], "another method has its own count"
    slack.clock.turn(wait)
    assert (await client.users_list(limit=1))["ok"]
    assert slack.workspace.rates.refused == 1


async def test_a_channel_takes_one_message_a_second(slack: Slack, client: AsyncWebClient) -> None:
    """Slack, chat.postMessage: one message per second per channel; the answer then has `Retry-After`."""
    slack.workspace.rates.on = True
    general, alerts = slack.channel_id("general"), slack.channel_id("alerts")
    for place in (general, alerts):
        await client.conversations_join(channel=place)
        assert (await client.chat_postMessage(channel=place, text="one"))["ok"]
    assert await limited(client, "chat.postMessage", channel=general, text="two") == "1"
    slack.clock.turn(1)
    assert (await client.chat_postMessage(channel=general, text="three"))["ok"]


async def test_a_workspace_that_lives_fast_has_its_limits_scaled(
    slack: Slack, client: AsyncWebClient
) -> None:
    slack.workspace.rates.on, slack.workspace.rates.scale = True, 2.0
    for _ in range(40):
        assert (await client.users_list(limit=1))["ok"]
    await limited(client, "users.list")


def test_every_method_with_a_tier_is_one_of_slacks() -> None:
    assert set(TIER_OF) <= set(SCOPES_OF_METHOD)


async def test_a_bad_day_is_made_on_a_page(slack: Slack, client: AsyncWebClient) -> None:
    workspace = slack.workspace
    async with browsing(workspace) as page:
        page.headers["origin"] = slack.url
        page.follow_redirects = True
        assert "Nothing is limited" in (await page.get("/weather")).text
        assert "own limits hold" in (await page.post("/weather/limits")).text
        planned = {"method": "pins.add", "fault": "broken", "times": "2"}
        assert "pins.add: the next 2" in (await page.post("/weather/faults", data=planned)).text
        with pytest.raises(SlackApiError) as broken:
            await client.pins_add(channel=slack.channel_id("general"), timestamp="1.2")
        assert broken.value.response.status_code == 500
        assert "pins.add: the next" not in (await page.post("/weather/clear")).text
        before = workspace.clock.now()
        await page.post("/weather/clock", data={"minutes": "5"})
        assert workspace.clock.now() - before >= 300
        for odd in ({"method": "no.such"}, {"method": "pins.add", "fault": "none"}, {}):
            assert (await page.post("/weather/faults", data=odd)).status_code == 200
        assert workspace.faults.planned() == {}
        assert (
            await page.post("/weather/limits", headers={"origin": "https://evil.example"})
        ).status_code == 403


async def test_an_app_from_outside_the_marketplace_looks_once_a_minute_at_fifteen_messages(
    slack: Slack, client: AsyncWebClient
) -> None:
    """Slack, rate limits (29 May 2025): conversations.history and conversations.replies."""
    slack.workspace.rates.outside_marketplace = True
    general = slack.channel_id("general")
    await client.conversations_join(channel=general)
    root = (await client.chat_postMessage(channel=general, text="root"))["ts"]
    for number in range(20):
        await client.chat_postMessage(channel=general, text=f"reply {number}", thread_ts=root)
        await client.chat_postMessage(channel=general, text=f"message {number}")
    shown = await client.conversations_history(channel=general, limit=200)
    assert len(shown["messages"]) == 15
    assert shown["has_more"]
    wait = int(await limited(client, "conversations.history", channel=general))
    assert 55 <= wait <= 60
    thread = await client.conversations_replies(channel=general, ts=root, limit=200)
    assert len(thread["messages"]) == 15
    assert 55 <= int(await limited(client, "conversations.replies", channel=general, ts=root)) <= 60
    slack.clock.turn(wait)
    cursor = shown["response_metadata"]["next_cursor"]
    assert (await client.conversations_history(channel=general, cursor=cursor))["ok"]
    for _ in range(60):
        assert (await client.users_info(user=slack.user_id("ana")))["ok"], "nothing else is limited"


async def test_history_with_oldest_alone_begins_with_what_followed_and_shows_each_page_newest_first(
    slack: Slack, client: AsyncWebClient
) -> None:
    """slackhq/slack-api-docs, issue 4."""
    general = slack.channel_id("general")
    await client.conversations_join(channel=general)
    posted = [(await client.chat_postMessage(channel=general, text=f"{n}"))["ts"] for n in range(5)]

    async def texts(**given: Any) -> tuple[list[str], str | None]:
        page = await client.conversations_history(channel=general, limit=2, **given)
        cursor = (page.get("response_metadata") or {}).get("next_cursor")
        return [message["text"] for message in page["messages"]], cursor

    shown, cursor = await texts(oldest=posted[0])
    assert shown == ["2", "1"]
    assert (await texts(oldest=posted[0], cursor=cursor))[0] == ["4", "3"]
    shown, cursor = await texts(oldest=posted[0], latest=posted[4])
    assert shown == ["3", "2"]
    assert (await texts(oldest=posted[0], latest=posted[4], cursor=cursor)) == (["1"], None)
    inclusive, _ = await texts(oldest=posted[3], inclusive=True)
    assert inclusive == ["4", "3"]
    assert (await texts())[0] == ["4", "3"]
