"""chat.startStream, chat.appendStream, chat.stopStream: an app writes a message piece by piece."""

from __future__ import annotations

from typing import Any

from slack_emulator.message_streams import MARKDOWN_LIMIT, Mode
from slack_emulator.messages import app_message
from slack_emulator.models import Channel, Json, Message, Refused
from slack_emulator.web_api.arguments import Arguments, Blocks, Call, Method, Object
from slack_emulator.web_api.chat import Customized, customized, destination, lasting, shown


class Chunked(Arguments):
    channel: str
    markdown_text: str | None = None
    chunks: Blocks | None = None


class Start(Chunked, Customized):
    thread_ts: str | None = None
    recipient_user_id: str | None = None
    recipient_team_id: str | None = None
    task_display_mode: Mode = "timeline"


class Append(Chunked):
    ts: str


class Stop(Chunked):
    ts: str
    blocks: Blocks | None = None
    metadata: Object | None = None


def start_stream(call: Call, given: Start) -> Json:
    """Start a stream (Slack, chat.startStream: outside of direct messages the recipient is required)."""
    room = destination(call, given.channel)
    if not room.is_direct:
        if not given.recipient_user_id:
            raise Refused("missing_recipient_user_id")
        if not given.recipient_team_id:
            raise Refused("missing_recipient_team_id")
        call.workspace.state.person(given.recipient_user_id)
    draft = app_message(call.app, **customized(call, given))
    draft.thread_ts = given.thread_ts
    message = call.workspace.streams.start(call.app, room, draft, given.task_display_mode, _chunks(given))
    return {"channel": room.id, "ts": message.ts}


def append_stream(call: Call, given: Append) -> Json:
    room, message = _message(call, given.channel, given.ts)
    call.workspace.streams.append(call.app, message, _chunks(given))
    return {"channel": room.id, "ts": message.ts}


def stop_stream(call: Call, given: Stop) -> Json:
    room, message = _message(call, given.channel, given.ts)
    call.workspace.streams.stop(call.app, message, _chunks(given), given.blocks or [], given.metadata)
    return {"channel": room.id, "ts": message.ts, "message": shown(call, message)}


def _message(call: Call, channel: str, ts: str) -> tuple[Channel, Message]:
    room = call.visible(channel)
    if room.archived:
        raise Refused("is_archived")
    return room, lasting(call, channel, ts)


def _chunks(given: Chunked) -> list[Json]:
    """Return the chunks of a call; `markdown_text`, if given, becomes the first."""
    if len(given.markdown_text or "") > MARKDOWN_LIMIT:
        raise Refused("msg_too_long")
    first = [{"type": "markdown_text", "text": given.markdown_text}] if given.markdown_text else []
    return [*first, *(given.chunks or [])]


METHODS: dict[str, Method[Any]] = {
    "chat.startStream": Method(Start, start_stream),
    "chat.appendStream": Method(Append, append_stream),
    "chat.stopStream": Method(Stop, stop_stream),
}
