"""files.* and canvases: an app uploads a file in three requests, or writes a canvas in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from slack_emulator.files import file_json
from slack_emulator.messages import app_message
from slack_emulator.models import Channel, Json, Refused
from slack_emulator.web_api.arguments import Arguments, Blocks, Call, Method, Object

if TYPE_CHECKING:
    from slack_emulator.workspace import Workspace


class UploadRequest(Arguments):
    filename: str
    length: int = Field(ge=0)
    alt_txt: str = Field(default="", max_length=1000)


class Completion(Arguments):
    files: Blocks
    channel_id: str | None = None
    initial_comment: str | None = None
    thread_ts: str | None = None


class FileOf(Arguments):
    file: str


class CanvasOf(Arguments):
    canvas_id: str


class ChannelCanvas(Arguments):
    channel_id: str
    title: str | None = None
    document_content: Object | None = None


def announce(call: Call, given: UploadRequest) -> Json:
    """Return an upload URL, good once. Slack asks for no token there: the URL itself is the secret."""
    key, file = call.workspace.files.announce(call.bot, given.filename, given.length, given.alt_txt)
    return {"upload_url": f"{call.workspace.base_url}/upload/v1/{key}", "file_id": file.id}


def complete(call: Call, given: Completion) -> Json:
    """Share the uploaded files in a message of the app; without a channel they stay private to the app."""
    channel = _shared_in(call, given.channel_id) if given.channel_id else None
    wanted = [one for one in given.files if isinstance(one, dict)]
    files = call.workspace.files.complete(call.bot, wanted, channel)
    shown = [file_json(call.workspace.state, file, call.workspace.base_url) for file in files]
    if channel is not None:
        draft = app_message(call.app, text=given.initial_comment or "", files=shown)
        draft.thread_ts = given.thread_ts
        call.workspace.messages.post(channel, draft)
        for file in files:
            event = {"type": "file_shared", "file_id": file.id, "user_id": call.bot, "file": {"id": file.id}}
            call.workspace.events.emit(event | {"channel_id": channel.id}, channel=channel)
    return {"files": shown}


def _shared_in(call: Call, channel_id: str) -> Channel:
    channel = call.workspace.state.channels.get(channel_id)
    if channel is None:
        raise Refused("channel_not_found")
    return call.entered(channel_id)


def delete_file(call: Call, given: FileOf) -> Json:
    call.workspace.files.delete(call.bot, given.file)
    return {}


def create_channel_canvas(call: Call, given: ChannelCanvas) -> Json:
    channel = call.entered(given.channel_id)
    canvas = call.workspace.files.write_canvas(call.bot, channel, given.title or "", given.document_content)
    return {"canvas_id": canvas.id}


def delete_canvas(call: Call, given: CanvasOf) -> Json:
    call.workspace.files.delete_canvas(call.bot, given.canvas_id)
    return {}


def no_kind(workspace: Workspace, given: Any) -> list[str]:
    """Return []: the scope that this method needs does not depend on the kind of channel."""
    return []


METHODS: dict[str, Method[Any]] = {
    "files.getUploadURLExternal": Method(UploadRequest, announce, no_kind),
    "files.completeUploadExternal": Method(Completion, complete, no_kind),
    "files.delete": Method(FileOf, delete_file, no_kind),
    "conversations.canvases.create": Method(ChannelCanvas, create_channel_canvas, no_kind),
    "canvases.delete": Method(CanvasOf, delete_canvas, no_kind),
}
