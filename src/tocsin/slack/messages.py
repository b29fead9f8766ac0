"""Messages: posted exactly once, edited, taken back; reactions and pins; link previews."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from slack_sdk.models.blocks import Block
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import Card, ChannelId, FollowUp, Incident, MessageTs, Person, PersonId
from tocsin.incidents.updates import ChangeNotification
from tocsin.incidents.validation import CardDestination
from tocsin.slack.disclosure import NOTHING, Disclosure, InChannel, is_person, posted_to, shown_to
from tocsin.slack.rate_limiter import Priority
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.card import bookmark_title, card, card_text, purpose, topic
from tocsin.slack.views.declare import refused_message
from tocsin.slack.views.notifications import (
    follow_up_message,
    kept_message,
    leaving_message,
    news_message,
    reminder_message,
    written_message,
)
from tocsin.slack.views.unfurl import FOLDED, folded_object, unfurl_blocks, work_object
from tocsin.slack.web_api import UNREADABLE, Answer, WebApi, require
from tocsin.workflows.command import Bounded, behalf

# Messages of the bot: each is posted once, also when an answer was lost, and in plain words if need be.

EVENT = "tocsin_post"
PAGE = 200
PAGES = 10
"""Pages that are looked through for a message that may have been posted at any time."""

MARGIN_SECONDS = 300.0
"""The most that our clock may be away from Slack's (Slack, verifying requests: it allows as much)."""

REMEMBERED = 10_000

Posted = tuple[ChannelId, MessageTs]
_OUT_OF_SIGHT = frozenset({"not_in_channel", "channel_not_found"})


class MessagePoster:
    """Posts the bot's messages. Each carries its key in its metadata, by which it is found again."""

    def __init__(self, client: AsyncWebClient, api: WebApi, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._api = api
        self._now = now
        self._fast = 0.0
        """Seconds that our clock is before Slack's, as far as its answers tell."""
        self._tried: Bounded[tuple[str, str], float] = Bounded(REMEMBERED)
        """The first time that a message was tried to be posted."""
        self.bot_user_id = ""
        """The bot itself; a message or a file of anybody else's is none of ours, whatever it says."""

    async def post(
        self,
        to: str,
        text: str,
        blocks: Sequence[Block] | None = None,
        *,
        about: Disclosure,
        key: str,
        priority: Priority = Priority.CARD,
        thread: MessageTs | None = None,
        again: bool = False,
    ) -> Posted:
        """Post to a channel or a person; with `again`, what was posted with this key before is looked for.

        `about` is what the message carries. Raises Withheld where its readers may not read it. Blocks that
        Slack does not take are left out: the text says the same in plain words.
        """
        if again and (there := await self._find(to, key, thread)) is not None:
            return there
        message: dict[str, Any] = {
            "channel": to,
            "text": text,
            "blocks": [block.to_dict() for block in blocks] if blocks else None,
            "thread_ts": thread,
            "unfurl_links": False,
            "unfurl_media": False,
            "metadata": {"event_type": EVENT, "event_payload": {"key": key}},
        }
        self._tried[to, key] = self._tried.get((to, key), self._now())
        try:
            answer = await self._api.call(self._client.chat_postMessage, priority, about=about, **message)
        except SlackRefused as refusal:
            answer = await self._post_otherwise(message, refusal, priority, about)
        ts = MessageTs(require(answer, "ts"))
        self._fast = max(0.0, self._now() - _seconds(ts))
        return ChannelId(require(answer, "channel")), ts

    async def _post_otherwise(
        self, message: dict[str, Any], refusal: SlackRefused, priority: Priority, about: Disclosure
    ) -> Answer:
        """Post without blocks that Slack does not take, or once the bot has joined the channel."""
        post = self._client.chat_postMessage
        if refusal.code in UNREADABLE and message["blocks"]:
            message = {**message, "blocks": None}
            try:
                return await self._api.call(post, priority, about=about, **message)
            except SlackRefused as another:
                refusal = another
        if refusal.code == "not_in_channel" and await self._joined(message["channel"]):
            return await self._api.call(post, priority, about=about, **message)
        raise refusal

    async def edit(self, posted: Posted, text: str, blocks: Sequence[Block], *, about: Disclosure) -> None:
        """Change a message; nothing happens when it is gone (Slack, chat.update: `message_not_found`)."""
        channel, ts = posted
        try:
            await self._api.call(
                self._client.chat_update,
                Priority.CARD,
                about=about,
                channel=channel,
                ts=ts,
                text=text,
                blocks=[block.to_dict() for block in blocks],
            )
        except SlackRefused as refusal:
            if refusal.code not in {"message_not_found", "channel_not_found"}:
                raise

    async def _joined(self, channel: str) -> bool:
        try:
            await self._api.call(self._client.conversations_join, channel=channel)
        except SlackRefused:
            return False
        return True

    async def open_dm(self, to: str) -> ChannelId:
        """A channel as it is; the direct message with a person."""
        if not is_person(to):
            return ChannelId(to)
        opened = await self._api.call(self._client.conversations_open, users=to)
        return ChannelId(require(opened, "channel", "id"))

    async def find_file(self, channel: ChannelId, name: str) -> str | None:
        """The id of a file of this name that was shared there lately."""
        async for message in self._recent(channel, None, None):
            for file in message.get("files") or ():
                if isinstance(file, dict) and file.get("name") == name and self._is_ours(file):
                    return require(file, "id")
        return None

    def _is_ours(self, found: Answer) -> bool:
        return bool(self.bot_user_id) and found.get("user") == self.bot_user_id

    async def find(self, to: str, key: str, thread: MessageTs | None = None) -> MessageTs | None:
        """The message that was posted with this key; None where there is none, or none to be seen."""
        found = await self._find(to, key, thread)
        return None if found is None else found[1]

    async def _find(self, to: str, key: str, thread: MessageTs | None) -> Posted | None:
        """The message that carries this key, so that one whose answer was lost is not posted again."""
        channel, oldest = await self.open_dm(to), self._oldest(to, key)
        try:
            return await self._look(channel, key, thread, oldest)
        except SlackRefused as refusal:
            if refusal.code == "thread_not_found":
                return None
            if refusal.code not in _OUT_OF_SIGHT:
                raise
            # Where we may post without being a member we may not look; in a public channel we may join.
            if not await self._joined(channel):
                raise
            return await self._look(channel, key, thread, oldest)

    def _oldest(self, to: str, key: str) -> str | None:
        """The `ts` before which it was not posted: no process tried sooner than it was asked to."""
        since, now = behalf().since, self._now()
        first = self._tried.get((to, key), min(since.timestamp(), now) if since else None)
        return None if first is None else f"{max(0.0, first - self._fast - MARGIN_SECONDS):.6f}"

    async def _look(
        self, channel: str, key: str, thread: MessageTs | None, oldest: str | None
    ) -> Posted | None:
        async for message in self._recent(channel, thread, oldest):
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            is_it = metadata.get("event_type") == EVENT and payload.get("key") == key
            if is_it and self._is_ours(message):
                return ChannelId(channel), MessageTs(require(message, "ts"))
        return None

    async def _recent(
        self, channel: str, thread: MessageTs | None, oldest: str | None
    ) -> AsyncIterator[Answer]:
        """All messages since `oldest`, those that followed it first; without it, the last of them.

        So what was tried then is found at once, whatever was said since (Slack, conversations.history).
        """
        look = self._client.conversations_replies if thread else self._client.conversations_history
        asked: dict[str, Any] = {"channel": channel, "limit": PAGE, "include_all_metadata": True}
        if thread:
            asked["ts"] = thread
        cursor, pages = None, 0
        while oldest is not None or pages < PAGES:
            page = await self._api.call(look, cursor=cursor, oldest=oldest, **asked)
            for message in page.get("messages") or ():
                yield message
            cursor, pages = (page.get("response_metadata") or {}).get("next_cursor"), pages + 1
            if not cursor:
                return


def _seconds(ts: MessageTs) -> float:
    """A `ts` as seconds since the epoch; Slack's are never anything else."""
    try:
        return float(ts)
    except ValueError:
        return 0.0


# What people put on a message: read from Slack as it stands, so that no event counts twice.

PIN = "pushpin"
"""The reaction that keeps a message in the timeline: 📌."""


OUT_OF_SIGHT = frozenset({"message_not_found", "channel_not_found", "not_in_channel", "no_item_specified"})


class ReactionsAndPins:
    """The reactions and pins of one workspace."""

    def __init__(self, client: AsyncWebClient, api: WebApi) -> None:
        self._client = client
        self._api = api

    async def marked(self, channel: ChannelId, ts: MessageTs) -> tuple[bool, Mapping[str, Any]]:
        """Return True if a message is pinned or has the reaction now, and the message; nothing if it is gone.

        Slack, reactions.get answers for replies in threads as well; pins.list has up to 100 pins.
        """
        message = await self.message(channel, ts)
        if not message:
            return False, {}
        if any(_dict(reaction).get("name") == PIN for reaction in message.get("reactions") or ()):
            return True, message
        return await self._is_pinned(channel, ts), message

    async def message(self, channel: ChannelId, ts: MessageTs) -> Mapping[str, Any]:
        """A message with its reactions; empty where it is gone or cannot be read."""
        try:
            answer = await self._api.call(
                self._client.reactions_get, Priority.CARD, channel=channel, timestamp=ts, full=True
            )
        except SlackRefused as refusal:
            if refusal.code not in OUT_OF_SIGHT:
                raise
            return {}
        return _dict(answer.get("message"))

    async def _is_pinned(self, channel: ChannelId, ts: MessageTs) -> bool:
        pins: Answer = await self._api.call(self._client.pins_list, Priority.CARD, channel=channel)
        return any(_dict(_dict(item).get("message")).get("ts") == ts for item in pins.get("items") or ())


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# What the bot says of incidents: cards, news, questions and notices, and what is shown below links.

UNAVAILABLE = frozenset(
    {"feature_not_enabled", "invalid_arguments", "invalid_metadata", "invalid_metadata_format"}
)
"""Slack, chat.unfurl: it shows no Work Objects for this app."""

GONE = frozenset({"cannot_find_channel", "cannot_find_message", "cannot_unfurl_message", "cannot_unfurl_url"})


ALREADY_GONE = frozenset({"message_not_found", "channel_not_found"})


class Messages:
    """The bot's messages in one workspace (Slack, chat.*)."""

    def __init__(self, client: AsyncWebClient, api: WebApi, posts: MessagePoster) -> None:
        self._client = client
        self._api = api
        self._posts = posts
        self._without_objects = False
        """Slack has said that it shows no Work Objects for this app; a card is shown instead from then on."""

    async def post_card(
        self, incident: Incident, spot: CardDestination, *, key: str, again: bool = False
    ) -> Card:
        priority = Priority.ANNOUNCEMENT if spot.place == "announcement" else Priority.CARD
        channel, ts = await self._posts.post(
            spot.to,
            card_text(incident),
            card(incident),
            about=posted_to(spot.to, incident),
            key=key,
            priority=priority,
            thread=spot.thread,
            again=again,
        )
        return Card(channel=channel, ts=ts, place=spot.place)

    async def update_card(self, incident: Incident, card_: Card) -> None:
        await self._posts.edit(
            (card_.channel, card_.ts),
            card_text(incident),
            card(incident),
            about=_card_read_by(card_, incident),
        )

    def fingerprints(self, incident: Incident) -> Mapping[str, str]:
        """Return hashes of what would be shown of it: the same hash is no reason for an edit."""
        shown = [card_text(incident), *(str(block.to_dict()) for block in card(incident))]
        return {
            "card": _digest("\n".join(shown)),
            "topic": _digest(topic(incident)),
            "purpose": _digest(purpose(incident)),
            "bookmark": _digest(bookmark_title(incident)),
        }

    async def withdraw(self, card_: Card) -> None:
        try:
            await self._api.call(self._client.chat_delete, Priority.CARD, channel=card_.channel, ts=card_.ts)
        except SlackRefused as refusal:
            if refusal.code not in ALREADY_GONE:
                raise

    async def tell(
        self, person: PersonId, sentence: str, about: Incident | None, key: str, again: bool = False
    ) -> None:
        await self._posts.post(person, sentence, about=posted_to(person, about), key=key, again=again)

    async def tell_plainly(
        self, person: PersonId, sentence: str, about: Incident | None, key: str, again: bool = False
    ) -> None:
        """Send a direct message in which nothing is a mention or a link, whatever people wrote."""
        about_it = posted_to(person, about)
        await self._posts.post(person, escape(sentence), about=about_it, key=key, again=again)

    async def ask_to_fix(
        self, person: PersonId, name: str, sentence: str, *, key: str, again: bool = False
    ) -> None:
        text, blocks = refused_message(name, sentence, key)
        # They are told of what they typed themselves, and nothing came of it.
        await self._posts.post(person, text, blocks, about=NOTHING, key=f"{key}:refused", again=again)

    async def say(self, channel: ChannelId, sentence: str, *, key: str, again: bool = False) -> None:
        """A sentence that says nothing of an incident."""
        await self._posts.post(channel, escape(sentence), about=NOTHING, key=key, again=again)

    async def say_here(
        self, channel: ChannelId, incident: Incident, text: str, *, key: str, again: bool = False
    ) -> None:
        await self._posts.post(channel, text, about=posted_to(channel, incident), key=key, again=again)

    async def post_news(
        self,
        channel: ChannelId,
        news: ChangeNotification,
        incident: Incident,
        *,
        key: str,
        thread: MessageTs | None = None,
        again: bool = False,
    ) -> MessageTs:
        text, blocks = news_message(news)
        about = posted_to(channel, incident)
        _, ts = await self._posts.post(
            channel, text, blocks, about=about, key=key, thread=thread, again=again
        )
        return ts

    async def find_news(self, channel: ChannelId, key: str, thread: MessageTs) -> MessageTs | None:
        return await self._posts.find(channel, key, thread)

    async def post_follow_up(
        self, channel: ChannelId, incident: Incident, follow_up: FollowUp, *, key: str, again: bool = False
    ) -> MessageTs:
        text, blocks = follow_up_message(incident, follow_up)
        about = posted_to(channel, incident)
        _, ts = await self._posts.post(channel, text, blocks, about=about, key=key, again=again)
        return ts

    async def update_follow_up(
        self, channel: ChannelId, ts: MessageTs, incident: Incident, follow_up: FollowUp
    ) -> None:
        text, blocks = follow_up_message(incident, follow_up)
        await self._posts.edit((channel, ts), text, blocks, about=posted_to(channel, incident))

    async def remind(
        self, incident: Incident, asked: Person | None, due: datetime, *, key: str, again: bool = False
    ) -> None:
        text, blocks = reminder_message(incident, asked, due)
        channel = ChannelId(incident.slack_channel_id)
        about = posted_to(channel, incident)
        await self._posts.post(channel, text, blocks, about=about, key=key, again=again)

    async def say_leaving(
        self, channel: ChannelId, incident: Incident, due: datetime, *, key: str, again: bool = False
    ) -> MessageTs:
        text, blocks = leaving_message(incident, due)
        about = posted_to(channel, incident)
        _, ts = await self._posts.post(channel, text, blocks, about=about, key=key, again=again)
        if again:
            # One that is found may name an earlier time.
            await self._posts.edit((channel, ts), text, blocks, about=about)
        return ts

    async def say_kept(self, channel: ChannelId, ts: MessageTs, by: Person) -> None:
        text, blocks = kept_message(by)
        await self._posts.edit((channel, ts), text, blocks, about=NOTHING)

    async def say_written(
        self, channel: ChannelId, incident: Incident, link: str, by: Person, *, key: str, again: bool = False
    ) -> MessageTs:
        text, blocks = written_message(incident, link, by)
        about = posted_to(channel, incident)
        _, ts = await self._posts.post(channel, text, blocks, about=about, key=key, again=again)
        return ts

    async def unfurl(self, channel: ChannelId, ts: MessageTs, shown: Mapping[str, Incident]) -> None:
        """Show incidents below a message: as Work Objects where there are any, else as cards.

        Raises SlackRefused where the message is gone, or no link of that address is in it.
        """
        objects = [work_object(incident, url) for url, incident in shown.items()]
        blocks = {url: {"blocks": unfurl_blocks(incident)} for url, incident in shown.items()}
        about = Disclosure(tuple(shown.values()), InChannel(channel))
        await self._shown(channel, ts, objects, blocks, about)

    async def fold(self, channel: ChannelId, ts: MessageTs, url: str) -> None:
        blocks = {"blocks": [block.to_dict() for block in FOLDED]}
        try:
            await self._shown(channel, ts, [folded_object(url)], {url: blocks}, NOTHING)
        except SlackRefused as refusal:
            if refusal.code not in GONE:
                raise

    async def _shown(
        self,
        channel: ChannelId,
        ts: MessageTs,
        objects: list[dict[str, Any]],
        blocks: dict[str, Any],
        about: Disclosure,
    ) -> None:
        if not self._without_objects:
            try:
                await self._unfurled(channel, ts, about, metadata={"entities": objects})
            except SlackRefused as refusal:
                if refusal.code not in UNAVAILABLE:
                    raise
                self._without_objects = True
            else:
                return
        await self._unfurled(channel, ts, about, unfurls=blocks)

    async def _unfurled(self, channel: ChannelId, ts: MessageTs, about: Disclosure, **shown: Any) -> None:
        unfurl = self._client.chat_unfurl
        await self._api.call(unfurl, Priority.CARD, about=about, channel=channel, ts=ts, **shown)


def _card_read_by(card_: Card, incident: Incident) -> Disclosure:
    """Name the readers of a card: the reporter's own is in their direct messages with Tocsin."""
    if card_.place == "reporter":
        return shown_to(incident.creator.slack_user_id, incident)
    return posted_to(card_.channel, incident)


def _digest(shown: str) -> str:
    return blake2b(shown.encode(), digest_size=12).hexdigest()
