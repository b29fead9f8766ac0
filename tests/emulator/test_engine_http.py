"""An app that is reached over HTTP gets signed requests, and is told of failures as in Slack."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from support.clock import fitting_clock
from support.manifests import DECLARED

from slack_emulator.manifest import Manifest
from slack_emulator.testing import Slack, running_slack


class Receiver:
    """What the app's web server got, and what it answers."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.answers: list[Response] = []
        self.echoing = False

    async def receive(self, request: Request) -> Response:
        self.got.put_nowait((dict(request.headers), await request.body()))
        if self.echoing:
            return Response((await request.json())["challenge"])
        return self.answers.pop(0) if self.answers else Response("")


@asynccontextmanager
async def reached_over_http() -> AsyncIterator[tuple[Slack, Receiver]]:
    receiver = Receiver()
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/slack/events"
    routes = [Route("/slack/events", receiver.receive, methods=["POST"])]
    config = uvicorn.Config(Starlette(routes=routes), log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        async with running_slack(http_manifest(url), clock=fitting_clock()) as slack:
            yield slack, receiver
    finally:
        server.should_exit = True
        await serving


def http_manifest(url: str) -> Manifest:
    declared: dict[str, Any] = deepcopy(DECLARED)
    declared["settings"]["socket_mode_enabled"] = False
    declared["settings"]["interactivity"]["request_url"] = url
    declared["settings"]["event_subscriptions"]["request_url"] = url
    for command in declared["features"]["slash_commands"]:
        command["url"] = url
    return Manifest.from_dict(declared)


async def test_a_command_is_a_signed_form_and_its_answer_is_shown() -> None:
    async with reached_over_http() as (slack, receiver):
        receiver.answers.append(JSONResponse({"text": "Paged"}))
        ana, general = slack.user_id("ana"), slack.channel_id("general")
        outcome = await slack.workspace.command(ana, general, "/page now")
        headers, body = receiver.got.get_nowait()
        assert outcome.ok
        assert slack.workspace.history(general, ana)[-1].text == "Paged"
        assert SignatureVerifier(slack.signing_secret).is_valid_request(body, headers)
        assert parse_qs(body.decode())["text"] == ["now"]


async def test_an_interaction_is_a_form_with_one_json_payload() -> None:
    async with reached_over_http() as (slack, receiver):
        assert (await slack.workspace.global_shortcut(slack.user_id("ana"), "page")).ok
        _, body = receiver.got.get_nowait()
    payload = json.loads(parse_qs(body.decode())["payload"][0])
    assert (payload["type"], payload["callback_id"]) == ("shortcut", "page")


async def test_a_failing_app_is_shown_as_dispatch_failed() -> None:
    async with reached_over_http() as (slack, receiver):
        receiver.answers.append(Response("", status_code=500))
        ana, general = slack.user_id("ana"), slack.channel_id("general")
        outcome = await slack.workspace.command(ana, general, "/page")
    assert outcome.error == "dispatch_failed"


async def test_a_failed_event_comes_again_and_says_why_unless_told_not_to() -> None:
    async with reached_over_http() as (slack, receiver):
        stop = {"X-Slack-No-Retry": "1"}
        receiver.answers += [Response("", 500), Response("", 500, headers=stop)]
        await slack.workspace.open_home(slack.user_id("ana"), slack.app.app_id)
        first, body = await asyncio.wait_for(receiver.got.get(), 30)
        second, _ = await asyncio.wait_for(receiver.got.get(), 30)
        await slack.workspace.heard("event.app_home_opened", 2)
        assert "x-slack-retry-num" not in first
        assert (second["x-slack-retry-num"], second["x-slack-retry-reason"]) == ("1", "http_error")
        assert json.loads(body)["type"] == "event_callback"
        slack.clock.turn(400)
        assert receiver.got.empty()


async def test_a_new_address_must_echo_the_challenge() -> None:
    async with reached_over_http() as (slack, receiver):
        assert not await slack.workspace.verify_endpoint(slack.app.app_id)
        receiver.echoing = True
        assert await slack.workspace.verify_endpoint(slack.app.app_id)
