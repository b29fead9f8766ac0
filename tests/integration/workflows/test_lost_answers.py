"""A message whose answer was lost is found, under any number of newer ones; nobody else's is taken for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.slack import RunningWorkspace, running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.incidents.errors import OutcomeUnknown
from tocsin.incidents.model import ChannelId, Incident, PersonId, Status, TeamId
from tocsin.slack import routes
from tocsin.slack.disclosure import Disclosure
from tocsin.slack.installations import Installation
from tocsin.slack.messages import EVENT
from tocsin.slack.web_api import open_session, web_client
from tocsin.slack.workspace import SlackWorkspace
from tocsin.workflows.command import act_for

LOST = Fault(reset=True, after_effect=True)
KEY = "key-of-the-card"
TEXT = "INC-1 is declared"
THEN = datetime(2026, 1, 1, tzinfo=UTC)
INCIDENT = Incident(
    id="1",
    reference="INC-1",
    name="checkout is slow",
    incident_status=Status(id="fixing", name="Fixing"),
    created_at=THEN,
    updated_at=THEN,
)


@pytest.fixture
async def slack() -> AsyncIterator[RunningWorkspace]:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        yield slack


@pytest.fixture
async def workspace(slack: RunningWorkspace) -> AsyncIterator[SlackWorkspace]:
    """The workspace as the bot sees it, a member of #alerts."""
    async with entered(slack) as workspace:
        await workspace.client.conversations_join(channel=slack.channel("alerts"))
        yield workspace


@asynccontextmanager
async def entered(slack: RunningWorkspace) -> AsyncIterator[SlackWorkspace]:
    """The workspace as one process of the bot sees it."""
    team = TeamId(slack.workspace.state.team.id)
    async with open_session() as session:
        client = web_client(session, token=slack.bot_token, base_url=slack.api_url)
        workspace = SlackWorkspace(client, clock=lambda: now(slack), team_id=team)
        bot = PersonId(slack.app.bot_user_id)
        workspace.enter(Installation(team_id=team, bot_token=slack.bot_token, bot_user_id=bot))
        workspace.api.gate = anybody
        yield workspace


async def anybody(about: Disclosure) -> None:
    """A gate that everything passes: whoever reads it may."""


def now(slack: RunningWorkspace) -> datetime:
    return datetime.fromtimestamp(slack.clock.now(), UTC)


async def chatter(slack: RunningWorkspace, messages: int) -> None:
    """So many messages of people's, one a second."""
    for number in range(messages):
        said = await slack.workspace.say(slack.person("ana"), slack.channel("alerts"), f"message {number}")
        assert said.ok
        slack.clock.turn(1)


async def posted(workspace: SlackWorkspace, slack: RunningWorkspace, *, again: bool) -> str:
    await workspace.messages.say(ChannelId(slack.channel("alerts")), TEXT, key=KEY, again=again)
    return TEXT


def copies(slack: RunningWorkspace) -> int:
    return sum(m.text == TEXT for m in slack.workspace.history(slack.channel("alerts"), slack.person("ana")))


def looks(slack: RunningWorkspace) -> int:
    return sum(request.method == "conversations.history" for request in slack.workspace.requests)


@pytest.mark.parametrize("newer", [0, 151, 2500])
@pytest.mark.parametrize("same_process", [True, False])
async def test_it_is_found_under_any_number_of_newer_messages_by_an_app_that_may_look_once_a_minute(
    slack: RunningWorkspace, workspace: SlackWorkspace, newer: int, same_process: bool
) -> None:
    slack.workspace.rates.outside_marketplace = True
    await chatter(slack, 60)
    asked = now(slack)
    slack.workspace.faults.plan("chat.postMessage", LOST)
    with pytest.raises(OutcomeUnknown):
        await posted(workspace, slack, again=False)
    await chatter(slack, newer)
    began = asyncio.get_running_loop().time()
    if same_process:
        await posted(workspace, slack, again=True)
    else:
        act_for(slack.person("ana"), asked)
        async with entered(slack) as restarted:
            await posted(restarted, slack, again=True)
    assert copies(slack) == 1
    # What was said in the five minutes before is looked through, fifteen messages at a time.
    most = 60 // 15 + 2
    assert looks(slack) <= 2 * most
    assert asyncio.get_running_loop().time() - began <= 60 * most


async def test_many_lost_answers_wait_in_one_lane_and_hardly_any_look_is_refused(
    slack: RunningWorkspace, workspace: SlackWorkspace
) -> None:
    slack.workspace.rates.outside_marketplace = True
    rooms = []
    for number in range(10):
        made = await workspace.client.conversations_create(name=f"room-{number}")
        rooms.append(str(made["channel"]["id"]))
    slack.workspace.faults.plan("chat.postMessage", *[LOST] * 10)
    for room in rooms:
        with pytest.raises(OutcomeUnknown):
            await workspace.messages.say(ChannelId(room), TEXT, key=KEY)
    await asyncio.gather(
        *(workspace.messages.say(ChannelId(room), TEXT, key=KEY, again=True) for room in rooms)
    )
    shown = [slack.workspace.history(room, slack.app.bot_user_id) for room in rooms]
    assert [sum(m.text == TEXT for m in messages) for messages in shown] == [1] * 10
    assert looks(slack) <= 10 + 10


async def other_app(slack: RunningWorkspace) -> AsyncWebClient:
    """Another app that is in #alerts, and may write there as ours does."""
    manifest = routes.manifest()
    manifest["display_information"]["name"] = "Copycat"
    app = slack.workspace.install(Manifest.from_dict(manifest))
    client = AsyncWebClient(token=app.bot_token, base_url=slack.api_url)
    await client.conversations_join(channel=slack.channel("alerts"))
    return client


async def test_a_message_of_another_app_with_our_key_is_not_taken_for_ours(
    slack: RunningWorkspace, workspace: SlackWorkspace
) -> None:
    copycat = await other_app(slack)
    await copycat.chat_postMessage(
        channel=slack.channel("alerts"),
        text="not ours",
        metadata={"event_type": EVENT, "event_payload": {"key": KEY}},
    )
    await posted(workspace, slack, again=True)
    assert copies(slack) == 1


async def test_a_file_of_somebody_else_by_the_documents_name_is_not_taken_for_ours(
    slack: RunningWorkspace, workspace: SlackWorkspace
) -> None:
    copycat, room = await other_app(slack), ChannelId(slack.channel("alerts"))
    await copycat.files_upload_v2(channel=room, filename="inc-1-what-happened.md", content="theirs")
    assert await workspace.files.find_document(room, "file", "inc-1-what-happened.md") == ""
    ours = await workspace.files.send(
        room, "inc-1-what-happened.md", "ours", "INC-1", about=INCIDENT, again=True
    )
    assert await workspace.files.find_document(room, "file", "inc-1-what-happened.md") == ours
