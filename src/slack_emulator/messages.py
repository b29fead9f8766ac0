"""Messages, and the text that users type into them."""

from __future__ import annotations

import re
from collections.abc import Callable

from slack_emulator.block_kit import message_refusal
from slack_emulator.composer import broadcasts, escape, parse_mrkdwn
from slack_emulator.events import Events
from slack_emulator.models import Change, Channel, InstalledApp, Json, Message, Refused
from slack_emulator.mrkdwn import BARE_URL
from slack_emulator.serializers import CHANNEL_TYPES, message_json
from slack_emulator.state import TOMBSTONE, State, new_id

# Messages, threads, reactions and pins, and the events that they cause.

PIN_LIMIT = 100
REACTION_LIMIT = 23


class Messages:
    def __init__(self, state: State, events: Events) -> None:
        self._state = state
        self._events = events
        self.listeners: list[Callable[[Channel, Message], None]] = []
        """Callbacks for each posted message that is not ephemeral."""

    # posting

    def post(self, channel: Channel, draft: Message) -> Message:
        """Give a validated message its ts, store it, and announce it to the page and to apps."""
        draft.channel = channel.id
        draft.ts = self._state.next_ts()
        if draft.thread_ts is not None:
            self._require_parent(channel, draft)
        draft.blocks = with_block_ids(draft.blocks)
        if draft.bot_id is not None:
            draft.mentions_unescaped = _calls(draft)
        self._state.save(draft)
        self._state.feed.announce(Change("message", draft.channel, draft.ephemeral_to, draft.ts))
        if draft.ephemeral_to is None:
            if draft.user is not None and draft.bot_id is None:
                self._state.mark_read(draft.user, channel.id, draft.ts)
            self._emit(channel, draft)
            for heed in self.listeners:
                heed(channel, draft)
        return draft

    def _require_parent(self, channel: Channel, draft: Message) -> None:
        parent = self._state.messages[channel.id].get(draft.thread_ts or "")
        if parent is None or parent.deleted or parent.ephemeral_to is not None:
            raise Refused("thread_not_found")
        if parent.is_reply:
            draft.thread_ts = parent.thread_ts
        elif draft.ephemeral_to is None and parent.thread_ts is None:
            parent.thread_ts = parent.ts
            self._state.save(parent)
            self._state.feed.announce(Change("message_changed", channel.id, None, parent.ts))

    def system(self, channel: Channel, actor: str, subtype: str, text: str) -> None:
        self.post(channel, Message(channel.id, "", user=actor, text=text, subtype=subtype))

    def _emit(self, channel: Channel, message: Message) -> None:
        body = message_json(self._state, message, metadata=True)
        event = body | {
            "channel": channel.id,
            "event_ts": message.ts,
            "channel_type": CHANNEL_TYPES[channel.kind],
        }
        if message.broadcast:
            event["subtype"] = "thread_broadcast"
        self._events.emit(event, channel=channel)
        self._events.emit_mention(event, channel)

    # updating and deleting

    def update(self, message: Message, editor: str, changes: Json) -> Message:
        previous = message_json(self._state, message)
        for key, value in changes.items():
            setattr(message, key, value)
        message.blocks = with_block_ids(message.blocks)
        if message.bot_id is not None:
            message.mentions_unescaped = _calls(message)
        if message.ephemeral_to is None:
            message.edited = {"user": editor, "ts": self._state.next_ts()}
        self._changed(message, previous)
        return message

    def attach(self, message: Message, attachments: list[Json]) -> None:
        """Replace a message's attachments; the message is not marked as edited."""
        numbered = [{**one, "id": number} for number, one in enumerate(attachments, 1)]
        self.revise(message, {"attachments": numbered})

    def revise(self, message: Message, changes: Json, *, told: bool = True) -> None:
        """Change a message without marking it as edited; apps are told if `told`."""
        previous = message_json(self._state, message)
        for key, value in changes.items():
            setattr(message, key, value)
        message.blocks = with_block_ids(message.blocks)
        self._changed(message, previous, told=told)

    def _changed(self, message: Message, previous: Json, *, told: bool = True) -> None:
        self._state.save(message)
        change = Change("message_changed", message.channel, message.ephemeral_to, message.ts)
        self._state.feed.announce(change)
        if message.ephemeral_to is not None or not told:
            return
        channel = self._state.channel(message.channel)
        stamp = self._state.next_ts()
        event = {
            "type": "message",
            "subtype": "message_changed",
            "hidden": True,
            "channel": channel.id,
            "channel_type": CHANNEL_TYPES[channel.kind],
            "ts": stamp,
            "event_ts": stamp,
            "message": message_json(self._state, message),
            "previous_message": previous,
        }
        self._events.emit(event, channel=channel)

    def delete(self, message: Message) -> None:
        """Delete a message; one with replies becomes a tombstone, so that its thread keeps its root."""
        previous = message_json(self._state, message)
        if any(m.is_reply and m.thread_ts == message.ts for m in self._state.lasting(message.channel)):
            self._bury(message)
        else:
            message.deleted = True
            self._state.delete_message(message)
        change = Change("message_deleted", message.channel, message.ephemeral_to, message.ts)
        self._state.feed.announce(change)
        if message.ephemeral_to is not None:
            return
        channel = self._state.channel(message.channel)
        if message.ts in channel.pins:
            channel.pins.remove(message.ts)
            self._state.save(channel)
        stamp = self._state.next_ts()
        event = {
            "type": "message",
            "subtype": "message_deleted",
            "hidden": True,
            "channel": channel.id,
            "channel_type": CHANNEL_TYPES[channel.kind],
            "ts": stamp,
            "event_ts": stamp,
            "deleted_ts": message.ts,
            "previous_message": previous,
        }
        self._events.emit(event, channel=channel)

    def _bury(self, message: Message) -> None:
        message.subtype, message.text = TOMBSTONE, "This message was deleted."
        message.blocks, message.attachments, message.files, message.reactions = [], [], [], []
        message.metadata = message.user = message.bot_id = message.app_id = message.username = None
        self._state.save(message)

    # reactions

    def react(self, actor: str, message: Message, name: str) -> None:
        if not name or not all(c.islower() or c.isdigit() or c in "_-+:" for c in name):
            raise Refused("invalid_name")
        for existing, users in message.reactions:
            if existing == name:
                if actor in users:
                    raise Refused("already_reacted")
                users.append(actor)
                break
        else:
            if len(message.reactions) >= REACTION_LIMIT:
                raise Refused("too_many_emoji")
            message.reactions.append((name, [actor]))
        self._reacted("reaction_added", actor, message, name)

    def unreact(self, actor: str, message: Message, name: str) -> None:
        for existing, users in message.reactions:
            if existing == name and actor in users:
                users.remove(actor)
                message.reactions = [(n, u) for n, u in message.reactions if u]
                self._reacted("reaction_removed", actor, message, name)
                return
        raise Refused("no_reaction")

    def _reacted(self, kind: str, actor: str, message: Message, name: str) -> None:
        self._state.save(message)
        self._state.feed.announce(Change("reaction", message.channel, None, message.ts))
        event = {
            "type": kind,
            "user": actor,
            "reaction": name,
            "item": {"type": "message", "channel": message.channel, "ts": message.ts},
            "item_user": message.user,
            "event_ts": self._state.next_ts(),
        }
        self._events.emit(event, channel=self._state.channel(message.channel))

    # pins

    def pin(self, actor: str, channel: Channel, message: Message) -> None:
        if message.ts in channel.pins:
            raise Refused("already_pinned")
        if len(channel.pins) >= PIN_LIMIT:
            raise Refused("too_many_pins")
        channel.pins.append(message.ts)
        self._pinned("pin_added", actor, channel, message)

    def unpin(self, actor: str, channel: Channel, message: Message) -> None:
        if message.ts not in channel.pins:
            raise Refused("no_pin")
        channel.pins.remove(message.ts)
        self._pinned("pin_removed", actor, channel, message)

    def _pinned(self, kind: str, actor: str, channel: Channel, message: Message) -> None:
        self._state.save(channel)
        self._state.feed.announce(Change("message_changed", channel.id, None, message.ts))
        self._state.feed.announce(Change("channel", channel=channel.id))
        event = {
            "type": kind,
            "user": actor,
            "channel_id": channel.id,
            "item": {"type": "message", "channel": channel.id, "message": message_json(self._state, message)},
            "event_ts": self._state.next_ts(),
        }
        self._events.emit(event, channel=channel)

    # reading

    def history(self, channel_id: str, viewer: str) -> list[Message]:
        """Return a channel's top-level messages, oldest first, with the viewer's own ephemeral ones."""
        return [
            m
            for m in self._state.messages.get(channel_id, {}).values()
            if m.ephemeral_to in (None, viewer) and (not m.is_reply or m.broadcast)
        ]

    def replies(self, channel_id: str, ts: str, viewer: str) -> list[Message]:
        """Return the parent, then its replies, oldest first, with the viewer's own ephemeral ones."""
        found = self._state.messages.get(channel_id, {}).values()
        thread = [m for m in found if m.ts == ts or (m.thread_ts == ts and m.ephemeral_to in (None, viewer))]
        return sorted(thread, key=lambda m: m.ts)

    def _unseen(self, person: str, channel_id: str) -> list[Message]:
        read = self._state.reads.get((person, channel_id), "")
        return [message for message in self.history(channel_id, person) if message.ts > read]

    def unread(self, person: str, channel_id: str) -> int:
        """Return the number of messages in a channel that the user has not seen."""
        return len(self._unseen(person, channel_id))

    def mentions(self, person: str, channel_id: str) -> int:
        """Return the number of unread messages that notify the user.

        They mention the user, one of the user's groups or the whole channel; in a direct message all count.
        """
        unseen = self._unseen(person, channel_id)
        if self._state.channel(channel_id).is_direct:
            return len(unseen)
        calls = {person, "here", "channel", "everyone"}
        calls |= {group.id for group in self._state.groups.values() if person in group.users}
        return sum(any(m.target in calls for m in broadcasts(message.text)) for message in unseen)

    def json(self, message: Message) -> Json:
        return message_json(self._state, message)


def _calls(message: Message) -> list[str]:
    return [m.target for m in broadcasts({"text": message.text, "blocks": message.blocks})]


def require_message(content: Json) -> None:
    """Raise Refused for text, blocks, attachments or metadata that chat.postMessage would refuse."""
    if (no := message_refusal(content)) is not None:
        raise Refused(no.error, *no.messages)


def app_message(app: InstalledApp, **fields: object) -> Message:
    """Return a draft by the app's bot user."""
    draft = Message("", "", user=app.bot_user_id, bot_id=app.bot_id, app_id=app.app_id)
    for key, value in fields.items():
        setattr(draft, key, value)
    return draft


def with_block_ids(blocks: list[Json]) -> list[Json]:
    """Add the block and action ids that the app left out, as Slack does."""
    return [_with_action_ids({**block, "block_id": block.get("block_id") or short_id()}) for block in blocks]


def _with_action_ids(block: Json) -> Json:
    if block.get("type") in ("actions", "context_actions"):
        block["elements"] = [_with_action_id(e) for e in block.get("elements", [])]
    for key in ("element", "accessory"):
        if isinstance(block.get(key), dict) and block[key].get("type") != "image":
            block[key] = _with_action_id(block[key])
    return block


def _with_action_id(element: Json) -> Json:
    return element if element.get("action_id") else {**element, "action_id": short_id()}


def short_id() -> str:
    return new_id("b")[-6:].lower()


# Mentions in typed text, resolved as Slack's composer does.

MENTION = re.compile(r"(?<![\w<@#])([@#])([\w.-]*\w)")
_PICKED = r"(?P<picked><(?:[@#]|!subteam|https?://)[^<>\n]+>)"
_LIVE = re.compile(f"{_PICKED}|(?P<url>(?<![a-z0-9]){BARE_URL.pattern})|{MENTION.pattern}", re.IGNORECASE)


def names_in(state: State) -> dict[str, str]:
    """Return the id of every @user, @group and #channel that the composer suggests."""
    names = {f"@{p.name}": p.id for p in state.people.values() if not p.deleted}
    names |= {f"@{g.handle}": g.id for g in state.groups.values()}
    names |= {f"#{c.name}": c.id for c in state.channels.values() if not c.is_direct}
    return names


def command_text(state: State, person: str, text: str, *, should_escape: bool) -> str:
    """Return the text of a slash command as Slack sends it: `&`, `<` and `>` are always escaped.

    Slack, slash commands: with `should_escape`, @ana becomes <@U1|ana>, #general <#C1|general>, @oncall
    <!subteam^S1|@oncall>, and a URL stands in angle brackets. A private channel is sent without its name if
    the user is a member, else as typed. Text in Slack's own form, such as <@U1>, was picked from the
    composer's suggestions and is sent as it is.
    """
    if not should_escape:
        return escape(text)
    names, written, last = names_in(state), list[str](), 0
    for found in _LIVE.finditer(text):
        written.append(escape(text[last : found.start()]))
        if found["picked"]:
            written.append(found[0] if parse_mrkdwn(found[0])[0].kind != "text" else escape(found[0]))
        else:
            token = f"<{escape(found[0])}>" if found["url"] else _token(state, person, found[0], names)
            written.append(token or escape(found[0]))
        last = found.end()
    return "".join([*written, escape(text[last:])])


def _token(state: State, person: str, typed: str, names: dict[str, str]) -> str:
    found = names.get(typed, "")
    if typed[0] == "@":
        group = f"<!subteam^{found}|{typed}>" if found.startswith("S") else f"<@{found}|{typed[1:]}>"
        return group if found else ""
    room = state.channels.get(found)
    if room is None or (room.kind != "public" and person not in room.members):
        return ""
    return f"<#{found}|{room.name if room.kind == 'public' else ''}>"


def names_linked(state: State, text: str) -> str:
    """Replace @ana by <@U1> and #general by <#C1> (Slack, chat.postMessage: `link_names`)."""
    names = names_in(state)

    def written(match: re.Match[str]) -> str:
        found = names.get(match[0])
        if found is None:
            return match[0]
        return f"<!subteam^{found}>" if found.startswith("S") else f"<{match[1]}{found}>"

    return MENTION.sub(written, text)
