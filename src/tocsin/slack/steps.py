"""Steps of workflows that wait for us, and whether whom and what they name is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import ChannelId, Incident, PersonId
from tocsin.slack.calls import Call, Calls
from tocsin.slack.disclosure import NOTHING, Anybody, Disclosure
from tocsin.slack.pace import Urgency
from tocsin.slack.views.blocks import escape

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
