"""Everything the bot does to a Slack workspace."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import structlog
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import Card, ChannelId, Incident, MessageTs, PersonId, TeamId
from tocsin.incidents.validation import Place
from tocsin.slack.channel_updates import WorkspaceChanges
from tocsin.slack.disclosure import NOTHING, Anybody, Disclosure, Joining, NewChannel, posted_to, shown_to
from tocsin.slack.files import WorkspacePapers
from tocsin.slack.installations import Installation
from tocsin.slack.messages import Posts, WorkspaceLinks
from tocsin.slack.rate_limiter import Urgency
from tocsin.slack.users import Home, WorkspacePeople
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.card import bookmark_title, card, card_text, is_purpose_of, purpose, topic
from tocsin.slack.views.declare import already_modal, declared_modal, refused_message, sorry_modal
from tocsin.slack.views.metadata import DeclareMetadata
from tocsin.slack.web_api import Answer, Call, Calls, told
from tocsin.workflows.ports import Channel

# Steps of workflows that wait for us, and whether whom and what they name is there.

ENDED = frozenset({"execution_not_in_running_state", "function_execution_not_found"})
"""Slack, functions.completeSuccess: it was answered before, or the workflow was stopped."""

NOBODY = frozenset({"user_not_found", "users_not_found", "user_not_visible"})


class WorkspaceSteps:
    """The part of SlackWorkspace that looks at what a step names, and ends steps.

    It ends them with the bot's own token: the one that Slack sends along with a step is good for a quarter of
    an hour, and would be a secret in the journal.
    """

    client: AsyncWebClient
    calls: Calls

    async def complete_step(self, run: str, outputs: Mapping[str, str], *, about: Incident | None) -> None:
        carried = Disclosure((about,), Anybody()) if about is not None else NOTHING
        await self._end(self.client.functions_completeSuccess, run, carried, outputs=dict(outputs))

    async def fail_step(self, run: str, sentence: str) -> None:
        await self._end(self.client.functions_completeError, run, NOTHING, error=escape(sentence))

    async def _end(self, method: Call, run: str, about: Disclosure, **said: Any) -> None:
        try:
            await self.calls.make(method, Urgency.ANSWER, about=about, function_execution_id=run, **said)
        except SlackRefused as refusal:
            if refusal.code not in ENDED:
                raise

    async def knows(self, person: PersonId) -> bool:
        """Whether somebody has this id (Slack, users.info)."""
        try:
            await self.calls.once(self.client.users_info, user=person)
        except SlackRefused as refusal:
            return refusal.code not in NOBODY
        return True

    async def is_seen_by(self, channel: ChannelId, person: PersonId, *, confined: bool) -> bool:
        """Whether somebody sees a channel: public ones are seen by all but who is confined to their own.

        False also where the bot does not see it (Slack, conversations.info).
        """
        try:
            answer = await self.calls.once(self.client.conversations_info, channel=channel)
            is_public = (answer.get("channel") or {}).get("is_private") is False
            return (is_public and not confined) or await self._has_member(channel, person)
        except SlackRefused:
            return False

    async def _has_member(self, channel: ChannelId, person: PersonId) -> bool:
        cursor = ""
        while True:
            page = await self.calls.once(
                self.client.conversations_members, channel=channel, limit=1000, cursor=cursor or None
            )
            if person in (page.get("members") or ()):
                return True
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return False


INVITED_AT_ONCE = 100
FINE_ALREADY = frozenset({"already_in_channel", "cant_invite_self", "already_pinned"})
NOT_INSTALLED = "Tocsin is not installed in this workspace; an admin can install it again."


class SlackWorkspace(WorkspaceChanges, WorkspaceSteps, WorkspaceLinks, WorkspacePeople, WorkspacePapers):
    """One workspace, as its bot sees it."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        clock: Callable[[], datetime],
        team_id: TeamId,
        calls: Calls | None = None,
    ) -> None:
        """Nothing can be done in it before the bot has entered."""
        self.client = client
        self.calls = calls or Calls()
        self.home_url = ""
        self.team_id = team_id
        self.bot_user_id = ""
        self.home = Home(team_id)
        self._clock = clock
        self._posts = Posts(client, self.calls)
        if team_id:
            # An org-wide token is good for many workspaces; other tokens ignore it (Slack, org-ready apps).
            client.default_params["team_id"] = team_id
        self.leave()

    def enter(self, installation: Installation) -> None:
        """Tocsin is installed here, or has a new token."""
        self.client.token = installation.bot_token
        self.home_url = installation.url
        self.bot_user_id = self._posts.bot_user_id = installation.bot_user_id
        self.home = Home(self.team_id, installation.enterprise_id)
        self.calls.closed = ""

    def leave(self) -> None:
        """Tocsin is not installed here: nothing is asked of Slack, and what is to be done waits."""
        self.client.token = None
        self.calls.closed = NOT_INSTALLED

    async def create_channel(self, name: str, incident: Incident, *, private: bool) -> Channel:
        answer = await self.calls.make(
            self.client.conversations_create,
            Urgency.ANSWER,
            about=Disclosure((incident,), NewChannel(private)),
            name=name,
            is_private=private,
        )
        return _channel(answer)

    async def find_own_channel(
        self, names: Collection[str], incident: Incident, *, private: bool
    ) -> Channel | None:
        """Slack, users.conversations: at most 999 on a page; a bot of some years is in thousands."""
        kind, cursor = "private_channel" if private else "public_channel", ""
        while True:
            page = await self.calls.make(
                self.client.users_conversations, types=kind, limit=999, cursor=cursor or None
            )
            for found in page.get("channels") or ():
                says = str((found.get("purpose") or {}).get("value") or "")
                ours = found.get("creator") == self.bot_user_id and not found.get("is_archived")
                if found.get("name") in names and ours and (not says or is_purpose_of(incident, says)):
                    return _channel({"channel": found})
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return None

    async def set_topic(self, channel: ChannelId, incident: Incident) -> None:
        await self.calls.make(
            self.client.conversations_setTopic,
            about=posted_to(channel, incident),
            channel=channel,
            topic=topic(incident),
        )

    async def set_purpose(self, channel: ChannelId, incident: Incident) -> None:
        await self.calls.make(
            self.client.conversations_setPurpose,
            about=posted_to(channel, incident),
            channel=channel,
            purpose=purpose(incident),
        )

    async def bookmark(self, channel: ChannelId, incident: Incident, *, again: bool) -> None:
        if not incident.permalink:
            return
        if again:
            there = await self.calls.make(self.client.bookmarks_list, channel_id=channel)
            if any(mark.get("link") == incident.permalink for mark in there.get("bookmarks") or ()):
                return
        await self.calls.make(
            self.client.bookmarks_add,
            about=posted_to(channel, incident),
            channel_id=channel,
            title=bookmark_title(incident),
            type="link",
            link=incident.permalink,
        )

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
            answer = await self.calls.make(
                self.client.conversations_invite,
                Urgency.CARD,
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

    async def pin(self, channel: ChannelId, ts: MessageTs) -> None:
        try:
            await self.calls.make(self.client.pins_add, channel=channel, timestamp=ts)
        except SlackRefused as refusal:
            if refusal.code not in FINE_ALREADY:
                raise

    async def post_card(self, incident: Incident, spot: Place, *, key: str, again: bool = False) -> Card:
        urgency = Urgency.ANNOUNCEMENT if spot.place == "announcement" else Urgency.CARD
        channel, ts = await self._posts.post(
            spot.to,
            card_text(incident),
            card(incident),
            about=posted_to(spot.to, incident),
            key=key,
            urgency=urgency,
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

    async def tell(
        self, person: PersonId, sentence: str, *, about: Incident | None, key: str, again: bool = False
    ) -> None:
        await self._posts.post(person, sentence, about=posted_to(person, about), key=key, again=again)

    async def ask_to_fix(
        self, person: PersonId, name: str, sentence: str, *, key: str, again: bool = False
    ) -> None:
        text, blocks = refused_message(name, sentence, key)
        # They are told of what they typed themselves, and nothing came of it.
        await self._posts.post(person, text, blocks, about=NOTHING, key=f"{key}:refused", again=again)

    async def open_modal(self, trigger_id: str, view: View, about: Disclosure) -> str:
        """Open a modal and answer its id; the trigger is good once, for 3 s (Slack, views.open)."""
        opened = self.client.views_open
        answer = await self.calls.once(opened, about=about, trigger_id=trigger_id, view=view.to_dict())
        return told(answer, "view", "id")

    async def update_modal(
        self, view_id: str, view: View, about: Disclosure, *, seen: str | None = None
    ) -> bool:
        """Change an open modal; False when it was closed, or has changed since it was `seen`."""
        try:
            await self.calls.make(
                self.client.views_update,
                Urgency.ANSWER,
                about=about,
                view_id=view_id,
                view=view.to_dict(),
                hash=seen,
            )
        except SlackRefused as refusal:
            if refusal.code not in {"not_found", "hash_conflict"}:
                raise
            return False
        return True

    async def publish_home(self, person: PersonId, view: View, *shown: Incident) -> None:
        """Show a person their Home tab, with the incidents that are `shown` there (Slack, views.publish)."""
        await self.calls.make(
            self.client.views_publish,
            Urgency.CARD,
            about=shown_to(person, *shown),
            user_id=person,
            view=view.to_dict(),
        )

    async def show_declared(
        self, view_id: str, person: PersonId | None, incident: Incident, trouble: Sequence[str]
    ) -> bool:
        view = declared_modal(incident, incident.slack_channel_name, trouble)
        return await self.update_modal(view_id, view, shown_to(person, incident))

    async def show_already_declared(self, view_id: str, person: PersonId | None, incident: Incident) -> bool:
        view = already_modal(incident, self._clock(), DeclareMetadata())
        return await self.update_modal(view_id, view, shown_to(person, incident))

    async def show_not_declared(self, view_id: str, sentence: str) -> bool:
        return await self.update_modal(view_id, sorry_modal("Not declared", sentence), NOTHING)

    async def push_modal(self, trigger_id: str, view: View, about: Disclosure) -> str:
        """Put a modal on top of the open one; three at most (Slack, views.push)."""
        pushed = self.client.views_push
        answer = await self.calls.once(pushed, about=about, trigger_id=trigger_id, view=view.to_dict())
        return told(answer, "view", "id")

    async def say_to(
        self, person: PersonId, text: str, about: Disclosure, blocks: Sequence[Block] = ()
    ) -> None:
        """A direct message that may be lost with the process; for answers to what somebody just pressed."""
        key = f"answer:{uuid4()}"
        await self._posts.post(person, text, blocks or None, about=about, key=key, urgency=Urgency.ANSWER)

    async def answer(self, response_url: str, sentence: str) -> None:
        """A sentence in plain words that says nothing of an incident, as `reply`."""
        await self.reply(response_url, escape(sentence), NOTHING)

    async def reply(
        self,
        response_url: str,
        text: str,
        about: Disclosure,
        blocks: Sequence[Block] = (),
        *,
        instead: bool = False,
    ) -> None:
        """What only the person who asked sees, by the address Slack gave with their request.

        Raises Withheld where they may not read what it carries.
        Good five times within half an hour; with `instead` it takes the place of the message that was pressed
        in (Slack, handling interactions: response_url). The address must be Slack's own, or of the host that
        our Slack calls go to.
        """
        parts = urlsplit(response_url)
        ours = parts.netloc == urlsplit(self.client.base_url).netloc
        if not ours and (parts.scheme, parts.hostname) != ("https", "hooks.slack.com"):
            raise SlackRefused("response_url", "invalid_url")
        await self.calls.judge(about, "response_url")
        assert self.client.session is not None
        said: dict[str, Any] = {"response_type": "ephemeral", "text": text, "replace_original": instead}
        if blocks:
            said["blocks"] = [block.to_dict() for block in blocks]
        try:
            async with self.client.session.post(response_url, json=said) as answered:
                if answered.status != 200:
                    raise Unavailable(f"Slack did not take the answer (HTTP {answered.status}).")
        except (TimeoutError, aiohttp.ClientError) as error:
            raise Unavailable("Slack cannot be reached.") from error


def _card_read_by(card_: Card, incident: Incident) -> Disclosure:
    """Who reads a card: the reporter's own is in their direct messages with Tocsin."""
    if card_.place == "reporter":
        return shown_to(incident.creator.slack_user_id, incident)
    return posted_to(card_.channel, incident)


def _channel(answer: Answer) -> Channel:
    name = (answer.get("channel") or {}).get("name") if isinstance(answer.get("channel"), dict) else ""
    return Channel(id=ChannelId(told(answer, "channel", "id")), name=str(name or ""))


# Where the operator is reached: the channel they chose, else whoever owns the workspace.

log = structlog.get_logger()


class SlackOperator:
    """Whoever runs Tocsin, as one workspace reaches them.

    `to` is a channel or a person; None where nobody is known, and then only the log is told.
    """

    def __init__(self, workspace: SlackWorkspace, to: str | None) -> None:
        self._workspace = workspace
        self._to = to

    async def say(self, sentence: str, key: str, again: bool) -> None:
        """Post it, once for each key. Raises Unavailable while Slack cannot be asked."""
        if not self._to:
            log.warning("nobody to tell; set TOCSIN_ADMIN_CHANNEL", what=sentence)
            return
        try:
            said = f":warning: {escape(sentence)}"
            await self._workspace.tell(PersonId(self._to), said, about=None, key=key, again=again)
        except SlackRefused as refusal:
            log.error("the operator cannot be told", where=self._to, why=refusal.sentence, what=sentence)
