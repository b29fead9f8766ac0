"""The server: Web API, Socket Mode and page on one address."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request as HandshakeRequest

from slack_emulator import ui
from slack_emulator.models import Json, Refused, Request
from slack_emulator.organization import Organization
from slack_emulator.socket_mode import TRANSPORT
from slack_emulator.web_api.dispatch import answer, broken
from slack_emulator.workspace import Workspace

# Routes for apps: the Web API, Socket Mode's WebSocket, response URLs and uploads.


def wire_routes(organization: Organization) -> list[BaseRoute]:
    """Return the routes `/api/<method>`, `/link/`, `/response/<key>` and `/upload/v1/<key>`."""

    async def call(request: HttpRequest) -> Response:
        return await answer(organization, request)

    async def respond(request: HttpRequest) -> Response:
        found = organization.response_url(request.path_params["key"])
        return await answer_response_url(found[0] if found else organization.first, request)

    async def link(socket: WebSocket) -> None:
        await organization.first.sockets.serve(socket)

    async def upload(request: HttpRequest) -> Response:
        return await take_upload(organization, request)

    return [
        Route("/upload/v1/{key}", upload, methods=["POST"]),
        Route("/api/{method}", call, methods=["GET", "POST"]),
        Route("/response/{key}", respond, methods=["POST"]),
        WebSocketRoute("/link/", link),
    ]


async def take_upload(organization: Organization, request: HttpRequest) -> Response:
    """Store the bytes of a file, raw or as the one file of a form (Slack, files.getUploadURLExternal)."""
    key = request.path_params["key"]
    workspace = next((one for one in organization.workspaces if one.files.expects(key)), organization.first)
    entry = workspace.request_log.begin(Request("call", "upload", {}, workspace.clock.now()))
    fault = workspace.faults.next_for("upload")
    content = await request.body()
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = await request.form()
        content = b"".join([await one.read() for one in form.values() if isinstance(one, UploadFile)])
    error = None
    if fault is None or not fault.spoils or fault.after_effect:
        try:
            workspace.files.receive(key, content)
        except Refused as no:
            error = no.error
    workspace.request_log.finish(entry, ok=error is None, error=error, response=None)
    if fault is not None and fault.spoils:
        return broken(fault)
    return PlainTextResponse(error or f"OK - {len(content)}", status_code=400 if error else 200)


async def answer_response_url(workspace: Workspace, request: HttpRequest) -> Response:
    """Answer `ok`, or 404 with the reason if the URL is used up or expired."""
    key = request.path_params["key"]
    url = workspace.response_urls.find(key)
    body: Json = {}
    try:
        parsed = json.loads(await request.body())
        body = parsed if isinstance(parsed, dict) else {}
    except ValueError:
        return JSONResponse({"ok": False, "error": "invalid_payload"}, status_code=400)
    app_id = url.app.app_id if url is not None else None
    entry = workspace.request_log.begin(
        Request("response_url", "response_url", body, workspace.clock.now(), app_id)
    )
    try:
        workspace.response_urls.answer(key, body)
    except Refused as no:
        workspace.request_log.finish(entry, ok=False, error=no.error, response=None)
        gone = no.error in ("invalid_url", "expired_url", "used_url")
        body = {"ok": False, "error": no.error, "response_metadata": {"messages": no.messages}}
        return JSONResponse(body, status_code=404 if gone else 400)
    workspace.request_log.finish(entry, ok=True, error=None, response=None)
    return PlainTextResponse("ok")


# HTTP server of a workspace: Slack's APIs and the page in one app, in the running event loop.

KEEP_ALIVE_SECONDS = 75


def playground_app(
    workspace: Workspace | Organization, authentication: ui.Authentication | None = None
) -> Starlette:
    """Return the app with Slack's APIs and the page; of several workspaces, only the first has a page."""
    organization = workspace if isinstance(workspace, Organization) else Organization([workspace])
    authentication = authentication or ui.Authentication(organization.first.state.page_token)
    pages = [*ui.consent_routes(organization, authentication), *ui.routes(organization.first, authentication)]
    return Starlette(routes=[*wire_routes(organization), *pages])


class _WebSocket(WebSocketsSansIOProtocol):
    """WebSocket protocol whose TCP transport the application can reach, to freeze the connection."""

    def handle_connect(self, event: HandshakeRequest) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            reachable: Any = self.scope["extensions"]
            reachable[TRANSPORT] = self.transport


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leaving = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the process that runs the event loop handles Ctrl-C."""
        yield

    async def main_loop(self) -> None:
        """Wait for the end, in place of uvicorn's own loop, which polls ten times a second."""
        await self.leaving.wait()


def listening_on(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket; `port=0` takes a free port. Raises OSError if the port is taken."""
    # asyncio disables Nagle's algorithm only if the socket names its protocol; else answers take 40 ms more.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


@asynccontextmanager
async def served(
    workspace: Workspace | Organization, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve until the block ends, on a free port for `port=0`; yield the URL, also set as `base_url`.

    Raises OSError if the port is taken. Closes the workspace at the end.
    """
    listening = listening_on(host, port)
    workspace.base_url = f"http://{host}:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        playground_app(workspace),
        ws=_WebSocket,
        lifespan="off",
        log_level="warning",
        log_config=None,
        timeout_graceful_shutdown=2,
        # Longer than HTTP clients keep idle connections, so that none is closed while a client reuses it.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    several = workspace.workspaces if isinstance(workspace, Organization) else [workspace]
    for one in several:
        one.scheduled.resume()
    try:
        yield workspace.base_url
    finally:
        for one in several:
            await one.hang_up()
        server.leaving.set()
        await serving
        listening.close()
        for one in several:
            await one.close()
