"""What the bot does in a workspace to what it did there before: edits, withdrawals, names, news."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import Card, ChannelId, FollowUp, Incident, MessageTs, Person, PersonId
from tocsin.incidents.updates import News
from tocsin.slack.disclosure import NOTHING, posted_to
from tocsin.slack.messages import Posts
from tocsin.slack.rate_limiter import Urgency
from tocsin.slack.users import WorkspacePeople
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.card import bookmark_title, card, card_text, purpose, topic
from tocsin.slack.views.notifications import (
    follow_up_message,
    kept_message,
    leaving_message,
    news_message,
    reminder_message,
)
from tocsin.slack.web_api import Calls, told
from tocsin.workflows.ports import Channel

ALREADY_GONE = frozenset({"message_not_found", "channel_not_found"})


class WorkspaceChanges(WorkspacePeople):
    """The half of SlackWorkspace that follows what becomes of an incident."""

    client: AsyncWebClient
    calls: Calls
    _posts: Posts

    def faces(self, incident: Incident) -> Mapping[str, str]:
        """What would be shown of it, in a few characters each: the same face is no reason for an edit."""
        shown = [card_text(incident), *(str(block.to_dict()) for block in card(incident))]
        return {
            "card": _digest("\n".join(shown)),
            "topic": _digest(topic(incident)),
            "purpose": _digest(purpose(incident)),
            "bookmark": _digest(bookmark_title(incident)),
        }

    async def withdraw(self, card_: Card) -> None:
        try:
            await self.calls.make(self.client.chat_delete, Urgency.CARD, channel=card_.channel, ts=card_.ts)
        except SlackRefused as refusal:
            if refusal.code not in ALREADY_GONE:
                raise

    async def is_private(self, channel: ChannelId) -> bool:
        """Slack, conversations.info: private, and shared with nobody; False where we cannot see it."""
        try:
            found = await self.readership(channel)
        except SlackRefused:
            return False
        return found is not None and found.is_private and not found.is_shared

    async def rebookmark(self, channel: ChannelId, incident: Incident) -> None:
        """Give the bookmark with the permalink the incident's name, where there is one."""
        if not incident.permalink:
            return
        there = await self.calls.make(self.client.bookmarks_list, channel_id=channel)
        for mark in there.get("bookmarks") or ():
            if mark.get("link") == incident.permalink:
                await self.calls.make(
                    self.client.bookmarks_edit,
                    about=posted_to(channel, incident),
                    bookmark_id=told(mark, "id"),
                    channel_id=channel,
                    title=bookmark_title(incident),
                )

    async def name_of_channel(self, channel: ChannelId) -> str:
        answer = await self.calls.make(self.client.conversations_info, Urgency.CARD, channel=channel)
        return told(answer, "channel", "name")

    async def rename_channel(self, channel: ChannelId, name: str, incident: Incident) -> Channel:
        answer = await self.calls.make(
            self.client.conversations_rename, about=posted_to(channel, incident), channel=channel, name=name
        )
        return Channel(id=channel, name=told(answer, "channel", "name"))

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

    async def say_here(
        self, channel: ChannelId, incident: Incident, text: str, *, key: str, again: bool = False
    ) -> None:
        await self._posts.post(channel, text, about=posted_to(channel, incident), key=key, again=again)

    async def remove(self, channel: ChannelId, people: Sequence[PersonId]) -> Sequence[PersonId]:
        """Slack, conversations.kick: one person at a time, and only members of the channel."""
        left: list[PersonId] = []
        for person in people:
            try:
                await self.calls.make(
                    self.client.conversations_kick, Urgency.CARD, channel=channel, user=person
                )
            except SlackRefused as refusal:
                if refusal.code not in {"not_in_channel", "user_not_found", "cant_kick_self"}:
                    left.append(person)
        return left

    async def archive(self, channel: ChannelId) -> None:
        try:
            await self.calls.make(self.client.conversations_archive, Urgency.CARD, channel=channel)
        except SlackRefused as refusal:
            if refusal.code != "already_archived":
                raise

    async def say(self, channel: ChannelId, sentence: str, *, key: str, again: bool = False) -> None:
        """A sentence that says nothing of an incident."""
        await self._posts.post(channel, escape(sentence), about=NOTHING, key=key, again=again)

    async def tell_plainly(
        self, person: PersonId, sentence: str, *, about: Incident | None, key: str, again: bool = False
    ) -> None:
        """A direct message in which nothing is a mention or a link, whoever wrote it."""
        about_it = posted_to(person, about)
        await self._posts.post(person, escape(sentence), about=about_it, key=key, again=again)

    async def post_news(
        self,
        channel: ChannelId,
        news: News,
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


def _digest(shown: str) -> str:
    return blake2b(shown.encode(), digest_size=12).hexdigest()
