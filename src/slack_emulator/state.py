"""Everything a workspace remembers, and the one way to change it that also saves and announces."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import asdict, fields

from slack_emulator.changes import Feed
from slack_emulator.clock import Clock
from slack_emulator.manifest import Manifest
from slack_emulator.model import (
    Channel,
    Enterprise,
    InstalledApp,
    Json,
    Kept,
    Message,
    Person,
    Refused,
    ScheduledMessage,
    StoredFile,
    Team,
    UserGroup,
)
from slack_emulator.store import Store

TOMBSTONE = "tombstone"
"""Slack, conversations.replies: the subtype of a deleted message that has replies."""


def new_id(prefix: str) -> str:
    """Returns an id that nothing else has, in the letters and digits that Slack's ids are made of."""
    return f"{prefix}0{secrets.token_hex(5).upper()}"


class State:
    def __init__(self, store: Store | None, clock: Clock) -> None:
        self._store = store
        self.clock = clock
        self.feed = Feed()
        self.team = Team(new_id("T"), "Workspace", "workspace")
        self.org: Enterprise | None = None
        self.people: dict[str, Person] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, dict[str, Message]] = {}
        self.groups: dict[str, UserGroup] = {}
        self.apps: dict[str, InstalledApp] = {}
        self.reads: dict[tuple[str, str], str] = {}
        self.files: dict[str, StoredFile] = {}
        self.scheduled: dict[str, ScheduledMessage] = {}
        self.page_token = secrets.token_urlsafe(32)
        """Lets a browser in to the pages."""
        self._last_ts = 0
        if store is not None:
            self._load(store)

    # saving

    def keep(self, thing: Kept) -> None:
        """Remember a new or changed object. Ephemeral messages are remembered but never saved."""
        kind, key = self._place(thing)
        if self._store is None or (isinstance(thing, Message) and thing.ephemeral_to is not None):
            return
        self._store.save(kind, key, written(thing))

    def _place(self, thing: Kept) -> tuple[str, str]:
        match thing:
            case Team():
                self.team = thing
                return "team", "team"
            case Person():
                self.people[thing.id] = thing
                return "people", thing.id
            case Channel():
                self.channels[thing.id] = thing
                self.messages.setdefault(thing.id, {})
                return "channels", thing.id
            case Message():
                self.messages[thing.channel][thing.ts] = thing
                return "messages", f"{thing.channel}/{thing.ts}"
            case UserGroup():
                self.groups[thing.id] = thing
                return "groups", thing.id
            case InstalledApp():
                self.apps[thing.app_id] = thing
                return "apps", thing.app_id
            case StoredFile():
                self.files[thing.id] = thing
                return "files", thing.id
            case ScheduledMessage():
                self.scheduled[thing.id] = thing
                return "scheduled", thing.id

    def forget(self, message: Message) -> None:
        self.messages[message.channel].pop(message.ts, None)
        if self._store is not None:
            self._store.remove("messages", f"{message.channel}/{message.ts}")

    def drop_file(self, file: StoredFile) -> None:
        self.files.pop(file.id, None)
        if self._store is not None:
            self._store.remove("files", file.id)

    def drop_scheduled(self, scheduled: ScheduledMessage) -> None:
        self.scheduled.pop(scheduled.id, None)
        if self._store is not None:
            self._store.remove("scheduled", scheduled.id)

    def part_with(self, app_id: str) -> None:
        """Forget an app."""
        self.apps.pop(app_id, None)
        if self._store is not None:
            self._store.remove("apps", app_id)

    def mark_read(self, person: str, channel: str, ts: str) -> None:
        self.reads[(person, channel)] = ts
        if self._store is not None:
            self._store.save("reads", f"{person}/{channel}", {"ts": ts})

    def _load(self, store: Store) -> None:
        for _, body in store.load("team"):
            self.team = Team(**body)
        self.people = {key: Person(**body) for key, body in store.load("people")}
        self.channels = {key: Channel(**body) for key, body in store.load("channels")}
        self.groups = {key: UserGroup(**body) for key, body in store.load("groups")}
        self.files = {key: StoredFile(**body) for key, body in store.load("files")}
        self.scheduled = {key: ScheduledMessage(**body) for key, body in store.load("scheduled")}
        for key, body in store.load("apps"):
            self.apps[key] = InstalledApp(**(body | {"manifest": Manifest.from_dict(body["manifest"])}))
        for key, body in store.load("reads"):
            person, channel = key.split("/")
            self.reads[(person, channel)] = body["ts"]
        for _, body in store.load("tokens"):
            self.page_token = body["token"]
        store.save("tokens", "page", {"token": self.page_token})
        self.messages = {key: {} for key in self.channels}
        loaded = [Message(**body) for _, body in store.load("messages")]
        for message in sorted(loaded, key=lambda m: m.ts):
            message.reactions = [(name, users) for name, users in message.reactions]
            self.messages[message.channel][message.ts] = message
            self._last_ts = max(self._last_ts, _micros(message.ts))

    # time

    def next_ts(self, at: float | None = None) -> str:
        """A message timestamp, later than every one before it; with `at`, one in the past for a seed."""
        if at is not None:
            return f"{at:.6f}"
        self._last_ts = max(self._last_ts + 1, int(self.clock.now() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def now(self) -> float:
        return self.clock.now()

    # finding

    def person(self, person_id: str) -> Person:
        if (person := self.people.get(person_id)) is None:
            raise Refused("user_not_found")
        return person

    def active_person(self, person_id: str) -> Person:
        """The person, if they may still do anything at all; else Refused with `account_inactive`."""
        found = self.person(person_id)
        if found.deleted:
            raise Refused("account_inactive")
        return found

    def interactive_apps(self) -> list[InstalledApp]:
        """The apps whose manifest turns interactivity on: without it no shortcut, button or form works."""
        return [app for app in self.apps.values() if app.manifest.interactivity]

    def channel(self, channel_id: str) -> Channel:
        if (channel := self.channels.get(channel_id)) is None:
            raise Refused("channel_not_found")
        return channel

    def message(self, channel_id: str, ts: str) -> Message:
        message = self.messages.get(channel_id, {}).get(ts)
        if message is None or message.deleted or message.subtype == TOMBSTONE:
            raise Refused("message_not_found")
        return message

    def find_channel_named(self, name: str) -> Channel | None:
        return next((c for c in self.channels.values() if not c.is_direct and c.name == name), None)

    def find_direct(self, members: set[str]) -> Channel | None:
        return next((c for c in self.channels.values() if c.is_direct and set(c.members) == members), None)

    def lasting(self, channel_id: str) -> Iterator[Message]:
        """Oldest first, without ephemerals: what an app may ever see."""
        for message in self.messages.get(channel_id, {}).values():
            if message.ephemeral_to is None and not message.deleted:
                yield message


def _micros(ts: str) -> int:
    seconds, _, rest = ts.partition(".")
    return int(seconds) * 1_000_000 + int(rest.ljust(6, "0") or 0)


def written(thing: Kept) -> Json:
    """An object as the store keeps it; an app's manifest as it was declared."""
    if isinstance(thing, InstalledApp):
        rest = {f.name: getattr(thing, f.name) for f in fields(thing)}
        return rest | {"manifest": dict(thing.manifest.declared)}
    return asdict(thing)
