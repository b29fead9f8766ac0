"""chat.scheduleMessage: posted by the workspace's clock, listed and deleted until then."""

from __future__ import annotations

from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.clock import StillClock
from support.manifests import manifest
from support.refusals import error_of

from slack_emulator.clock import TurnableClock
from slack_emulator.manifest import Manifest
from slack_emulator.state import Store
from slack_emulator.testing import Slack, running_slack

HOUR, DAY = 3600, 24 * 3600


@pytest.fixture
def slack_manifest() -> Manifest:
    return manifest()


@pytest.fixture
def slack_clock() -> TurnableClock:
    return StillClock()


@pytest.fixture
async def client(slack: Slack) -> AsyncWebClient:
    await slack.user("ana").invite_app("general")
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


async def later(client: AsyncWebClient, slack: Slack, seconds: float, **more: object) -> str:
    """Schedule a message in #general; its id."""
    due = int(slack.clock.now() + seconds)
    general = slack.channel_id("general")
    given = {"channel": general, "text": "Stand-up!", "post_at": due} | more
    answer = await client.api_call("chat.scheduleMessage", json=given)
    assert answer["post_at"] == due
    assert answer["message"]["type"] == "delayed_message"
    return str(answer["scheduled_message_id"])


async def test_a_scheduled_message_is_posted_when_it_is_due(slack: Slack, client: AsyncWebClient) -> None:
    await later(client, slack, HOUR)
    assert [m for m in slack.messages("general") if m.text == "Stand-up!"] == []
    slack.clock.turn(HOUR + 1)
    posted = await slack.until(lambda: [m for m in slack.messages("general") if m.text == "Stand-up!"])
    assert posted[0].bot_id == slack.app.bot_id
    assert (await client.chat_scheduledMessages_list())["scheduled_messages"] == []


async def test_what_is_scheduled_is_listed_and_can_be_deleted(slack: Slack, client: AsyncWebClient) -> None:
    second, first = await later(client, slack, 2 * HOUR), await later(client, slack, HOUR)
    listed = (await client.chat_scheduledMessages_list())["scheduled_messages"]
    assert [one["id"] for one in listed] == [first, second]
    general = slack.channel_id("general")
    assert listed[0] | {"post_at": 0, "date_created": 0} == {
        "id": first,
        "channel_id": general,
        "post_at": 0,
        "date_created": 0,
        "text": "Stand-up!",
    }
    await client.chat_deleteScheduledMessage(channel=general, scheduled_message_id=first)
    left = (await client.chat_scheduledMessages_list(channel=general))["scheduled_messages"]
    assert [one["id"] for one in left] == [second]
    gone = client.chat_deleteScheduledMessage(channel=general, scheduled_message_id=first)
    assert await error_of(gone) == "invalid_scheduled_message_id"


async def test_within_its_last_minute_a_scheduled_message_stays(slack: Slack, client: AsyncWebClient) -> None:
    scheduled = await later(client, slack, 30)
    late = client.chat_deleteScheduledMessage(
        channel=slack.channel_id("general"), scheduled_message_id=scheduled
    )
    assert await error_of(late) == "invalid_scheduled_message_id"


@pytest.mark.parametrize(
    ("seconds", "error"), [(-1, "time_in_past"), (120 * DAY + 60, "time_too_far")], ids=["past", "far"]
)
async def test_a_time_that_slack_would_refuse_is_refused(
    slack: Slack, client: AsyncWebClient, seconds: int, error: str
) -> None:
    due = int(slack.clock.now() + seconds)
    call = client.chat_scheduleMessage(channel=slack.channel_id("general"), text="Hi", post_at=due)
    assert await error_of(call) == error


async def test_a_time_that_is_no_number_is_refused(slack: Slack, client: AsyncWebClient) -> None:
    call = client.chat_scheduleMessage(channel=slack.channel_id("general"), text="Hi", post_at="tomorrow")
    assert await error_of(call) == "invalid_time"


async def test_thirty_messages_fit_into_five_minutes_of_a_channel(
    slack: Slack, client: AsyncWebClient
) -> None:
    for second in range(30):
        await later(client, slack, HOUR + second)
    due = int(slack.clock.now() + HOUR)
    more = client.chat_scheduleMessage(channel=slack.channel_id("general"), text="Hi", post_at=due)
    assert await error_of(more) == "restricted_too_many"
    await later(client, slack, 2 * HOUR)


async def test_with_metadata_a_scheduled_message_is_never_posted(
    slack: Slack, client: AsyncWebClient
) -> None:
    await later(client, slack, HOUR, metadata={"event_type": "standup", "event_payload": {"id": "1"}})
    await later(client, slack, HOUR + 1, text="Without")
    slack.clock.turn(2 * HOUR)
    await slack.until(lambda: [m for m in slack.messages("general") if m.text == "Without"])
    assert [m for m in slack.messages("general") if m.text == "Stand-up!"] == []


async def test_a_scheduled_message_outlives_a_restart(tmp_path: Path) -> None:
    kept = tmp_path / "workspace.sqlite"
    clock = StillClock()
    async with running_slack(manifest(), clock=clock, store=Store(kept)) as before:
        client = AsyncWebClient(token=before.bot_token, base_url=before.api_url)
        await before.user("ana").invite_app("general")
        await later(client, before, HOUR)
    clock.turn(HOUR + 1)
    async with running_slack(manifest(), clock=clock, store=Store(kept)) as after:
        posted = await after.until(lambda: [m for m in after.messages("general") if m.text == "Stand-up!"])
    assert len(posted) == 1
