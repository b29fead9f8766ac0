"""Cache of the readers of channels beyond the workspace (Slack Connect), looked up in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import ChannelId
from tocsin.workflows.ports import loop_time
from tocsin.workflows.retry import best_effort

KEPT = 10_000
FRESH_SECONDS = 300.0
"""Seconds for which a cached answer counts when a public incident is shown."""


@dataclass(frozen=True)
class Readership:
    """Readers of a channel, as Slack tells them (conversation object)."""

    is_private: bool
    is_shared: bool
    """True if another organisation reads it (Slack Connect), or is about to."""
    is_read_by_organization: bool = False
    """True if other workspaces of the same organization read it (Enterprise Grid)."""
    is_direct: bool = False
    """True if it is a direct message, of two people or of several."""
    is_general: bool = False
    """True if every member of the workspace is in it."""
    is_archived: bool = False

    @property
    def unusable(self) -> str:
        """The reason for which it cannot become an incident's channel; empty if it can."""
        if self.is_direct:
            return "A direct message cannot be an incident's channel."
        if self.is_general:
            return "Everybody is in this channel, so it cannot be one incident's."
        if self.is_shared or self.is_read_by_organization:
            return "People from elsewhere read this channel, so it cannot be an incident's."
        return "This channel is archived." if self.is_archived else ""


class SharedChannels:
    """Cache of the readers of a workspace's channels."""

    def __init__(
        self,
        look: Callable[[ChannelId], Awaitable[Readership | None]],
        now: Callable[[], float] = loop_time,
    ) -> None:
        """Create an empty cache.

        `look` asks Slack. It returns None for a channel that the bot cannot see, and raises Unavailable and
        SlackRefused.
        """
        self._look = look
        self._now = now
        self._known: dict[ChannelId, tuple[Readership | None, float]] = {}
        self._asking: dict[ChannelId, asyncio.Task[Readership | None]] = {}

    async def is_shared(self, channel: ChannelId | None, seconds: float) -> bool | None:
        """Return True if another organisation reads a channel; None if Slack does not tell in time."""
        if channel is None or not _is_channel(channel):
            return False
        if not self.knows(channel):
            asking = self._ask(channel)
            await asyncio.wait({asking}, timeout=seconds)
            if not asking.done():
                return None
            async with best_effort("ask Slack who reads a channel"):
                return _is_shared(asking.result())
            return None
        return _is_shared(self._known[channel][0])

    def last(self, channel: ChannelId) -> Readership | None:
        """Return the last answer about a channel; None if there is none."""
        return self._known.get(channel, (None, 0.0))[0]

    async def look_up(self, channel: ChannelId, seconds: float) -> Readership | None:
        """Ask Slack now; return None for a channel that the bot cannot see.

        Raises Unavailable, also if Slack does not answer in time, and SlackRefused.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._asked(channel)
        except TimeoutError:
            raise Unavailable("Slack does not answer just now.") from None

    def knows(self, channel: ChannelId | None) -> bool:
        """True if Slack need not be asked about a channel."""
        if channel is None or not _is_channel(channel):
            return True
        known = self._known.get(channel)
        return known is not None and self._now() - known[1] < FRESH_SECONDS

    async def read_by_others(self, channel: ChannelId) -> bool:
        """Return True if another organisation reads a channel; asks Slack if that is not known.

        Slack tells nothing of direct messages and of private channels without the bot, where the bot cannot
        post anyway. Raises Unavailable and SlackRefused.
        """
        if self.knows(channel):
            return _is_channel(channel) and _is_shared(self._known[channel][0])
        return _is_shared(await self._asked(channel))

    async def is_for_its_members_alone(self, channel: ChannelId) -> bool:
        """Ask Slack now. Returns True if a channel is private and only this organisation reads it.

        An owner can make a private channel public at any time. Raises Unavailable and SlackRefused.
        """
        found = await self._asked(channel)
        return found is not None and found.is_private and not found.is_shared

    async def is_for_the_workspace_alone(self, channel: ChannelId) -> bool:
        """Ask Slack now. Returns True if no other organisation and no other workspace reads a channel.

        Returns False if Slack does not tell. Raises Unavailable.
        """
        try:
            found = await self._asked(channel)
        except SlackRefused:
            return False
        return found is not None and not found.is_shared and not found.is_read_by_organization

    async def _asked(self, channel: ChannelId) -> Readership | None:
        # A caller that stops waiting does not cancel the lookup: the next caller finds the answer.
        return await asyncio.shield(self._ask(channel))

    def _ask(self, channel: ChannelId) -> asyncio.Task[Readership | None]:
        """Start a lookup, or join the one that is running."""
        asking = self._asking.get(channel)
        if asking is None:
            asking = self._asking[channel] = asyncio.create_task(self._learn(channel))
            asking.add_done_callback(lambda _: self._asking.pop(channel, None))
            # Retrieves the exception, since there may be no caller left when the lookup fails.
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        return asking

    async def _learn(self, channel: ChannelId) -> Readership | None:
        found = await self._look(channel)
        self._known.pop(channel, None)
        self._known[channel] = (found, self._now())
        if len(self._known) > KEPT:
            # The oldest entry is the first one.
            del self._known[next(iter(self._known))]
        return found


def _is_shared(readership: Readership | None) -> bool:
    return readership is not None and readership.is_shared


def _is_channel(channel: ChannelId) -> bool:
    return channel.startswith(("C", "G"))
