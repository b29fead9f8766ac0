"""Assistant threads, with Bolt's own Assistant: status, title, prompts, and where the user looks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
from slack_bolt.adapter.socket_mode.websockets import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp, AsyncAssistant
from slack_sdk.web.async_client import AsyncWebClient
from support.manifests import DECLARED
from support.refusals import error_of

from slack_emulator.manifest import Manifest
from slack_emulator.testing import ActionFailed, AssistantChat, Slack


def declared() -> dict[str, Any]:
    manifest = deepcopy(DECLARED)
    manifest["features"]["assistant_view"] = {"assistant_description": "Knows what burns"}
    manifest["oauth_config"]["scopes"]["bot"].append("assistant:write")
    manifest["settings"]["event_subscriptions"]["bot_events"] += [
        "assistant_thread_started",
        "assistant_thread_context_changed",
    ]
    return manifest


@pytest.fixture
def slack_manifest() -> Manifest:
    return Manifest.from_dict(declared())


@pytest.fixture
def client(slack: Slack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


@pytest.fixture
async def helper(slack: Slack, client: AsyncWebClient) -> AsyncIterator[AsyncApp]:
    """A Bolt app with an assistant that greets, thinks and answers."""
    app, assistant = AsyncApp(name="a bot", client=client), AsyncAssistant()

    @assistant.thread_started
    async def greet(say: Any, set_suggested_prompts: Any) -> None:
        await say("How can I help?")
        await set_suggested_prompts([{"title": "What burns?", "message": "Tell me what burns"}], "Try")

    @assistant.user_message
    async def answer(
        payload: Any, set_status: Any, set_title: Any, say: Any, get_thread_context: Any
    ) -> None:
        await set_title(payload["text"])
        await set_status("is thinking...")
        where = await get_thread_context()
        await say(f"In <#{where['channel_id']}>: nothing.")

    app.assistant(assistant)
    handler = AsyncSocketModeHandler(app, slack.app_token)
    await handler.connect_async()
    await slack.connected()
    yield app
    await handler.close_async()


async def test_bolts_assistant_greets_suggests_and_answers(slack: Slack, helper: AsyncApp) -> None:
    chat = await slack.user("ana").assistant(viewing="alerts")
    await slack.until(lambda: chat.prompts)
    assert [m.text for m in chat.messages] == ["How can I help?"]
    await chat.pick("What burns?")
    await slack.until(lambda: len(chat.messages) == 3)
    assert chat.messages[-1].text == f"In <#{slack.channel_id('alerts')}>: nothing."
    assert chat.title == "Tell me what burns"
    assert chat.status == ""


async def test_the_app_hears_where_the_user_looks(slack: Slack, helper: AsyncApp) -> None:
    chat = await slack.user("ana").assistant(viewing="alerts")
    await slack.until(lambda: chat.prompts)
    await chat.view("general")
    await slack.workspace.heard("event.assistant_thread_context_changed")
    await slack.called("chat.update")
    await chat.say("And here?")
    await slack.until(lambda: len(chat.messages) == 3)
    assert chat.messages[-1].text == f"In <#{slack.channel_id('general')}>: nothing."


async def opened(slack: Slack) -> AssistantChat:
    return await slack.user("ana").assistant()


async def test_a_status_is_gone_after_two_minutes_or_the_apps_next_message(
    slack: Slack, client: AsyncWebClient
) -> None:
    chat = await opened(slack)
    place = {"channel_id": chat.channel, "thread_ts": chat.ts}
    await client.assistant_threads_setStatus(**place, status="is thinking...", loading_messages=["Hm"])
    assert chat.status == "is thinking..."
    await client.chat_postMessage(channel=chat.channel, thread_ts=chat.ts, text="Done")
    assert chat.status == ""
    await client.assistant_threads_setStatus(**place, status="is searching...")
    slack.clock.turn(121)
    assert chat.status == ""


async def test_an_app_without_an_assistant_view_has_no_assistant(slack: Slack) -> None:
    slack.workspace.install(Manifest.from_dict(DECLARED))
    with pytest.raises(ActionFailed, match="no assistant view"):
        await slack.user("ana").assistant()


@pytest.mark.parametrize(
    ("method", "given", "error"),
    [
        ("assistant.threads.setTitle", {"title": "Hi", "thread_ts": "1.1"}, "invalid_thread_ts"),
        (
            "assistant.threads.setStatus",
            {"status": "is thinking...", "thread_ts": "1.1"},
            "invalid_thread_ts",
        ),
        ("assistant.threads.setTitle", {"title": "Hi", "channel_id": "D0NONE"}, "channel_not_found"),
        (
            "assistant.threads.setSuggestedPrompts",
            {"prompts": [{"title": "No message"}]},
            "invalid_arguments",
        ),
        (
            "assistant.threads.setSuggestedPrompts",
            {"prompts": [{"title": "a", "message": "b"}] * 5},
            "invalid_arguments",
        ),
    ],
    ids=["no thread for a title", "no thread for a status", "no channel", "half a prompt", "five prompts"],
)
async def test_what_slack_would_refuse_in_a_thread_is_refused(
    slack: Slack, client: AsyncWebClient, method: str, given: dict[str, Any], error: str
) -> None:
    chat = await opened(slack)
    arguments = {"channel_id": chat.channel, "thread_ts": chat.ts} | given
    assert await error_of(client.api_call(method, json=arguments)) == error


async def test_prompts_without_a_thread_go_to_the_latest_chat(slack: Slack, client: AsyncWebClient) -> None:
    await opened(slack)
    latest = await opened(slack)
    prompts = [{"title": "Again", "message": "Once more"}]
    await client.api_call(
        "assistant.threads.setSuggestedPrompts", json={"channel_id": latest.channel, "prompts": prompts}
    )
    assert latest.prompts == {"Again": "Once more"}


async def test_on_the_page_a_chat_shows_status_and_prompts(slack: Slack, client: AsyncWebClient) -> None:
    async with httpx.AsyncClient(base_url=slack.url, trust_env=False, follow_redirects=True) as browser:
        await browser.get(slack.address)
        origin = {"origin": slack.url}
        assert "New chat" in (await browser.get(f"/home/{slack.app.app_id}/about")).text
        begun = await browser.post(f"/home/{slack.app.app_id}/chat", headers=origin)
        place = begun.headers["hx-redirect"]
        _, _, channel, _, ts = place.split("/")
        given = {"channel_id": channel, "thread_ts": ts}
        await client.assistant_threads_setStatus(**given, status="is thinking...")
        await client.assistant_threads_setSuggestedPrompts(
            **given, prompts=[{"title": "What burns?", "message": "Tell me"}]
        )
        shown = (await browser.get(place)).text
    assert "Pager is thinking..." in shown
    assert "What burns?" in shown
