"""Socket Mode: tickets, limits, late answers, and connections that come and go."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import websockets
from slack_sdk.web.async_client import AsyncWebClient
from support.bolt import bolt_app, connected

from slack_emulator.server import served
from slack_emulator.testing import Slack
from slack_emulator.workspace import Workspace


async def ticket(slack: Slack, client: AsyncWebClient) -> str:
    return str((await client.apps_connections_open(app_token=slack.app_token))["url"])


async def next_of(socket: Any) -> dict[str, Any]:
    message = json.loads(await asyncio.wait_for(socket.recv(), 30))
    assert isinstance(message, dict)
    return message


async def test_a_ticket_is_good_once(slack: Slack, client: AsyncWebClient) -> None:
    url = await ticket(slack, client)
    async with websockets.connect(url) as socket:
        hello = await next_of(socket)
        assert (hello["type"], hello["num_connections"]) == ("hello", 1)
        assert hello["connection_info"]["app_id"] == slack.app.app_id
    with pytest.raises(websockets.exceptions.InvalidStatus):
        await websockets.connect(url)


async def test_a_made_up_ticket_is_refused(slack: Slack, client: AsyncWebClient) -> None:
    made_up = (await ticket(slack, client)).replace("ticket=", "ticket=x")
    with pytest.raises(websockets.exceptions.InvalidStatus):
        await websockets.connect(made_up)


async def test_the_eleventh_connection_is_one_too_many(slack: Slack, client: AsyncWebClient) -> None:
    sockets = [await websockets.connect(await ticket(slack, client)) for _ in range(10)]
    for socket in sockets:
        await next_of(socket)
    async with websockets.connect(await ticket(slack, client)) as eleventh:
        assert await next_of(eleventh) == {"type": "disconnect", "reason": "too_many_websockets"}
    for socket in sockets:
        await socket.close()


async def test_a_late_acknowledgement_counts_for_nothing(slack: Slack, client: AsyncWebClient) -> None:
    ana, general = slack.user_id("ana"), slack.channel_id("general")
    async with websockets.connect(await ticket(slack, client)) as socket:
        await next_of(socket)
        running = asyncio.create_task(slack.workspace.command(ana, general, "/page"))
        envelope = await next_of(socket)
        slack.clock.turn(3.1)
        assert (await asyncio.wait_for(running, 30)).error == "operation_timeout"
        await socket.send(json.dumps({"envelope_id": envelope["envelope_id"], "payload": {"text": "late"}}))
        second = asyncio.create_task(slack.workspace.command(ana, general, "/page"))
        envelope = await next_of(socket)
        await socket.send(json.dumps({"envelope_id": envelope["envelope_id"], "payload": {"text": "good"}}))
        assert (await asyncio.wait_for(second, 30)).ok
    texts = [m.text for m in slack.workspace.history(general, ana)]
    assert "good" in texts
    assert "late" not in texts


async def test_envelopes_say_what_they_are_and_whether_an_answer_may_carry_a_payload(
    slack: Slack, client: AsyncWebClient
) -> None:
    ana = slack.user_id("ana")
    async with websockets.connect(await ticket(slack, client)) as socket:
        await next_of(socket)
        running = asyncio.create_task(slack.workspace.command(ana, slack.channel_id("general"), "/page"))
        command = await next_of(socket)
        await socket.send(json.dumps({"envelope_id": command["envelope_id"]}))
        await running
        await slack.workspace.open_home(ana, slack.app.app_id)
        event = await next_of(socket)
    assert (command["type"], command["accepts_response_payload"]) == ("slash_commands", True)
    assert (event["type"], event["accepts_response_payload"]) == ("events_api", False)
    assert event["retry_attempt"] == 0


async def test_a_bolt_app_stays_reachable_through_a_refresh(slack: Slack) -> None:
    app = bolt_app(slack)

    @app.command("/page")
    async def page(ack: Any) -> None:
        await ack()

    async with connected(slack, app):
        warned = await slack.workspace.sockets.refresh(slack.app.app_id, "warning")
        await slack.workspace.sockets.left(warned)
        await slack.workspace.sockets.connected(slack.app.app_id)
        outcome = await slack.workspace.command(slack.user_id("ana"), slack.channel_id("general"), "/page")
    assert outcome.ok


async def test_dropped_connections_are_seen_as_gone(slack: Slack, client: AsyncWebClient) -> None:
    socket = await websockets.connect(await ticket(slack, client))
    await next_of(socket)
    assert slack.workspace.sockets.count(slack.app.app_id) == 1
    slack.workspace.sockets.drop(slack.app.app_id)
    await slack.workspace.sockets.disconnected(slack.app.app_id)
    outcome = await slack.workspace.command(slack.user_id("ana"), slack.channel_id("general"), "/page")
    assert outcome.error == "app_not_responding"
    await socket.close()


async def test_connections_can_be_refused_for_a_while(slack: Slack, client: AsyncWebClient) -> None:
    slack.workspace.sockets.refuse_next(1)
    with pytest.raises(websockets.exceptions.InvalidStatus):
        await websockets.connect(await ticket(slack, client))
    async with websockets.connect(await ticket(slack, client)) as socket:
        assert (await next_of(socket))["type"] == "hello"


async def test_an_answer_counts_over_the_connection_that_it_was_asked_on(
    slack: Slack, client: AsyncWebClient
) -> None:
    ana, general = slack.user_id("ana"), slack.channel_id("general")
    async with (
        websockets.connect(await ticket(slack, client)) as one,
        websockets.connect(await ticket(slack, client)) as other,
    ):
        for socket in (one, other):
            await next_of(socket)
        running = asyncio.create_task(slack.workspace.command(ana, general, "/page"))
        asked = {asyncio.create_task(next_of(one)): other, asyncio.create_task(next_of(other)): one}
        (came, *_), waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        wrong = asked[came]
        await wrong.send(json.dumps({"envelope_id": came.result()["envelope_id"]}))
        await (await wrong.ping())
        slack.clock.turn(3.1)
        assert (await asyncio.wait_for(running, 30)).error == "operation_timeout"
        for task in waiting:
            task.cancel()


async def test_a_connection_that_is_refreshed_stays_until_its_answers_are_out(
    slack: Slack, client: AsyncWebClient
) -> None:
    async with websockets.connect(await ticket(slack, client)) as socket:
        await next_of(socket)
        running = asyncio.create_task(
            slack.workspace.command(slack.user_id("ana"), slack.channel_id("general"), "/page")
        )
        envelope = await next_of(socket)
        await slack.workspace.sockets.refresh(slack.app.app_id)
        assert (await next_of(socket))["reason"] == "refresh_requested"
        await socket.send(json.dumps({"envelope_id": envelope["envelope_id"]}))
        assert (await asyncio.wait_for(running, 30)).ok
        await asyncio.wait_for(socket.wait_closed(), 30)


async def test_a_frozen_connection_is_open_and_silent(slack: Slack, client: AsyncWebClient) -> None:
    async with websockets.connect(await ticket(slack, client), close_timeout=0) as socket:
        await next_of(socket)
        await asyncio.wait_for(await socket.ping(), 30)
        slack.workspace.sockets.freeze(slack.app.app_id)
        pong = await socket.ping()
        running = asyncio.create_task(
            slack.workspace.command(slack.user_id("ana"), slack.channel_id("general"), "/page")
        )
        await slack.workspace.begun("slash_commands")
        slack.clock.turn(3.1)
        assert (await asyncio.wait_for(running, 30)).error == "operation_timeout"
        assert not pong.done()  # type: ignore[attr-defined]
        assert slack.workspace.sockets.count(slack.app.app_id) == 1


async def test_a_taken_port_is_refused_at_once(slack: Slack) -> None:
    port = int(slack.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        async with served(Workspace(), port=port):
            pass


@pytest.mark.parametrize("turns", range(6))
async def test_an_app_that_is_gone_while_its_connection_is_closed_leaves_no_traceback(
    slack: Slack, client: AsyncWebClient, caplog: pytest.LogCaptureFixture, turns: int
) -> None:
    sockets, app_id = slack.workspace.sockets, slack.app.app_id
    await websockets.connect(await ticket(slack, client))
    await slack.connected()
    (connection,) = sockets.connections(app_id)
    assert connection.transport is not None
    sockets.drop(app_id)
    for _ in range(turns):
        await asyncio.sleep(0)
    connection.transport.abort()
    await sockets.disconnected(app_id)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_an_app_that_is_gone_is_not_asked_to_reconnect(slack: Slack, client: AsyncWebClient) -> None:
    sockets, app_id = slack.workspace.sockets, slack.app.app_id
    await websockets.connect(await ticket(slack, client))
    await slack.connected()
    gone = sockets.connections(app_id)
    assert gone[0].transport is not None
    gone[0].transport.abort()
    await sockets.disconnected(app_id)
    assert await sockets.refresh(app_id, only=gone) == []
