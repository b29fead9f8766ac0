"""Which channels people of other organisations read, too: learnt beside, and waited for only a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tocsin.actions.best_effort import best_effort
from tocsin.actions.ports import loop_time
from tocsin.incidents.model import ChannelId
from tocsin.slack.workspace import SlackWorkspace

KEPT = 10_000
FRESH_SECONDS = 600.0
"""How long a channel is taken for what it was."""


class Places:
    """What is known of the workspace's channels."""

    def __init__(self, workspace: SlackWorkspace, now: Callable[[], float] = loop_time) -> None:
        self._workspace = workspace
        self._now = now
        self._shared: dict[ChannelId, tuple[bool, float]] = {}
        self._asking: dict[ChannelId, asyncio.Task[None]] = {}

    async def is_shared(self, channel: ChannelId | None, seconds: float) -> bool:
        """Whether another organisation reads it (Slack Connect), as far as Slack says so in time.

        Slack tells of direct messages and of private channels without the bot nothing: there the bot cannot
        post anyway.
        """
        if channel is None or not _may_be_shared(channel):
            return False
        if not self.knows(channel):
            asking = self._asking.get(channel)
            if asking is None:
                asking = self._asking[channel] = asyncio.create_task(self._learn(channel))
                asking.add_done_callback(lambda _: self._asking.pop(channel, None))
            await asyncio.wait({asking}, timeout=seconds)
        return self._shared.get(channel, (False, 0.0))[0]

    def knows(self, channel: ChannelId | None) -> bool:
        """Whether nothing need be asked about it."""
        if channel is None or not _may_be_shared(channel):
            return True
        known = self._shared.get(channel)
        return known is not None and self._now() - known[1] < FRESH_SECONDS

    async def _learn(self, channel: ChannelId) -> None:
        async with best_effort("ask Slack who reads a channel"):
            found = await self._workspace.is_shared(channel)
            self._shared.pop(channel, None)
            self._shared[channel] = (found, self._now())
            if len(self._shared) > KEPT:
                # The one that was learnt longest ago comes first.
                del self._shared[next(iter(self._shared))]


def _may_be_shared(channel: ChannelId) -> bool:
    return channel.startswith(("C", "G"))
