"""chat.startStream, chat.appendStream and chat.stopStream."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.manifests import manifest
from support.refusals import error_of

from slack_emulator.manifest import Manifest
from slack_emulator.models import Message
from slack_emulator.testing import Slack


@pytest.fixture
def slack_manifest() -> Manifest:
    return manifest()


@pytest.fixture
async def client(slack: Slack) -> AsyncWebClient:
    await slack.user("ana").invite_app("general")
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


@pytest.fixture
async def question(slack: Slack, client: AsyncWebClient) -> Message:
    return await slack.user("ana").say("What is burning?")


async def started(client: AsyncWebClient, slack: Slack, question: Message, **more: Any) -> dict[str, Any]:
    """A stream that answers a question in #general: where it is."""
    answer = await client.chat_startStream(
        channel=question.channel,
        thread_ts=question.ts,
        recipient_user_id=slack.user("ana").id,
        recipient_team_id=slack.workspace.state.team.id,
        **more,
    )
    return {"channel": answer["channel"], "ts": answer["ts"]}


async def test_a_message_grows_while_it_is_streamed(
    slack: Slack, client: AsyncWebClient, question: Message
) -> None:
    place = await started(client, slack, question, markdown_text="The **check")
    await client.chat_appendStream(**place, markdown_text="out** ")
    assert slack.messages("general")[-1].text == "The **checkout** "
    button = {"type": "actions", "elements": [{"type": "button", "text": plain("Good"), "action_id": "good"}]}
    stopped = await client.chat_stopStream(**place, markdown_text="is slow.", blocks=[button])
    message = slack.messages("general")[-1]
    assert (message.thread_ts, message.text) == (question.ts, "The **checkout** is slow.")
    assert [block["type"] for block in message.blocks] == ["markdown", "actions"]
    assert stopped["message"]["text"] == message.text


def plain(words: str) -> dict[str, str]:
    return {"type": "plain_text", "text": words}


async def test_slacks_own_helper_streams_through_it(
    slack: Slack, client: AsyncWebClient, question: Message
) -> None:
    streamer = await client.chat_stream(
        buffer_size=8,
        channel=question.channel,
        thread_ts=question.ts,
        recipient_user_id=slack.user("ana").id,
        recipient_team_id=slack.workspace.state.team.id,
    )
    for word in ("Look ", "at the ", "database, ", "please."):
        await streamer.append(markdown_text=word)
    await streamer.stop()
    assert slack.messages("general")[-1].text == "Look at the database, please."
    assert slack.calls("chat.appendStream")


def task(status: str, **more: str) -> dict[str, Any]:
    return {"type": "task_update", "id": "1", "title": "Read logs", "status": status, **more}


async def test_a_task_is_a_card_that_changes_where_it_stands(
    slack: Slack, client: AsyncWebClient, question: Message
) -> None:
    place = await started(client, slack, question, chunks=[task("in_progress")])
    await client.chat_appendStream(**place, chunks=[{"type": "markdown_text", "text": "Found it."}])
    await client.chat_appendStream(**place, chunks=[task("complete", output="Disk full")])
    card, words = slack.messages("general")[-1].blocks
    assert (card["type"], card["status"], words["text"]) == ("task_card", "complete", "Found it.")
    assert card["output"]["type"] == "rich_text"


async def test_in_plan_mode_all_tasks_stand_together(
    slack: Slack, client: AsyncWebClient, question: Message
) -> None:
    chunks = [{"type": "plan_update", "title": "Searching"}, task("pending")]
    await started(client, slack, question, task_display_mode="plan", chunks=chunks)
    plan = slack.messages("general")[-1].blocks[0]
    assert (plan["type"], plan["title"]) == ("plan", "Searching")
    assert [one["status"] for one in plan["tasks"]] == ["pending"]


async def test_while_it_is_streamed_a_message_cannot_be_updated(
    slack: Slack, client: AsyncWebClient, question: Message
) -> None:
    place = await started(client, slack, question, markdown_text="Wait")
    assert await error_of(client.chat_update(**place, text="No")) == "streaming_state_conflict"
    await client.chat_stopStream(**place)
    await client.chat_update(**place, text="Yes")
    assert await error_of(client.chat_appendStream(**place, markdown_text="!")) == (
        "message_not_in_streaming_state"
    )


async def test_outside_of_a_direct_message_the_recipient_is_named(
    slack: Slack, client: AsyncWebClient, question: Message
) -> None:
    where = {"channel": question.channel, "thread_ts": question.ts}
    assert await error_of(client.chat_startStream(**where)) == "missing_recipient_user_id"
    ana = slack.user("ana").id
    assert await error_of(client.chat_startStream(**where, recipient_user_id=ana)) == (
        "missing_recipient_team_id"
    )


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "no_text"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"chunks": [{"type": "song"}]}, "invalid_chunks"),
        ({"chunks": [task("sleeping")]}, "invalid_chunks"),
        ({"chunks": [{"type": "markdown_text"}]}, "invalid_chunks"),
    ],
    ids=["nothing", "too much", "unknown chunk", "unknown status", "chunk without text"],
)
async def test_chunks_that_slack_would_refuse_are_refused(
    slack: Slack, client: AsyncWebClient, question: Message, given: dict[str, Any], error: str
) -> None:
    place = await started(client, slack, question, markdown_text="So far")
    assert await error_of(client.api_call("chat.appendStream", json=place | given)) == error
    assert slack.messages("general")[-1].text == "So far"


async def test_a_message_of_a_person_is_no_stream_of_the_apps(
    client: AsyncWebClient, question: Message
) -> None:
    place = {"channel": question.channel, "ts": question.ts}
    assert await error_of(client.chat_appendStream(**place, markdown_text="x")) == "message_not_owned_by_app"
