"""View model of a message: author, time, content, reactions, replies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slack_emulator.model import Channel, Message
from slack_emulator.page.directory import Author, Directory
from slack_emulator.page.emoji import MORE, QUICK
from slack_emulator.page.fields import Surface
from slack_emulator.page.moments import clock_time, day_words, moment_of, since_words
from slack_emulator.text import broadcasts, parse_mrkdwn, plain_of

Json = dict[str, Any]
GROUPED_SECONDS = 300
_SYSTEM = re.compile(r"(channel|group)_\w+|me_message")
_LEADING_MENTION = re.compile(r"^<@\w+> ")


@dataclass(frozen=True)
class Reaction:
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
    reactions: list[Reaction]
    flagged: list[str]
    excerpt: str = ""
    thread_url: str = ""
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
        )
        if threads:
            self._add_replies(card, message)
        return card

    def _system_text(self, message: Message) -> str:
        if not _SYSTEM.fullmatch(message.subtype or ""):
            return ""
        return _LEADING_MENTION.sub("", message.text)

    def _reaction(self, name: str, people: list[str]) -> Reaction:
        who = ", ".join(self._directory.person_label(person) for person in people)
        return Reaction(name, len(people), self._directory.viewer in people, who)

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
