"""Messages rendered for the page, with the names of users and channels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slack_emulator.composer import broadcasts, parse_mrkdwn, plain_of
from slack_emulator.models import Channel, Message, Person, Refused
from slack_emulator.ui.format import MORE, QUICK, clock_time, day_words, glyph, moment_of, since_words, zone
from slack_emulator.ui.forms import Choice, Surface
from slack_emulator.workspace import Workspace

# Labels of users, channels and apps, and the choices of selects, for one viewer.

_ROLES = {"guest": "guest", "single_channel_guest": "guest", "owner": "owner", "admin": "admin"}
_SIGNS = {"public": "#", "private": "🔒", "mpim": "👥", "im": "@"}


@dataclass(frozen=True)
class Author:
    """The author of a message: name, icon and badges."""

    id: str
    name: str
    is_app: bool = False
    icon: str = ""
    note: str = ""
    handle: str = ""
    title: str = ""
    deactivated: bool = False


class Directory:
    def __init__(self, workspace: Workspace, viewer: str) -> None:
        self.workspace = workspace
        self.viewer = viewer
        self.tz = zone(workspace.person(viewer).tz)
        self._people = {person.id: person for person in workspace.people()}
        self._groups = {group.id: group.handle for group in workspace.groups()}
        self._apps = {app.bot_id: app for app in workspace.apps()}

    # names

    def person_label(self, person_id: str) -> str:
        person = self._people.get(person_id)
        return person.real_name or person.name if person else ""

    def group_handle(self, group_id: str) -> str:
        return self._groups.get(group_id, group_id)

    def find_channel_label(self, channel_id: str) -> str | None:
        if not self.workspace.can_see(self.viewer, channel_id):
            return None
        return self.channel_label(self.workspace.channel(channel_id))

    def channel_label(self, channel: Channel) -> str:
        if not channel.is_direct:
            return channel.name
        others = [member for member in channel.members if member != self.viewer]
        names = [self.person_label(member) for member in others]
        return ", ".join(names) or f"{self.person_label(self.viewer)} (you)"

    def sign(self, channel: Channel) -> str:
        return _SIGNS[channel.kind]

    def author(self, person: Person) -> Author:
        deactivated = person.deleted
        note = "deactivated" if deactivated else _ROLES.get(person.role, "")
        return Author(
            id=person.id,
            name=person.real_name or person.name,
            is_app=person.is_bot,
            note="" if person.is_bot else note,
            handle=person.name,
            title=person.title,
            deactivated=deactivated,
        )

    def author_by_id(self, person_id: str) -> Author:
        """Return the author with this id, who may not be a user of this workspace."""
        person = self._people.get(person_id)
        return self.author(person) if person is not None else Author(person_id, "Someone")

    def author_of(self, message: Message) -> Author:
        """Return a message's author, for an app with the name and icon that it chose for this message."""
        icon = glyph(message.icon_emoji) if message.icon_emoji else ""
        person = self._people.get(message.user or "")
        app = self._apps.get(message.bot_id or "")
        if message.bot_id or (person is not None and person.is_bot):
            own = person.real_name if person is not None else app.name if app is not None else "App"
            return Author(message.bot_id or message.user or own, message.username or own, True, icon)
        if person is None:
            return Author(message.user or "?", message.username or "Someone", False, icon)
        author = self.author(person)
        note = author.note if author.note in ("guest", "deactivated") else ""
        return Author(author.id, author.name, note=note)

    # choices of selects

    def people_choices(self) -> list[Choice]:
        """Return the choices of a users_select (Slack, users_select: active members), apps last."""
        active = [person for person in self._people.values() if not person.deleted]
        active.sort(key=lambda p: (p.is_bot, p.real_name.casefold()))
        return [(p.id, self.author(p).name, "app" if p.is_bot else p.title) for p in active]

    def conversation_choices(self, filter: Mapping[str, Any]) -> list[Choice]:
        """Return the choices of a conversations_select (Slack, conversations_select).

        They are the viewer's conversations and all public channels; `filter.include` limits the kinds.
        """
        wanted = filter.get("include") or list(_SIGNS)
        without_apps = bool(filter.get("exclude_bot_users"))
        return [
            (c.id, f"{_SIGNS[c.kind]} {self.channel_label(c)}", "")
            for c in [*self.workspace.channels_for(self.viewer), *self.workspace.joinable(self.viewer)]
            if c.kind in wanted and not (without_apps and self._has_app(c))
        ]

    def _has_app(self, channel: Channel) -> bool:
        return channel.kind == "im" and any(
            self._people[member].is_bot for member in channel.members if member in self._people
        )

    def channel_choices(self) -> list[Choice]:
        """Return the choices of a channels_select (Slack, channels_select: public channels only)."""
        return self.conversation_choices({"include": ["public"]})


def seen_channel(workspace: Workspace, viewer: str, channel_id: str) -> Channel | None:
    """Return the channel. Returns None if it does not exist or the viewer may not see it."""
    try:
        return workspace.channel(channel_id) if workspace.can_see(viewer, channel_id) else None
    except Refused:
        return None


# View model of a message: author, time, content, reactions, replies.

Json = dict[str, Any]
GROUPED_SECONDS = 300
_SYSTEM = re.compile(r"(channel|group)_\w+|me_message")
_LEADING_MENTION = re.compile(r"^<@\w+> ")


@dataclass(frozen=True)
class ReactionCount:
    name: str
    count: int
    mine: bool
    who: str


@dataclass(frozen=True)
class Menu:
    """The items of a message's menu: reactions to pick from, and apps' message shortcuts."""

    shortcuts: list[Json]
    quick: tuple[str, ...] = QUICK
    more: tuple[str, ...] = MORE


@dataclass
class Card:
    ts: str
    dom_id: str
    url: str
    author: Author
    surface: Surface
    iso: str
    time: str
    full_time: str
    text: str
    blocks: list[Json]
    attachments: list[Json]
    files: list[Json]
    edited: bool
    ephemeral: bool
    pinned: bool
    own: bool
    system: str
    reactions: list[ReactionCount]
    flagged: list[str]
    excerpt: str = ""
    thread_url: str = ""
    comments_url: str = ""
    reply_count: int = 0
    last_reply: str = ""
    repliers: list[Author] = field(default_factory=list)
    continued: bool = False
    day: str = ""


class Cards:
    """Cards of one channel for one viewer; `prefix` keeps a message's HTML ids unique on the page."""

    def __init__(self, directory: Directory, channel: Channel, now: float, prefix: str = "m-") -> None:
        self._directory = directory
        self._channel = channel
        self._prefix = prefix
        self._now = datetime.fromtimestamp(now, directory.tz)

    def listed(self, messages: Iterable[Message], *, threads: bool) -> list[Card]:
        """Return cards with day headings; successive messages of one author are drawn as one."""
        cards: list[Card] = []
        previous: Message | None = None
        for message in messages:
            card = self.card(message, threads=threads)
            moment = moment_of(message.ts, self._directory.tz)
            if previous is None or moment_of(previous.ts, self._directory.tz).date() != moment.date():
                card.day = day_words(moment, self._now) if threads else ""
            else:
                card.continued = self._continues(previous, message, cards[-1], card)
            cards.append(card)
            previous = message
        return cards

    def _continues(self, previous: Message, message: Message, before: Card, card: Card) -> bool:
        soon = float(message.ts) - float(previous.ts) < GROUPED_SECONDS
        apart = before.system or before.ephemeral or before.reply_count or card.ephemeral or card.pinned
        drawn = card.author.is_app and (card.blocks or card.attachments)
        return soon and not apart and not drawn and before.author == card.author

    def card(self, message: Message, *, threads: bool) -> Card:
        directory, channel = self._directory, self._channel
        moment = moment_of(message.ts, directory.tz)
        url = f"/client/{channel.id}/messages/{message.ts}"
        dom_id = f"{self._prefix}{message.ts}"
        root = message.thread_ts or message.ts
        card = Card(
            ts=message.ts,
            dom_id=dom_id,
            url=url,
            author=directory.author_of(message),
            surface=Surface(f"{dom_id}-", f"{url}/press", directory, f"{url}/suggest"),
            iso=moment.isoformat(timespec="seconds"),
            time=clock_time(moment),
            full_time=f"{day_words(moment, self._now)} at {clock_time(moment)}",
            text=message.text,
            blocks=message.blocks,
            attachments=message.attachments,
            files=message.files,
            edited=message.edited is not None,
            ephemeral=message.ephemeral_to is not None,
            pinned=message.ts in channel.pins,
            own=message.user == directory.viewer,
            system=self._system_text(message),
            reactions=[self._reaction(name, people) for name, people in message.reactions],
            flagged=_shouted(message),
            excerpt=excerpt_of(message),
            thread_url="" if message.ephemeral_to else f"/client/{channel.id}/thread/{root}",
            comments_url=f"/client/{channel.id}/comments/{message.ts}",
        )
        if threads:
            self._add_replies(card, message)
        return card

    def comment(self, comment: Json) -> Json:
        """Return a comment of a Work Object with its author and time, and its text or blocks."""
        directory, sender = self._directory, comment["sender"]
        user, name = sender.get("user_id"), sender.get("name", "")
        moment = datetime.fromtimestamp(comment["timestamp"], directory.tz)
        dom_id = f"{self._prefix}{comment['id']}"
        return {
            "dom_id": dom_id,
            "author": directory.author_by_id(user) if user is not None else Author(name, name),
            "iso": moment.isoformat(timespec="seconds"),
            "full_time": f"{day_words(moment, self._now)} at {clock_time(moment)}",
            "value": comment["comment"].get("value", ""),
            "is_markdown": comment["comment"].get("format") == "markdown",
            "blocks": comment["comment"].get("blocks", []),
            "surface": Surface(f"{dom_id}-", "", directory),
        }

    def _system_text(self, message: Message) -> str:
        if not _SYSTEM.fullmatch(message.subtype or ""):
            return ""
        return _LEADING_MENTION.sub("", message.text)

    def _reaction(self, name: str, people: list[str]) -> ReactionCount:
        who = ", ".join(self._directory.person_label(person) for person in people)
        return ReactionCount(name, len(people), self._directory.viewer in people, who)

    def _add_replies(self, card: Card, message: Message) -> None:
        if message.thread_ts != message.ts:
            return
        workspace, viewer = self._directory.workspace, self._directory.viewer
        replies = workspace.replies(self._channel.id, message.ts, viewer)[1:]
        if replies:
            card.reply_count = len(replies)
            last = moment_of(replies[-1].ts, self._directory.tz)
            card.last_reply = f"Last reply {since_words(last, self._now)}"
            authors = {author.id: author for author in map(self._directory.author_of, replies)}
            card.repliers = list(authors.values())[:3]


def _shouted(message: Message) -> list[str]:
    """Return an app's @channel, @here and @everyone: perhaps a user's text that the app did not escape."""
    if message.bot_id is None:
        return []
    found = broadcasts(message.text) + broadcasts(message.blocks)
    return sorted({f"@{mention.target}" for mention in found if mention.kind == "broadcast"})


def excerpt_of(message: Message, limit: int = 140) -> str:
    """Return the message in one line of at most `limit` characters."""
    text = message.text
    if not text and message.attachments:
        first = message.attachments[0]
        text = str(first.get("title") or first.get("text") or first.get("fallback") or "")
    line = " ".join(plain_of(parse_mrkdwn(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
