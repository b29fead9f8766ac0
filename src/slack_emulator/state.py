"""State of a workspace, kept in memory or in a file, and the feed of its changes."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path

import sqlite_utils

from slack_emulator.clock import Clock
from slack_emulator.manifest import Manifest
from slack_emulator.models import (
    Change,
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

# SQLite file that saves a workspace across restarts.

KINDS = (
    "team",
    "people",
    "channels",
    "messages",
    "groups",
    "apps",
    "reads",
    "files",
    "scheduled",
    "tokens",
)


class Store:
    """A table for each kind of object, with its id and JSON. Every save is committed before it returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
        self.path = path
        self._db = sqlite_utils.Database(path)
        self._db.enable_wal()
        for kind in KINDS:
            self._db.table(kind).create({"id": str, "body": str}, pk="id", if_not_exists=True)

    def save(self, kind: str, key: str, body: Json) -> None:
        self._db.table(kind).upsert({"id": key, "body": json.dumps(body)}, pk="id")

    def remove(self, kind: str, key: str) -> None:
        self._db.table(kind).delete_where("id = ?", [key])

    def load(self, kind: str) -> Iterator[tuple[str, Json]]:
        for row in self._db.table(kind).rows_where(order_by="rowid"):
            yield row["id"], json.loads(row["body"])

    def close(self) -> None:
        self._db.close()


# Feed of changes in the workspace, to which the page and tests subscribe.


class ChangeFeed:
    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[Change | None]] = set()

    def announce(self, change: Change) -> None:
        for queue in self._listeners:
            queue.put_nowait(change)

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[Change]]:
        """Yield every change from now on; the iterator ends when the workspace closes."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield _drain(queue)
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        for queue in self._listeners:
            queue.put_nowait(None)


async def _drain(queue: asyncio.Queue[Change | None]) -> AsyncIterator[Change]:
    while (change := await queue.get()) is not None:
        yield change


# State of a workspace, in memory and in its store.

TOMBSTONE = "tombstone"
"""Subtype of a deleted message that has replies (Slack, conversations.replies)."""


def new_id(prefix: str) -> str:
    """Return a unique id in the letters and digits of Slack's ids."""
    return f"{prefix}0{secrets.token_hex(5).upper()}"


class State:
    def __init__(self, store: Store | None, clock: Clock) -> None:
        self._store = store
        self.clock = clock
        self.feed = ChangeFeed()
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
        """The token that lets a browser in to the pages."""
        self._last_ts = 0
        if store is not None:
            self._load(store)

    # saving

    def save(self, thing: Kept) -> None:
        """Keep a new or changed object, and save it. Ephemeral messages are kept but not saved."""
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

    def delete_message(self, message: Message) -> None:
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

    def remove_app(self, app_id: str) -> None:
        """Remove an app."""
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
        """Return a message timestamp later than all before; with `at`, one of that time, for a seed."""
        if at is not None:
            return f"{at:.6f}"
        self._last_ts = max(self._last_ts + 1, int(self.clock.date() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def now(self) -> float:
        return self.clock.date()

    # finding

    def person(self, person_id: str) -> Person:
        if (person := self.people.get(person_id)) is None:
            raise Refused("user_not_found")
        return person

    def active_person(self, person_id: str) -> Person:
        """Return the user. Raises Refused (`account_inactive`) if the user was deactivated."""
        found = self.person(person_id)
        if found.deleted:
            raise Refused("account_inactive")
        return found

    def interactive_apps(self) -> list[InstalledApp]:
        """Return the apps with interactivity on: without it no shortcut, button or form works."""
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
        """Yield a channel's messages, oldest first, without ephemeral ones, which apps cannot read."""
        for message in self.messages.get(channel_id, {}).values():
            if message.ephemeral_to is None and not message.deleted:
                yield message


def _micros(ts: str) -> int:
    seconds, _, rest = ts.partition(".")
    return int(seconds) * 1_000_000 + int(rest.ljust(6, "0") or 0)


def written(thing: Kept) -> Json:
    """Return an object as the store saves it; an app's manifest as it was declared."""
    if isinstance(thing, InstalledApp):
        rest = {f.name: getattr(thing, f.name) for f in fields(thing)}
        return rest | {"manifest": dict(thing.manifest.declared)}
    return asdict(thing)
