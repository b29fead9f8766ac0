"""Web API: chat.* and entity.*."""

from __future__ import annotations

from typing import Any

from slack_emulator.entity_comments import Presented
from slack_emulator.messages import app_message, names_linked, require_message
from slack_emulator.models import Channel, Json, Message, Refused
from slack_emulator.serializers import message_json
from slack_emulator.web_api.arguments import Arguments, Blocks, Call, Method, Object

# chat.*: messages that an app posts, updates and deletes.

UPDATE_LIMIT = 4000
"""Characters of text that chat.update takes (Slack, chat.update: `msg_too_long` over 4,000)."""


class Content(Arguments):
    text: str | None = None
    blocks: Blocks | None = None
    attachments: Blocks | None = None
    metadata: Object | None = None
    markdown_text: str | None = None
    link_names: bool = False


class Customized(Arguments):
    username: str | None = None
    icon_emoji: str | None = None
    icon_url: str | None = None


class PostMessage(Content, Customized):
    channel: str
    thread_ts: str | None = None
    reply_broadcast: bool = False
    unfurl_links: bool = False
    unfurl_media: bool = True


class MeMessage(Arguments):
    channel: str
    text: str


class PostEphemeral(Content):
    channel: str
    user: str
    thread_ts: str | None = None


class UpdateMessage(Content):
    channel: str
    ts: str


class Placed(Arguments):
    channel: str
    ts: str


class PermalinkOf(Arguments):
    channel: str
    message_ts: str


def content_of(call: Call, given: Content) -> Json:
    """Validate the content of a message and return it; `markdown_text` becomes a markdown block."""
    fields = ("text", "blocks", "attachments", "metadata", "markdown_text")
    content: Json = {name: value for name in fields if (value := getattr(given, name))}
    require_message(content)
    if given.link_names and "text" in content:
        content["text"] = names_linked(call.workspace.state, content["text"])
    if "markdown_text" in content:
        markdown = content.pop("markdown_text")
        content |= {"text": markdown, "blocks": [{"type": "markdown", "text": markdown}]}
    return content


def destination(call: Call, channel: str) -> Channel:
    """Return the channel with this id or #name, or the direct message with the user of this id."""
    state = call.workspace.state
    if channel in state.people:
        return call.workspace.conversations.open_direct(call.bot, [channel])
    if channel not in state.channels:
        named = state.find_channel_named(channel.removeprefix("#"))
        channel = named.id if named is not None else channel
    room = call.visible(channel)
    if room.archived:
        raise Refused("is_archived")
    if call.bot not in room.members and "chat:write.public" not in call.app.scopes:
        raise Refused("not_in_channel")
    return room


def post_message(call: Call, given: PostMessage) -> Json:
    room = destination(call, given.channel)
    draft = app_message(call.app, **content_of(call, given), **customized(call, given))
    draft.thread_ts = given.thread_ts
    draft.broadcast = given.reply_broadcast and given.thread_ts is not None
    draft.subtype = "bot_message" if given.username else None
    message = call.workspace.messages.post(room, draft)
    return {"channel": room.id, "ts": message.ts, "message": shown(call, message)}


def customized(call: Call, given: Customized) -> Json:
    """Return the name and icon that the app chose for one message (Slack: needs chat:write.customize)."""
    custom: Json = {k: v for k in ("username", "icon_emoji") if (v := getattr(given, k))}
    if (custom or given.icon_url) and "chat:write.customize" not in call.app.scopes:
        raise Refused("missing_scope", needed="chat:write.customize", provided=provided(call))
    return custom


def me_message(call: Call, given: MeMessage) -> Json:
    """Post a text as `/me` does (Slack, chat.meMessage: text only)."""
    room = destination(call, given.channel)
    require_message({"text": given.text})
    draft = app_message(call.app, text=given.text, subtype="me_message")
    message = call.workspace.messages.post(room, draft)
    return {"channel": room.id, "ts": message.ts}


def post_ephemeral(call: Call, given: PostEphemeral) -> Json:
    room = destination(call, given.channel)
    if given.user not in call.workspace.state.people or given.user not in room.members:
        raise Refused("user_not_in_channel")
    if given.metadata is not None:
        raise Refused("invalid_metadata_format", "[ERROR] ephemeral messages carry no event metadata")
    draft = app_message(call.app, **content_of(call, given))
    draft.ephemeral_to, draft.thread_ts = given.user, given.thread_ts
    return {"message_ts": call.workspace.messages.post(room, draft).ts}


def update(call: Call, given: UpdateMessage) -> Json:
    """Update the app's own message (Slack, chat.update: omitted blocks, attachments and metadata stay)."""
    message = _own(call, given.channel, given.ts, "cant_update_message")
    if call.workspace.streams.is_open(message):
        raise Refused("streaming_state_conflict")
    if given.text is not None and len(given.text) > UPDATE_LIMIT:
        raise Refused("msg_too_long")
    changes = content_of(call, given)
    given_fields = given.model_fields_set & {"blocks", "attachments", "metadata"}
    emptied: dict[str, Any] = {"blocks": [], "attachments": [], "metadata": None}
    changes = {name: emptied[name] for name in given_fields} | changes
    if "blocks" in changes and "text" not in changes:
        changes["text"] = ""
    call.workspace.messages.update(message, call.bot, changes)
    return {
        "channel": given.channel,
        "ts": message.ts,
        "text": message.text,
        "message": shown(call, message),
    }


def delete(call: Call, given: Placed) -> Json:
    message = _own(call, given.channel, given.ts, "cant_delete_message")
    call.workspace.messages.delete(message)
    return {"channel": given.channel, "ts": given.ts}


def permalink(call: Call, given: PermalinkOf) -> Json:
    call.visible(given.channel)
    message = lasting(call, given.channel, given.message_ts)
    return {"channel": given.channel, "permalink": call.workspace.permalink(given.channel, message.ts)}


def _own(call: Call, channel: str, ts: str, otherwise: str) -> Message:
    room = call.visible(channel)
    if room.archived:
        raise Refused("is_archived")
    message = lasting(call, channel, ts)
    if message.bot_id != call.app.bot_id:
        raise Refused(otherwise)
    return message


def lasting(call: Call, channel: str, ts: str) -> Message:
    message = call.workspace.state.message(channel, ts)
    if message.ephemeral_to is not None:
        raise Refused("message_not_found")
    return message


def shown(call: Call, message: Message) -> Json:
    return message_json(call.workspace.state, message, metadata=True)


def provided(call: Call) -> str:
    return ",".join(sorted(call.app.scopes))


METHODS: dict[str, Method[Any]] = {
    "chat.postMessage": Method(PostMessage, post_message),
    "chat.meMessage": Method(MeMessage, me_message),
    "chat.postEphemeral": Method(PostEphemeral, post_ephemeral),
    "chat.update": Method(UpdateMessage, update),
    "chat.delete": Method(Placed, delete),
    "chat.getPermalink": Method(PermalinkOf, permalink),
}


# chat.unfurl and entity.*: the previews that an app shows for links in messages.


class Unfurl(Arguments):
    channel: str | None = None
    ts: str | None = None
    unfurl_id: str | None = None
    source: str | None = None
    unfurls: Object | None = None
    metadata: Object | None = None


class PresentDetails(Arguments):
    trigger_id: str
    metadata: Object | None = None
    error: Object | None = None


class PresentComments(Arguments):
    trigger_id: str
    comments: Blocks | None = None
    cursor: str = ""
    can_post_comment: bool = False
    delete_action_id: str = ""
    user_auth_required: bool = False
    user_auth_url: str = ""
    error: Object | None = None


class AcknowledgeCommentAction(Arguments):
    trigger_id: str
    comment: Object | None = None
    error: str = ""


def unfurl(call: Call, given: Unfurl) -> Json:
    """Attach previews to a message (Slack, chat.unfurl: either `unfurls` or `metadata`).

    The app names the message either by `channel` and `ts` or by `unfurl_id` and `source`.
    """
    if given.unfurls is None and given.metadata is None:
        raise Refused("missing_unfurls")
    if given.unfurls is not None and given.metadata is not None:
        raise Refused("invalid_arguments", "[ERROR] either unfurls or metadata")
    message = _message(call, given)
    call.workspace.unfurls.show(call.app, message, unfurls=given.unfurls, metadata=given.metadata)
    return {}


def _message(call: Call, given: Unfurl) -> Message:
    if given.unfurl_id is not None or given.source is not None:
        if given.channel is not None or given.ts is not None:
            raise Refused("invalid_arguments", "[ERROR] either unfurl_id and source, or channel and ts")
        if given.unfurl_id is None:
            raise Refused("missing_unfurl_id")
        if given.source is None:
            raise Refused("missing_source")
        return call.workspace.unfurls.find(call.app, given.unfurl_id, given.source)
    if given.channel is None:
        raise Refused("missing_channel")
    if given.ts is None:
        raise Refused("missing_ts")
    try:
        call.visible(given.channel)
    except Refused:
        raise Refused("cannot_find_channel") from None
    return call.workspace.unfurls.message(given.channel, given.ts)


def present_details(call: Call, given: PresentDetails) -> Json:
    call.workspace.unfurls.present(call.app, given.trigger_id, given.metadata, given.error)
    return {}


def present_comments(call: Call, given: PresentComments) -> Json:
    """Show a user a page of comments, or ask them to sign in to the app (Slack, entity.presentComments)."""
    if given.user_auth_required and not given.user_auth_url:
        raise Refused("user_auth_url_missing")
    if given.comments is None and not given.user_auth_required:
        raise Refused("invalid_arguments", "[ERROR] missing required field: comments")
    shown = Presented(
        given.comments, given.can_post_comment, given.cursor, given.delete_action_id, given.error
    )
    call.workspace.entity_comments.present(call.app, given.trigger_id, shown)
    return {}


def acknowledge_comment_action(call: Call, given: AcknowledgeCommentAction) -> Json:
    call.workspace.entity_comments.acknowledge(call.app, given.trigger_id, given.comment, given.error)
    return {}


LINK_METHODS: dict[str, Method[Any]] = {
    "chat.unfurl": Method(Unfurl, unfurl),
    "entity.acknowledgeCommentAction": Method(AcknowledgeCommentAction, acknowledge_comment_action),
    "entity.presentComments": Method(PresentComments, present_comments),
    "entity.presentDetails": Method(PresentDetails, present_details),
}
