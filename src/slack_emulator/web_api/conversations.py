"""conversations.*: an app reads, creates and changes channels and direct messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import Field

from slack_emulator.models import Channel, Json, Message, Refused
from slack_emulator.serializers import message_json
from slack_emulator.web_api.arguments import Arguments, Call, Method, Names, page_of

if TYPE_CHECKING:
    from slack_emulator.workspace import Workspace

_TIMESTAMP = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)
KINDS = {"public_channel": "public", "private_channel": "private", "im": "im", "mpim": "mpim"}


class Create(Arguments):
    name: str
    is_private: bool = False


class Invite(Arguments):
    channel: str
    users: Names
    force: bool = False


class Kick(Arguments):
    channel: str
    user: str


class Of(Arguments):
    channel: str


class OneChannel(Arguments):
    channel: str
    include_num_members: bool = False


class Mark(Arguments):
    channel: str
    ts: str


class Rename(Arguments):
    channel: str
    name: str


class SetTopic(Arguments):
    channel: str
    topic: str


class SetPurpose(Arguments):
    channel: str
    purpose: str


class OpenConversation(Arguments):
    users: Names = Field(default_factory=list)
    channel: str | None = None
    return_im: bool = False


class Listing(Arguments):
    types: Names = Field(default_factory=lambda: ["public_channel"])
    exclude_archived: bool = False
    cursor: str | None = None
    limit: int = 100


class Members(Arguments):
    channel: str
    cursor: str | None = None
    limit: int = 100


class History(Arguments):
    channel: str
    cursor: str | None = None
    latest: str | None = None
    oldest: str = "0"
    inclusive: bool = False
    include_all_metadata: bool = False
    limit: int = 100


class Replies(History):
    ts: str


def create(call: Call, given: Create) -> Json:
    channel = call.workspace.conversations.create(call.bot, given.name, private=given.is_private)
    return _shown(call, channel)


def invite(call: Call, given: Invite) -> Json:
    found = call.workspace.conversations
    errors = found.invite(call.bot, given.channel, given.users, force=given.force)
    shown = _shown(call, call.visible(given.channel))
    return shown | {"errors": errors} if errors else shown


def kick(call: Call, given: Kick) -> Json:
    call.workspace.conversations.kick(call.bot, given.channel, given.user)
    return {"errors": {}}


def join(call: Call, given: Of) -> Json:
    already = call.bot in call.workspace.state.channel(given.channel).members
    shown = _shown(call, call.workspace.conversations.join(call.bot, given.channel))
    if already:
        shown |= {"warning": "already_in_channel"}
        shown |= {"response_metadata": {"warnings": ["already_in_channel"]}}
    return shown


def leave(call: Call, given: Of) -> Json:
    channel = call.visible(given.channel)
    if call.bot not in channel.members:
        return {"not_in_channel": True}
    call.workspace.conversations.leave(call.bot, given.channel)
    return {}


def one_channel(call: Call, given: OneChannel) -> Json:
    shown = _shown(call, call.visible(given.channel))
    if not given.include_num_members:
        shown["channel"].pop("num_members", None)
    if (read := call.workspace.state.reads.get((call.bot, given.channel))) is not None:
        shown["channel"]["last_read"] = read
    canvas = call.workspace.files.canvas_of(given.channel)
    if canvas is not None:
        # Slack, conversation object: `properties.canvas`, also one that a user wrote.
        told = {"file_id": canvas.id, "is_empty": not canvas.content, "quip_thread_id": ""}
        shown["channel"]["properties"] = {"canvas": told}
    return shown


def listing(call: Call, given: Listing) -> Json:
    wanted = _kinds(given)
    return _listed(call, given, lambda c: c.kind in wanted and _seen_by(call.bot, c))


def _seen_by(bot: str, channel: Channel) -> bool:
    return channel.kind == "public" or bot in channel.members


def _kinds(given: Listing) -> set[str]:
    unknown = [name for name in given.types if name not in KINDS]
    if unknown:
        raise Refused("invalid_types")
    return {KINDS[name] for name in given.types}


def _listed(call: Call, given: Listing, wanted: Any) -> Json:
    channels = [
        call.workspace.conversations.json(channel, call.bot)
        for channel in call.workspace.state.channels.values()
        if wanted(channel) and not (given.exclude_archived and channel.archived)
    ]
    page, cursor = page_of(channels, given.cursor, given.limit)
    return {"channels": page, "response_metadata": {"next_cursor": cursor}}


def kinds_listed(workspace: Workspace, given: Any) -> list[str]:
    return [KINDS[name] for name in given.types if name in KINDS]


def members(call: Call, given: Members) -> Json:
    channel = call.visible(given.channel)
    ids: list[Any] = list(channel.members)
    page, cursor = page_of(ids, given.cursor, given.limit)
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


def history(call: Call, given: History) -> Json:
    """Return messages newest first, without the replies inside threads.

    With `oldest` but no `latest`, the first page holds the messages that follow `oldest`; each page is still
    newest first (slackhq/slack-api-docs, issue 4).
    """
    channel = _readable(call, given.channel)
    found = [m for m in call.workspace.state.lasting(channel.id) if not m.is_reply or m.broadcast]
    found, forwards = _between(found, given), float(given.oldest) > 0 and given.latest is None
    shown = _messages(call, given, found if forwards else found[::-1])
    if forwards:
        shown["messages"].reverse()
    return shown | {
        "pin_count": len(channel.pins),
        "channel_actions_ts": None,
        "channel_actions_count": 0,
    }


def replies(call: Call, given: Replies) -> Json:
    """Return the parent message, then its replies, oldest first."""
    channel = _readable(call, given.channel)
    found = list(call.workspace.state.lasting(channel.id))
    asked = next((m for m in found if m.ts == given.ts), None)
    if asked is None:
        raise Refused("thread_not_found")
    root = asked.thread_ts or asked.ts
    parent = [m for m in found if m.ts == root]
    rest = _between([m for m in found if m.thread_ts == root and m.is_reply], given)
    return _messages(call, given, [*parent, *rest])


def _readable(call: Call, channel_id: str) -> Channel:
    channel = call.visible(channel_id)
    if call.bot not in channel.members:
        raise Refused("not_in_channel")
    return channel


def _between(messages: list[Message], given: History) -> list[Message]:
    latest = given.latest or "9999999999.999999"
    for name, stamp in (("latest", latest), ("oldest", given.oldest)):
        if not _TIMESTAMP.fullmatch(stamp):
            raise Refused(f"invalid_ts_{name}")

    def inside(ts: str) -> bool:
        edge = given.inclusive and ts in (given.oldest, latest)
        return edge or float(given.oldest) < float(ts) < float(latest)

    return [m for m in messages if inside(m.ts)]


def _messages(call: Call, given: History, found: list[Message]) -> Json:
    state, metadata = call.workspace.state, given.include_all_metadata
    page, cursor = page_of(
        [message_json(state, m, metadata=metadata) for m in found],
        given.cursor,
        call.workspace.rates.page(given.limit),
    )
    body: Json = {"messages": page, "has_more": bool(cursor)}
    return body | {"response_metadata": {"next_cursor": cursor}} if cursor else body


def open_direct(call: Call, given: OpenConversation) -> Json:
    if given.channel:
        channel = call.visible(given.channel)
    elif given.users:
        channel = call.workspace.conversations.open_direct(call.bot, given.users)
    else:
        raise Refused("users_list_not_supplied")
    shown = {"id": channel.id}
    return {"channel": call.workspace.conversations.json(channel, call.bot) if given.return_im else shown}


def kinds_opened(workspace: Workspace, given: Any) -> list[str]:
    return ["mpim"] if len(given.users) > 1 else ["im"]


def rename(call: Call, given: Rename) -> Json:
    return _shown(call, call.workspace.conversations.rename(call.bot, given.channel, given.name))


def set_topic(call: Call, given: SetTopic) -> Json:
    return _shown(call, call.workspace.conversations.set_topic(call.bot, given.channel, given.topic))


def set_purpose(call: Call, given: SetPurpose) -> Json:
    channel = call.workspace.conversations.set_purpose(call.bot, given.channel, given.purpose)
    return {"purpose": channel.purpose} | _shown(call, channel)


def mark(call: Call, given: Mark) -> Json:
    """Set the read cursor of the app's own bot user (Slack, conversations.mark)."""
    channel = _readable(call, given.channel)
    if not _TIMESTAMP.fullmatch(given.ts):
        raise Refused("invalid_timestamp")
    call.workspace.state.mark_read(call.bot, channel.id, given.ts)
    return {}


def archive(call: Call, given: Of) -> Json:
    call.workspace.conversations.archive(call.bot, given.channel)
    return {}


def unarchive(call: Call, given: Of) -> Json:
    call.workspace.conversations.unarchive(call.bot, given.channel)
    return {}


def _shown(call: Call, channel: Channel) -> Json:
    return {"channel": call.workspace.conversations.json(channel, call.bot)}


def kinds_created(workspace: Workspace, given: Any) -> list[str]:
    return ["private" if given.is_private else "public"]


METHODS: dict[str, Method[Any]] = {
    "conversations.create": Method(Create, create, kinds_created),
    "conversations.invite": Method(Invite, invite),
    "conversations.kick": Method(Kick, kick),
    "conversations.join": Method(Of, join),
    "conversations.leave": Method(Of, leave),
    "conversations.info": Method(OneChannel, one_channel),
    "conversations.list": Method(Listing, listing, kinds_listed),
    "conversations.members": Method(Members, members),
    "conversations.history": Method(History, history),
    "conversations.replies": Method(Replies, replies),
    "conversations.open": Method(OpenConversation, open_direct, kinds_opened),
    "conversations.mark": Method(Mark, mark),
    "conversations.rename": Method(Rename, rename),
    "conversations.setTopic": Method(SetTopic, set_topic),
    "conversations.setPurpose": Method(SetPurpose, set_purpose),
    "conversations.archive": Method(Of, archive),
    "conversations.unarchive": Method(Of, unarchive),
}
