"""bookmarks.*, pins.* and reactions.*."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from slack_emulator.models import Channel, Json, Message, Refused
from slack_emulator.serializers import message_json
from slack_emulator.web_api.arguments import Arguments, Call, Method, page_of


class Bookmark(Arguments):
    channel_id: str
    title: str
    type: str
    link: str = ""
    emoji: str | None = None


class BookmarkEdit(Arguments):
    channel_id: str
    bookmark_id: str
    title: str | None = None
    link: str | None = None
    emoji: str | None = None


class BookmarkRemoval(Arguments):
    channel_id: str
    bookmark_id: str


class BookmarksOf(Arguments):
    channel_id: str


class Pin(Arguments):
    channel: str
    timestamp: str


class PinsOf(Arguments):
    channel: str


class Reaction(Arguments):
    channel: str
    timestamp: str
    name: str


class ReactionsBy(Arguments):
    user: str | None = None
    count: int = Field(default=100, ge=1)
    page: int = Field(default=1, ge=1)
    cursor: str | None = None
    limit: int = 0


class ReactionsOf(Arguments):
    channel: str
    timestamp: str
    full: bool = False


def add_bookmark(call: Call, given: Bookmark) -> Json:
    if given.type != "link":
        raise Refused("invalid_bookmark_type")
    channel = call.entered(given.channel_id)
    added = call.workspace.bookmarks.add(channel, given.title, given.link, given.emoji)
    return {"bookmark": added}


def edit_bookmark(call: Call, given: BookmarkEdit) -> Json:
    channel = call.entered(given.channel_id)
    changed = call.workspace.bookmarks.edit(channel, given.bookmark_id, given.title, given.link, given.emoji)
    return {"bookmark": changed}


def remove_bookmark(call: Call, given: BookmarkRemoval) -> Json:
    call.workspace.bookmarks.remove(call.entered(given.channel_id), given.bookmark_id)
    return {}


def list_bookmarks(call: Call, given: BookmarksOf) -> Json:
    return {"bookmarks": call.visible(given.channel_id).bookmarks}


def _at(call: Call, channel: str, timestamp: str) -> tuple[Channel, Message]:
    room = call.entered(channel)
    message = call.workspace.state.message(channel, timestamp)
    if message.ephemeral_to is not None:
        raise Refused("message_not_found")
    return room, message


def add_pin(call: Call, given: Pin) -> Json:
    call.workspace.messages.pin(call.bot, *_at(call, given.channel, given.timestamp))
    return {}


def remove_pin(call: Call, given: Pin) -> Json:
    call.workspace.messages.unpin(call.bot, *_at(call, given.channel, given.timestamp))
    return {}


def list_pins(call: Call, given: PinsOf) -> Json:
    channel, state = call.entered(given.channel), call.workspace.state
    return {
        "items": [
            {
                "type": "message",
                "channel": channel.id,
                "message": message_json(state, state.message(channel.id, ts)),
            }
            for ts in channel.pins
        ]
    }


def add_reaction(call: Call, given: Reaction) -> Json:
    _, message = _at(call, given.channel, given.timestamp)
    call.workspace.messages.react(call.bot, message, given.name)
    return {}


def remove_reaction(call: Call, given: Reaction) -> Json:
    _, message = _at(call, given.channel, given.timestamp)
    call.workspace.messages.unreact(call.bot, message, given.name)
    return {}


def reactions_of(call: Call, given: ReactionsOf) -> Json:
    _, message = _at(call, given.channel, given.timestamp)
    shown = message_json(call.workspace.state, message)
    return {"type": "message", "channel": given.channel, "message": shown}


def reactions_by(call: Call, given: ReactionsBy) -> Json:
    """List a user's reactions, newest message first (Slack, reactions.list).

    A message appears once for each of the user's reactions to it.
    """
    state, user = call.workspace.state, given.user or call.bot
    state.person(user)
    rooms = [channel for channel in state.channels.values() if call.bot in channel.members]
    found: list[Json] = [
        {"type": "message", "channel": room.id, "message": message_json(state, message)}
        for room in rooms
        for message in state.lasting(room.id)
        for _, users in message.reactions
        if user in users
    ]
    found.sort(key=lambda item: item["message"]["ts"], reverse=True)
    if given.limit or given.cursor:
        page, cursor = page_of(found, given.cursor, given.limit or 100)
        return {"items": page, "response_metadata": {"next_cursor": cursor}}
    start, pages = (given.page - 1) * given.count, -(-len(found) // given.count)
    paging = {"count": given.count, "total": len(found), "page": given.page, "pages": pages}
    return {"items": found[start : start + given.count], "paging": paging}


METHODS: dict[str, Method[Any]] = {
    "bookmarks.add": Method(Bookmark, add_bookmark),
    "bookmarks.edit": Method(BookmarkEdit, edit_bookmark),
    "bookmarks.remove": Method(BookmarkRemoval, remove_bookmark),
    "bookmarks.list": Method(BookmarksOf, list_bookmarks),
    "pins.add": Method(Pin, add_pin),
    "pins.remove": Method(Pin, remove_pin),
    "pins.list": Method(PinsOf, list_pins),
    "reactions.add": Method(Reaction, add_reaction),
    "reactions.remove": Method(Reaction, remove_reaction),
    "reactions.list": Method(ReactionsBy, reactions_by),
    "reactions.get": Method(ReactionsOf, reactions_of),
}
