"""Channels of incidents: made, named, labelled, filled with people, archived; and who reads a channel."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import Refused, SlackRefused
from tocsin.incidents.model import ChannelId, Incident, MessageTs, PersonId
from tocsin.slack.disclosure import NOTHING, Disclosure, Joining, NewChannel, posted_to
from tocsin.slack.rate_limiter import Priority
from tocsin.slack.shared_channels import Readership
from tocsin.slack.views.card import bookmarks, is_purpose_of, purpose, topic
from tocsin.slack.web_api import Answer, WebApi, require
from tocsin.workflows.ports import Channel

INVITED_AT_ONCE = 100
FINE_ALREADY = frozenset({"already_in_channel", "cant_invite_self", "already_pinned"})
NOT_TO_BE_REMOVED = frozenset({"not_in_channel", "user_not_found", "cant_kick_self"})


class Channels:
    """The channels of one workspace (Slack, conversations.*, bookmarks.*, pins.*)."""

    def __init__(self, client: AsyncWebClient, api: WebApi) -> None:
        self._client = client
        self._api = api
        self.bot_user_id = ""

    async def create(self, name: str, incident: Incident, *, private: bool) -> Channel:
        answer = await self._api.call(
            self._client.conversations_create,
            Priority.ANSWER,
            about=Disclosure((incident,), NewChannel(private)),
            name=name,
            is_private=private,
        )
        return _channel(answer)

    async def join(self, channel: ChannelId) -> tuple[Channel, str | None]:
        answer = await self._api.call(self._client.conversations_info, Priority.ANSWER, channel=channel)
        found = answer.get("channel") or {}
        readership, topic = _readership(found), found.get("topic") or {}
        if readership.unusable:
            raise Refused(readership.unusable)
        if not found.get("is_member"):
            await self._api.call(self._client.conversations_join, channel=channel)
        is_ours = bool(topic.get("value")) and topic.get("creator") == self.bot_user_id
        named = _channel(answer)
        return (
            Channel(id=named.id, name="" if readership.is_private else named.name),
            None if is_ours else str(topic.get("value") or ""),
        )

    async def restore_topic(self, channel: ChannelId, topic: str) -> None:
        answer = await self._api.call(self._client.conversations_info, Priority.CARD, channel=channel)
        now = (answer.get("channel") or {}).get("topic") or {}
        if now.get("creator") == self.bot_user_id and now.get("value") != topic:
            await self._api.call(
                self._client.conversations_setTopic, about=NOTHING, channel=channel, topic=topic
            )

    async def find_own(self, names: Collection[str], incident: Incident, *, private: bool) -> Channel | None:
        """Slack, users.conversations: at most 999 on a page; a bot of some years is in thousands."""
        kind, cursor = "private_channel" if private else "public_channel", ""
        while True:
            page = await self._api.call(
                self._client.users_conversations, types=kind, limit=999, cursor=cursor or None
            )
            for found in page.get("channels") or ():
                says = str((found.get("purpose") or {}).get("value") or "")
                ours = found.get("creator") == self.bot_user_id and not found.get("is_archived")
                if found.get("name") in names and ours and (not says or is_purpose_of(incident, says)):
                    return _channel({"channel": found})
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return None

    async def name_of(self, channel: ChannelId) -> str:
        answer = await self._api.call(self._client.conversations_info, Priority.CARD, channel=channel)
        return require(answer, "channel", "name")

    async def rename(self, channel: ChannelId, name: str, incident: Incident) -> Channel:
        answer = await self._api.call(
            self._client.conversations_rename, about=posted_to(channel, incident), channel=channel, name=name
        )
        return Channel(id=channel, name=require(answer, "channel", "name"))

    async def set_topic(self, channel: ChannelId, incident: Incident) -> None:
        await self._api.call(
            self._client.conversations_setTopic,
            about=posted_to(channel, incident),
            channel=channel,
            topic=topic(incident),
        )

    async def set_purpose(self, channel: ChannelId, incident: Incident) -> None:
        await self._api.call(
            self._client.conversations_setPurpose,
            about=posted_to(channel, incident),
            channel=channel,
            purpose=purpose(incident),
        )

    async def bookmark(self, channel: ChannelId, incident: Incident, again: bool) -> None:
        wanted = bookmarks(incident)
        if not wanted:
            return
        there = await self._bookmarked(channel) if again else []
        known = {mark.get("link") for mark in there}
        for title, link in wanted:
            if link not in known:
                await self._add_bookmark(channel, incident, title, link)

    async def rebookmark(self, channel: ChannelId, incident: Incident, *, adds: bool) -> None:
        wanted = bookmarks(incident)
        if not wanted:
            return
        there, links = await self._bookmarked(channel), {link for _, link in wanted}
        for title, link in wanted:
            same = next((mark for mark in there if mark.get("link") == link), None)
            # A link that was replaced by another one leaves a bookmark with the same title behind.
            left = (mark for mark in there if mark.get("title") == title and mark.get("link") not in links)
            named = next(left, None) if adds else None
            if (found := same or named) is not None:
                await self._api.call(
                    self._client.bookmarks_edit,
                    about=posted_to(channel, incident),
                    bookmark_id=require(found, "id"),
                    channel_id=channel,
                    title=title,
                    link=link,
                )
            elif adds and link != incident.permalink:
                await self._add_bookmark(channel, incident, title, link)

    async def remove_bookmarks(self, channel: ChannelId, incident: Incident) -> None:
        links = {link for _, link in bookmarks(incident)}
        for mark in await self._bookmarked(channel) if links else ():
            if mark.get("link") in links:
                await self._api.call(
                    self._client.bookmarks_remove,
                    about=NOTHING,
                    bookmark_id=require(mark, "id"),
                    channel_id=channel,
                )

    async def _bookmarked(self, channel: ChannelId) -> Sequence[Answer]:
        answer = await self._api.call(self._client.bookmarks_list, channel_id=channel)
        return answer.get("bookmarks") or ()

    async def _add_bookmark(self, channel: ChannelId, incident: Incident, title: str, link: str) -> None:
        await self._api.call(
            self._client.bookmarks_add,
            about=posted_to(channel, incident),
            channel_id=channel,
            title=title,
            type="link",
            link=link,
        )

    async def pin(self, channel: ChannelId, ts: MessageTs) -> None:
        try:
            await self._api.call(self._client.pins_add, channel=channel, timestamp=ts)
        except SlackRefused as refusal:
            if refusal.code not in FINE_ALREADY:
                raise

    async def archive(self, channel: ChannelId) -> None:
        try:
            await self._api.call(self._client.conversations_archive, Priority.CARD, channel=channel)
        except SlackRefused as refusal:
            if refusal.code != "already_archived":
                raise

    async def invite(
        self, channel: ChannelId, people: Sequence[PersonId], incident: Incident
    ) -> tuple[PersonId, ...]:
        left_out: list[PersonId] = []
        invited = [person for person in people if person != self.bot_user_id]
        for start in range(0, len(invited), INVITED_AT_ONCE):
            left_out += await self._invite(channel, invited[start : start + INVITED_AT_ONCE], incident)
        return tuple(left_out)

    async def _invite(
        self, channel: ChannelId, people: Sequence[PersonId], incident: Incident
    ) -> list[PersonId]:
        try:
            answer = await self._api.call(
                self._client.conversations_invite,
                Priority.CARD,
                about=Disclosure((incident,), Joining(channel, frozenset(people))),
                channel=channel,
                users=",".join(people),
                force=True,
            )
        except SlackRefused as refusal:
            answer = {"errors": refusal.details.get("errors")}
            if not answer["errors"]:
                if refusal.code in FINE_ALREADY:
                    return []
                if len(people) > 1:
                    raise
                return list(people)
        errors = [error for error in answer.get("errors") or () if error.get("error") not in FINE_ALREADY]
        named = {error.get("user") for error in errors}
        return [person for person in people if person in named]

    async def remove(self, channel: ChannelId, people: Sequence[PersonId]) -> Sequence[PersonId]:
        """Slack, conversations.kick: one person at a time, and only members of the channel."""
        left: list[PersonId] = []
        for person in people:
            try:
                await self._api.call(
                    self._client.conversations_kick, Priority.CARD, channel=channel, user=person
                )
            except SlackRefused as refusal:
                if refusal.code not in NOT_TO_BE_REMOVED:
                    left.append(person)
        return left

    async def members(self, channel: ChannelId) -> Sequence[PersonId] | None:
        """Slack, conversations.members: the first thousand of them."""
        try:
            answer = await self._api.call(self._client.conversations_members, channel=channel, limit=1000)
        except SlackRefused as refusal:
            if refusal.code not in {"channel_not_found", "fetch_members_failed"}:
                raise
            return None
        return [PersonId(str(person)) for person in answer.get("members") or ()]

    async def is_private(self, channel: ChannelId) -> bool:
        """Slack, conversations.info: private, and not shared; False where we cannot see it."""
        try:
            found = await self.readership(channel)
        except SlackRefused:
            return False
        return found is not None and found.is_private and not found.is_shared

    async def readership(self, channel: ChannelId) -> Readership | None:
        """Ask who reads a channel (Slack, conversations.info); None for one that the bot cannot see.

        Raises Unavailable, and SlackRefused where Slack does not let us ask.
        """
        try:
            answer = await self._api.call(self._client.conversations_info, Priority.ANSWER, channel=channel)
        except SlackRefused as refusal:
            needed = str(refusal.details.get("needed") or "")
            # Without a scope for direct messages, the bot cannot be in one of somebody else's.
            is_direct = refusal.code == "missing_scope" and needed.startswith(("im:", "mpim:"))
            if refusal.code != "channel_not_found" and not is_direct:
                raise
            return None
        return _readership(answer.get("channel") or {})

    async def public_name(self, channel: ChannelId) -> str:
        """Return the name of a public channel; empty for any other, whose name not everybody may know."""
        try:
            answer = await self._api.call_now(self._client.conversations_info, channel=channel)
        except SlackRefused:
            return ""
        found = answer.get("channel") or {}
        return "" if found.get("is_private", True) else str(found.get("name") or "")

    async def is_seen_by(self, channel: ChannelId, person: PersonId, *, confined: bool) -> bool:
        """True if a person sees a channel: public ones are seen by all but who is confined to their own.

        False also where the bot does not see it (Slack, conversations.info).
        """
        try:
            answer = await self._api.call_now(self._client.conversations_info, channel=channel)
            is_public = (answer.get("channel") or {}).get("is_private") is False
            return (is_public and not confined) or await self._has_member(channel, person)
        except SlackRefused:
            return False

    async def _has_member(self, channel: ChannelId, person: PersonId) -> bool:
        cursor = ""
        while True:
            page = await self._api.call_now(
                self._client.conversations_members, channel=channel, limit=1000, cursor=cursor or None
            )
            if person in (page.get("members") or ()):
                return True
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return False


def _readership(found: Answer) -> Readership:
    return Readership(
        is_private=bool(found.get("is_private")),
        is_shared=bool(found.get("is_ext_shared") or found.get("is_pending_ext_shared")),
        is_read_by_organization=bool(found.get("is_org_shared")),
        is_direct=bool(found.get("is_im") or found.get("is_mpim")),
        is_general=bool(found.get("is_general")),
        is_archived=bool(found.get("is_archived")),
    )


def _channel(answer: Answer) -> Channel:
    name = (answer.get("channel") or {}).get("name") if isinstance(answer.get("channel"), dict) else ""
    return Channel(id=ChannelId(require(answer, "channel", "id")), name=str(name or ""))
