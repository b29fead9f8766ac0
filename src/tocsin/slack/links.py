"""Links to incidents in people's messages: what is shown below them, and to who opens it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import ChannelId, Incident, MessageTs, PersonId
from tocsin.slack.calls import Calls
from tocsin.slack.disclosure import NOTHING, Disclosure, InChannel, shown_to
from tocsin.slack.pace import Urgency
from tocsin.slack.views.unfurl import FOLDED, details, folded_object, unfurl_blocks, work_object

UNAVAILABLE = frozenset(
    {"feature_not_enabled", "invalid_arguments", "invalid_metadata", "invalid_metadata_format"}
)
"""Slack, chat.unfurl: it shows no Work Objects for this app."""

GONE = frozenset({"cannot_find_channel", "cannot_find_message", "cannot_unfurl_message", "cannot_unfurl_url"})


class WorkspaceLinks:
    """The part of SlackWorkspace that shows what a link leads to."""

    client: AsyncWebClient
    calls: Calls
    without_objects: bool = False
    """Slack has said that it shows no Work Objects for this app; a card is shown instead from then on."""

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
        if not self.without_objects:
            try:
                await self._unfurled(channel, ts, about, metadata={"entities": objects})
            except SlackRefused as refusal:
                if refusal.code not in UNAVAILABLE:
                    raise
                self.without_objects = True
            else:
                return
        await self._unfurled(channel, ts, about, unfurls=blocks)

    async def _unfurled(self, channel: ChannelId, ts: MessageTs, about: Disclosure, **shown: Any) -> None:
        unfurl = self.client.chat_unfurl
        await self.calls.make(unfurl, Urgency.CARD, about=about, channel=channel, ts=ts, **shown)

    async def present(self, trigger_id: str, incident: Incident | None, person: PersonId | None) -> None:
        """Show somebody all of an incident; without one, that there is none (Slack, entity.presentDetails).

        The trigger is good once, for 3 s.
        """
        shown: dict[str, Any] = (
            {"metadata": details(incident)} if incident else {"error": {"status": "not_found"}}
        )
        about = shown_to(person, incident) if incident else NOTHING
        present = self.client.entity_presentDetails
        await self.calls.once(present, about=about, trigger_id=trigger_id, **shown)
