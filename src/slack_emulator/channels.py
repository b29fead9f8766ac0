"""Channels: their names, members, topics and bookmarks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from slack_emulator.events import Events
from slack_emulator.messages import Messages
from slack_emulator.models import Change, Channel, Json, Message, Person, Refused
from slack_emulator.serializers import CHANNEL_TYPES, channel_json
from slack_emulator.state import State, new_id

# Validation of channel names, which Slack refuses rather than corrects.

NAME_LIMIT = 80


def require_name(name: str) -> None:
    """Raise Refused for a bad name (Slack, conversations.create: a-z, 0-9, `-` and `_`, at most 80)."""
    if not name:
        raise Refused("invalid_name_required")
    if len(name) > NAME_LIMIT:
        raise Refused("invalid_name_maxlength")
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise Refused("invalid_name_specials")
    if not re.search(r"[a-z0-9]", name):
        raise Refused("invalid_name_punctuation")


# Channels and direct messages: visibility, creation, members, topic, archiving.

TOPIC_LIMIT = 250
INVITE_LIMIT = 100


class Conversations:
    def __init__(self, state: State, events: Events, messages: Messages) -> None:
        self._state = state
        self._events = events
        self._messages = messages

    # visibility

    def visible(self, actor: str, channel_id: str) -> Channel:
        """Return a channel that the actor can see. Raises Refused (`channel_not_found`) for any other."""
        channel = self._state.channel(channel_id)
        person = self._state.person(actor)
        if actor not in channel.members and (channel.kind != "public" or person.is_confined):
            raise Refused("channel_not_found")
        return channel

    def message(self, actor: str, channel_id: str, ts: str) -> Message:
        """Return a message that the actor can see, an ephemeral one only if it is the actor's."""
        self.visible(actor, channel_id)
        message = self._state.message(channel_id, ts)
        if message.ephemeral_to not in (None, actor):
            raise Refused("message_not_found")
        return message

    def entered(self, actor: str, channel_id: str) -> Channel:
        """Return the channel. Raises Refused if the actor is not a member or it is archived."""
        channel = self.visible(actor, channel_id)
        if channel.archived:
            raise Refused("is_archived")
        if actor not in channel.members:
            raise Refused("not_in_channel")
        return channel

    # creation

    def create(self, actor: str, name: str, *, private: bool = False) -> Channel:
        if self._state.person(actor).is_confined:
            raise Refused("restricted_action")
        require_name(name)
        if self._state.find_channel_named(name) is not None:
            raise Refused("name_taken")
        channel = Channel(
            id=new_id("C"),
            name=name,
            kind="private" if private else "public",
            creator=actor,
            created=int(self._state.now()),
            members=[actor],
        )
        self._keep(channel)
        self._join_message(channel, actor)
        if not private:
            summary = {"id": channel.id, "name": name, "created": channel.created, "creator": actor}
            self._events.emit({"type": "channel_created", "channel": summary})
        return channel

    def open_direct(self, actor: str, others: Iterable[str]) -> Channel:
        """Return the direct message among these users, created if there is none."""
        members = list(dict.fromkeys([actor, *others]))
        people = [self._state.person(m) for m in members]
        if len(members) > 9:
            raise Refused("too_many_users")
        found = self._state.find_direct(set(members))
        if found is not None:
            return found
        if any(p.deleted for p in people):
            raise Refused("user_disabled")
        single = len(members) <= 2
        channel = Channel(
            id=new_id("D" if single else "G"),
            name="" if single else "mpdm-" + "--".join(p.name for p in people) + "-1",
            kind="im" if single else "mpim",
            creator=actor,
            created=int(self._state.now()),
            members=members,
        )
        self._keep(channel)
        return channel

    # members

    def join(self, actor: str, channel_id: str) -> Channel:
        channel = self._state.channel(channel_id)
        person = self._state.person(actor)
        if channel.kind in ("im", "mpim"):
            raise Refused("method_not_supported_for_channel_type")
        if channel.kind == "private" or (person.is_confined and actor not in channel.members):
            raise Refused("channel_not_found")
        if channel.archived:
            raise Refused("is_archived")
        if actor not in channel.members:
            self._add(channel, actor, inviter=None)
        return channel

    def leave(self, actor: str, channel_id: str) -> None:
        channel = self.visible(actor, channel_id)
        self._require_room(channel)
        if channel.is_general:
            raise Refused("cant_leave_general")
        if actor not in channel.members:
            raise Refused("not_in_channel")
        self._remove(channel, actor, "channel_leave", f"<@{actor}> has left the channel")

    def invite(self, actor: str, channel_id: str, users: list[str], *, force: bool = False) -> list[Json]:
        """Invite all of these users or, if one cannot be invited, none.

        With `force`, invite those that can be, and return the errors of the others.
        """
        channel = self.entered(actor, channel_id)
        self._require_room(channel)
        if not users:
            raise Refused("no_user")
        if len(users) > INVITE_LIMIT:
            raise Refused("too_many_users")
        errors: list[Json] = []
        for user in users:
            if (error := self._invite_error(actor, channel, user)) is not None:
                errors.append({"user": user, "ok": False, "error": error})
        if errors and not (force and len(users) > 1):
            raise Refused(str(errors[0]["error"]), errors=errors)
        refused = {e["user"] for e in errors}
        for user in dict.fromkeys(u for u in users if u not in refused):
            self._add(channel, user, inviter=actor)
        return errors

    def _invite_error(self, actor: str, channel: Channel, user: str) -> str | None:
        person = self._state.people.get(user)
        if person is None:
            return "user_not_found"
        if user == actor:
            return "cant_invite_self"
        if user in channel.members:
            return "already_in_channel"
        if person.is_foreign and person.team_id not in (*channel.shared_with, *channel.shared_in_org):
            kin = self._state.org is not None and person.org == self._state.org.id
            return "org_user_not_in_team" if kin else "cant_invite"
        if person.deleted:
            return "cant_invite"
        if person.role == "single_channel_guest" and self._rooms_of(person):
            return "ura_max_channels"
        return None

    def _rooms_of(self, person: Person) -> list[Channel]:
        return [c for c in self._state.channels.values() if person.id in c.members and not c.is_direct]

    def kick(self, actor: str, channel_id: str, user: str) -> None:
        channel = self.entered(actor, channel_id)
        self._require_room(channel)
        if user == actor:
            raise Refused("cant_kick_self")
        self._state.person(user)
        if channel.is_general:
            raise Refused("cant_kick_from_general")
        if user not in channel.members:
            raise Refused("not_in_channel")
        if self._state.person(actor).is_confined:
            raise Refused("restricted_action")
        self._remove(channel, user, "channel_leave", f"<@{user}> was removed from the channel")

    # topic, name, archive

    def set_topic(self, actor: str, channel_id: str, topic: str) -> Channel:
        channel = self._changeable_text(actor, channel_id, topic)
        channel.topic, channel.topic_creator = topic, actor
        channel.topic_last_set = int(self._state.now())
        self._said(channel, actor, "topic", topic, f"set the channel topic: {topic}")
        return channel

    def set_purpose(self, actor: str, channel_id: str, purpose: str) -> Channel:
        channel = self._changeable_text(actor, channel_id, purpose)
        channel.purpose, channel.purpose_creator = purpose, actor
        channel.purpose_last_set = int(self._state.now())
        self._said(channel, actor, "purpose", purpose, f"set the channel description: {purpose}")
        return channel

    def rename(self, actor: str, channel_id: str, name: str) -> Channel:
        channel = self.entered(actor, channel_id)
        self._require_room(channel)
        self._require_owner(actor, channel)
        require_name(name)
        other = self._state.find_channel_named(name)
        if other is not None and other is not channel:
            raise Refused("name_taken")
        old, channel.name = channel.name, name
        self._said(channel, actor, "name", name, f'renamed the channel from "{old}" to "{name}"')
        kind = "channel_rename" if channel.kind == "public" else "group_rename"
        summary = {"id": channel.id, "name": name, "created": channel.created}
        self._events.emit({"type": kind, "channel": summary}, channel=channel)
        return channel

    def archive(self, actor: str, channel_id: str) -> None:
        channel = self.visible(actor, channel_id)
        self._require_room(channel)
        if channel.archived:
            raise Refused("already_archived")
        if channel.is_general:
            raise Refused("cant_archive_general")
        if actor not in channel.members:
            raise Refused("not_in_channel")
        if self._state.person(actor).is_confined:
            raise Refused("restricted_action")
        self._said(channel, actor, "archive", "", "archived the channel")
        channel.archived = True
        self._keep(channel)
        kind = "channel_archive" if channel.kind == "public" else "group_archive"
        self._events.emit({"type": kind, "channel": channel.id, "user": actor}, channel=channel)

    def unarchive(self, actor: str, channel_id: str) -> None:
        channel = self.visible(actor, channel_id)
        self._require_room(channel)
        if not channel.archived:
            raise Refused("not_archived")
        if self._state.person(actor).is_confined:
            raise Refused("restricted_action")
        channel.archived = False
        if actor not in channel.members:
            channel.members.append(actor)
        self._said(channel, actor, "unarchive", "", "un-archived the channel")
        kind = "channel_unarchive" if channel.kind == "public" else "group_unarchive"
        self._events.emit({"type": kind, "channel": channel.id, "user": actor}, channel=channel)

    def save(self, channel: Channel) -> None:
        """Save a channel after a change of its pins or bookmarks."""
        self._keep(channel)

    def json(self, channel: Channel, viewer: str) -> Json:
        return channel_json(self._state, channel, viewer)

    # internals

    def _keep(self, channel: Channel) -> None:
        self._state.save(channel)
        self._state.feed.announce(Change("channel", channel=channel.id))

    def _require_room(self, channel: Channel) -> None:
        if channel.is_direct:
            raise Refused("method_not_supported_for_channel_type")

    def _require_owner(self, actor: str, channel: Channel) -> None:
        if actor != channel.creator and self._state.person(actor).role not in ("owner", "admin"):
            raise Refused("not_authorized")

    def _changeable_text(self, actor: str, channel_id: str, text: str) -> Channel:
        channel = self.entered(actor, channel_id)
        if channel.kind == "im":
            raise Refused("method_not_supported_for_channel_type")
        if self._state.person(actor).role == "single_channel_guest":
            raise Refused("user_is_restricted")
        if len(text) > TOPIC_LIMIT:
            raise Refused("too_long")
        return channel

    def _said(self, channel: Channel, actor: str, what: str, value: str, text: str) -> None:
        self._keep(channel)
        prefix = "group" if channel.kind == "private" else "channel"
        self._messages.system(channel, actor, f"{prefix}_{what}", text)

    def _add(self, channel: Channel, user: str, inviter: str | None) -> None:
        channel.members.append(user)
        self._keep(channel)
        self._join_message(channel, user)
        event: Json = {
            "type": "member_joined_channel",
            "user": user,
            "channel": channel.id,
            "channel_type": CHANNEL_TYPES[channel.kind][0].upper(),
            "team": self._state.team.id,
        }
        if inviter is not None:
            event["inviter"] = inviter
        self._state.feed.announce(Change("member", channel=channel.id, person=None))
        self._events.emit(event, channel=channel)

    def _join_message(self, channel: Channel, user: str) -> None:
        prefix = "group" if channel.kind == "private" else "channel"
        self._messages.system(channel, user, f"{prefix}_join", f"<@{user}> has joined the channel")

    def _tell_bot(self, channel: Channel, user: str) -> None:
        """Tell an app that its own bot user has left a channel (Slack, channel_left)."""
        for app in self._state.apps.values():
            if app.bot_user_id == user:
                kind = "channel_left" if channel.kind == "public" else "group_left"
                self._events.emit({"type": kind, "channel": channel.id}, only=app)

    def _remove(self, channel: Channel, user: str, subtype: str, text: str) -> None:
        self._messages.system(channel, user, subtype, text)
        event: Json = {
            "type": "member_left_channel",
            "user": user,
            "channel": channel.id,
            "channel_type": CHANNEL_TYPES[channel.kind][0].upper(),
            "team": self._state.team.id,
        }
        self._events.emit(event, channel=channel)
        channel.members.remove(user)
        self._keep(channel)
        self._tell_bot(channel, user)
        self._state.feed.announce(Change("member", channel=channel.id))


# Bookmarks: the links at the top of a channel.

TITLE_LIMIT = 256
LINK_LIMIT = 2048
BOOKMARK_LIMIT = 100


class Bookmarks:
    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, channel: Channel, title: str, link: str, emoji: str | None) -> Json:
        self._require(title, link)
        if len(channel.bookmarks) >= BOOKMARK_LIMIT:
            raise Refused("too_many_bookmarks")
        now = int(self._state.now())
        bookmark: Json = {
            "id": new_id("Bk"),
            "channel_id": channel.id,
            "title": title,
            "link": link,
            "emoji": emoji or "",
            "icon_url": None,
            "type": "link",
            "entity_id": None,
            "date_created": now,
            "date_updated": 0,
            "rank": "U",
            "app_id": None,
        }
        channel.bookmarks.append(bookmark)
        self._keep(channel)
        return bookmark

    def edit(
        self, channel: Channel, bookmark_id: str, title: str | None, link: str | None, emoji: str | None
    ) -> Json:
        bookmark = self._found(channel, bookmark_id)
        self._require(title or bookmark["title"], link or bookmark["link"])
        changed = {"title": title, "link": link, "emoji": emoji}
        bookmark |= {k: v for k, v in changed.items() if v is not None}
        bookmark["date_updated"] = int(self._state.now())
        self._keep(channel)
        return bookmark

    def remove(self, channel: Channel, bookmark_id: str) -> None:
        channel.bookmarks.remove(self._found(channel, bookmark_id))
        self._keep(channel)

    def _found(self, channel: Channel, bookmark_id: str) -> Json:
        for bookmark in channel.bookmarks:
            if bookmark["id"] == bookmark_id:
                return bookmark
        raise Refused("not_found")

    def _require(self, title: str, link: str) -> None:
        """Raise Refused for a bad title or link.

        Slack, bookmarks.add: a title of at most 256 characters, an http or https link of at most 2048.
        """
        if not title or len(title) > TITLE_LIMIT:
            raise Refused("invalid_bookmark_title" if not title else "title_too_long")
        address = urlsplit(link)
        if address.scheme not in ("http", "https") or not address.netloc or len(link) > LINK_LIMIT:
            raise Refused("invalid_link")

    def _keep(self, channel: Channel) -> None:
        self._state.save(channel)
        self._state.feed.announce(Change("channel", channel=channel.id))
