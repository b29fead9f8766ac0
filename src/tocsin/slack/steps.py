"""Steps of workflows that wait for us, and who is told when one could not be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slack_sdk.models.blocks import Block
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import Incident, PersonId
from tocsin.slack.calls import Call, Calls
from tocsin.slack.disclosure import NOTHING, Anybody, Disclosure
from tocsin.slack.pace import Urgency
from tocsin.slack.posts import Posts
from tocsin.slack.views.kit import escape

ENDED = frozenset({"execution_not_in_running_state", "function_execution_not_found"})
"""Slack, functions.completeSuccess: it was answered before, or the workflow was stopped."""


class WorkspaceSteps:
    """The part of SlackWorkspace that ends steps.

    It does so with the bot's own token: the one that Slack sends along with a step is good for a quarter of
    an hour, and would be a secret in the journal.
    """

    client: AsyncWebClient
    calls: Calls
    _posts: Posts

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

    async def tell_once(self, person: PersonId, text: str, blocks: Sequence[Block], *, key: str) -> None:
        """A direct message that may have been sent under this key before, and is not sent again then."""
        await self._posts.post(person, text, blocks, about=NOTHING, key=key, again=True)
