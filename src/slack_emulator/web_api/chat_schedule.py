"""chat.scheduleMessage, chat.deleteScheduledMessage, chat.scheduledMessages.list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slack_emulator.messages import app_message
from slack_emulator.models import Json, Refused
from slack_emulator.web_api.arguments import Arguments, Call, Method, page_of
from slack_emulator.web_api.chat import Content, content_of, destination

if TYPE_CHECKING:
    from slack_emulator.workspace import Workspace


class Schedule(Content):
    channel: str
    post_at: int | str
    thread_ts: str | None = None
    reply_broadcast: bool = False


class Scheduled(Arguments):
    channel: str
    scheduled_message_id: str


class ScheduledListing(Arguments):
    channel: str | None = None
    cursor: str | None = None
    latest: float | None = None
    oldest: float = 0.0
    limit: int = 100


def schedule_message(call: Call, given: Schedule) -> Json:
    room = destination(call, given.channel)
    if not str(given.post_at).isdecimal():
        raise Refused("invalid_time")
    draft = app_message(call.app, **content_of(call, given))
    draft.channel, draft.thread_ts = room.id, given.thread_ts
    draft.broadcast = given.reply_broadcast and given.thread_ts is not None
    scheduled = call.workspace.scheduled.add(call.app, draft, int(given.post_at))
    message: Json = {
        "type": "delayed_message",
        "subtype": "bot_message",
        "text": draft.text,
        "bot_id": call.app.bot_id,
    }
    message |= {"blocks": draft.blocks} if draft.blocks else {}
    message |= {"attachments": draft.attachments} if draft.attachments else {}
    return {
        "channel": room.id,
        "scheduled_message_id": scheduled.id,
        "post_at": scheduled.post_at,
        "message": message,
    }


def delete_scheduled(call: Call, given: Scheduled) -> Json:
    call.visible(given.channel)
    call.workspace.scheduled.delete(call.app, given.channel, given.scheduled_message_id)
    return {}


def list_scheduled(call: Call, given: ScheduledListing) -> Json:
    if given.channel is not None and given.channel not in call.workspace.state.channels:
        raise Refused("invalid_channel")
    latest = float("inf") if given.latest is None else given.latest
    found = [
        {
            "id": one.id,
            "channel_id": one.channel,
            "post_at": one.post_at,
            "date_created": one.created,
            "text": one.draft["text"],
        }
        for one in call.workspace.scheduled.pending(call.app, given.channel)
        if given.oldest <= one.post_at <= latest
    ]
    page, cursor = page_of(found, given.cursor, given.limit)
    return {"scheduled_messages": page, "response_metadata": {"next_cursor": cursor}}


def no_kind(workspace: Workspace, given: Any) -> list[str]:
    """Return []: the scope that this method needs does not depend on the kind of channel."""
    return []


METHODS: dict[str, Method[Any]] = {
    "chat.scheduleMessage": Method(Schedule, schedule_message),
    "chat.deleteScheduledMessage": Method(Scheduled, delete_scheduled),
    "chat.scheduledMessages.list": Method(ScheduledListing, list_scheduled, no_kind),
}
