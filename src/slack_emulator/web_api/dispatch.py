"""The HTTP endpoint of the Web API: arguments, token, scopes, the call, the response."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse

from slack_emulator.faults import Fault
from slack_emulator.models import InstalledApp, Json, Refused, Request
from slack_emulator.organization import Organization
from slack_emulator.scopes import needed_scopes
from slack_emulator.web_api import METHODS
from slack_emulator.web_api.arguments import NOT_IN_EMULATOR, Arguments, Call, Method
from slack_emulator.web_api.oauth import OPEN_METHODS, with_basic
from slack_emulator.web_api.slack_methods import SLACK_METHODS
from slack_emulator.workspace import Workspace

LOG = logging.getLogger(__name__)


async def answer(organization: Organization, request: HttpRequest) -> Response:
    """Answer a Web API call: with HTTP 200, as Slack does, unless a fault or a rate limit applies."""
    name = request.path_params["method"]
    header = request.headers.get("authorization", "")
    bearer = header.removeprefix("Bearer ").strip() if header.startswith("Bearer ") else ""
    given, in_form = await arguments_of(request)
    token = bearer or str(in_form.pop("token", "") or "")
    given |= in_form
    workspace, stray = organization.first, None
    try:
        workspace = organization.workspace_for(name, token, given)
    except Refused as no:
        stray = no
    app = _app_with(workspace, token)
    begun = Request("call", name, dict(given), workspace.clock.now(), app.app_id if app else None, token)
    begun.team_id = str(given.get("team_id") or "")
    entry = workspace.request_log.begin(begun)
    fault = workspace.faults.next_for(name)
    if fault is not None and fault.until is not None and not fault.after_effect:
        await fault.until.wait()
    if fault is not None and fault.spoils and not fault.after_effect:
        workspace.request_log.finish(entry, ok=False, error=_error_of(fault), response=None)
        return broken(fault)
    wait = workspace.rates.take(app.app_id, name, str(given.get("channel") or "")) if app else None
    if wait is not None:
        workspace.request_log.finish(entry, ok=False, error="ratelimited", response=None)
        return broken(Fault(status=429, retry_after=wait))
    if stray is None and name in OPEN_METHODS:
        body = _open_body(organization, name, token, request, given)
    elif stray is None:
        body = _body(workspace, name, app, token, entry, header_only=bool(bearer), verb=request.method)
        if name == "auth.revoke" and app is not None and body["ok"]:
            organization.revoke(app)
    else:
        body = refused_body(stray)
    if fault is not None and fault.until is not None and fault.after_effect:
        await fault.until.wait()
    workspace.request_log.finish(entry, ok=body["ok"], error=body.get("error"), response=body)
    if fault is not None and fault.spoils:
        entry.lost = True
        return broken(fault)
    scopes = ",".join(sorted(app.scopes)) if app else ""
    return JSONResponse(body, headers={"x-oauth-scopes": scopes})


def _body(
    workspace: Workspace,
    name: str,
    app: InstalledApp | None,
    token: str,
    entry: Request,
    *,
    header_only: bool,
    verb: str,
) -> Json:
    try:
        method = METHODS.get(name)
        if method is None:
            raise _lacking(workspace, name)
        if name == "api.test" and not token:
            return {"ok": True, "args": entry.args}
        app = _require_app(app, token)
        if name == "apps.connections.open":
            _require_connecting(verb, header_only)
        _require_token_type(name, app, token)
        arguments = _arguments(method, entry.args)
        _require_scope(workspace, name, method, app, arguments)
        if isinstance(arguments, Refused):
            raise arguments
        entry.args = arguments.model_dump(exclude_unset=True)
        return {"ok": True, **method.call(Call(workspace, app), arguments)}
    except Refused as no:
        return refused_body(no)


def _lacking(workspace: Workspace, name: str) -> Refused:
    """Return the error for a method that the emulator lacks, and log it once.

    If Slack has the method, the error is our own. The status is HTTP 200: on any other, Slack's SDK for
    JavaScript retries for half an hour.
    """
    if name not in SLACK_METHODS:
        return Refused("unknown_method", req_method=name)
    words = f"slack_emulator does not have Slack's method {name}: see the table in its README"
    if name not in workspace.lacking:
        workspace.lacking.add(name)
        LOG.warning("%s.", words)
    return Refused(NOT_IN_EMULATOR, f"[ERROR] {words}", req_method=name)


def _open_body(organization: Organization, name: str, token: str, request: HttpRequest, given: Json) -> Json:
    """Call a method without an app's token (Slack, oauth.v2.access).

    The client's id and secret come by HTTP Basic or as arguments.
    """
    try:
        return {
            "ok": True,
            **OPEN_METHODS[name](organization, with_basic(request.headers, given | {"token": token})),
        }
    except Refused as no:
        return refused_body(no)


def refused_body(no: Refused) -> Json:
    body: Json = {"ok": False, "error": no.error, **no.fields}
    if no.messages:
        body["response_metadata"] = {"messages": no.messages}
    return body


async def arguments_of(request: HttpRequest) -> tuple[Json, Json]:
    """Return the arguments of a JSON body, and those of the query or a form (Slack, Using the Web API).

    A token counts only in the second: Slack reads none from a JSON body.
    """
    from_json: Json = {}
    others: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        try:
            parsed = json.loads(await request.body() or b"{}")
        except ValueError:
            parsed = None
        from_json = parsed if isinstance(parsed, dict) else {}
        from_json.pop("token", None)
    elif request.method == "POST":
        others |= {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
    return from_json, others


def _app_with(workspace: Workspace, token: str) -> InstalledApp | None:
    return next((a for a in workspace.apps() if token and a.holds(token)), None)


def _require_app(app: InstalledApp | None, token: str) -> InstalledApp:
    if not token:
        raise Refused("not_authed")
    if app is None:
        raise Refused("invalid_auth")
    return app


def _require_connecting(verb: str, header_only: bool) -> None:
    """Raise Refused unless the call is a POST with its token in the header (Slack, apps.connections.open)."""
    if verb != "POST":
        raise Refused("invalid_request_method")
    if not header_only:
        raise Refused("not_authed")


def _require_token_type(name: str, app: InstalledApp, token: str) -> None:
    """Raise Refused for the wrong token (Slack, token types: only the app-level one opens connections)."""
    if (token == app.app_token) != (name == "apps.connections.open"):
        raise Refused("not_allowed_token_type")


def _arguments(method: Method[Any], given: Json) -> Arguments | Refused:
    try:
        parsed: Arguments = method.arguments.model_validate(given)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        fields = {str(e["loc"][0]) for e in errors if e["loc"]}
        messages = [_complaint(str(e["loc"][0]), e["type"], e["msg"]) for e in errors if e["loc"]]
        code = "invalid_blocks_format" if fields == {"blocks"} else "invalid_arguments"
        return Refused(code, *messages)
    return parsed


def _complaint(field: str, kind: str, words: str) -> str:
    if kind == "missing":
        return f"[ERROR] missing required field: {field}"
    return f"[ERROR] {words} [json-pointer:/{field}]"


def _require_scope(
    workspace: Workspace, name: str, method: Method[Any], app: InstalledApp, arguments: Arguments | Refused
) -> None:
    granted = app.scopes
    kinds: list[str | None] = [None]
    if not isinstance(arguments, Refused):
        kinds = [*method.kinds(workspace, arguments)] or [None]
    for kind in kinds:
        needed = needed_scopes(name, granted, kind)
        if needed is not None:
            raise Refused("missing_scope", needed=needed, provided=",".join(sorted(granted)))


def _error_of(fault: Fault) -> str:
    if fault.body is not None:
        return fault.error or "not_understood"
    return fault.error or ("connection_reset" if fault.reset else f"http_{fault.status}")


def broken(fault: Fault) -> Response:
    """Return the response that the fault asks for."""
    if fault.reset:
        return StreamingResponse(_cut_short(), headers={"content-length": "1000"})
    headers = {"retry-after": str(fault.retry_after)} if fault.retry_after is not None else {}
    status = 429 if fault.retry_after is not None and fault.status == 200 else fault.status
    if fault.body is not None:
        return Response(fault.body, status, headers, media_type=fault.content_type)
    if status == 429 or fault.error is not None:
        body = {"ok": False, "error": fault.error or "ratelimited"}
        return JSONResponse(body, status_code=status, headers=headers)
    return Response("", status_code=status, headers=headers)


async def _cut_short() -> AsyncIterator[bytes]:
    yield b'{"ok":'
