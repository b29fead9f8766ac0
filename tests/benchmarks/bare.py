"""What Tocsin is measured against: `python -m benchmarks.bare bolt|tuned|raw slack-url`.

`bolt` is an AsyncApp on Starlette as Bolt's documentation has it. `tuned` is the same with the tuning that
Tocsin has: one listener that runs first, one session, who we are asked once. `raw` only checks the signature
and opens the form. All three on uvicorn with uvloop, as Tocsin is.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import uvicorn
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.stub_slack import BOT, TEAM
from benchmarks.wire import SECRET
from tocsin.config import IncidentConfig
from tocsin.incidents.model import ChannelId
from tocsin.incidents.requests import DeclareRequest
from tocsin.server import listen
from tocsin.slack.views.declare import declare_modal
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.slack.web_api import open_session, web_client

VIEW: dict[str, Any] = declare_modal(
    IncidentConfig.from_toml({}).form(),
    DeclareMetadata(origin=ChannelId("C0000000001")),
    DeclareRequest(name="checkout is slow"),
).to_dict()
"""The form that Tocsin opens, so that all open the same."""


def bolt(slack: str) -> Starlette:
    """As Bolt's documentation has it: acknowledge, then open the form."""
    client = AsyncWebClient(token="xoxb-1", base_url=slack)
    app = AsyncApp(client=client, signing_secret=SECRET)

    @app.command("/incident")
    async def declare(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=VIEW)

    return on_starlette(app)


def tuned_app(client: AsyncWebClient) -> tuple[AsyncApp, set[asyncio.Task[Any]]]:
    """The same with the tuning that Tocsin has, and nothing else; with what it still does."""

    async def authorize(**_: Any) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None, team_id=TEAM, bot_user_id=BOT, bot_id="B1", bot_token=client.token
        )

    app = AsyncApp(client=client, authorize=authorize, process_before_response=True, signing_secret=SECRET)
    going: set[asyncio.Task[Any]] = set()

    @app.command("/incident")
    async def declare(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        opening = asyncio.create_task(client.views_open(trigger_id=body["trigger_id"], view=VIEW))
        going.add(opening)
        opening.add_done_callback(going.discard)

    return app, going


def on_starlette(app: AsyncApp) -> Starlette:
    handler = AsyncSlackRequestHandler(app)

    async def endpoint(request: Request) -> Response:
        return await handler.handle(request)

    return Starlette(routes=[Route("/slack/events", endpoint, methods=["POST"])])


def raw(slack: str, session: Callable[[], aiohttp.ClientSession]) -> Callable[..., Awaitable[None]]:
    """The least there can be: check the signature, say yes, open the form over a kept connection."""
    going: set[asyncio.Task[Any]] = set()

    async def opened(trigger: str) -> None:
        sent = json.dumps({"trigger_id": trigger, "view": VIEW})
        headers = {"Authorization": "Bearer xoxb-1", "Content-Type": "application/json"}
        async with session().post(f"{slack}views.open", data=sent, headers=headers) as answer:
            await answer.read()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        headers = dict(scope["headers"])
        base = b"v0:" + headers[b"x-slack-request-timestamp"] + b":" + body
        digest = "v0=" + hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest()
        ours = hmac.compare_digest(digest.encode(), headers[b"x-slack-signature"])
        if ours:
            task = asyncio.create_task(opened(parse_qs(body.decode())["trigger_id"][0]))
            going.add(task)
            task.add_done_callback(going.discard)
        await send(
            {
                "type": "http.response.start",
                "status": 200 if ours else 401,
                "headers": [(b"content-length", b"0")],
            }
        )
        await send({"type": "http.response.body", "body": b""})

    return app


async def _serve(kind: str, slack: str) -> None:
    listening = listen("127.0.0.1", 0)
    async with open_session() as session:
        if kind == "raw":
            app: Any = raw(slack, lambda: session)
        elif kind == "tuned":
            client = web_client(session, token="xoxb-1", base_url=slack)
            app = on_starlette(tuned_app(client)[0])
        else:
            app = bolt(slack)
        config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False)
        print(listening.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(sys.argv[1], sys.argv[2]))
