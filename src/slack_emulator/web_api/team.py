"""Web API: api.*, auth.*, bots.*, emoji.*, team.* and functions.*."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from slack_emulator.block_kit import block_errors, message_refusal, view_errors
from slack_emulator.models import Json, Refused
from slack_emulator.web_api.arguments import (
    NOT_IN_EMULATOR,
    Arguments,
    Blocks,
    Call,
    Method,
    NoArguments,
    Object,
)

# auth.*, api.test, team.info, emoji.list, apps.connections.open, blocks.validate, files.list, files.info.


class ApiTest(Arguments):
    error: str | None = None
    foo: str | None = None


class Validation(Arguments):
    blocks: Blocks | None = None
    view: Object | None = None
    message: Object | None = None


class EmojiList(Arguments):
    include_categories: bool = False


class ListFiles(Arguments):
    channel: str | None = None
    count: int = Field(default=100, ge=1)
    page: int = Field(default=1, ge=1)


class File(Arguments):
    file: str


def auth_test(call: Call, given: NoArguments) -> Json:
    state = call.workspace.state
    org = state.org
    about = {"team": state.team.name, "team_id": state.team.id}
    if org is not None:
        about["enterprise_id"] = org.id
    if org is not None and call.app.org:
        about |= {"team": org.name, "team_id": org.id}
    return {
        "url": f"{call.workspace.base_url}/",
        **about,
        "user": state.person(call.bot).name,
        "user_id": call.bot,
        "bot_id": call.app.bot_id,
        "is_enterprise_install": bool(call.app.org),
    }


def api_test(call: Call, given: ApiTest) -> Json:
    if given.error:
        raise Refused(given.error, args={"error": given.error})
    return {"args": given.model_dump(exclude_none=True)}


def about_team(call: Call, given: NoArguments) -> Json:
    team = call.workspace.state.team
    url = f"{call.workspace.base_url}/"
    return {"team": {"id": team.id, "name": team.name, "domain": team.domain, "url": url, "icon": {}}}


def emoji(call: Call, given: EmojiList) -> Json:
    """Return the workspace's custom emoji (Slack, emoji.list)."""
    if given.include_categories:
        raise Refused(NOT_IN_EMULATOR, "[ERROR] slack_emulator has no list of Unicode's emoji categories")
    state = call.workspace.state
    return {"emoji": dict(state.team.emoji), "cache_ts": f"{state.now():.6f}"}


def open_connection(call: Call, given: NoArguments) -> Json:
    """Return a WebSocket URL that is good for one connection."""
    if not call.app.manifest.socket_mode:
        raise Refused("forbidden_for_http_mode")
    ticket = call.workspace.sockets.ticket(call.app.app_id)
    base = "ws" + call.workspace.base_url.removeprefix("http")
    return {"url": f"{base}/link/?ticket={ticket}&app_id={call.app.app_id}"}


def validate_blocks(call: Call, given: Validation) -> Json:
    """Validate blocks, a view or a message, one of the three (Slack, blocks.validate)."""
    named = [name for name in ("blocks", "view", "message") if getattr(given, name) is not None]
    if len(named) != 1:
        raise Refused("invalid_arguments", "[ERROR] exactly one of blocks, view and message")
    if given.blocks is not None:
        errors = block_errors(given.blocks, "message")
    elif given.view is not None:
        errors = view_errors(given.view)
    else:
        refused = message_refusal(given.message or {})
        errors = [] if refused is None else (list(refused.messages) or [f"[ERROR] {refused.error}"])
    if errors:
        raise Refused(f"invalid_{named[0]}", *errors)
    return {}


def _files(call: Call, channel: str | None) -> list[Json]:
    """Return the files in messages of the app's channels."""
    state = call.workspace.state
    rooms = [c for c in state.channels.values() if call.bot in c.members and channel in (None, c.id)]
    return [f for room in rooms for message in state.lasting(room.id) for f in message.files]


def list_files(call: Call, given: ListFiles) -> Json:
    found = _files(call, given.channel)
    start = (given.page - 1) * given.count
    paging = {
        "count": given.count,
        "total": len(found),
        "page": given.page,
        "pages": -(-len(found) // given.count),
    }
    return {"files": found[start : start + given.count], "paging": paging}


def one_file(call: Call, given: File) -> Json:
    for found in _files(call, None):
        if found["id"] == given.file:
            return {"file": found}
    raise Refused("file_not_found")


def revoke(call: Call, given: NoArguments) -> Json:
    """Return the answer alone: the endpoint then revokes the token."""
    return {"revoked": True}


METHODS: dict[str, Method[Any]] = {
    "auth.revoke": Method(NoArguments, revoke),
    "auth.test": Method(NoArguments, auth_test),
    "api.test": Method(ApiTest, api_test),
    "emoji.list": Method(EmojiList, emoji),
    "team.info": Method(NoArguments, about_team),
    "apps.connections.open": Method(NoArguments, open_connection),
    "blocks.validate": Method(Validation, validate_blocks),
    "files.list": Method(ListFiles, list_files),
    "files.info": Method(File, one_file),
}


# functions.*: an app reports the result of a workflow step.


class CompleteSuccess(Arguments):
    function_execution_id: str
    outputs: Object


class CompleteError(Arguments):
    function_execution_id: str
    error: str


def complete_success(call: Call, given: CompleteSuccess) -> Json:
    call.workspace.steps.complete(call.app, given.function_execution_id, given.outputs)
    return {}


def complete_error(call: Call, given: CompleteError) -> Json:
    if not given.error.strip():
        raise Refused("invalid_arguments", "[ERROR] missing required field: error")
    call.workspace.steps.fail(call.app, given.function_execution_id, given.error)
    return {}


STEP_METHODS: dict[str, Method[Any]] = {
    "functions.completeSuccess": Method(CompleteSuccess, complete_success),
    "functions.completeError": Method(CompleteError, complete_error),
}
