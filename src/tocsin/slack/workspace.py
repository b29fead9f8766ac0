"""Everything the bot does to a Slack workspace: each call it makes is in this file.

The SDK repeats nothing by itself: it would post twice when an answer is lost. Who calls decides what may be
repeated, and is told whether the call may have arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.actions.ports import Channel
from tocsin.incidents.errors import OutcomeUnknown, SlackRefused, Unavailable
from tocsin.incidents.model import Card, ChannelId, Incident, MessageTs, Person, PersonId
from tocsin.slack.pace import Pace, Urgency
from tocsin.slack.views.card import card, card_text
from tocsin.slack.views.channel import bookmark_title, purpose, topic
from tocsin.slack.views.declare import FormContext
from tocsin.slack.views.declared import already_modal, declared_modal, refused_message, sorry_modal
from tocsin.slack.views.kit import escape

TIMEOUT_SECONDS = 10.0
INVITED_AT_ONCE = 100
CARD_EVENT = "tocsin_post"
BUSY = frozenset({"ratelimited", "rate_limited"})
BROKEN = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
FINE_ALREADY = frozenset({"already_in_channel", "cant_invite_self", "already_pinned"})

Answer = Mapping[str, Any]
Call = Callable[..., Coroutine[Any, Any, Any]]


def open_session() -> aiohttp.ClientSession:
    """One session for the whole process, so that Slack calls share their connections."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))


def web_client(session: aiohttp.ClientSession, *, token: str | None, base_url: str) -> AsyncWebClient:
    base = base_url if base_url.endswith("/") else f"{base_url}/"
    return AsyncWebClient(token=token, base_url=base, session=session, retry_handlers=[])


class SlackWorkspace:
    """One workspace, as its bot sees it."""

    def __init__(
        self, client: AsyncWebClient, *, clock: Callable[[], datetime], identity: Mapping[str, Any]
    ) -> None:
        self.client = client
        self.home_url = str(identity.get("url") or "")
        self.team_id = str(identity.get("team_id") or "")
        self.bot_user_id = str(identity.get("user_id") or "")
        self._clock = clock
        self._pace = Pace()

    async def create_channel(self, name: str, *, private: bool) -> Channel:
        answer = await self._call(
            self.client.conversations_create, Urgency.ANSWER, name=name, is_private=private
        )
        return _channel(answer["channel"])

    async def find_own_channel(self, name: str, *, private: bool, since: datetime) -> Channel | None:
        kind, cursor = "private_channel" if private else "public_channel", ""
        while True:
            page = await self._call(
                self.client.users_conversations, types=kind, limit=200, cursor=cursor or None
            )
            for found in page.get("channels") or ():
                made = datetime.fromtimestamp(int(found.get("created") or 0), UTC)
                ours = found.get("creator") == self.bot_user_id and made >= since.replace(microsecond=0)
                if found.get("name") == name and ours:
                    return _channel(found)
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return None

    async def set_topic(self, channel: ChannelId, incident: Incident) -> None:
        await self._call(self.client.conversations_setTopic, channel=channel, topic=topic(incident))

    async def set_purpose(self, channel: ChannelId, incident: Incident) -> None:
        await self._call(self.client.conversations_setPurpose, channel=channel, purpose=purpose(incident))

    async def bookmark(self, channel: ChannelId, incident: Incident, *, again: bool) -> None:
        if not incident.permalink:
            return
        if again:
            there = await self._call(self.client.bookmarks_list, channel_id=channel)
            if any(mark.get("link") == incident.permalink for mark in there.get("bookmarks") or ()):
                return
        await self._call(
            self.client.bookmarks_add,
            channel_id=channel,
            title=bookmark_title(incident),
            type="link",
            link=incident.permalink,
        )

    async def invite(self, channel: ChannelId, people: Sequence[PersonId]) -> tuple[PersonId, ...]:
        left_out: list[PersonId] = []
        invited = [person for person in people if person != self.bot_user_id]
        for start in range(0, len(invited), INVITED_AT_ONCE):
            left_out += await self._invite(channel, invited[start : start + INVITED_AT_ONCE])
        return tuple(left_out)

    async def _invite(self, channel: ChannelId, people: Sequence[PersonId]) -> list[PersonId]:
        try:
            answer = await self._call(
                self.client.conversations_invite,
                Urgency.CARD,
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

    async def person(self, person: PersonId) -> Person | None:
        """What Slack shows somebody as; None for somebody it does not know."""
        try:
            answer = await asked(self.client.users_info, user=person)
        except SlackRefused:
            return None
        user = answer.get("user") or {}
        profile = user.get("profile") or {}
        name = profile.get("real_name") or user.get("real_name") or profile.get("display_name")
        return Person(slack_user_id=person, name=name or user.get("name"))

    async def pin(self, channel: ChannelId, ts: MessageTs) -> None:
        try:
            await self._call(self.client.pins_add, channel=channel, timestamp=ts)
        except SlackRefused as refusal:
            if refusal.code not in FINE_ALREADY:
                raise

    async def post_card(
        self, incident: Incident, *, to: str, place: str, thread: MessageTs | None = None, again: bool = False
    ) -> Card:
        key = f"{incident.id}:{place}"
        urgency = Urgency.ANNOUNCEMENT if place == "announcement" else Urgency.CARD
        channel, ts = await self._post(
            to, card_text(incident), card(incident), urgency, key=key, thread=thread, again=again
        )
        return Card(channel=channel, ts=ts, place=place)

    async def tell(self, person: PersonId, sentence: str, *, key: str, again: bool = False) -> None:
        await self._post(person, sentence, None, Urgency.CARD, key=key, thread=None, again=again)

    async def ask_to_fix(
        self, person: PersonId, name: str, sentence: str, *, key: str, again: bool = False
    ) -> None:
        text, blocks = refused_message(name, sentence, key)
        await self._post(person, text, blocks, Urgency.CARD, key=f"{key}:refused", thread=None, again=again)

    async def _post(
        self,
        to: str,
        text: str,
        blocks: Sequence[Block] | None,
        urgency: Urgency,
        *,
        key: str,
        thread: MessageTs | None,
        again: bool,
    ) -> tuple[ChannelId, MessageTs]:
        if again:
            there = await self._find_post(to, key, thread)
            if there is not None:
                return there
        answer = await self._call(
            self.client.chat_postMessage,
            urgency,
            channel=to,
            text=text,
            blocks=[block.to_dict() for block in blocks] if blocks else None,
            thread_ts=thread,
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": CARD_EVENT, "event_payload": {"key": key}},
        )
        return ChannelId(answer["channel"]), MessageTs(answer["ts"])

    async def _find_post(
        self, to: str, key: str, thread: MessageTs | None
    ) -> tuple[ChannelId, MessageTs] | None:
        """The post that carries this key, so that one whose answer was lost is not made again."""
        channel = to
        if to.startswith(("U", "W")):
            channel = (await self._call(self.client.conversations_open, users=to))["channel"]["id"]
        try:
            messages = await self._recent(channel, thread)
        except SlackRefused as refusal:
            if refusal.code not in {"not_in_channel", "channel_not_found"}:
                raise
            await self._call(self.client.conversations_join, channel=channel)
            messages = await self._recent(channel, thread)
        for message in messages:
            metadata = message.get("metadata") or {}
            if (
                metadata.get("event_type") == CARD_EVENT
                and metadata.get("event_payload", {}).get("key") == key
            ):
                return ChannelId(channel), MessageTs(message["ts"])
        return None

    async def _recent(self, channel: str, thread: MessageTs | None) -> Sequence[Answer]:
        asked: dict[str, Any] = {"channel": channel, "limit": 200, "include_all_metadata": True}
        if thread:
            answer = await self._call(self.client.conversations_replies, ts=thread, **asked)
        else:
            answer = await self._call(self.client.conversations_history, **asked)
        messages: Sequence[Answer] = answer.get("messages") or ()
        return messages

    async def open_modal(self, trigger_id: str, view: View) -> str:
        """Open a modal and answer its id; the trigger is good once, for 3 s (Slack, views.open)."""
        answer = await asked(self.client.views_open, trigger_id=trigger_id, view=view.to_dict())
        return str(answer["view"]["id"])

    async def update_modal(self, view_id: str, view: View, *, seen: str | None = None) -> None:
        """Change an open modal; nothing happens when it was closed, or has changed since it was `seen`."""
        try:
            await self._call(
                self.client.views_update, Urgency.ANSWER, view_id=view_id, view=view.to_dict(), hash=seen
            )
        except SlackRefused as refusal:
            if refusal.code not in {"not_found", "hash_conflict"}:
                raise

    async def show_declared(self, view_id: str, incident: Incident, trouble: Sequence[str]) -> None:
        await self.update_modal(view_id, declared_modal(incident, incident.slack_channel_name, trouble))

    async def show_already_declared(self, view_id: str, incident: Incident) -> None:
        await self.update_modal(view_id, already_modal(incident, self._clock(), FormContext()))

    async def show_not_declared(self, view_id: str, sentence: str) -> None:
        await self.update_modal(view_id, sorry_modal("Not declared", sentence))

    async def answer(self, response_url: str, sentence: str) -> None:
        """A sentence that only the person who asked sees, by the address Slack gave with their request.

        The address must be Slack's own, or of the host that our Slack calls go to.
        """
        parts = urlsplit(response_url)
        ours = parts.netloc == urlsplit(self.client.base_url).netloc
        if not ours and (parts.scheme, parts.hostname) != ("https", "hooks.slack.com"):
            raise SlackRefused("response_url", "invalid_url")
        assert self.client.session is not None
        said = {"response_type": "ephemeral", "text": escape(sentence)}
        async with self.client.session.post(response_url, json=said) as answered:
            await answered.read()

    async def _call(self, method: Call, urgency: Urgency = Urgency.FURNITURE, **arguments: Any) -> Answer:
        """Make one call in its turn; a limit of Slack's makes it wait, and nothing else is done about it."""
        given = {name: value for name, value in arguments.items() if value is not None}
        lane = (method.__name__, given.get("channel"))
        return await self._pace.run(lane, urgency, lambda: asked(method, **given))


async def asked(method: Call, **arguments: Any) -> Answer:
    """Make one call, once. Raises Unavailable, OutcomeUnknown or SlackRefused."""
    name = method.__name__.replace("_", ".", 1)
    try:
        answer = await method(**arguments)
    except SlackApiError as error:
        raise _refusal(name, error) from error
    except aiohttp.ClientConnectorError as error:
        raise Unavailable("Slack cannot be reached.") from error
    except (TimeoutError, aiohttp.ClientError, ValueError) as error:
        raise OutcomeUnknown("Slack's answer was lost.") from error
    if not isinstance(answer.data, dict):
        raise OutcomeUnknown("Slack's answer was not understood.")
    return answer.data


def _refusal(method: str, error: SlackApiError) -> SlackRefused | Unavailable:
    response: Any = error.response
    status = int(getattr(response, "status_code", 200) or 200)
    body = getattr(response, "data", response)
    body = body if isinstance(body, dict) else {}
    code = str(body.get("error") or "")
    if status == 429 or code in BUSY:
        headers = {str(k).lower(): v for k, v in dict(getattr(response, "headers", None) or {}).items()}
        return Unavailable("Slack asks us to slow down.", retry_after=_seconds(headers.get("retry-after")))
    if status >= 500 or code in BROKEN or not code:
        return OutcomeUnknown("Slack is having trouble.")
    return SlackRefused(method, code, body)


def _seconds(asked_for: Any) -> float:
    try:
        return min(max(float(asked_for), 0.0), 300.0)
    except (TypeError, ValueError):
        return 1.0


def _channel(channel: Answer) -> Channel:
    return Channel(id=ChannelId(channel["id"]), name=str(channel.get("name") or ""))
