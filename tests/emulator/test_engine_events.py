"""Events: which ones reach the app, in which envelope, and what happens when it does not answer."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.socket_mode.websockets import SocketModeClient
from slack_sdk.web.async_client import AsyncWebClient
from support.bolt import bolt_app, connected
from support.clock import fitting_clock
from support.manifests import DECLARED, manifest

from slack_emulator.manifest import Manifest
from slack_emulator.testing import Slack, running_slack


async def join_general(slack: Slack) -> str:
    general = slack.channel_id("general")
    await slack.workspace.invite(slack.user_id("ana"), general, slack.app.bot_user_id)
    return general


async def test_a_message_reaches_the_app_with_rich_text_and_the_full_envelope(
    slack: Slack,
) -> None:
    app, told = bolt_app(slack), asyncio.Queue[dict[str, Any]]()

    @app.event("message")
    async def message(body: dict[str, Any]) -> None:
        if body["event"].get("text", "").startswith("checkout"):
            told.put_nowait(body)

    general = await join_general(slack)
    async with connected(slack, app):
        await slack.workspace.say(slack.user_id("ben"), general, "checkout <is> *slow* @ana")
        body = await asyncio.wait_for(told.get(), 30)
    ana = slack.user_id("ana")
    assert body["event"]["text"] == f"checkout &lt;is&gt; *slow* <@{ana}>"
    assert body["event"]["blocks"][0]["type"] == "rich_text"
    assert body["event"]["channel_type"] == "channel"
    assert body["authorizations"][0]["user_id"] == slack.app.bot_user_id
    assert body["team_id"] == slack.workspace.state.team.id
    assert body["event_id"].startswith("Ev")
    assert body["api_app_id"] == slack.app.app_id


async def test_nothing_is_heard_from_where_the_app_is_not(slack: Slack) -> None:
    await slack.workspace.say(slack.user_id("ana"), slack.channel_id("general"), "unheard")
    await join_general(slack)
    await slack.workspace.say(slack.user_id("ana"), slack.channel_id("general"), "heard")
    await slack.workspace.heard("event.message", 1)
    texts = [r.args["event"]["text"] for r in slack.workspace.request_log.matching("event.message")]
    assert "unheard" not in texts
    assert "heard" in texts


async def test_nothing_is_heard_that_the_manifest_does_not_subscribe_to() -> None:
    async with running_slack(manifest(without_events=("message.channels",)), clock=fitting_clock()) as slack:
        general = await join_general(slack)
        await slack.workspace.say(slack.user_id("ana"), general, "quiet")
        message = slack.workspace.history(general, slack.user_id("ana"))[-1]
        await slack.workspace.react(slack.user_id("ana"), general, message.ts, "eyes")
        await slack.workspace.heard("event.reaction_added")
        assert slack.workspace.request_log.matching("event.message") == []


async def test_a_mention_of_the_bot_is_an_event_of_its_own(slack: Slack) -> None:
    general = await join_general(slack)
    await slack.workspace.say(slack.user_id("ana"), general, "@pager hello")
    (heard, *_) = await slack.workspace.heard("event.app_mention")
    assert heard.args["event"]["text"] == f"<@{slack.app.bot_user_id}> hello"


async def test_the_apps_own_messages_come_back_as_events(slack: Slack, client: AsyncWebClient) -> None:
    general = await join_general(slack)
    await client.chat_postMessage(channel=general, text="mine")

    def mine(request: Any) -> bool:
        event = request.args.get("event", {})
        return request.method == "event.message" and event.get("bot_id") == slack.app.bot_id

    (heard, *_) = await slack.workspace.heard(mine)
    assert heard.args["event"]["text"] == "mine"


async def test_changes_deletions_pins_and_joins_are_told(slack: Slack, client: AsyncWebClient) -> None:
    ana, general = slack.user_id("ana"), await join_general(slack)
    said = await slack.workspace.say(ana, general, "frist")
    ts = said.ts or ""
    await slack.workspace.edit(ana, general, ts, "first")
    await slack.workspace.pin(ana, general, ts)
    await slack.workspace.delete(ana, general, ts)
    await slack.workspace.heard("event.pin_added")
    await slack.workspace.heard("event.member_joined_channel")
    subtypes = [r.args["event"].get("subtype") for r in await slack.workspace.heard("event.message", 4)]
    assert {"message_changed", "message_deleted"} <= set(subtypes)


async def test_looking_at_the_home_tab_is_told(slack: Slack) -> None:
    outcome = await slack.workspace.open_home(slack.user_id("ana"), slack.app.app_id)
    (heard, *_) = await slack.workspace.heard("event.app_home_opened")
    assert heard.args["event"]["channel"] == outcome.channel
    assert heard.args["event"]["tab"] == "home"


async def test_an_unanswered_event_comes_again_with_the_same_id_three_times(slack: Slack) -> None:
    attempts: asyncio.Queue[SocketModeRequest] = asyncio.Queue()
    web = AsyncWebClient(base_url=slack.api_url)
    socket = SocketModeClient(app_token=slack.app_token, web_client=web)

    async def silent_until_the_last(client: Any, request: SocketModeRequest) -> None:
        attempts.put_nowait(request)
        if request.retry_attempt == 3:
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    socket.socket_mode_request_listeners.append(silent_until_the_last)
    await socket.connect()
    await slack.workspace.sockets.connected(slack.app.app_id)
    await slack.workspace.open_home(slack.user_id("ana"), slack.app.app_id)
    seen = [await asyncio.wait_for(attempts.get(), 30)]
    for pause in (0, 60, 300):
        slack.clock.turn(3.1)
        await slack.workspace.heard("event.app_home_opened", len(seen))
        slack.clock.turn(pause)
        seen.append(await asyncio.wait_for(attempts.get(), 30))
    await slack.workspace.heard(lambda r: r.ok is True and r.method == "event.app_home_opened")
    await socket.disconnect()
    assert len({request.payload["event_id"] for request in seen}) == 1
    assert [request.retry_attempt for request in seen] == [0, 1, 2, 3]
    assert [request.retry_reason for request in seen] == ["", "timeout", "timeout", "timeout"]


async def test_a_direct_message_to_the_app_is_heard(slack: Slack) -> None:
    ana = slack.user_id("ana")
    direct = (await slack.workspace.open_home(ana, slack.app.app_id, "messages")).channel or ""
    await slack.workspace.say(ana, direct, "are you there?")
    (heard, *_) = await slack.workspace.heard("event.message")
    assert heard.args["event"]["channel_type"] == "im"
    assert heard.args["event"]["channel"] == direct


async def test_an_app_hears_that_its_bot_was_removed_from_a_channel() -> None:
    declared = deepcopy(DECLARED)
    declared["settings"]["event_subscriptions"]["bot_events"].append("channel_left")
    async with running_slack(Manifest.from_dict(declared), clock=fitting_clock()) as slack:
        await slack.workspace.invite(slack.user_id("ana"), slack.channel_id("alerts"), slack.app.bot_user_id)
        await slack.workspace.kick(slack.user_id("ana"), slack.channel_id("alerts"), slack.app.bot_user_id)
        heard = (await slack.workspace.heard("event.channel_left"))[0]
    assert heard.args["event"]["channel"] == slack.channel_id("alerts")


async def test_an_app_hears_of_a_file_that_is_shared() -> None:
    declared = deepcopy(DECLARED)
    declared["settings"]["event_subscriptions"]["bot_events"].append("file_shared")
    async with running_slack(Manifest.from_dict(declared), clock=fitting_clock()) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        general = await join_general(slack)
        shared = await client.files_upload_v2(content="a,b", filename="a.csv", channel=general)
        heard = (await slack.workspace.heard("event.file_shared"))[0]
    event = heard.args["event"]
    assert (event["file_id"], event["channel_id"]) == (shared["files"][0]["id"], general)


async def test_an_app_that_hears_messages_hears_their_metadata(slack: Slack, client: AsyncWebClient) -> None:
    general = await join_general(slack)
    metadata = {"event_type": "asked", "event_payload": {"number": 5}}
    await client.chat_postMessage(channel=general, text="Five", metadata=metadata)
    heard = await slack.workspace.heard(lambda r: r.args.get("event", {}).get("text") == "Five")
    assert heard[0].args["event"]["metadata"] == metadata
