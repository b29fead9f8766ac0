"""What people put on a message: read from Slack as it stands, so that no event counts twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import SlackRefused
from tocsin.incidents.model import ChannelId, MessageTs
from tocsin.slack.calls import Answer, Calls
from tocsin.slack.pace import Urgency

PIN = "pushpin"
"""The reaction that keeps a message in the timeline: 📌."""


OUT_OF_SIGHT = frozenset({"message_not_found", "channel_not_found", "not_in_channel", "no_item_specified"})


class Marks:
    """The reactions and pins of one workspace."""

    def __init__(self, client: AsyncWebClient, calls: Calls) -> None:
        self._client = client
        self._calls = calls

    async def marked(self, channel: ChannelId, ts: MessageTs) -> tuple[bool, Mapping[str, Any]]:
        """Whether a message is pinned or has the reaction now, and the message; nothing for one that is gone.

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
            answer = await self._calls.make(
                self._client.reactions_get, Urgency.CARD, channel=channel, timestamp=ts, full=True
            )
        except SlackRefused as refusal:
            if refusal.code not in OUT_OF_SIGHT:
                raise
            return {}
        return _dict(answer.get("message"))

    async def _is_pinned(self, channel: ChannelId, ts: MessageTs) -> bool:
        pins: Answer = await self._calls.make(self._client.pins_list, Urgency.CARD, channel=channel)
        return any(_dict(_dict(item).get("message")).get("ts") == ts for item in pins.get("items") or ())


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
