"""Routes for apps: the Web API, Socket Mode's WebSocket, response URLs and uploads."""

from __future__ import annotations

import json

from starlette.datastructures import UploadFile
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from slack_emulator.estate import Estate
from slack_emulator.model import Json, Refused, Request
from slack_emulator.web_api.endpoint import answer, broken
from slack_emulator.workspace import Workspace


def wire_routes(estate: Estate) -> list[BaseRoute]:
    """Return the routes `/api/<method>`, `/link/`, `/response/<key>` and `/upload/v1/<key>`."""

    async def call(request: HttpRequest) -> Response:
        return await answer(estate, request)

    async def respond(request: HttpRequest) -> Response:
        found = estate.response_url(request.path_params["key"])
        return await answer_response_url(found[0] if found else estate.first, request)

    async def link(socket: WebSocket) -> None:
        await estate.first.sockets.serve(socket)

    async def upload(request: HttpRequest) -> Response:
        return await take_upload(estate, request)

    return [
        Route("/upload/v1/{key}", upload, methods=["POST"]),
        Route("/api/{method}", call, methods=["GET", "POST"]),
        Route("/response/{key}", respond, methods=["POST"]),
        WebSocketRoute("/link/", link),
    ]


async def take_upload(estate: Estate, request: HttpRequest) -> Response:
    """Store the bytes of a file, raw or as the one file of a form (Slack, files.getUploadURLExternal)."""
    key = request.path_params["key"]
    workspace = next((one for one in estate.workspaces if one.files.expects(key)), estate.first)
    entry = workspace.wire.begin(Request("call", "upload", {}, workspace.clock.now()))
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
    workspace.wire.finish(entry, ok=error is None, error=error, response=None)
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
    entry = workspace.wire.begin(Request("response_url", "response_url", body, workspace.clock.now(), app_id))
    try:
        workspace.response_urls.answer(key, body)
    except Refused as no:
        workspace.wire.finish(entry, ok=False, error=no.error, response=None)
        gone = no.error in ("invalid_url", "expired_url", "used_url")
        body = {"ok": False, "error": no.error, "response_metadata": {"messages": no.messages}}
        return JSONResponse(body, status_code=404 if gone else 400)
    workspace.wire.finish(entry, ok=True, error=None, response=None)
    return PlainTextResponse("ok")
