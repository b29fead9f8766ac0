"""Messages of the bot: posted exactly once, edited, deleted; link previews; reactions and pins."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from slack_sdk.models.blocks import Block
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.digest import WeeklyDigest
from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import Card, ChannelId, FollowUp, Incident, MessageTs, Person, PersonId
from tocsin.incidents.nudges import Nudge
from tocsin.incidents.paging import Page
from tocsin.incidents.tasks import Checklist
from tocsin.incidents.updates import ChangeNotification
from tocsin.incidents.validation import CardDestination
from tocsin.slack.disclosure import NOTHING, Disclosure, InChannel, is_person, posted_to, shown_to
from tocsin.slack.rate_limiter import Priority
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.card import bookmark_title, bookmarks, card, card_text, purpose, topic
from tocsin.slack.views.declare import refused_message
from tocsin.slack.views.digest import digest_message
from tocsin.slack.views.followups import checklist_message, follow_up_message
from tocsin.slack.views.notifications import (
    kept_message,
    leaving_message,
    news_message,
    written_message,
)
from tocsin.slack.views.nudges import nudge_message, snoozed_message
from tocsin.slack.views.page import page_message
from tocsin.slack.views.people import access_message, decision_message
from tocsin.slack.views.unfurl import FOLDED, folded_object, unfurl_blocks, work_object
from tocsin.slack.web_api import UNREADABLE, Answer, WebApi, require
from tocsin.workflows.command import Bounded, behalf
from tocsin.workflows.slack_client import Preview

# Posting exactly once: a message whose answer was lost is searched for by its metadata before a repeat.

EVENT = "tocsin_post"
PAGE = 200
PAGES = 10
"""Most pages to search for a message that may have been posted at any time."""

MARGIN_SECONDS = 300.0
"""Seconds by which our clock may differ from Slack's (Slack, verifying requests, allows the same)."""

REMEMBERED = 10_000

Posted = tuple[ChannelId, MessageTs]
_OUT_OF_SIGHT = frozenset({"not_in_channel", "channel_not_found"})


class MessagePoster:
    """Poster of the bot's messages. Each carries its key in its metadata, by which it is found again."""

    def __init__(self, client: AsyncWebClient, api: WebApi, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._api = api
        self._now = now
        self._fast = 0.0
        """Seconds by which our clock is ahead of Slack's, measured by the last message's `ts`."""
        self._tried: Bounded[tuple[str, str], float] = Bounded(REMEMBERED)
        """Time of the first attempt to post each message, by recipient and key."""
        self.bot_user_id = ""
        """The bot's own user id; only messages and files of this user count as ours."""

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
        """Post to a channel or a person; with `again`, search first for a message with this key.

        Raises Withheld if its readers may not read the incidents that it is `about`. Blocks that Slack
        rejects are left out, since the text says the same.
        """
        if again and (there := await self.find(to, key, thread)) is not None:
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
        """Post again without the blocks that Slack rejected, or after the bot has joined the channel."""
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
        """Edit a message; does nothing if it is gone (Slack, chat.update: `message_not_found`)."""
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
        """Return a channel's id as it is, or the id of the direct message with a person."""
        if not is_person(to):
            return ChannelId(to)
        opened = await self._api.call(self._client.conversations_open, users=to)
        return ChannelId(require(opened, "channel", "id"))

    async def find_file(self, channel: ChannelId, name: str) -> str | None:
        """Return the id of the bot's file of this name in the channel's recent messages; None if none."""
        async for message in self._recent(channel, None, None):
            for file in message.get("files") or ():
                if isinstance(file, dict) and file.get("name") == name and self._is_ours(file):
                    return require(file, "id")
        return None

    def _is_ours(self, found: Answer) -> bool:
        return bool(self.bot_user_id) and found.get("user") == self.bot_user_id

    async def find(self, to: str, key: str, thread: MessageTs | None = None) -> Posted | None:
        """Return the channel and `ts` of the message with this key; None if there is none."""
        channel, oldest = await self.open_dm(to), self._oldest(to, key)
        try:
            return await self._look(channel, key, thread, oldest)
        except SlackRefused as refusal:
            if refusal.code == "thread_not_found":
                return None
            if refusal.code not in _OUT_OF_SIGHT:
                raise
            # A bot may post in a public channel without being a member, but may not read it; it may join.
            if not await self._joined(channel):
                raise
            return await self._look(channel, key, thread, oldest)

    def _oldest(self, to: str, key: str) -> str | None:
        """Return the `ts` before which the message cannot have been posted; None if that is not known.

        It is the first attempt of this process, or the time of the request, less the clocks' difference.
        """
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
        """Yield the messages since `oldest`, those nearest to it first; without it, the latest ones.

        A message that was posted then is so found at once, however many followed it (Slack,
        conversations.history).
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
    """Return a `ts` as seconds since the epoch; 0 if it is no number, which Slack never sends."""
    try:
        return float(ts)
    except ValueError:
        return 0.0


# Reactions and pins are read from Slack as they are now, since events may be repeated or out of order.

PIN = "pushpin"
"""Name of the reaction that adds a message to the timeline: 📌."""

OUT_OF_SIGHT = frozenset({"message_not_found", "channel_not_found", "not_in_channel", "no_item_specified"})


class ReactionsAndPins:
    """Reader of the reactions and pins on messages of one workspace."""

    def __init__(self, client: AsyncWebClient, api: WebApi) -> None:
        self._client = client
        self._api = api

    async def marked(self, channel: ChannelId, ts: MessageTs) -> tuple[bool, Mapping[str, Any]]:
        """Return True if a message is pinned or has the reaction now, with the message.

        Returns False and an empty message if it is gone. Slack's reactions.get also finds replies in threads;
        pins.list returns all pins of a channel, which has at most 100.
        """
        message = await self.message(channel, ts)
        if not message:
            return False, {}
        if any(_dict(reaction).get("name") == PIN for reaction in message.get("reactions") or ()):
            return True, message
        return await self._is_pinned(channel, ts), message

    async def message(self, channel: ChannelId, ts: MessageTs) -> Mapping[str, Any]:
        """Return a message with its reactions; empty if it is gone or cannot be read."""
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


# Messages about incidents: cards, changes, reminders, notices and link previews.

UNAVAILABLE = frozenset(
    {"feature_not_enabled", "invalid_arguments", "invalid_metadata", "invalid_metadata_format"}
)
"""Errors of chat.unfurl that mean that Slack shows no Work Objects for this app."""

GONE = frozenset({"cannot_find_channel", "cannot_find_message", "cannot_unfurl_message", "cannot_unfurl_url"})


ALREADY_GONE = frozenset({"message_not_found", "channel_not_found"})


class Messages:
    """SlackMessages of one workspace (Slack, chat.*)."""

    def __init__(self, client: AsyncWebClient, api: WebApi, posts: MessagePoster) -> None:
        self._client = client
        self._api = api
        self._posts = posts
        self._without_objects = False
        """True once Slack has refused Work Objects for this app; cards are shown instead from then on."""

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
        further = (f"{title}: {url}" for title, url in bookmarks(incident) if url != incident.permalink)
        shown = [card_text(incident), *(str(block.to_dict()) for block in card(incident))]
        return {
            "card": _digest("\n".join(shown)),
            "topic": _digest(topic(incident)),
            "purpose": _digest(purpose(incident)),
            "bookmark": _digest("\n".join([bookmark_title(incident), *further])),
        }

    async def withdraw(self, card_: Card) -> None:
        try:
            await self._api.call(self._client.chat_delete, Priority.CARD, channel=card_.channel, ts=card_.ts)
        except SlackRefused as refusal:
            if refusal.code not in ALREADY_GONE:
                raise

    async def withdraw_lost(self, spot: CardDestination, key: str) -> None:
        if (found := await self._posts.find(spot.to, key, spot.thread)) is not None:
            await self.withdraw(Card(channel=found[0], ts=found[1], place=spot.place))

    async def tell(
        self, person: PersonId, sentence: str, about: Incident | None, key: str, again: bool = False
    ) -> None:
        await self._posts.post(person, sentence, about=posted_to(person, about), key=key, again=again)

    async def tell_plainly(
        self, person: PersonId, sentence: str, about: Incident | None, key: str, again: bool = False
    ) -> None:
        about_it = posted_to(person, about)
        await self._posts.post(person, escape(sentence), about=about_it, key=key, again=again)

    async def ask_to_fix(
        self, person: PersonId, name: str, sentence: str, *, key: str, again: bool = False
    ) -> None:
        text, blocks = refused_message(name, sentence, key)
        # The message repeats only what the person typed, and there is no incident.
        await self._posts.post(person, text, blocks, about=NOTHING, key=f"{key}:refused", again=again)

    async def say(self, channel: ChannelId, sentence: str, *, key: str, again: bool = False) -> None:
        await self._posts.post(channel, escape(sentence), about=NOTHING, key=key, again=again)

    async def post_digest(
        self,
        channel: ChannelId,
        digest: WeeklyDigest,
        about: Sequence[Incident],
        *,
        key: str,
        again: bool = False,
    ) -> None:
        text, blocks = digest_message(digest)
        gated = Disclosure(tuple(about), InChannel(channel)) if about else NOTHING
        await self._posts.post(channel, text, blocks, about=gated, key=key, again=again)

    async def say_here(
        self, channel: ChannelId, incident: Incident, text: str, *, key: str, again: bool = False
    ) -> None:
        await self._posts.post(channel, text, about=posted_to(channel, incident), key=key, again=again)

    async def post_news(
        self,
        to: ChannelId | PersonId,
        news: ChangeNotification,
        incident: Incident,
        *,
        key: str,
        thread: MessageTs | None = None,
        again: bool = False,
    ) -> MessageTs:
        text, blocks = news_message(news)
        about = posted_to(to, incident)
        _, ts = await self._posts.post(to, text, blocks, about=about, key=key, thread=thread, again=again)
        return ts

    async def find_news(
        self, channel: ChannelId, key: str, thread: MessageTs | None = None
    ) -> MessageTs | None:
        found = await self._posts.find(channel, key, thread)
        return None if found is None else found[1]

    async def post_follow_up(
        self,
        channel: ChannelId,
        incident: Incident,
        follow_up: FollowUp,
        new_issue: str | None,
        *,
        key: str,
        again: bool = False,
    ) -> MessageTs:
        text, blocks = follow_up_message(follow_up, new_issue)
        about = posted_to(channel, incident)
        _, ts = await self._posts.post(channel, text, blocks, about=about, key=key, again=again)
        return ts

    async def update_follow_up(
        self,
        channel: ChannelId,
        ts: MessageTs,
        incident: Incident,
        follow_up: FollowUp,
        new_issue: str | None,
    ) -> None:
        text, blocks = follow_up_message(follow_up, new_issue)
        await self._posts.edit((channel, ts), text, blocks, about=posted_to(channel, incident))

    async def show_checklist(
        self,
        channel: ChannelId,
        incident: Incident,
        checklist: Checklist,
        ts: MessageTs | None,
        *,
        thread: MessageTs | None,
        again: bool = False,
    ) -> MessageTs:
        text, blocks = checklist_message(incident, checklist)
        about, key = posted_to(channel, incident), f"{incident.id}:checklist"
        posted = ts
        if posted is None:
            _, posted = await self._posts.post(
                channel, text, blocks, about=about, key=key, thread=thread, again=again
            )
        if ts is not None or again:
            # A message of an earlier attempt may show an earlier state.
            await self._posts.edit((channel, posted), text, blocks, about=about)
        return posted

    async def show_page(
        self, channel: ChannelId, incident: Incident, page: Page, ts: MessageTs | None, *, again: bool = False
    ) -> MessageTs:
        text, blocks = page_message(page)
        about, key = posted_to(channel, incident), f"{page.key}:page"
        posted = ts
        if posted is None:
            _, posted = await self._posts.post(channel, text, blocks, about=about, key=key, again=again)
        if ts is not None or again:
            # A message of an earlier attempt may show an earlier state.
            await self._posts.edit((channel, posted), text, blocks, about=about)
        return posted

    async def remind(
        self, channel: ChannelId, incident: Incident, nudge: Nudge, *, key: str, again: bool = False
    ) -> MessageTs:
        text, blocks = nudge_message(incident, nudge)
        about = posted_to(channel, incident)
        _, ts = await self._posts.post(channel, text, blocks, about=about, key=key, again=again)
        return ts

    async def say_snoozed(
        self, channel: ChannelId, ts: MessageTs, incident: Incident, by: Person, until: datetime
    ) -> None:
        text, blocks = snoozed_message(incident, by, until)
        await self._posts.edit((channel, ts), text, blocks, about=posted_to(channel, incident))

    async def ask_for_access(
        self,
        decider: PersonId,
        incident: Incident,
        person: Person,
        invited_by: PersonId | None,
        *,
        key: str,
        again: bool = False,
    ) -> None:
        text, blocks = access_message(incident, person, invited_by)
        about = posted_to(decider, incident)
        await self._posts.post(decider, text, blocks, about=about, key=key, again=again)

    async def show_decision(
        self, channel: ChannelId, ts: MessageTs, by: Person, incident: Incident, sentence: str
    ) -> None:
        text, blocks = decision_message(by, sentence)
        await self._posts.edit((channel, ts), text, blocks, about=shown_to(by.slack_user_id, incident))

    async def say_leaving(
        self, channel: ChannelId, incident: Incident, due: datetime, *, key: str, again: bool = False
    ) -> MessageTs:
        text, blocks = leaving_message(incident, due)
        about = posted_to(channel, incident)
        _, ts = await self._posts.post(channel, text, blocks, about=about, key=key, again=again)
        if again:
            # A notice of an earlier attempt may show an earlier time.
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

    async def unfurl(self, channel: ChannelId, ts: MessageTs, shown: Mapping[str, Preview]) -> None:
        """Show previews below a message: as Work Objects if Slack supports them, else as cards.

        Raises SlackRefused if the message is gone or contains no such link.
        """
        objects = [work_object(one.incident, url, one.comments) for url, one in shown.items()]
        blocks = {url: {"blocks": unfurl_blocks(one.incident)} for url, one in shown.items()}
        about = Disclosure(tuple(one.incident for one in shown.values()), InChannel(channel))
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
    """Return the disclosure of a card; the reporter's own card is read only by the reporter."""
    if card_.place == "reporter":
        return shown_to(incident.creator.slack_user_id, incident)
    return posted_to(card_.channel, incident)


def _digest(shown: str) -> str:
    return blake2b(shown.encode(), digest_size=12).hexdigest()
